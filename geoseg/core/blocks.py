"""Class masks compared block by block, and two tests of whether they cover the ground alike.

The tests ask about the *distribution* of cover, not about place: a mask that finds as much as there is,
in blocks as full and as empty, passes them wherever it puts it. Blocks of one scene are neither
independent of each other nor, truth and prediction being of one place, of their twins, so a p-value here
is a yardstick between predictions rather than a probability.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from geoseg.core.metrics import Confusion

BINS = 10  # of equal width, for the chi-square test
TILES = 4096  # of a bootstrap, about
FULL = 0.5  # a block takes part in the tests when at least this share of it was compared


@dataclass(frozen=True, slots=True, eq=False)
class BlockCounts:
    """A confusion matrix for each block of a scene; memory grows by 8·classes² bytes a block.

    Attributes:
        shape: (height, width) of the scene, px.
        classes: number of classes, background included.
        block: side of a block, px; blocks begin at pixel (0, 0).
        counts: (blocks down, blocks across, classes, classes) int64, truth before prediction.
    """

    shape: tuple[int, int]
    classes: int
    block: int = 256
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        down, across = (-(-size // self.block) for size in self.shape)
        counts = np.zeros((down, across, self.classes, self.classes), np.int64)
        object.__setattr__(self, "counts", counts)

    def add(self, row: int, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count (h, width) rows of two class masks, the first of them `row` of the scene."""
        side, stop = self.block, row + len(truth)
        for i in range(row // side, -(-stop // side)):
            rows = slice(max(0, i * side - row), (i + 1) * side - row)
            for j in range(self.counts.shape[1]):
                place = rows, slice(j * side, (j + 1) * side)
                Confusion(self.classes, self.counts[i, j]).add(truth[place], predicted[place])

    @property
    def total(self) -> Confusion:
        """The whole scene's confusion matrix."""
        return Confusion(self.classes, self.counts.sum((0, 1)))

    def tiles(self) -> NDArray[np.int64]:
        """(tiles, classes, classes) counts to resample in a bootstrap: of the blocks with any pixel compared.

        Of very large scenes a tile is a square of blocks, so that there are about 4096 at most.
        """
        side = math.ceil(math.sqrt(self.counts.shape[0] * self.counts.shape[1] / TILES))
        merged = self.counts
        for axis in (0, 1):
            merged = np.add.reduceat(merged, range(0, merged.shape[axis], side), axis=axis)
        flat = merged.reshape(-1, self.classes, self.classes)
        return flat[flat.any((1, 2))]

    def shares(self, label: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The share of a class in the truth and in the prediction, for each block at least half compared."""
        flat = Confusion(self.classes, self.counts.reshape(-1, self.classes, self.classes))
        pixels = flat.counts.sum((-2, -1))
        full = pixels >= FULL * self.block**2
        return flat.true[full, label] / pixels[full], flat.predicted[full, label] / pixels[full]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a statistical test says.

    Attributes:
        statistic: its value; NaN where the test cannot be made.
        p: the probability of a statistic as large when both samples come from one distribution, NaN likewise.
        blocks: size of each sample.
        reason: why it cannot be made; empty when it was.
    """

    statistic: float
    p: float
    blocks: int
    reason: str = ""


def ks_test(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> Verdict:
    """The two-sample, two-sided Kolmogorov–Smirnov test of the shares per block (`scipy.stats.ks_2samp`).

    Args:
        true: (blocks,) share of a class in each block of the truth, 0 … 1.
        predicted: the same of the prediction.

    Returns:
        The largest distance between the two empirical distribution functions, and its p-value. NaN with
        fewer than two blocks.
    """
    if len(true) < 2:
        return _impossible(len(true), _few(len(true)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that it took the asymptotic p-value
        result = stats.ks_2samp(true, predicted)
    return Verdict(float(result.statistic), float(result.pvalue), len(true))


def chi_square_test(true: NDArray[np.float64], predicted: NDArray[np.float64]) -> Verdict:
    """Pearson's chi-square test of homogeneity of the shares per block (`scipy.stats.chi2_contingency`).

    Shares are counted in ten bins of equal width, 0 … 0.1 to 0.9 … 1. The table of truth and prediction
    by bin, without the bins that are empty in both, is tested for equal rows.

    Args:
        true: (blocks,) share of a class in each block of the truth, 0 … 1.
        predicted: the same of the prediction.

    Returns:
        Chi-square with (bins - 1) degrees of freedom (Yates's correction at one), and its p-value. NaN with
        fewer than two blocks, or when all shares of both fall into one bin.
    """
    if len(true) < 2:
        return _impossible(len(true), _few(len(true)))
    bins = (np.minimum((BINS * side).astype(int), BINS - 1) for side in (true, predicted))
    table = np.stack([np.bincount(numbers, minlength=BINS) for numbers in bins])
    table = table[:, table.any(0)]
    if table.shape[1] < 2:
        return _impossible(len(true), "all shares, true and predicted, fall into one of the ten bins")
    result = stats.chi2_contingency(table)
    return Verdict(float(result.statistic), float(result.pvalue), len(true))


def _few(count: int) -> str:
    return f"two blocks at least half compared are needed, got {count}; choose a smaller block"


def _impossible(blocks: int, reason: str) -> Verdict:
    return Verdict(math.nan, math.nan, blocks, reason)
