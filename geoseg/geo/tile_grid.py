"""Where Web Mercator map tiles lie on the ground. Tiles count from 0 at the north-west corner (XYZ order)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from affine import Affine

from geoseg.core.window import Window
from geoseg.errors import SceneError

CRS = "EPSG:3857"
HALF = math.pi * 6378137.0  # metres from the middle of the map to its edges
DEEPEST = 30  # zoom
FORGIVEN = 1e-6  # tiles: bounds that were computed from tiles do not take their neighbours too

Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class TileRange:
    """A rectangle of tiles.

    Attributes:
        zoom: the map is 2**zoom tiles wide and high.
        col: the first tile from the west.
        row: the first tile from the north.
        cols: how many from west to east.
        rows: how many from north to south.

    Raises:
        SceneError: when it is empty or not on the map.
    """

    zoom: int
    col: int
    row: int
    cols: int
    rows: int

    def __post_init__(self) -> None:
        if not 0 <= self.zoom <= DEEPEST:
            raise SceneError(f"zoom is 0 to {DEEPEST}, got {self.zoom}; give the zoom of the tiles")
        ends = ((self.col, self.cols), (self.row, self.rows))
        if not all(first >= 0 and count >= 1 and first + count <= 2**self.zoom for first, count in ends):
            raise SceneError(
                f"zoom {self.zoom} has {2**self.zoom} tiles each way, got {self.cols}×{self.rows} from "
                f"{self.col}/{self.row}; give tiles that are on the map"
            )

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(col, row) of each tile, row by row."""
        for row in range(self.row, self.row + self.rows):
            for col in range(self.col, self.col + self.cols):
                yield col, row

    def shape(self, size: int) -> tuple[int, int]:
        """(height, width) in pixels, of tiles with `size` pixels each way."""
        return self.rows * size, self.cols * size

    def transform(self, size: int) -> Affine:
        """Pixel (col, row) to metres of EPSG:3857."""
        left, _, _, top = self.bounds
        pixel = 2 * HALF / 2**self.zoom / size
        return Affine(pixel, 0.0, left, 0.0, -pixel, top)

    @property
    def bounds(self) -> Bounds:
        """Left, bottom, right, top in metres of EPSG:3857."""
        side = 2 * HALF / 2**self.zoom
        left, top = self.col * side - HALF, HALF - self.row * side
        return left, top - self.rows * side, left + self.cols * side, top

    def intersect(self, other: TileRange) -> TileRange | None:
        """The tiles of both, at one zoom; None when there are none."""
        col, row = max(self.col, other.col), max(self.row, other.row)
        cols = min(self.col + self.cols, other.col + other.cols) - col
        rows = min(self.row + self.rows, other.row + other.rows) - row
        return TileRange(self.zoom, col, row, cols, rows) if cols > 0 and rows > 0 else None

    @property
    def quarters(self) -> tuple[TileRange, ...]:
        """The four parts of a single tile, those of the next zoom: north-west, -east, south-west, -east."""
        places = ((2 * self.col + right, 2 * self.row + down) for down in (0, 1) for right in (0, 1))
        return tuple(TileRange(self.zoom + 1, col, row, self.cols, self.rows) for col, row in places)

    def under(self, window: Window, size: int) -> TileRange | None:
        """The tiles that a window of pixels touches; None when it lies outside."""
        inside = window.clip(self.shape(size))
        if inside.empty:
            return None
        col, row = inside.col // size, inside.row // size
        cols, rows = -(-inside.stop_col // size) - col, -(-inside.stop_row // size) - row
        return TileRange(self.zoom, self.col + col, self.row + row, cols, rows)


def touching(bounds: Bounds, zoom: int) -> TileRange:
    """The tiles that a box in metres of EPSG:3857 touches; what is off the map is left out.

    Raises:
        SceneError: when the box is empty or off the map altogether.
    """
    left, bottom, right, top = bounds
    if not (all(map(math.isfinite, bounds)) and left < right and bottom < top):
        raise SceneError(f"bounds are left bottom right top, got {_listed(bounds)}; put them in this order")
    first_col, last_col = _touched(left, right, zoom)
    first_row, last_row = _touched(-top, -bottom, zoom)
    return TileRange(zoom, first_col, first_row, last_col - first_col + 1, last_row - first_row + 1)


def _touched(low: float, high: float, zoom: int) -> tuple[int, int]:
    """The first and last tile between two places, metres from the middle of the map."""
    count = 2**zoom
    first = math.floor((low + HALF) / (2 * HALF) * count + FORGIVEN)
    last = math.ceil((high + HALF) / (2 * HALF) * count - FORGIVEN) - 1
    return max(first, 0), min(max(first, last), count - 1)


def metres(bounds: Bounds) -> Bounds:
    """Longitudes and latitudes (left, bottom, right, top; WGS84 degrees) as metres of EPSG:3857.

    Latitudes beyond the map's edge at 85.05° are taken for the edge.

    Raises:
        SceneError: when they are no degrees.
    """
    west, south, east, north = bounds
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= 90 and -90 <= north <= 90):
        raise SceneError(
            f"bounds of map tiles are degrees west south east north, got {_listed(bounds)}; convert them"
        )
    return _east(west), _north(south), _east(east), _north(north)


def _east(longitude: float) -> float:
    return longitude / 180.0 * HALF


def _north(degrees: float) -> float:
    up = math.sin(math.radians(degrees))
    turns = math.atanh(up) / math.pi if abs(up) < 1 else math.copysign(1.0, up)
    return HALF * max(-1.0, min(1.0, turns))


def degrees(bounds: Bounds) -> Bounds:
    """Metres of EPSG:3857 as longitudes and latitudes: the inverse of `metres`."""
    left, bottom, right, top = bounds
    return left / HALF * 180.0, latitude(bottom), right / HALF * 180.0, latitude(top)


def latitude(north: float) -> float:
    """Degrees of a place so many metres of EPSG:3857 north of the equator."""
    return math.degrees(math.atan(math.sinh(north / HALF * math.pi)))


def pixel_m(zoom: int, size: int, north: float) -> float:
    """Ground metres of a pixel, so many metres of EPSG:3857 north of the equator."""
    return 2 * HALF / 2.0**zoom / size * math.cos(math.radians(latitude(north)))


def _listed(bounds: Bounds) -> str:
    return " ".join(f"{value:g}" for value in bounds)
