"""Scores of a class mask against the truth, added up part by part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.errors import GridError

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """Counts of (true class, predicted class) pairs.

    Scores are per class, float64 (…, classes), NaN where a class has neither truth nor prediction.

    Attributes:
        classes: number of classes, background included.
        counts: (…, classes, classes) int64, rows truth, columns prediction. Counts that are given, a view of
            a larger array say, are added to in place; leading axes, one per resample say, are kept by scores.
    """

    classes: int
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))

    def __post_init__(self) -> None:
        if self.counts.size == 0:
            object.__setattr__(self, "counts", np.zeros((self.classes, self.classes), np.int64))

    def add(self, truth: NDArray[Any], predicted: NDArray[Any], ignore: int = NODATA) -> None:
        """Count the pixels of two class masks of one shape; `ignore` on either side is left out."""
        if truth.shape != predicted.shape:
            raise GridError(f"masks to compare need one shape, got {truth.shape} and {predicted.shape}")
        use = (truth != ignore) & (predicted != ignore)
        for mask in (truth[use], predicted[use]):
            if mask.size and not 0 <= mask.min() <= mask.max() < self.classes:
                raise GridError(
                    f"a mask to compare holds classes {mask.min()} to {mask.max()}, "
                    f"not 0 to {self.classes - 1}; map its classes first"
                )
        pairs = truth[use].astype(np.int64) * self.classes + predicted[use].astype(np.int64)
        self.counts[...] += np.bincount(pairs, minlength=self.classes**2).reshape(self.counts.shape)

    @property
    def hits(self) -> NDArray[np.int64]:
        """Pixels of each class that were predicted as such."""
        return self.counts.diagonal(axis1=-2, axis2=-1)

    @property
    def true(self) -> NDArray[np.int64]:
        """Pixels that truly are of each class."""
        return np.asarray(self.counts.sum(-1))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Pixels that were predicted as each class."""
        return np.asarray(self.counts.sum(-2))

    @property
    def iou(self) -> Scores:
        """Intersection over union (Jaccard index)."""
        return ratio(self.hits, self.true + self.predicted - self.hits)

    @property
    def dice(self) -> Scores:
        """Dice coefficient, which is F1 of pixels."""
        return ratio(2 * self.hits, self.true + self.predicted)

    @property
    def precision(self) -> Scores:
        """The share of predicted pixels that are right."""
        return ratio(self.hits, self.predicted)

    @property
    def recall(self) -> Scores:
        """The share of true pixels that were found."""
        return ratio(self.hits, self.true)

    @property
    def accuracy(self) -> float:
        """The share of all pixels that are right."""
        return float(ratio(self.hits.sum(), self.counts.sum()))


def ratio(part: Any, whole: Any) -> Scores:
    """The quotient as float64, NaN for 0 / 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.divide(part, whole), np.float64)
