"""From class masks to a web map of pictures: an MBTiles file, or a folder of z/x/y.png."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoseg.core.prefetch import prefetch
from geoseg.errors import OutputError
from geoseg.geo.gdal import session
from geoseg.geo.tile_files import MBTILES
from geoseg.geo.tile_grid import HALF, Bounds, degrees
from geoseg.geo.tile_masks import PlacedMask, place_mask
from geoseg.geo.tile_pyramid import block_zoom, count_blocks, pyramid_of_tiles
from geoseg.geo.tile_writer import ABOUT, Put, folder_writer, mbtiles_writer, picture_of
from geoseg.staging import staged, staged_folder

AHEAD = 64  # tiles that are read while earlier ones become pictures

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class TileMap:
    """A map that was made.

    Attributes:
        zooms: the lowest and the deepest.
        tiles: pictures in it; those in which nothing would be seen are left out.
        bounds: west, south, east, north, degrees.
    """

    zooms: tuple[int, int]
    tiles: int
    bounds: Bounds


def write_tile_map(
    rasters: Sequence[Path], output: Path, *, min_zoom: int | None = None, max_zoom: int | None = None,
    overwrite: bool = False, progress: Progress = lambda done, total: None,
) -> TileMap:  # fmt: skip
    """Draw class masks as tiles of 256 px in their own colours, background and no data transparent.

    Args:
        rasters: masks of the same classes, as `geoseg predict` writes them; where they overlap, later ones
            lie on top.
        output: a name that ends in .mbtiles, or a folder.
        min_zoom: the lowest zoom; by default the deepest at which the map is no wider than a tile.
        max_zoom: the deepest; by default that with pixels nearest in size to the finest mask's.
        overwrite: replace what is there.
        progress: called with how many blocks were drawn since the last call, and all.

    Raises:
        SceneError: when a raster is no class mask, or its place is unknown.
        OutputError: when the masks are of different classes, the zooms in the wrong order, or the output
            cannot be written.
    """
    with session():
        masks = [place_mask(path) for path in rasters]
        _check_alike(masks)
        box = _around(masks)
        zooms = _zooms(masks, box, min_zoom, max_zoom)
        total, tiles = count_blocks(masks, zooms[-1]), 0
        about = _about(masks, output.stem, degrees(box), zooms)
        made = pyramid_of_tiles(masks, zooms[-1])
        with _writer(output, about, overwrite) as put, prefetch(made, AHEAD) as ready:
            for tile, pixels in ready:
                picture = picture_of(pixels, masks[0].colors) if tile.zoom >= zooms[0] else None
                if picture is not None:
                    put(tile, picture)
                    tiles += 1
                if tile.zoom == block_zoom(zooms[-1]):
                    progress(1, total)
    return TileMap((zooms[0], zooms[-1]), tiles, degrees(box))


def _check_alike(masks: Sequence[PlacedMask]) -> None:
    """Refuse masks whose numbers mean different things."""
    first = masks[0]
    for mask in masks[1:]:
        names = [one.tags.get("GEOSEG_CLASSES") for one in (first, mask)]
        if names[0] != names[1] or mask.colors != first.colors:
            raise OutputError(
                f"{first.path} and {mask.path} are masks of different classes or colours ({names[0]} and "
                f"{names[1]}); make a map of each"
            )


def _around(masks: Sequence[PlacedMask]) -> Bounds:
    left, bottom, right, top = zip(*(box for mask in masks for box in mask.boxes), strict=True)
    return min(left), min(bottom), max(right), max(top)


def _zooms(masks: Sequence[PlacedMask], box: Bounds, lowest: int | None, deepest: int | None) -> range:
    """The zooms that are wanted, or those of which tiles are as fine, and as wide, as the masks."""
    left, bottom, right, top = box
    last = max(mask.zoom for mask in masks) if deepest is None else deepest
    fitting = int(math.log2(2 * HALF / max(right - left, top - bottom)))
    first = min(fitting, last) if lowest is None else lowest
    if first > last:
        raise OutputError(f"the lowest zoom, {first}, is deeper than the deepest, {last}; change one of them")
    return range(first, last + 1)


def _about(masks: Sequence[PlacedMask], name: str, bounds: Bounds, zooms: range) -> dict[str, str]:
    """The metadata of MBTiles 1.3."""
    tags, (west, south, east, north) = masks[0].tags, bounds
    classes = tags.get("GEOSEG_CLASSES", "").split()
    legend = ", ".join(f"{number} {word}" for number, word in enumerate(classes, 1))
    about = {
        "name": name, "format": "png", "type": "overlay", "version": "1",
        "bounds": ",".join(f"{value:.7f}" for value in bounds),
        "center": f"{(west + east) / 2:.7f},{(south + north) / 2:.7f},{zooms[0]}",
        "minzoom": str(zooms[0]), "maxzoom": str(zooms[-1]),
        "description": legend and f"Classes: {legend}. Model: {tags.get('GEOSEG_MODEL', '')}.",
        "attribution": tags.get("GEOSEG_ATTRIBUTION", ""),
    }  # fmt: skip
    return {key: value for key, value in about.items() if value}


@contextmanager
def _writer(output: Path, about: dict[str, str], overwrite: bool) -> Iterator[Put]:
    """Where tiles go, whole or not at all."""
    if output.suffix.lower() == MBTILES:
        with staged(output, overwrite=overwrite) as (draft,), mbtiles_writer(draft, about) as put:
            yield put
    else:
        _check_folder(output)
        with staged_folder(output, overwrite=overwrite) as folder, folder_writer(folder, about) as put:
            yield put


def _check_folder(output: Path) -> None:
    """Refuse to replace a folder that is no map, whatever the user allows."""
    if output.is_dir() and any(output.iterdir()) and not (output / ABOUT).exists():
        raise OutputError(f"the folder {output} holds other things than a map; give a folder of its own")
