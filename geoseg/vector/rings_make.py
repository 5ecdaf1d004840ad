"""From walks to rings: cut where a walk touches itself, begun at one place."""

from __future__ import annotations

import numpy as np

from geoseg.vector.rings import (
    NO_RINGS,
    Crossings,
    Integers,
    Lattice,
    Rings,
    edge_lengths,
    following,
    offsets_of,
    ranges,
    take,
)
from geoseg.vector.rings_walk import walked


def make_rings(points: Lattice, offsets: Integers, crossings: Crossings, component: Integers) -> Rings:
    """Cut walks into simple rings and bring each into its one form.

    Args:
        points: (n, 3) int32, (x, y, 1 where pixels meet diagonally); each walk goes out horizontally at
            its 1st, 3rd, 5th … point and vertically at the others.
        offsets: (w + 1,) int64 of the walks.
        crossings: one per unit of length of the walks, or none at all.
        component: (w,) int64, whose walk it is.
    """
    if not len(component):
        return NO_RINGS
    source, bounds, walk = _cut(points, offsets)
    source = _begun_at_the_top(points, source, bounds)
    begins, begin = bounds[:-1], points[:, :2].take(source, axis=0)
    end = begin.take(following(bounds), axis=0)
    lengths = edge_lengths(begin, end)
    if len(crossings):
        places = offsets_of(edge_lengths(points, points[following(offsets)]))
        crossings = crossings[ranges(places[source], lengths)]
    around = np.add.reduceat(lengths * bool(len(crossings)), begins)
    covered = begin[:, 0] * (end[:, 1] - begin[:, 1]).astype(np.int64)
    turns = lengths > 0  # a straight passage through a junction is two points in one place
    return Rings(
        begin.compress(turns, axis=0), offsets_of(np.add.reduceat(turns, begins, dtype=np.int64)), crossings,
        offsets_of(around), -np.add.reduceat(covered, begins), component[walk],
    )  # fmt: skip


def _cut(points: Lattice, offsets: Integers) -> tuple[Integers, Integers, Integers]:
    """Cut walks that pass a point twice: two pixels of one component meet there diagonally.

    Exchanging what follows the two passages yields rings that touch but do not cross.

    Returns:
        The indices of the points in the order of the new rings, the new offsets, and the walk of each ring.
    """
    cuts, mate = _double_points(points, offsets)
    walk = np.searchsorted(offsets, cuts, "right") - 1
    whole = np.ones(len(offsets) - 1, bool)
    whole[walk] = False
    uncut, uncut_offsets = take(offsets, whole)
    pieces, sizes, of_piece = _exchanged(cuts, mate, walk, offsets)
    return (
        np.concatenate([uncut, pieces]),
        offsets_of(np.concatenate([np.diff(uncut_offsets), sizes])),
        np.concatenate([np.flatnonzero(whole), of_piece]),
    )


def _exchanged(
    cuts: Integers, mate: Integers, walk: Integers, offsets: Integers
) -> tuple[Integers, Integers, Integers]:
    """The rings that arise from cut walks: their points, their sizes and their walks.

    An arc runs from one cut to the next around its walk; the arc that begins at the other passage follows.
    """
    if not len(cuts):
        return cuts, cuts, cuts
    begin, size = offsets[walk], np.diff(offsets)[walk]
    arc, stop = np.arange(len(cuts)), np.searchsorted(walk, walk, "right")
    next_arc = np.where(arc + 1 < stop, arc + 1, np.searchsorted(walk, walk))
    lengths = (cuts[next_arc] - cuts) % size
    order, offsets = walked(mate[next_arc], np.zeros(0, np.int64))
    first = offsets[:-1]
    points = _around(cuts[order], lengths[order], begin[order], size[order])
    return points, np.add.reduceat(lengths[order], first), walk[order[first]]


def _around(starts: Integers, lengths: Integers, begins: Integers, sizes: Integers) -> Integers:
    """Indices of `lengths` points from `starts` on, around rings of `sizes` points that begin at `begins`."""
    points, stops = ranges(starts, lengths), np.repeat(begins + sizes, lengths)
    np.subtract(points, np.repeat(sizes, lengths), out=points, where=points >= stops)
    return points


def _double_points(points: Lattice, offsets: Integers) -> tuple[Integers, Integers]:
    """The points that a walk passes twice, sorted, and where among them the other passage is."""
    meet = np.flatnonzero(points[:, 2])
    walk = np.searchsorted(offsets, meet, "right") - 1
    order = np.lexsort((meet, points[meet, 0], points[meet, 1], walk))
    meet, walk = meet[order], walk[order]
    same = (points[meet[1:]] == points[meet[:-1]]).all(1) & (walk[1:] == walk[:-1])
    pair = np.flatnonzero(same)
    passages = np.concatenate([meet[pair], meet[pair + 1]])
    order = np.argsort(passages)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return passages[order], np.roll(rank, len(pair))[order]


def _begun_at_the_top(points: Lattice, source: Integers, offsets: Integers) -> Integers:
    """Turn each ring so that it begins with its topmost, then leftmost horizontal edge.

    Edges take turns, and horizontal ones leave from points of even number, as all walks have an even length.
    """
    begins, count = offsets[:-1], np.diff(offsets)
    outward = np.flatnonzero(source & 1 == 0)
    x, y = points[source, 0], points[source[outward], 1].astype(np.int64)
    place = (y << 32) | np.minimum(x, x[following(offsets)])[outward]
    first = outward[place == np.repeat(np.minimum.reduceat(place, begins // 2), count // 2)]
    turned: Integers = source[_around(first, count, begins, count)]
    return turned
