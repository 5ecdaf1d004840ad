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

LAST = np.iinfo(np.int64).max  # after every place in a raster


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
    source, cut_offsets, walk = _cut(points, offsets)
    source = _begun_at_the_top(points, offsets, source, cut_offsets, walk)
    lengths = edge_lengths(points, points[following(offsets)])
    moved = crossings[take(offsets_of(lengths), source)[0]] if len(crossings) else crossings
    lengths = lengths[source]
    turns = lengths > 0  # a straight passage through a junction is two points in one place
    kept, ring_offsets = source[turns], offsets_of(np.add.reduceat(turns, cut_offsets[:-1], dtype=np.int64))
    corners = points[kept, :2]
    around = np.add.reduceat(lengths * bool(len(crossings)), cut_offsets[:-1])
    return Rings(
        corners, ring_offsets, moved, offsets_of(around), _areas(corners, ring_offsets), component[walk]
    )


def _areas(corners: Lattice, offsets: Integers) -> Integers:
    """The pixels enclosed by each ring, from the vertical edges; positive when counter-clockwise."""
    after = following(offsets)
    steps = corners[after, 1] - corners[:, 1]
    covered: Integers = np.add.reduceat(corners[:, 0] * steps.astype(np.int64), offsets[:-1])
    return -covered


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
    order, counts = _cycles(mate[next_arc].tolist())
    first = offsets_of(counts)[:-1]
    points = _around(cuts[order], lengths[order], begin[order], size[order])
    return points, np.add.reduceat(lengths[order], first), walk[order[first]]


def _around(starts: Integers, lengths: Integers, begins: Integers, sizes: Integers) -> Integers:
    """Indices of `lengths` points from `starts` on, around rings of `sizes` points that begin at `begins`."""
    inside = ranges(starts - begins, lengths) % np.repeat(sizes, lengths)
    return inside + np.repeat(begins, lengths)


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


def _cycles(after: list[int]) -> tuple[Integers, Integers]:
    """The members of a permutation cycle by cycle, and the length of each cycle."""
    seen, order, counts = bytearray(len(after)), list[int](), list[int]()
    for start in range(len(after)):
        member, count = start, len(order)
        while not seen[member]:
            seen[member] = 1
            order.append(member)
            member = after[member]
        if len(order) > count:
            counts.append(len(order) - count)
    return np.array(order, np.int64), np.array(counts, np.int64)


def _begun_at_the_top(
    points: Lattice, offsets: Integers, source: Integers, cut_offsets: Integers, walk: Integers
) -> Integers:
    """Turn each ring so that it begins with its topmost, then leftmost horizontal edge."""
    begins, count = cut_offsets[:-1], np.diff(cut_offsets)
    x, y = points[source, 0], points[source, 1].astype(np.int64)
    left = np.minimum(x, x[following(cut_offsets)])
    leaves_horizontally = (source - np.repeat(offsets[walk], count)) % 2 == 0
    place = np.where(leaves_horizontally, (y << 32) | left, LAST)
    first = np.flatnonzero(place == np.repeat(np.minimum.reduceat(place, begins), count))
    turned: Integers = source[_around(first, count, begins, count)]
    return turned
