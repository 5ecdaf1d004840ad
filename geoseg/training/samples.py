"""Decoded pixels and labels of a picture, kept in memory or read where they are needed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import FILL_MARGIN, Valid, fill_invalid
from geoseg.core.window import Window, whole
from geoseg.recipe.recipe import Recipe
from geoseg.training.cache import ByteCache
from geoseg.training.codes import IGNORE, Labels
from geoseg.training.decode import NEUTRAL, decode
from geoseg.training.pictures import Picture

WHOLE = 0.25  # of the cache: larger pictures are read by window


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A window of a picture.

    Attributes:
        window: where it lies in the picture.
        levels: (h, w, bands) uint8 pixels, and the same halved again and again by area.
        labels: (h, w) uint8 in geoseg's coding.
    """

    window: Window
    levels: tuple[NDArray[np.uint8], ...]
    labels: Labels

    @property
    def nbytes(self) -> int:
        """In memory."""
        return sum(level.nbytes for level in self.levels) + self.labels.nbytes


class Reader:
    """Samples of pictures; threads may share it.

    Args:
        recipe: bands, classes, patches and the size of the cache.
        halvings: how many coarser levels of pixels are needed.
    """

    def __init__(self, recipe: Recipe, halvings: int) -> None:
        self.recipe = recipe
        self.halvings = halvings
        self.side = recipe.patches.size if recipe.patches.how == "resize" else 0
        self.cache = ByteCache[Sample](recipe.fit.cache_mb * 2**20)

    def sample(self, picture: Picture, window: Window) -> Sample:
        """Pixels and labels of a picture: all of it, or at least those of `window` that lie inside."""
        if not self.side and self._bytes(picture) > WHOLE * self.cache.limit:
            return self._read(picture, _inside(window, picture.shape))
        return self.cache.get(picture, lambda: self._read(picture, whole(picture.shape)))

    def _bytes(self, picture: Picture) -> int:
        return picture.shape[0] * picture.shape[1] * (len(self.recipe.network.bands) * 4 // 3 + 1)

    def _read(self, picture: Picture, window: Window) -> Sample:
        outer = window.expand(FILL_MARGIN).clip(picture.shape)
        pixels, valid, labels = joined(self.recipe, picture, outer)
        pixels = fill_invalid(pixels, valid, NEUTRAL)
        if self.side:
            return shrunk(pixels, labels, self.side)
        return Sample(outer, halved(pixels, self.halvings), labels)


def joined(recipe: Recipe, picture: Picture, window: Window) -> tuple[NDArray[np.uint8], Valid, Labels]:
    """Pixels, validity and labels of a window, from all its tiles; see `decode`. Nothing has no data."""
    pixels = np.full((*window.shape, len(recipe.network.bands)), NEUTRAL, np.uint8)
    valid, labels = np.zeros(window.shape, bool), np.full(window.shape, IGNORE, np.uint8)
    for tile in picture.touching(window):
        part = tile.window.intersect(window)
        inner = Window(part.row - tile.window.row, part.col - tile.window.col, *part.shape)
        here = part.within(window)
        pixels[here], valid[here], labels[here] = decode(recipe, tile.item, inner)
    return pixels, valid, labels


def halved(pixels: NDArray[np.uint8], times: int) -> tuple[NDArray[np.uint8], ...]:
    """(h, w, bands) pixels and the same halved by area up to `times` times, down to 2 pixels a side."""
    levels = [pixels]
    while len(levels) <= times and min(levels[-1].shape[:2]) >= 4:
        height, width, bands = levels[-1].shape
        smaller = cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        levels.append(smaller.reshape(height // 2, width // 2, bands))
    return tuple(levels)


def shrunk(pixels: NDArray[np.uint8], labels: Labels, side: int) -> Sample:
    """A whole image at `side` × `side` px: pixels by area (bilinear where it grows), the nearest labels."""
    finer = min(pixels.shape[:2]) < side
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LINEAR if finer else cv2.INTER_AREA)
    small = small.reshape(side, side, pixels.shape[2])
    # of cv2's two nearest neighbours, only the exact one does not shift by half a pixel
    codes = cv2.resize(labels, (side, side), interpolation=cv2.INTER_NEAREST_EXACT)
    return Sample(Window(0, 0, side, side), (small,), codes)


def _inside(window: Window, shape: tuple[int, int]) -> Window:
    """The part of a window inside a picture; the nearest pixel when there is none."""
    inner = window.clip(shape)
    if not inner.empty:
        return inner
    row, col = (min(max(start, 0), n - 1) for start, n in zip((window.row, window.col), shape, strict=True))
    return Window(row, col, 1, 1)
