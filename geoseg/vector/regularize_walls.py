"""Rings of walls at right angles.

A ring whose walls alternate between two directions needs one number per wall: how far it lies from the
origin, its level. Its corners are pairs of neighbouring levels, so no lines have to be intersected, and the
length of a wall is the difference of its neighbours' levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_rings import Flags, Indices

BOX = 4  # walls of the simplest ring
_APART = 3  # walls between two that go at the same time, and one more on either side


@dataclass(frozen=True, slots=True, eq=False)
class Walls:
    """Rings of walls, alternately along the first and the second axis.

    Attributes:
        level: (walls,) float64, where the wall lies on the axis across it.
        along: (walls,) bool, True = runs along the first axis.
        ring: (walls,) int64, ascending.
    """

    level: NDArray[np.float64]
    along: Flags
    ring: Indices

    def offsets(self, rings: int) -> Indices:
        """(rings + 1,) int64: where each ring begins."""
        return np.searchsorted(self.ring, np.arange(rings + 1))

    def neighbours(self) -> tuple[Indices, Indices]:
        """The walls before and after each, round its ring."""
        count = len(self.ring)
        begin = np.flatnonzero(np.diff(self.ring, prepend=-1))
        end = np.append(begin[1:], count) - 1
        before, after = np.arange(-1, count - 1), np.arange(1, count + 1)
        before[begin], after[end] = end, begin
        return before, after

    def of(self, walls: Flags) -> Walls:
        """Some of the walls."""
        return Walls(self.level[walls], self.along[walls], self.ring[walls])


def without_short(walls: Walls, shortest: NDArray[np.float64]) -> tuple[Walls, Indices]:
    """Remove walls that are too short, the shortest of every seven neighbours first, until none is left.

    Args:
        walls: any.
        shortest: (rings,) the length from which on a wall stays.

    Returns:
        The walls left, four or more a ring, and (walls,) int64, which of them each has become.
    """
    became = np.arange(len(walls.ring))
    while True:
        before, after = walls.neighbours()
        short = _shortest(walls, shortest[walls.ring], before, after)
        if not len(short):
            return walls, became
        walls, merged = _removed(walls, short, before, after)
        became = merged[became]


def _shortest(walls: Walls, least: NDArray[np.float64], before: Indices, after: Indices) -> Indices:
    """Walls that are too short and shorter than the three on either side.

    So none is taken whose length another's going changes, and a ring of four or six keeps four.
    """
    length = np.abs(walls.level[after] - walls.level[before])
    large = np.bincount(walls.ring)[walls.ring] > BOX
    short = np.flatnonzero(large & (length < least))
    lowest = np.ones(len(short), bool)
    left = right = short
    for _ in range(_APART):
        left, right = before[left], after[right]
        for other in (left, right):
            tied = (length[other] == length[short]) & (other < short)
            lowest &= (length[short] <= length[other]) & ~tied
    return np.asarray(short[lowest])


def _removed(walls: Walls, short: Indices, before: Indices, after: Indices) -> tuple[Walls, Indices]:
    """Take walls out; the two beside each become one at their mean level, by length.

    Returns:
        The walls left and (walls,) int64, which of them each has become.
    """
    one, other = before[short], after[short]
    length = np.abs(walls.level[after] - walls.level[before])
    weight, level = length[one] + length[other], walls.level.copy()
    level[one] = (level[one] * length[one] + level[other] * length[other]) / np.maximum(weight, 1e-12)
    keep = np.ones(len(level), bool)
    keep[short] = keep[other] = False
    into = np.arange(len(level))
    into[short] = into[other] = one
    return Walls(level, walls.along, walls.ring).of(keep), (np.cumsum(keep) - 1)[into]
