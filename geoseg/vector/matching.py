"""Which predicted polygon is which true one: a maximum one-to-one matching by intersection over union."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geoseg.core.metrics import ratio

Polygons = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Matching:
    """Objects that were matched, and how many there are.

    Attributes:
        predicted: number of predicted objects.
        true: number of true objects.
        pairs: (m, 2) int64 indices of a predicted and a true object, each at most once, sorted.
        iou: (m,) float64, intersection over union of each pair.
    """

    predicted: int
    true: int
    pairs: NDArray[np.int64]
    iou: NDArray[np.float64]

    @property
    def precision(self) -> float:
        """The share of predicted objects that are matched; NaN without any."""
        return float(ratio(len(self.pairs), self.predicted))

    @property
    def recall(self) -> float:
        """The share of true objects that are matched; NaN without any."""
        return float(ratio(len(self.pairs), self.true))

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; NaN without any object."""
        return float(ratio(2 * len(self.pairs), self.predicted + self.true))

    @property
    def mean_iou(self) -> float:
        """Of the matched pairs; NaN without any."""
        return float(ratio(self.iou.sum(), len(self.iou)))


def match(predicted: Polygons, true: Polygons, least_iou: float = 0.5) -> Matching:
    """Match polygons one to one so that as many as possible have a partner.

    Only pairs with an intersection over union of at least `least_iou` may match. Of all matchings with the
    most pairs it is one with the largest sum of IoU. Polygons of a side may overlap each other.

    Args:
        predicted: (p,) shapely polygons, valid.
        true: (t,) shapely polygons, valid, in the same plane coordinates.
        least_iou: above 0 up to 1.
    """
    pairs, iou = overlaps(predicted, true)
    close = iou >= least_iou
    pairs, iou = pairs[close], iou[close]
    kept = np.flatnonzero(_best(pairs, iou, len(predicted), len(true)))
    kept = kept[np.lexsort(pairs[kept].T[::-1])]
    return Matching(len(predicted), len(true), pairs[kept], iou[kept])


def overlaps(predicted: Polygons, true: Polygons) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All pairs (n, 2) of a predicted and a true polygon that meet, and their IoU (n,)."""
    tree = shapely.STRtree(true)
    pairs = tree.query(predicted, predicate="intersects").T
    ours, theirs = predicted[pairs[:, 0]], true[pairs[:, 1]]
    common = shapely.area(shapely.intersection(ours, theirs))
    union = shapely.area(ours) + shapely.area(theirs) - common
    return pairs.astype(np.int64), ratio(common, union)


def _best(pairs: NDArray[np.int64], iou: NDArray[np.float64], predicted: int, true: int) -> NDArray[np.bool_]:
    """Which pairs to keep. Most have no rival; groups of rivals are small, and solved one by one."""
    rivals = [np.bincount(side, minlength=1)[side] for side in pairs.T]
    kept: NDArray[np.bool_] = (rivals[0] == 1) & (rivals[1] == 1)
    contested = np.flatnonzero(~kept)
    if not len(contested):
        return kept
    ours, theirs = pairs[contested, 0], pairs[contested, 1] + predicted
    links = coo_array((np.ones(len(contested)), (ours, theirs)), shape=(predicted + true,) * 2)
    group = connected_components(links, directed=False)[1][ours]
    order = np.argsort(group, kind="stable")
    for members in np.split(contested[order], np.flatnonzero(np.diff(group[order])) + 1):
        kept[members[_assigned(pairs[members], iou[members])]] = True
    return kept


def _assigned(pairs: NDArray[np.int64], iou: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places in one group of rival pairs that make the best matching of the group."""
    (_, rows), (_, cols) = (np.unique(side, return_inverse=True) for side in pairs.T)
    size = rows.max() + 1, cols.max() + 1
    place = np.full(size, -1)
    place[rows, cols] = np.arange(len(pairs))
    gain = np.zeros(size)
    gain[rows, cols] = min(size) + 1 + iou  # one pair more outweighs any sum of IoU
    chosen: NDArray[np.int64] = place[linear_sum_assignment(gain, maximize=True)]
    return chosen[chosen >= 0]
