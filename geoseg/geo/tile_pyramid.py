"""Class masks as a pyramid of map tiles: the deepest zoom is read, each other one is made of the one below.

The pyramid is walked depth first, so that a tile is made as soon as its four quarters are: at any moment no
more is held than a block of the deepest zoom and a few tiles of each zoom above it, however large the map.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import numpy as np

from geoseg.core.mask import NODATA
from geoseg.core.pyramid import halve
from geoseg.geo.tile_grid import TileRange
from geoseg.geo.tile_masks import SIZE, Classes, PlacedMask, read_masks

BLOCK_ZOOMS = 3  # a block is 2**3 tiles wide, read at once
WORLD = TileRange(0, 0, 0, 1, 1)

Tile = tuple[TileRange, Classes]
Tiles = Generator[Tile, None, Classes | None]


def pyramid_of_tiles(masks: Sequence[PlacedMask], deepest: int) -> Iterator[Tile]:
    """The tiles that lie on masks, from a zoom up to that of the world.

    Args:
        masks: where they overlap, later ones lie on top.
        deepest: the zoom.

    Yields:
        A single tile and its (256, 256) classes, 255 without data. Those of the deepest zoom are the classes
        nearest to their pixels; four pixels become one of the zoom above by their most frequent class, see
        `core.pyramid.halve`. Every tile comes after those it is made of.
    """
    yield from _branch(masks, WORLD, deepest)


def count_blocks(masks: Sequence[PlacedMask], deepest: int, tile: TileRange = WORLD) -> int:
    """How many blocks `pyramid_of_tiles` will read; the last tile of each is of `block_zoom`."""
    near = _near(masks, tile)
    if not near or tile.zoom >= block_zoom(deepest):
        return len(near[:1])
    return sum(count_blocks(near, deepest, part) for part in tile.quarters)


def block_zoom(deepest: int) -> int:
    """The zoom of which a tile covers a block."""
    return max(deepest - BLOCK_ZOOMS, 0)


def _branch(masks: Sequence[PlacedMask], tile: TileRange, deepest: int) -> Tiles:
    """Yield a tile after all that it is made of; return its classes, None where there are no masks."""
    near = _near(masks, tile)
    if not near:
        return None
    if tile.zoom >= block_zoom(deepest):
        pixels = yield from _block(near, tile, deepest)
    else:
        quarters = []
        for part in tile.quarters:
            quarters.append((yield from _branch(near, part, deepest)))  # noqa: PERF401 - yields
        pixels = _joined(quarters)
    yield tile, pixels
    return pixels


def _near(masks: Sequence[PlacedMask], tile: TileRange) -> list[PlacedMask]:
    box = tile.bounds
    return [mask for mask in masks if mask.meets(box)]


def _block(masks: Sequence[PlacedMask], tile: TileRange, deepest: int) -> Generator[Tile, None, Classes]:
    """Yield the tiles below a tile; return its own classes."""
    pixels = read_masks(masks, tile, SIZE << (deepest - tile.zoom))
    for zoom in range(deepest, tile.zoom, -1):
        side = 1 << (zoom - tile.zoom)
        for part in _tiles_of(tile, zoom, side):
            row, col = (part.row - tile.row * side) * SIZE, (part.col - tile.col * side) * SIZE
            yield part, pixels[row : row + SIZE, col : col + SIZE]
        pixels = _halved(pixels)
    return pixels


def _tiles_of(tile: TileRange, zoom: int, side: int) -> Iterator[TileRange]:
    """The tiles of a deeper zoom under a tile, which is `side` of them wide."""
    for col, row in TileRange(zoom, tile.col * side, tile.row * side, side, side):
        yield TileRange(zoom, col, row, 1, 1)


def _joined(quarters: Sequence[Classes | None]) -> Classes:
    """One tile of its four quarters."""
    none = np.full((SIZE, SIZE), NODATA, np.uint8)
    a, b, c, d = (none if part is None else part for part in quarters)
    return _halved(np.block([[a, b], [c, d]]))


def _halved(pixels: Classes) -> Classes:
    halves: Classes = halve(pixels[..., None], "mode", NODATA)[..., 0]
    return halves
