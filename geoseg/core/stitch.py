"""From the patches' probabilities back to the scene, one band of patches in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.core.grid import Grid
from geoseg.core.taper import axis_weights
from geoseg.core.window import Window, whole

Probabilities = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What the network says of one patch.

    Attributes:
        index: (row, column) in the grid.
        probabilities: (size, size, classes) float32 in 0 … 1.
        valid: (size, size) bool, True = has data.
    """

    index: tuple[int, int]
    probabilities: Probabilities
    valid: Valid


@dataclass(frozen=True, slots=True, eq=False)
class Strip:
    """Finished rows.

    Attributes:
        window: where they lie in the scene.
        probabilities: (height, width, classes) float32 in 0 … 1 (to within rounding of the weights, 1e-6);
            not meant to be used where not valid.
        valid: (height, width) bool, True = has data.
    """

    window: Window
    probabilities: Probabilities
    valid: Valid


def stitch(
    predictions: Iterable[Prediction], grid: Grid, classes: int, area: Window | None = None
) -> Iterator[Strip]:
    """Blend (or crop) overlapping patches into strips of finished rows, top to bottom, without gaps.

    A blended pixel is the sum of its patches' probabilities times their weights, added in grid order, so
    the same pixel has the same bits whatever `area` it was computed for; a cropped one is its only patch's.

    Args:
        predictions: in grid order (row by row); those left out count as invalid.
        grid: the grid over the whole scene.
        classes: how many probabilities a pixel has.
        area: the part of the scene to assemble; None for all of it.
    """
    area = area or whole(grid.scene_shape)
    weights = None if grid.lead else _Weights(grid, classes)
    by_row = groupby(predictions, key=lambda prediction: prediction.index[0])
    pending = next(by_row, None)
    band = _Band(area, grid.size - 2 * grid.lead, classes)
    rows, _ = grid.touching(area)
    for i in rows:
        if pending is not None and pending[0] == i:
            for prediction in pending[1]:
                band.add(prediction, weights, grid)
            pending = next(by_row, None)
        done = grid.rows.support(i + 1)[0] if i + 1 < rows.stop else area.stop_row
        if done > band.top:
            yield band.pop(done)


class _Weights:
    """The weights of any blended patch as (size, size · classes); inner patches share theirs."""

    def __init__(self, grid: Grid, classes: int) -> None:
        axes = axis_weights(grid.rows), np.repeat(axis_weights(grid.cols), classes, axis=1)
        kinds = [np.unique(axis, axis=0, return_inverse=True) for axis in axes]
        (self.rows, self.row_kind), (self.cols, self.col_kind) = kinds
        self.planes: dict[tuple[int, int], NDArray[np.float32]] = {}

    def __getitem__(self, index: tuple[int, int]) -> NDArray[np.float32]:
        kind = int(self.row_kind[index[0]]), int(self.col_kind[index[1]])
        if kind not in self.planes:
            self.planes[kind] = np.outer(self.rows[kind[0]], self.cols[kind[1]])
        return self.planes[kind]

    def times(self, prediction: Prediction) -> Probabilities:
        """A patch's probabilities times its weights."""
        plane = self[prediction.index]
        weighted = plane * prediction.probabilities.reshape(plane.shape)
        return weighted.reshape(prediction.probabilities.shape)


class _Band:
    """The rows that are still being summed."""

    def __init__(self, area: Window, height: int, classes: int) -> None:
        self.area = area
        self.top = area.row
        self.sums = np.zeros((height, area.width, classes), np.float32)
        self.valid = np.zeros((height, area.width), bool)

    def add(self, prediction: Prediction, weights: _Weights | None, grid: Grid) -> None:
        """Add one patch where its support meets the rows at hand; without weights it is all there is."""
        rows = Window(self.top, self.area.col, self.area.stop_row - self.top, self.area.width)
        target = grid.support(prediction.index).intersect(rows)
        source, goal = target.within(grid.window(prediction.index)), target.within(rows)
        if weights is None:
            self.sums[goal] = prediction.probabilities[source]
        else:
            self.sums[goal] += weights.times(prediction)[source]
        self.valid[goal] |= prediction.valid[source]

    def pop(self, stop: int) -> Strip:
        """Take out the rows above `stop`; the rest moves up, and zeros follow it."""
        height = stop - self.top
        window = Window(self.top, self.area.col, height, self.area.width)
        strip = Strip(window, self.sums[:height].copy(), self.valid[:height].copy())
        for plane in (self.sums, self.valid):
            plane[: len(plane) - height] = plane[height:]
            plane[len(plane) - height :] = 0
        self.top = stop
        return strip
