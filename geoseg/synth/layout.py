"""Streets, blocks and parcels: a grid of streets, bent and turned as a whole."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from shapely import LineString, Polygon, box

from geoseg.synth.shapes import Frame
from geoseg.synth.styles import Range, Style

Points = npt.NDArray[np.float64]
Edges = tuple[float, float]
Bounds = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Warp:
    """Smooth map from the straight grid (u along the streets, v across) to the scene, both in metres.

    Streets swing along sine waves. Within a block, lines across follow the normals of its middle line, so
    that parcels keep their right angles.

    Attributes:
        frame: where the grid's origin lies, and its turn.
        bend: amplitude, m.
        phase: radians.
        wavelength: m.
    """

    frame: Frame
    bend: float
    phase: float
    wavelength: float = 330.0

    def __call__(self, points: Points, middle: float) -> Points:
        """Map (n, 2) grid points of the block around ``v = middle`` to the scene."""
        turn = 2 * math.pi / self.wavelength
        u, wave = points[:, 0], turn * points[:, 0] + self.phase
        lean = self.bend * turn * np.cos(wave)
        across = (points[:, 1] - middle) / (1 + lean * lean)
        x, y = u - lean * across, middle + self.bend * np.sin(wave) + across
        cos, sin = math.cos(self.frame.angle), math.sin(self.frame.angle)
        return np.stack([self.frame.x + cos * x - sin * y, self.frame.y + sin * x + cos * y], axis=1)

    def line(self, start: tuple[float, float], end: tuple[float, float], middle: float) -> LineString:
        """The image of a straight line."""
        length = math.dist(start, end)
        return LineString(self(np.linspace(start, end, max(2, int(length / 6))), middle))


@dataclass(frozen=True)
class Street:
    """A street's centre line and the width of its carriageway, m."""

    line: LineString
    width: float


@dataclass(frozen=True)
class Parcel:
    """A piece of land.

    Attributes:
        kind: what stands on it, a key of `geoseg.synth.lots.LOTS`.
        polygon: outline in the scene, m.
        frame: its centre; x along the street, y away from it (the street lies at y = -depth / 2).
        width: extent along x, m.
        depth: extent along y, m.
    """

    kind: str
    polygon: Polygon
    frame: Frame
    width: float
    depth: float


@dataclass(frozen=True)
class Layout:
    """All streets and parcels of a scene."""

    streets: tuple[Street, ...]
    parcels: tuple[Parcel, ...]


def choose(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """A key, drawn by its share."""
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]


def steps(rng: np.random.Generator, start: float, stop: float, size: Range) -> list[float]:
    """Increasing positions from ``start`` to beyond ``stop``, apart by draws from ``size``."""
    places = [start]
    while places[-1] < stop:
        places.append(places[-1] + rng.uniform(*size))
    return places


def split(
    rng: np.random.Generator, style: Style, left: float, right: float
) -> Iterator[tuple[str, float, float]]:
    """Kinds and extents of the parcels on one side of a block; the last takes what is left over."""
    while left < right:
        kind = choose(rng, style.parcels)
        stop = left + rng.uniform(*style.width(kind))
        if right - stop < style.width(kind)[0]:
            stop = right
        yield kind, left, stop
        left = stop


def parcel(warp: Warp, kind: str, bounds: Bounds, middle: float, *, flip: bool = False) -> Parcel:
    """The parcel with these grid bounds in the block around ``middle``; ``flip``: its street is below."""
    left, top, right, bottom = bounds
    ring = warp(np.array(box(*bounds).segmentize(8.0).exterior.coords), middle)
    sides = warp(np.array([((left + right) / 2, (top + bottom) / 2), (right, (top + bottom) / 2)]), middle)
    angle = math.atan2(*(sides[1] - sides[0])[::-1]) + math.pi * flip
    frame = Frame(float(sides[0, 0]), float(sides[0, 1]), angle)
    return Parcel(kind, Polygon(ring), frame, 2 * math.dist(*sides), bottom - top)


def block(
    rng: np.random.Generator, style: Style, warp: Warp, bounds: Bounds, middle: float
) -> Iterator[Parcel]:
    """Parcels of one block: one estate, or two rows back to back."""
    left, top, right, bottom = bounds
    if rng.random() < style.whole:
        yield parcel(warp, choose(rng, style.estates), bounds, middle)
        return
    for low, high, flip in ((top, middle, False), (middle, bottom, True)):
        for kind, start, stop in split(rng, style, left, right):
            yield parcel(warp, kind, (start, low, stop, high), middle, flip=flip)


def row(
    rng: np.random.Generator, style: Style, warp: Warp, reach: float, edges: Edges, inner: Edges
) -> Iterator[tuple[Street, list[Parcel]]]:
    """Cross streets and parcels between two streets.

    Args:
        rng: source of all choices.
        style: the scene's style.
        warp: from the grid to the scene.
        reach: extent of the grid on either side of its origin, m.
        edges: v of the two streets' middle lines.
        inner: v of the parcels' fronts.
    """
    middle, margin = sum(inner) / 2, walk(style)
    crossings = steps(rng, -reach - rng.uniform(0, 90), reach, style.length)
    width = rng.uniform(*style.road)
    for start, stop in pairwise(crossings):
        street = Street(warp.line((stop, edges[0]), (stop, edges[1]), middle), width)
        left, right = start + width / 2 + margin, stop - width / 2 - margin
        yield street, list(block(rng, style, warp, (left, inner[0], right, inner[1]), middle))


def walk(style: Style) -> float:
    """Width of the strip between carriageway and parcels, m."""
    return 3.4 if style.walks else 2.0


def lay_out(rng: np.random.Generator, style: Style, width: float, height: float) -> Layout:
    """Draw the streets and parcels that cover a scene of ``width`` × ``height`` metres."""
    frame = Frame(width / 2, height / 2, rng.uniform(-0.8, 0.8))
    warp = Warp(frame, rng.uniform(*style.bend), rng.uniform(0, 2 * math.pi))
    reach = math.hypot(width, height) / 2 + 60
    lines = steps(rng, -reach - rng.uniform(0, 60), reach, (2 * style.depth[0] + 14, 2 * style.depth[1] + 20))
    widths = [rng.uniform(*style.road) for _ in lines]
    streets = [
        Street(warp.line((-reach, v), (reach, v), v), road) for v, road in zip(lines, widths, strict=True)
    ]
    parcels: list[Parcel] = []
    for (top, above), (bottom, below) in pairwise(zip(lines, widths, strict=True)):
        inner = (top + above / 2 + walk(style), bottom - below / 2 - walk(style))
        for street, lots in row(rng, style, warp, reach, (top, bottom), inner):
            streets.append(street)
            parcels.extend(lots)
    scene = box(0, 0, width, height).buffer(25)
    return Layout(
        tuple(street for street in streets if street.line.intersects(scene)),
        tuple(each for each in parcels if each.polygon.intersects(scene)),
    )
