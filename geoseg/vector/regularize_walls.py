"""Rings of walls at right angles.

A ring whose walls alternate between two directions needs one number per wall: how far it lies from the
origin, its level. Its corners are pairs of neighbouring levels, so no lines have to be intersected, and the
length of a wall is the difference of its neighbours' levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_direction import Angles, turn
from geoseg.vector.regularize_rings import Flags, Indices, Rings, cyclic_labels
from geoseg.vector.simplify import corners

_GRAIN = 2.0**-20  # px: edges are weighed in whole grains, whose sums are exact whatever is added before
_ROUNDS = 64  # walls that one ring may lose; a ring with more to lose is no building
_BOX = 4  # walls of the simplest ring


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


def rectilinear(
    rings: Rings, directions: Angles, tolerance: NDArray[np.float64], shortest: NDArray[np.float64]
) -> tuple[Rings, Flags]:
    """Redraw dense rings with right angles only.

    Args:
        rings: dense.
        directions: (polygons,) radians of the first walls, the holes' too.
        tolerance: (polygons,) within which a wall may be uneven, in the unit of the points.
        shortest: (polygons,) shorter walls go, unless four are left.

    Returns:
        The rings, of four points or more, and (rings,) bool, False = not all short walls could be removed.
    """
    turned = turn(rings, -directions)
    walls, done = _without_short(_walls(turned, tolerance[rings.owner]), shortest[rings.owner])
    _, after = walls.neighbours()
    across = walls.level[after]
    points = np.column_stack(
        [np.where(walls.along, across, walls.level), np.where(walls.along, walls.level, across)]
    )
    drawn = Rings(points, walls.offsets(len(rings)), rings.owner)
    return turn(drawn, directions), done


def _walls(rings: Rings, tolerance: NDArray[np.float64]) -> Walls:
    """The walls of each ring; one without four becomes a box."""
    kept = corners(rings, tolerance)
    corner = rings.at(kept)
    side = np.abs(corner.points[corner.following] - corner.points)
    along = side[:, 0] >= side[:, 1]
    begins = along != along[corner.previous]
    angular = corner.sums(begins.astype(np.int64)) >= _BOX
    begins &= angular[corner.ring]
    marked = np.zeros(len(rings.points), bool)
    marked[kept[begins]] = True
    along, ring = along[begins], corner.ring[begins]
    level = _levels(rings, cyclic_labels(rings.offsets, marked), angular[rings.ring], along)
    return _merged([Walls(level, along, ring), _boxes(rings, ~angular)])


def _levels(rings: Rings, wall: Indices, chosen: Flags, along: Flags) -> NDArray[np.float64]:
    """The weighted median level of each wall's edges: rounded corners pull at a mean, not at a median.

    Args:
        rings: dense.
        wall: (points,) the wall of the edge from each point to the next.
        chosen: (points,) bool, True = belongs to a wall.
        along: (walls,) bool.
    """
    if not len(along):
        return np.empty(0)
    wall = wall[chosen]
    start, end = rings.points[chosen], rings.points[rings.following][chosen]
    edge, middle = np.abs(end - start), (end + start) / 2
    flat = along[wall]
    weight = np.rint(np.where(flat, edge[:, 0], edge[:, 1]) / _GRAIN).astype(np.int64)
    level = np.where(flat, middle[:, 1], middle[:, 0])
    order = np.lexsort((level, wall))
    total = np.cumsum(weight[order])
    last = np.searchsorted(wall[order], np.arange(len(along)), side="right") - 1
    before = np.concatenate([[0], total[last[:-1]]])
    half = before + (total[last] - before + 1) // 2
    return np.asarray(level[order][np.searchsorted(total, half)])


def _boxes(rings: Rings, chosen: Flags) -> Walls:
    """Boxes about some rings, shrunk to the rings' areas."""
    start = rings.offsets[:-1]
    low = np.minimum.reduceat(rings.points, start)[chosen]
    high = np.maximum.reduceat(rings.points, start)[chosen]
    x, y = rings.points.T
    following = rings.following
    area = np.abs(rings.sums(x * y[following] - y * x[following]))[chosen] / 2
    size = high - low
    scale = np.sqrt(area / np.maximum(size.prod(axis=1), 1e-12))[:, None]
    low, high = (low + high - scale * size) / 2, (low + high + scale * size) / 2
    level = np.column_stack([low[:, 1], high[:, 0], high[:, 1], low[:, 0]])
    return Walls(
        level.ravel(), np.tile([True, False], 2 * len(level)), np.repeat(np.flatnonzero(chosen), _BOX)
    )


def _merged(parts: Sequence[Walls]) -> Walls:
    """The walls of all parts, in the order of their rings."""
    ring = np.concatenate([part.ring for part in parts])
    order = np.argsort(ring, kind="stable")
    level = np.concatenate([part.level for part in parts])
    along = np.concatenate([part.along for part in parts])
    return Walls(level[order], along[order], ring[order])


def _without_short(walls: Walls, shortest: NDArray[np.float64]) -> tuple[Walls, Flags]:
    """Remove the shortest wall of each ring, and again, until none is too short.

    Args:
        walls: any.
        shortest: (rings,) the length from which on a wall stays.

    Returns:
        The walls left and (rings,) bool, False = gave up.
    """
    finished: list[Walls] = []
    for _ in range(_ROUNDS):
        short, length = _shortest(walls, shortest)
        busy = np.zeros(len(shortest), bool)
        busy[walls.ring[short]] = True
        finished.append(walls.of(~busy[walls.ring]))
        if not len(short):
            return _merged(finished), ~busy
        walls = _removed(walls, short, length, busy)
    return _merged([*finished, walls]), ~busy


def _shortest(walls: Walls, shortest: NDArray[np.float64]) -> tuple[Indices, NDArray[np.float64]]:
    """The shortest wall of each ring that has one too short to stay, and the lengths of all."""
    if not len(walls.ring):
        return np.empty(0, np.int64), np.empty(0)
    before, after = walls.neighbours()
    length = np.abs(walls.level[after] - walls.level[before])
    begin = np.flatnonzero(np.diff(walls.ring, prepend=-1))
    count = np.diff(np.append(begin, len(length)))
    least = np.repeat(np.minimum.reduceat(length, begin), count)
    removable = (np.repeat(count, count) > _BOX) & (least < shortest[walls.ring])
    found = np.flatnonzero((length == least) & removable)
    return found[np.unique(walls.ring[found], return_index=True)[1]], length


def _removed(walls: Walls, short: Indices, length: NDArray[np.float64], busy: Flags) -> Walls:
    """Take walls out, one a ring; the two beside each become one at their mean level, by length."""
    before, after = (neighbour[short] for neighbour in walls.neighbours())
    weight, other = length[before], length[after]
    level = walls.level.copy()
    level[before] = (level[before] * weight + level[after] * other) / np.maximum(weight + other, 1e-12)
    keep = busy[walls.ring]
    keep[short] = keep[after] = False
    return Walls(level, walls.along, walls.ring).of(keep)
