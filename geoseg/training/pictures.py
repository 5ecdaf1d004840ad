"""Pictures to cut patches from: single images, or neighbouring tiles joined into one plane."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.core.window import Window
from geoseg.errors import RecipeError
from geoseg.recipe.data import DataSet
from geoseg.recipe.recipe import Recipe
from geoseg.training.catalog import Item
from geoseg.training.decode import Extent, measure

OPENERS = 8  # threads that look into headers


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """An image and the window of a picture that it fills."""

    item: Item
    window: Window


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A plane of pixels.

    Attributes:
        shape: (height, width), pixels.
        pixel_m: (height, width) of a pixel on the ground, metres; None when unknown.
        tiles: the images that fill it, without overlap; the rest has no data.
    """

    shape: tuple[int, int]
    pixel_m: tuple[float, float] | None
    tiles: tuple[Tile, ...]

    @property
    def data(self) -> DataSet:
        """The set it belongs to."""
        return self.tiles[0].item.data

    def touching(self, window: Window) -> Iterator[Tile]:
        """The tiles with pixels in a window."""
        return (tile for tile in self.tiles if not tile.window.intersect(window).empty)


def pictures(recipe: Recipe, items: Sequence[Item]) -> list[Picture]:
    """Single images as they are, the tiles of a mosaic joined, in the order of the first image of each.

    Raises:
        GeosegError: an image that cannot be opened, or tiles that do not fit together.
    """
    with ThreadPoolExecutor(OPENERS) as pool:
        extents = list(pool.map(lambda item: measure(recipe, item), items))
    found: list[Picture] = []
    for _, group in groupby(zip(items, extents, strict=True), key=lambda pair: pair[0].data.name):
        pairs = list(group)
        found += _joined(pairs) if pairs[0][0].data.mosaic else map(_single, pairs)
    return found


def _single(pair: tuple[Item, Extent]) -> Picture:
    item, extent = pair
    return Picture(extent.shape, extent.pixel_m, (Tile(item, Window(0, 0, *extent.shape)),))


def _joined(pairs: Sequence[tuple[Item, Extent]]) -> list[Picture]:
    """One picture for every group of tiles that touch, corners included."""
    first, extent = pairs[0]
    if odd := next((item for item, other in pairs if other.shape != extent.shape), None):
        raise RecipeError(f"{odd.image} has another size than {first.image}; tiles of a mosaic have one size")
    cells = _cells([item for item, _ in pairs])
    used = np.zeros(cells.max(0) + 1, bool)
    used[tuple(cells.T)] = True
    island, count = ndimage.label(used, np.ones((3, 3)))
    groups: list[list[int]] = [[] for _ in range(count)]
    for k, cell in enumerate(cells):
        groups[island[tuple(cell)] - 1].append(k)
    return [_island([pairs[k][0] for k in group], cells[group], extent) for group in groups]


def _cells(items: Sequence[Item]) -> NDArray[np.intp]:
    """(n, 2) rows and columns of tiles, from 0: numbers in names over the step between them."""
    places = np.array([_numbers(item) for item in items], np.intp)
    places -= places.min(0)
    steps = [max(1, math.gcd(*map(int, axis))) for axis in places.T]
    cells: NDArray[np.intp] = places // steps
    if len(np.unique(cells, axis=0)) < len(cells):
        raise RecipeError(f"data {items[0].data.name}: two tiles have one place; mend mosaic")
    return cells


def _numbers(item: Item) -> tuple[int, int]:
    """Row and column of a tile as its name says."""
    found = re.search(item.data.mosaic, item.key)
    try:
        if found is not None:
            return int(found["y"]), int(found["x"])
    except ValueError:
        pass
    raise RecipeError(f"data {item.data.name}: mosaic finds no numbers x and y in {item.key}; mend it")


def _island(items: Sequence[Item], cells: NDArray[np.intp], extent: Extent) -> Picture:
    height, width = extent.shape
    cells = cells - cells.min(0)
    rows, cols = (int(n) + 1 for n in cells.max(0))
    windows = [Window(int(row) * height, int(col) * width, height, width) for row, col in cells]
    tiles = tuple(Tile(item, window) for item, window in zip(items, windows, strict=True))
    return Picture((rows * height, cols * width), extent.pixel_m, tiles)
