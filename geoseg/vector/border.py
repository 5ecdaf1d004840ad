"""The sub-pixel border: where the probability passes the threshold between two pixel centres.

A mask's border consists of *cracks*, the sides that a pixel in the mask shares with one outside. Each gives
one point, on the line between the two centres, at the share t = (level − v0) / (v1 − v0) of the way from the
upper or left pixel to the other: the vertices of marching squares. t is found while both pixels are at hand;
the points follow from the cracks' places once a ring is complete.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.rings import (
    Crossings,
    Flags,
    Integers,
    Lattice,
    closed,
    edge_lengths,
    following,
    offsets_of,
    ranges,
)
from geoseg.vector.trace_slab import Codes, Slab

Points = NDArray[np.float64]

MIDDLE = 0.5  # the crack itself: at the raster's edge, at nodata, between labels, and between equal codes
NEAREST = 0.02  # px that a point keeps from the two centres, so that rings stay simple


def unit_cracks(begin: Lattice, end: Lattice) -> tuple[Integers, Integers, Flags]:
    """Cut edges between lattice points into cracks of one pixel.

    Args:
        begin: (n, 2 or more) int32, (x, y) of one end of each edge.
        end: as `begin`, the other end; they differ in x or y or not at all.

    Returns:
        x and y of the upper or left end of every crack, in walking order, and whether it is horizontal.
    """
    length = edge_lengths(begin, end)
    along = ranges(np.zeros(len(length), np.int64), length)
    step_x, step_y = (np.sign(end[:, i] - begin[:, i]) for i in (0, 1))
    first_x, first_y = begin[:, 0] + np.minimum(step_x, 0), begin[:, 1] + np.minimum(step_y, 0)
    x = np.repeat(first_x, length) + along * np.repeat(step_x, length)
    y = np.repeat(first_y, length) + along * np.repeat(step_y, length)
    return x, y, np.repeat(step_x != 0, length)


def find_crossings(slab: Slab, codes: Codes, level: float, begin: Lattice, end: Lattice) -> Crossings:
    """Where the probability passes the level, for every crack of some edges within a slab.

    Args:
        slab: the rows in which the edges lie.
        codes: the slab's probability codes.
        level: the threshold, in codes; 127.5 lies between all codes.
        begin: (n, 3) int32, one end of each edge.
        end: the other end.

    Returns:
        One float32 in 0.02 … 0.98 per crack, in walking order.
    """
    x, y, horizontal = unit_cracks(begin, end)
    first = np.where(horizontal, (y - slab.row) * slab.stride + x + 1, (y - slab.row + 1) * slab.stride + x)
    second = first + np.where(horizontal, slab.stride, 1)
    labels, valid, value = slab.labels.ravel(), slab.valid.ravel(), codes.ravel()
    before, after = value[first].astype(np.float32), value[second].astype(np.float32)
    between_labels = (labels[first] != 0) & (labels[second] != 0)
    known = valid[first] & valid[second] & ~between_labels & (before != after)
    share = np.full(len(x), MIDDLE, np.float32)
    np.divide(np.float32(level) - before, after - before, out=share, where=known)
    return share.clip(NEAREST, 1 - NEAREST, out=share)


def border_points(corners: Lattice, offsets: Integers, crossings: Crossings) -> tuple[Points, Integers]:
    """The points of closed sub-pixel rings.

    Args:
        corners: (n, 2) int32 of open rings, at least one.
        offsets: (r + 1,) int64 of the rings.
        crossings: (m,) float32, one per crack.

    Returns:
        (m + r, 2) float64 (x, y), the first point of each ring repeated at its end, and their offsets.
    """
    after = corners[following(offsets)]
    x, y, horizontal = unit_cracks(corners, after)
    moved = crossings - np.float32(MIDDLE)
    points = np.empty((len(x), 2))
    points[:, 0] = x + np.where(horizontal, MIDDLE, moved)
    points[:, 1] = y + np.where(horizontal, moved, MIDDLE)
    around = np.add.reduceat(edge_lengths(corners, after), offsets[:-1])
    return closed(points, offsets_of(around))
