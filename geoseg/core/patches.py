"""From a source of pixels to patches: read with context, fill, filter, reflect, cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import FILL_MARGIN, Filter, NoFilter, Pixels, Valid, fill_invalid
from geoseg.core.grid import Grid
from geoseg.core.prefetch import submitted
from geoseg.core.window import Window, whole

RUN = 4096  # pixels: neighbouring patches are read, filtered and cut together up to this width


class PixelSource(Protocol):
    """Anything that hands out windows of pixels: a `geo.Scene` or an `ArraySource`."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""

    @property
    def bands(self) -> int:
        """How many bands a read returns."""

    @property
    def complete(self) -> bool:
        """True when no pixel of the scene can be invalid, so that nothing will have to be filled."""

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Read a window inside the scene; from several threads at once, if need be.

        Returns:
            (height, width, bands) pixels in the source's dtype, and (height, width) bool, True = has data.
        """


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """A scene in memory: `pixels` (h, w, bands) and `mask` (h, w) bool, True = has data (None: all)."""

    pixels: NDArray[Any]
    mask: Valid | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def bands(self) -> int:
        """How many bands a read returns."""
        return int(self.pixels.shape[2])

    @property
    def complete(self) -> bool:
        """True without a mask."""
        return self.mask is None

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Copy a window out of the array."""
        rows, cols = window.within(whole(self.shape))
        valid = np.ones(window.shape, bool) if self.mask is None else self.mask[rows, cols].copy()
        return self.pixels[rows, cols].copy(), valid


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One cell of the grid.

    Attributes:
        index: (row, column) in the grid.
        pixels: (size, size, bands), filled, filtered, reflected past the scene's edges.
        valid: (size, size) bool, True = has data; reflected likewise.
    """

    index: tuple[int, int]
    pixels: Pixels
    valid: Valid


def read_clean(
    source: PixelSource, window: Window, filter_: Filter, neutral: float = 0
) -> tuple[Pixels, Valid]:
    """Read a window inside the scene with its invalid pixels filled, and filter it.

    The answer does not depend on how the scene is windowed; only a window without any valid pixel is
    not worth filling, and is 0.
    """
    margin = filter_.margin + (0 if source.complete else FILL_MARGIN)
    outer = window.expand(margin).clip(source.shape)
    pixels, valid = source.read(outer)
    core = window.within(outer)
    if not valid[core].any():
        return np.zeros_like(pixels[core]), valid[core]
    return filter_(fill_invalid(pixels, valid, neutral), valid)[core], valid[core]


def reflect(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Indices `start … stop` folded into `0 … length` by reflection, as `numpy.pad(mode="reflect")`."""
    if length == 1:
        return np.zeros(stop - start, np.intp)
    folded: NDArray[np.intp] = np.abs(np.arange(start, stop)) % (2 * length - 2)
    return np.minimum(folded, 2 * length - 2 - folded)


def read_reflected(
    source: PixelSource, window: Window, filter_: Filter, neutral: float = 0
) -> tuple[Pixels, Valid]:
    """Like `read_clean`, for windows that may reach outside the scene."""
    height, width = source.shape
    rows = reflect(window.row, window.stop_row, height)
    cols = reflect(window.col, window.stop_col, width)
    top, left = int(rows.min()), int(cols.min())
    inside = Window(top, left, int(rows.max()) + 1 - top, int(cols.max()) + 1 - left)
    pixels, valid = read_clean(source, inside, filter_, neutral)
    if (inside.row, inside.height) != (window.row, window.height):
        pixels, valid = pixels[rows - top], valid[rows - top]
    if (inside.col, inside.width) != (window.col, window.width):
        pixels, valid = (np.take(plane, cols - left, axis=1) for plane in (pixels, valid))
    return pixels, valid


def read_patches(
    source: PixelSource,
    grid: Grid,
    area: Window | None = None,
    filter_: Filter | None = None,
    neutral: float = 0,
    threads: int = 1,
) -> Iterator[Patch]:
    """Cut the patches that contribute to `area`, row by row; patches without a valid pixel are left out.

    Args:
        source: the scene.
        grid: the grid over the whole scene.
        area: part of the scene to be covered; None for all of it.
        filter_: applied with context before cutting; None for none.
        neutral: the value of pixels far from any data.
        threads: how many read, fill, filter and cut at once.
    """

    def read(run: tuple[int, range]) -> list[Patch]:
        return list(_read_run(source, grid, *run, filter_ or NoFilter(), neutral))

    runs = _runs(grid, area or whole(source.shape))
    if threads == 1:
        for run in runs:
            yield from read(run)
        return
    with submitted(read, runs, threads, "geoseg-read") as running:
        for _, patches in running:
            yield from patches.result()


def _runs(grid: Grid, area: Window) -> Iterator[tuple[int, range]]:
    """Rows of the grid, each in neighbouring columns that are read together."""
    rows, cols = grid.touching(area)
    per_run = max(1, (RUN - grid.overlap) // grid.step)
    for i in rows:
        for first in range(cols.start, cols.stop, per_run):
            yield i, range(first, min(first + per_run, cols.stop))


def _read_run(
    source: PixelSource, grid: Grid, i: int, cols: range, filter_: Filter, neutral: float
) -> Iterator[Patch]:
    """The patches of neighbouring columns, read, filled and filtered as one window."""
    left = grid.window((i, cols[0]))
    run = Window(left.row, left.col, grid.size, (len(cols) - 1) * grid.step + grid.size)
    pixels, valid = read_reflected(source, run, filter_, neutral)
    for j in cols:
        cell = grid.window((i, j)).within(run)
        if _supported(grid, (i, j), valid[cell]):
            yield Patch((i, j), pixels[cell], valid[cell])


def _supported(grid: Grid, index: tuple[int, int], valid: Valid) -> bool:
    """Whether a patch has a valid pixel among those that it contributes to the result."""
    return bool(valid[grid.support(index).within(grid.window(index))].any())
