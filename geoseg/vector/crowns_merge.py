"""Which basins make one crown, as soon as all that touches them has been seen.

Basins merge by persistence: from the highest pass down, the lower of two hills joins the higher when it rises
less than a limit above the pass. A hill only gets higher by merging, so a pass that lies too deep at first
never joins anything; the shallow passes alone connect basins to groups, which can be merged one by one. A
group is closed once the last row seen holds none of it.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from geoseg.vector.crowns_basins import Basins, Integers, jump, passes, spread

OPEN = -1


class Groups:
    """The basins of strips that are not finished; those of later strips have higher numbers.

    Memory: 24 B per basin of unfinished strips and per pass of open groups, twice that while settling.
    """

    def __init__(self, width: int, rise: int) -> None:
        self.width, self.rise = width, rise
        self.strips: deque[int] = deque()  # basins of each strip
        self.first = self.stop = 0  # numbers of the first basin held, and after the last
        # of each basin: index of its peak in the raster, height there, index of its crown's peak or OPEN
        self.basins = [np.zeros((0, 3), np.int64)]
        self.edges = [np.zeros((0, 3), np.int64)]
        # a basin that left its strip, and the one that it went on in
        self.links = [np.zeros((0, 2), np.int64)]
        self.last = np.zeros((2, width), np.int64)  # 1 + basin and height, of the last row
        self.below = np.zeros((0, 2), np.int64)  # basins that left downwards, and the column
        self.seen, self.open = 0, 0  # number after the last basin that was settled, and how many stayed open

    def add(self, basins: Basins, rows: range) -> None:
        """Take in the next strip, which has these rows."""
        numbers = self.stop + np.arange(len(basins.ends))
        row, col = basins.ends.T
        above, below = row < rows.start, row >= rows.stop
        first, last = (
            _numbered(spread(row, basins.columns, self.width), self.stop)
            for row in (basins.first, basins.last)
        )
        self.links += [
            np.stack([numbers[above], self.last[0, col[above]] - 1], 1),
            np.stack([self.below[:, 0], first[0, self.below[:, 1]] - 1], 1),
        ]
        seam = np.stack([self.last, first], 1)  # labels and heights, each (2, width)
        self.edges += [_moved(basins.edges, self.stop), _moved(passes(*seam), -1)]
        self.basins.append(np.stack([row * self.width + col, basins.heights, np.full(len(row), OPEN)], 1))
        self.last, self.below = last, np.stack([numbers[below], col[below]], 1)
        self.strips.append(len(numbers))
        self.stop += len(numbers)

    def close(self) -> None:
        """No row follows: settle all that is open."""
        self.last = np.zeros((2, self.width), np.int64)
        self.settle(always=True)

    def settle(self, *, always: bool = False) -> None:
        """Find the crowns of closed groups.

        Only once the number of open basins has doubled, so that a group that stays open for long is not gone
        through again with each strip.
        """
        if not always and self.stop - self.seen < self.open:
            return
        basins = np.concatenate(self.basins)
        peaks, heights, crowns = basins.T
        target = self._targets()
        edges = _moved(np.concatenate(self.edges), -self.first)
        edges[:, :2] = target[edges[:, :2]]
        edges = edges[_shallow(edges, heights, self.rise)]
        is_open = self._open(edges, target)
        waits = is_open[edges[:, 0]]
        crown = merged(edges[~waits], peaks, heights, self.rise)
        closed = ~is_open & (crowns == OPEN)
        crowns[closed] = peaks[crown[target[closed]]]
        gone = np.flatnonzero(is_open & (target != np.arange(len(target))))
        self.basins, self.edges = [basins], [_moved(edges[waits], self.first)]
        self.links = [np.stack([gone, target[gone]], 1) + self.first]
        self.seen, self.open = self.stop, int(np.count_nonzero(is_open))

    def pop(self) -> Integers | None:
        """Take out the oldest strip: index of the crown's peak of each of its basins; None if not settled."""
        if not self.strips:
            return None
        count = self.strips[0]
        crowns = self.basins[0][:count, 2]
        if len(crowns) < count or (crowns == OPEN).any():
            return None
        self.basins[0] = self.basins[0][count:]
        self.strips.popleft()
        self.first += count
        return crowns

    def _targets(self) -> Integers:
        """(n,) int64: where each basin held went on at last."""
        links = np.concatenate(self.links) - self.first
        target = np.arange(self.stop - self.first)
        target[links[:, 0]] = links[:, 1]
        return jump(target)

    def _open(self, edges: Integers, target: Integers) -> NDArray[np.bool_]:
        """(n,) bool: True = the basin's group has pixels in the last row."""
        pairs = np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])
        count, group = connected_components(coo_matrix(pairs, shape=(len(target),) * 2), directed=False)
        group = group[target]
        seen = np.zeros(count, bool)
        seen[group[self.last[0][self.last[0] > 0] - 1 - self.first]] = True
        return np.asarray(seen[group])


def merged(edges: Integers, peaks: Integers, heights: Integers, rise: int) -> Integers:
    """Merge hills that rise less than `rise` above a pass.

    Passes of equal height are taken in the order of the peaks they join, so the answer depends neither on the
    numbering nor on the order of the edges.

    Args:
        edges: (m, 3) int64: two hills and the height of a pass between them.
        peaks: (n,) int64, index of each hill's peak in the raster.
        heights: (n,) int64, height of each peak.
        rise: the limit.

    Returns:
        (n,) int64, the hill that each one ended in.
    """
    one, other, height = edges.T
    low, high = np.minimum(peaks[one], peaks[other]), np.maximum(peaks[one], peaks[other])
    order = np.lexsort((high, low, -height))
    rank = np.empty(len(peaks), np.int64)
    rank[np.lexsort((peaks, heights))] = np.arange(len(peaks))
    into = list(range(len(peaks)))
    ranks, tops = rank.tolist(), heights.tolist()
    for a, b, at in zip(one[order].tolist(), other[order].tolist(), height[order].tolist(), strict=True):
        a, b = sorted((_find(into, a), _find(into, b)), key=ranks.__getitem__)
        if a != b and tops[a] - at < rise:
            into[a] = b
    return jump(np.array(into, np.int64))


def _shallow(edges: Integers, heights: Integers, rise: int) -> NDArray[np.bool_]:
    """(m,) bool: True = the hills may merge there; one cut by the last row counts as high as it was seen."""
    one, other, height = edges.T
    return np.asarray((one != other) & (np.minimum(heights[one], heights[other]) - height < rise))


def _find(into: list[int], k: int) -> int:
    """Where hill `k` is now, halving the way for the next one."""
    while into[k] != k:
        into[k] = into[into[k]]
        k = into[k]
    return k


def _moved(edges: Integers, by: int) -> Integers:
    """Edges between basins of which the numbers are shifted."""
    return np.asarray(edges + np.array([by, by, 0]))


def _numbered(row: Integers, start: int) -> Integers:
    """A strip's labels in (labels, heights), counted from `start` on."""
    labels, heights = row
    return np.stack([np.where(labels > 0, labels + start, 0), heights])
