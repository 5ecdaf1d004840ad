"""A raster averaged onto fewer, larger pixels, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geoseg.core.area import Coarsening, area_average, weight_dtype, weights
from geoseg.core.filters import Pixels, Valid
from geoseg.core.planes import interleave
from geoseg.core.window import Window
from geoseg.geo.raster import Raster

UNDER = 256, 2048  # pixels of the raster under a block: they fit into a core's cache
HELD_BYTES = 2**27  # of blocks that later windows may overlap


@dataclass(frozen=True, slots=True, eq=False)
class Averaged:
    """A raster seen through pixels of which each is the mean of the valid ones under it.

    A pixel is valid when any under it is. Pixels are computed in fixed blocks, so they are the same for any
    windowing; blocks are kept until a window begins below them, so that each is computed once when a scene is
    read from top to bottom.

    Attributes:
        raster: what is averaged.
        shape: (height, width) of the plane, whose outer corners are those of the raster.
        blocks: those that are kept, by row and column; the oldest first.
    """

    raster: Raster
    shape: tuple[int, int]
    blocks: dict[tuple[int, int], tuple[Pixels, Valid]] = field(default_factory=dict)

    @property
    def bands(self) -> int:
        """How many bands a read returns."""
        return self.raster.bands

    @property
    def dtype(self) -> np.dtype[Any]:
        """The pixels' dtype."""
        return self.raster.dtype

    @property
    def complete(self) -> bool:
        """Whether the raster is."""
        return self.raster.complete

    @property
    def axes(self) -> tuple[Coarsening, Coarsening]:
        """Rows and columns of the raster, and of the plane."""
        (height, width), (rows, cols) = self.raster.shape, self.shape
        return Coarsening(height, rows), Coarsening(width, cols)

    @property
    def block(self) -> tuple[int, int]:
        """(height, width) of the blocks that are averaged whole."""
        rows, cols = self.axes
        return max(1, UNDER[0] * rows.coarse // rows.fine), max(1, UNDER[1] * cols.coarse // cols.fine)

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Read a window inside the plane; see `Raster.read`."""
        pixels = np.empty((*window.shape, self.bands), self.dtype)
        valid = np.empty(window.shape, bool)
        self._leave(window.row)
        for block in self._touching(window):
            part = block.intersect(window)
            here, there = part.within(window), part.within(block)
            seen, known = self._seen(block)
            pixels[here], valid[here] = seen[there], known[there]
        return pixels, valid

    def _leave(self, row: int) -> None:
        """Forget blocks that end above a row."""
        height, _ = self.block
        for place in [place for place in self.blocks if place[0] + height <= row]:
            del self.blocks[place]

    def _touching(self, window: Window) -> Iterator[Window]:
        """The blocks that a window needs, row by row."""
        height, width = self.block
        for row in range(window.row // height * height, window.stop_row, height):
            for col in range(window.col // width * width, window.stop_col, width):
                yield Window(row, col, height, width).clip(self.shape)

    def _seen(self, block: Window) -> tuple[Pixels, Valid]:
        """The pixels and validity of a block, computed unless they are kept."""
        place = block.row, block.col
        if place not in self.blocks:
            size = math.prod(self.block) * (self.bands * self.dtype.itemsize + 1)
            while len(self.blocks) > HELD_BYTES // size:
                del self.blocks[next(iter(self.blocks))]
            self.blocks[place] = self._averaged(block)
        return self.blocks[place]

    def _averaged(self, block: Window) -> tuple[Pixels, Valid]:
        """The means of what lies under the pixels of a block."""
        rows, cols = self.axes
        row, stop_row = rows.under(block.row, block.stop_row)
        col, stop_col = cols.under(block.col, block.stop_col)
        planes, valid = self.raster.planes(Window(row, col, stop_row - row, stop_col - col))
        kind = weight_dtype(self.dtype)
        down = weights(rows, block.row, block.stop_row, kind)
        across = weights(cols, block.col, block.stop_col, kind)
        means, known = area_average(planes, valid, down, across)
        return interleave(means), known
