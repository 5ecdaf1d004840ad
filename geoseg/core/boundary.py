"""How well the borders of a class agree: F1 of boundary pixels within a tolerance.

G. Csurka, D. Larlus, F. Perronnin, "What is a good evaluation measure for semantic segmentation?", BMVC
2013: a boundary pixel of the prediction is right when the truth has one within a distance θ of it, and the
other way round; F1 is the harmonic mean of both shares. They give θ as 0.75 % of the image diagonal; of
scenes of any size it has to be a length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.core.metrics import Scores, ratio

SLACK = 1e-3  # distances are roots of integers in float32; any two below 500 px differ by more
COLUMNS = 4096  # worked on at a time: distances take four bytes a pixel, and wide scenes have many
CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))

Flags = NDArray[np.bool_]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class BoundaryCounts:
    """Counts of boundary pixels, added up band by band.

    Scores are float64 (classes,), NaN where a class has no boundary on the side that is asked.

    Attributes:
        classes: number of classes, background included, which is not looked at.
        tolerance: θ, the largest distance between the centres of matching boundary pixels, px.
        counts: (classes, 4) int64: predicted boundary pixels, those of them that are right, true boundary
            pixels, those of them that were found.
    """

    classes: int
    tolerance: float
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", np.zeros((self.classes, 4), np.int64))

    @property
    def margin(self) -> int:
        """Rows of context that `add` needs above and below for the figures of the whole scene."""
        return math.ceil(self.tolerance) + 1

    def add(self, truth: Labels, predicted: Labels, core: slice = slice(None)) -> None:
        """Count the rows `core` of two (h, w) class masks, both 255 where either has no data."""
        for left in range(0, truth.shape[1], COLUMNS):
            start = max(0, left - self.margin)
            place = slice(None), slice(start, left + COLUMNS + self.margin)
            self._add(truth[place], predicted[place], (core, slice(left - start, left - start + COLUMNS)))

    def _add(self, truth: Labels, predicted: Labels, core: tuple[slice, slice]) -> None:
        for label in range(1, self.classes):
            found, true = boundary(predicted, label), boundary(truth, label)
            self.counts[label] += [
                np.count_nonzero(flags[core])
                for flags in (
                    found, found & within(true, self.tolerance), true, true & within(found, self.tolerance),
                )
            ]  # fmt: skip

    @property
    def precision(self) -> Scores:
        """The share of predicted boundary that is near true boundary."""
        return ratio(self.counts[:, 1], self.counts[:, 0])

    @property
    def recall(self) -> Scores:
        """The share of true boundary that is near predicted boundary."""
        return ratio(self.counts[:, 3], self.counts[:, 2])

    @property
    def f1(self) -> Scores:
        """The harmonic mean of both; 0 where the class has a boundary on one side only."""
        both = np.nan_to_num([self.precision, self.recall])
        f1 = np.nan_to_num(ratio(2 * both[0] * both[1], both[0] + both[1]))
        return np.where(self.counts[:, 0] + self.counts[:, 2] > 0, f1, np.nan)


def boundary(labels: NDArray[np.uint8], label: int) -> Flags:
    """(h, w) bool: pixels of a class beside (up, down, left, right) a pixel of another class.

    The scene's edge and pixels without data (255) are no boundary.
    """
    other = ((labels != label) & (labels != NODATA)).view(np.uint8)
    beside: Flags = cv2.dilate(other, CROSS).view(bool)
    return np.asarray(beside & (labels == label))


def within(marked: Flags, distance: float) -> Flags:
    """(h, w) bool: pixels whose centre is at most `distance` px from that of a marked pixel; exact."""
    if not marked.any():
        return np.zeros_like(marked)
    if distance < 1:
        return marked
    away = cv2.distanceTransform((~marked).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near: Flags = away <= distance + SLACK
    return near
