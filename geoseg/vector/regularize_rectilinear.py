"""Dense rings redrawn with right angles only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_direction import Angles, turn
from geoseg.vector.regularize_rings import Flags, Indices, Rings, cyclic_labels
from geoseg.vector.regularize_walls import BOX, Walls, without_short
from geoseg.vector.simplify_sides import corners

_GRAIN = 2.0**-20  # px: edges are weighed in whole grains, whose sums are exact whatever is added before
_BITS, _STEP = 36, 2.0**-17  # px: so fine are levels told apart, up to 2¹⁸ px from a polygon's origin


def rectilinear(
    rings: Rings, directions: Angles, tolerance: NDArray[np.float64], shortest: NDArray[np.float64]
) -> tuple[Rings, Indices]:
    """Redraw dense rings with right angles only.

    Args:
        rings: dense.
        directions: (polygons,) radians of the first walls, the holes' too.
        tolerance: (polygons,) within which a wall may be uneven, in the unit of the points.
        shortest: (polygons,) shorter walls go, unless four are left.

    Returns:
        The rings, of four points or more, and (points,) int64, the side of those that stands for the edge
        from each point to the next.
    """
    turned = turn(rings, -directions)
    walls, wall = _walls(turned, tolerance[rings.owner])
    walls, became = without_short(walls, shortest[rings.owner])
    before, _ = walls.neighbours()
    across = walls.level[before]
    points = np.column_stack(
        [np.where(walls.along, across, walls.level), np.where(walls.along, walls.level, across)]
    )
    drawn = Rings(points, walls.offsets(len(rings)), rings.owner)
    return turn(drawn, directions), became[wall]


def _walls(rings: Rings, tolerance: NDArray[np.float64]) -> tuple[Walls, Indices]:
    """The walls of each ring, and (points,) that of the edge from each point to the next.

    A ring without four walls becomes a box.
    """
    kept = corners(rings, tolerance)
    corner = rings.at(kept)
    side = np.abs(corner.edges)
    along = side[:, 0] >= side[:, 1]
    begins = along != along[corner.previous]
    angular = corner.sums(begins.astype(np.int64)) >= BOX
    begins &= angular[corner.ring]
    marked = np.zeros(len(rings.points), bool)
    marked[kept[begins]] = True
    along, ring = along[begins], corner.ring[begins]
    wall, chosen = cyclic_labels(rings.offsets, marked), angular[rings.ring]
    boxes = _boxes(rings, ~angular)
    level = np.concatenate([_levels(rings, wall, chosen, along), boxes.level])
    wall[~chosen] = len(along) + _nearest(rings, boxes, ~angular)
    ring = np.concatenate([ring, boxes.ring])
    order = np.argsort(ring, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Walls(level[order], np.concatenate([along, boxes.along])[order], ring[order]), place[wall]


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
    start, end = rings.points[chosen], rings.next(rings.points)[chosen]
    edge, middle = np.abs(end - start), (end + start) / 2
    flat = along[wall]
    weight = np.rint(np.where(flat, edge[:, 0], edge[:, 1]) / _GRAIN).astype(np.int64)
    level = np.where(flat, middle[:, 1], middle[:, 0])
    order = np.argsort((wall << _BITS) + np.rint(level / _STEP).astype(np.int64), kind="stable")
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
    size = high - low
    scale = np.sqrt(rings.areas[chosen] / np.maximum(size.prod(axis=1), 1e-12))[:, None]
    low, high = (low + high - scale * size) / 2, (low + high + scale * size) / 2
    level = np.column_stack([low[:, 1], high[:, 0], high[:, 1], low[:, 0]])
    return Walls(
        level.ravel(), np.tile([True, False], 2 * len(level)), np.repeat(np.flatnonzero(chosen), BOX)
    )


def _nearest(rings: Rings, boxes: Walls, chosen: Flags) -> Indices:
    """The wall of its box nearest to each edge of some rings."""
    points = rings.points[chosen[rings.ring]]
    box = np.repeat(np.arange(chosen.sum()), rings.sizes[chosen])
    level = boxes.level.reshape(-1, BOX)[box]
    return np.asarray(BOX * box + np.abs(points[:, [1, 0, 1, 0]] - level).argmin(axis=1))
