"""A small picture of a large scene, made of the windows that pass by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.core.window import Window

FULL = 3  # pixels: of cells with sides up to it every pixel is looked at
SAMPLES = 2  # so many rows and columns of larger ones


class Thumbnail:
    """Means of valid pixels over cells of `factor` × `factor` pixels.

    Windows may come in any order and overlap; a pixel seen twice counts twice. Of large cells only a
    lattice of pixels is looked at, so that a picture costs next to nothing whatever the scene's size.

    Attributes:
        area: the part of the scene that is pictured.
        factor: side of a cell, pixels.
    """

    def __init__(self, area: Window, channels: int, longest: int) -> None:
        """Begin an empty picture.

        Args:
            area: the part of the scene that is pictured, not empty.
            channels: values of a pixel.
            longest: the most cells along a side.
        """
        self.area = area
        least = -(-max(area.shape) // longest)
        self.factor = least if least <= FULL else -(-least // SAMPLES) * SAMPLES
        self._spacing = 1 if self.factor <= FULL else self.factor // SAMPLES
        height, width = (-(-side // self.factor) for side in area.shape)
        self._sums = np.zeros((height, width, channels), np.float32)
        self._seen = np.zeros((height, width, 1), np.float32)

    def lattice(self, window: Window) -> tuple[slice, slice]:
        """The rows and columns of a window's arrays that `add` wants to have."""
        inside, step = window.intersect(self.area), self._spacing
        return (
            slice(inside.row + -(inside.row - self.area.row) % step - window.row,
                  inside.stop_row - window.row, step),
            slice(inside.col + -(inside.col - self.area.col) % step - window.col,
                  inside.stop_col - window.col, step),
        )  # fmt: skip

    def add(self, window: Window, values: NDArray[Any], valid: Valid) -> None:
        """Look at the pixels on the lattice of a window.

        Args:
            window: of the scene.
            values: (rows, cols, channels) on `lattice(window)`, finite where valid.
            valid: (rows, cols) bool, True = has data.
        """
        if not valid.size:
            return
        rows, cols = (
            (np.arange(corner + part.start, corner + part.stop, part.step) - start) // self.factor
            for corner, part, start in zip(
                (window.row, window.col), self.lattice(window), (self.area.row, self.area.col), strict=True
            )
        )
        place = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        known = valid[..., None]
        self._sums[place] += _by_cell(np.where(known, values, 0).astype(np.float32), rows, cols)
        self._seen[place] += _by_cell(known.astype(np.float32), rows, cols)

    def picture(self) -> tuple[NDArray[np.float32], Valid]:
        """The picture so far.

        Returns:
            (height, width, channels) float32 means, 0 where nothing valid was seen, and (height, width) bool,
            True where something was.
        """
        means = (self._sums / np.maximum(self._seen, 1)).astype(np.float32)
        return means, self._seen[..., 0] > 0


def _by_cell(values: NDArray[np.float32], rows: NDArray[Any], cols: NDArray[Any]) -> NDArray[np.float32]:
    """Sums over the runs of equal numbers in `rows` and `cols`."""
    for axis, cells in enumerate((rows, cols)):
        values = np.add.reduceat(values, _starts(cells), axis=axis)
    return values


def _starts(cells: Sequence[int] | NDArray[Any]) -> NDArray[np.intp]:
    return np.flatnonzero(np.diff(cells, prepend=-1))
