"""From what the user calls a source of map tiles to the tiles that are there and wanted."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from affine import Affine

from geoseg.errors import SceneError
from geoseg.geo.cutline import read_cutline
from geoseg.geo.geobox import GeoBox
from geoseg.geo.tile_files import (
    MBTILES,
    folder_extent,
    folder_samples,
    folder_zooms,
    mbtiles_extent,
    mbtiles_samples,
    mbtiles_zooms,
)
from geoseg.geo.tile_grid import CRS, Bounds, TileRange, metres, pixel_m, touching
from geoseg.geo.tile_server import check_template, label
from geoseg.geo.tile_stage import picture_size
from geoseg.geo.tiles import Tiles, is_address

log = logging.getLogger(__name__)

USUAL = 256  # pixels each way of most tiles
ZOOMS = range(16, 21)  # that are offered
PLACES = ("{z}", "{x}", "{y}", "{-y}")  # in addresses of tiles


@dataclass(frozen=True, slots=True)
class TileChoices:
    """Which tiles of a source are wanted.

    Attributes:
        zoom: of the tiles; the deepest there is when None.
        bounds: left, bottom, right, top in degrees (WGS84); all whole tiles that they touch are taken.
        area: a vector file of polygons, whose box is taken when there are no bounds.
        tms: whether rows of a folder or a server count from the south.
        cache: a folder that keeps what servers send, for the next time.
    """

    zoom: int | None = None
    bounds: Bounds | None = None
    area: Path | None = None
    tms: bool = False
    cache: Path | None = None

    def box(self) -> Bounds | None:
        """What is wanted, metres of EPSG:3857; None for everything."""
        if self.bounds is not None:
            return metres(self.bounds)
        if self.area is None:
            return None
        from rasterio import crs
        from rasterio.features import bounds as around

        plane = GeoBox((1, 1), Affine.scale(1, -1), crs.CRS.from_user_input(CRS))
        west, south, east, north = zip(*map(around, read_cutline(self.area, plane)), strict=True)
        return min(west), min(south), max(east), max(north)


def find_tiles(source: str | Path, choices: TileChoices) -> Tiles | None:
    """The tiles behind a source; None when it is something else.

    Args:
        source: an address with {z}, {x} and {y} or {-y}, a path that ends in .mbtiles, a folder of z/x/y
            files, or the text form of what was found before.
        choices: which of its tiles.

    Raises:
        SceneError: when there are none where they are wanted, or an address has no zoom or bounds.
    """
    text, path = str(source), Path(source).absolute()
    if found := Tiles.parse(text):
        return found
    if is_address(text):
        return _of_server(text, choices) if any(place in text for place in PLACES) else None
    if path.suffix.lower() == MBTILES and path.is_file():
        return _of_file(path, choices)
    zooms = folder_zooms(path) if path.is_dir() else []
    return _of_folder(path, zooms, choices) if zooms else None


def as_scenes(sources: Sequence[str], choices: TileChoices) -> tuple[list[str], Bounds | None]:
    """Sources, those of map tiles by the text form of their `Tiles`, and the bounds that are left to apply.

    Raises:
        SceneError: see `find_tiles` and `bounds_left`.
    """
    scenes = [str(find_tiles(source, choices) or source) for source in sources]
    return scenes, bounds_left(scenes, choices)


def bounds_left(scenes: Sequence[str], choices: TileChoices) -> Bounds | None:
    """The bounds to cut scenes by, in their own CRS; those of map tiles have been used up in finding them.

    Raises:
        SceneError: when bounds would be degrees for some scenes and not for others, or what is chosen of
            tiles is for none.
    """
    of_tiles = [Tiles.parse(scene) is not None for scene in scenes]
    if not any(of_tiles) and (choices.zoom is not None or choices.tms or choices.cache):
        raise SceneError("a zoom, --tms or a tile cache is for map tiles, got none; leave it out")
    if choices.bounds is None or all(of_tiles):
        return None
    if any(of_tiles):
        raise SceneError("bounds are degrees for map tiles, and in their CRS for others; run them separately")
    return choices.bounds


def _of_file(path: Path, choices: TileChoices) -> Tiles:
    zoom = _zoom(path, mbtiles_zooms(path), choices)
    size = _size(mbtiles_samples(path, zoom))
    return Tiles(str(path), _wanted(path, mbtiles_extent(path, zoom), choices), size, _name(path.stem))


def _of_folder(path: Path, zooms: list[int], choices: TileChoices) -> Tiles:
    zoom = _zoom(path, zooms, choices)
    size = _size(folder_samples(path, zoom))
    place = f"{path}/{{z}}/{{x}}/{'{-y}' if choices.tms else '{y}'}"
    return Tiles(
        place, _wanted(path, folder_extent(path, zoom, choices.tms), choices), size, _name(path.name)
    )


def _of_server(template: str, choices: TileChoices) -> Tiles:
    check_template(template)
    box = choices.box()
    if box is None:
        raise SceneError(f"{label(template)} covers the world; give --bounds in degrees, or a --cutline")
    if choices.zoom is None:
        middle = (box[1] + box[3]) / 2
        sizes = ", ".join(f"{zoom} has pixels of {pixel_m(zoom, USUAL, middle):.2g} m" for zoom in ZOOMS)
        raise SceneError(f"{label(template)} needs a zoom, and there {sizes}; choose with --zoom")
    place = template.replace("{y}", "{-y}") if choices.tms else template
    cache = str(choices.cache.absolute()) if choices.cache else ""
    tiles = Tiles(place, touching(box, choices.zoom), USUAL, _server_name(template), cache)
    return replace(tiles, size=_size(_server_samples(tiles)))


def _zoom(path: Path, zooms: list[int], choices: TileChoices) -> int:
    """The zoom that is wanted, of those that are there."""
    if choices.zoom is None:
        log.info("%s: zoom %d, the deepest of %s", path, zooms[-1], ", ".join(map(str, zooms)))
        return zooms[-1]
    if choices.zoom not in zooms:
        raise SceneError(
            f"{path} has no tiles at zoom {choices.zoom}; choose --zoom from {', '.join(map(str, zooms))}"
        )
    return choices.zoom


def _wanted(path: Path, there: TileRange, choices: TileChoices) -> TileRange:
    """What is wanted of the tiles that are there."""
    box = choices.box()
    if box is None:
        return there
    both = there.intersect(touching(box, there.zoom))
    if both is None:
        raise SceneError(f"{path} has no tiles in the bounds; give bounds in degrees that it covers")
    return both


def _size(samples: Iterable[bytes]) -> int:
    """The size of the first that is a picture, or the usual one: what is wrong is told when it is read."""
    for data in samples:
        with suppress(SceneError):
            return picture_size(data)
    return USUAL


def _server_samples(tiles: Tiles) -> Iterator[bytes]:
    """Those of a few tiles, from the middle to a corner, that are there."""
    extent = tiles.extent
    with tiles.get() as get:
        for part in (2, 4, 8, 16):
            col, row = extent.col + extent.cols // part, extent.row + extent.rows // part
            with suppress(SceneError):
                yield from filter(None, [get(extent.zoom, col, row)])


def _server_name(template: str) -> str:
    """The part of an address before its places, or its host."""
    address = urlsplit(template)
    parts = [part for part in address.path.split("{")[0].split("/") if part]
    return _name(parts[-1] if parts else address.hostname or "tiles")


def _name(text: str) -> str:
    """A name that any file system takes, without an ending."""
    return re.sub(r"[^\w\-]+", "_", text)
