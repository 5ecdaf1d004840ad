"""Fill small holes, but not over a component that is kept."""

from __future__ import annotations

import numpy as np
import shapely

from geoseg.vector.rings import Flags, Lattice, Rings, closed


def fill(rings: Rings, most: int, wanted: Flags, above: Lattice) -> tuple[Rings, Lattice]:
    """Drop the holes of at most `most` pixels that hold no islet: a component that is kept.

    A hole may close long after its islets, with a walk that touches itself at the hole's corner, so islets
    are remembered. There are none when all kept components are larger than the holes.

    Args:
        rings: those that closed last.
        most: pixels.
        wanted: bool per component, True = it is finished and kept.
        above: (n, 2) int32 (x, y), a pixel of each islet so far.

    Returns:
        The rings that are left, and a pixel of each islet so far.
    """
    islets = np.concatenate([above, _islets(rings, most, wanted)])
    small = np.flatnonzero((rings.area < 0) & (rings.area >= -most))
    if not len(small):
        return rings, islets
    left = np.ones(len(rings), bool)
    left[small] = _holding(rings.select(small), islets)
    return rings.select(left), islets


def _islets(rings: Rings, most: int, wanted: Flags) -> Lattice:
    """The topmost pixel of each component that is kept and that a hole of `most` pixels can hold."""
    shells = np.flatnonzero((rings.area > 0) & (rings.area <= most))
    first = rings.offsets[:-1][shells[wanted[rings.component[shells]]]]
    islets: Lattice = np.minimum(rings.corners[first], rings.corners[first + 1])
    return islets


def _holding(holes: Rings, islets: Lattice) -> Flags:
    """Whether an islet lies in each hole."""
    near = islets[islets[:, 1] >= holes.corners[:, 1].min()]
    points, offsets = closed(holes.corners.astype(np.float64), holes.offsets)
    each = np.arange(len(holes) + 1)
    polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, points, (offsets, each))
    _, taken = shapely.STRtree(polygons).query(shapely.points(near + 0.5), predicate="within")
    holding = np.zeros(len(holes), bool)
    holding[taken] = True
    return holding
