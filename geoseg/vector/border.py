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
    Integers,
    Lattice,
    closed,
    edge_lengths,
    following,
    offsets_of,
)
from geoseg.vector.trace_slab import Codes, Slab

Points = NDArray[np.float64]

MIDDLE = 0.5  # the crack itself: at the raster's edge, at nodata, between labels, and between equal codes
NEAREST = 0.02  # px that a point keeps from the two centres, so that rings stay simple


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
    (edge, along), (step_x, step_y) = _cracks(edge_lengths(begin, end)), _steps(begin, end)
    x, y = begin[:, 0] + np.minimum(step_x, 0), begin[:, 1] + np.minimum(step_y, 0) - np.int64(slab.row)
    horizontal, step = step_x != 0, step_x + step_y * slab.stride
    pixel = np.where(horizontal, y * slab.stride + x + 1, (y + 1) * slab.stride + x)
    first = pixel.take(edge) + step.take(edge) * along  # the upper or left one, then the other
    second = first + np.where(horizontal, slab.stride, 1).take(edge)
    labels, valid, value = slab.labels.ravel(), slab.valid.ravel(), codes.ravel()
    before, after = value[first].astype(np.float32), value[second].astype(np.float32)
    between_labels = (labels[first] != 0) & (labels[second] != 0)
    known = valid[first] & valid[second] & ~between_labels & (before != after)
    share = np.full(len(first), MIDDLE, np.float32)
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
    after = corners.take(following(offsets), axis=0)
    lengths, moved = edge_lengths(corners, after), crossings - np.float32(MIDDLE)
    edge, along = _cracks(lengths)
    points = np.empty((len(edge), 2))
    for axis, step in enumerate(_steps(corners, after)):
        middle = (corners[:, axis] + MIDDLE * step).take(edge) + step.take(edge) * along
        points[:, axis] = middle + (step == 0).take(edge) * moved
    return closed(points, offsets_of(np.add.reduceat(lengths, offsets[:-1])))


def _cracks(lengths: Integers) -> tuple[Integers, Integers]:
    """The edge of every crack, and how many cracks of that edge come before it."""
    edge = np.repeat(np.arange(len(lengths)), lengths)
    return edge, np.arange(len(edge)) - offsets_of(lengths).take(edge)


def _steps(begin: Lattice, end: Lattice) -> tuple[Integers, Integers]:
    """From one crack of each edge to the next, in x and in y: -1, 0 or 1."""
    x, y = (np.sign(end[:, i] - begin[:, i]).astype(np.int64) for i in (0, 1))
    return x, y
