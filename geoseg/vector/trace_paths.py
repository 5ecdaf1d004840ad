"""Follow the borders of all labels through one slab: closed walks, and chains cut by its top or bottom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geoseg.vector.border import find_crossings
from geoseg.vector.rings import Crossings, Flags, Integers, Lattice, edge_lengths, following, offsets_of
from geoseg.vector.rings_walk import walked
from geoseg.vector.trace_nodes import Nodes, find_ends, find_nodes, vertical_partners
from geoseg.vector.trace_slab import Slab


@dataclass(frozen=True, slots=True, eq=False)
class Walks:
    """w walks along borders, pixels on the left.

    Attributes:
        points: (n, 3) int32, (x, y, 1 where two pixels of the label meet diagonally).
        offsets: (w + 1,) int64 of the walks.
        crossings: (m,) float32, one per crack of the walks; (0,) when not wanted.
        crossing_offsets: (w + 1,) int64, as `offsets`.
    """

    points: Lattice
    offsets: Integers
    crossings: Crossings
    crossing_offsets: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """All borders of one slab.

    Attributes:
        rings: those that close within the slab, each begun at its topmost, then leftmost horizontal edge.
        inner: (rings,) int64, flat index in the slab of a pixel on the left of each ring.
        chains: those that are cut; their `crossings` begin and end at the cuts.
        begin: (chains,) int64, the end at which each chain starts: ends of the top row count from 0, those of
            the bottom row go on from there.
        end: (chains,) int64, the end at which it leaves.
        top_inner: (top ends,) int64, flat index of the pixel on the left of the border at each top end.
    """

    rings: Walks
    inner: Integers
    chains: Walks
    begin: Integers
    end: Integers
    top_inner: Integers


def find_paths(slab: Slab, across: Flags, level: float | None) -> Paths:
    """Follow all borders of a slab.

    Args:
        slab: the rows.
        across: the cracks between neighbours in a row, as `cracks_across` finds them.
        level: the threshold in codes for sub-pixel crossings; None for none.
    """
    nodes = find_nodes(slab, across)
    top = find_ends(slab.labels[0], slab.row)
    bottom = find_ends(slab.labels[-1], slab.row + len(slab.labels) - 1)
    partner = vertical_partners(nodes, top, bottom)
    count, tops = len(nodes.label), len(top.label)
    starts = np.concatenate([np.flatnonzero(top.south), tops + np.flatnonzero(~bottom.south)])
    segments, offsets, ends = _follow(nodes, partner, starts)
    points = np.concatenate([nodes.points, top.points, bottom.points])
    visited, cut = _ends_of(nodes, segments), offsets[len(starts)]
    chain_offsets, ring_offsets = 2 * offsets[: len(starts) + 1], 2 * (offsets[len(starts) :] - cut)
    return Paths(
        _closed_walks(slab, level, points.take(visited[2 * cut :], axis=0), ring_offsets),
        _inner(slab, nodes, segments[offsets[len(starts) : -1]]),
        _cut_walks(slab, level, points, visited[: 2 * cut], chain_offsets, starts + count, ends + count),
        starts,
        ends,
        (top.points[:, 0] + top.south).astype(np.int64),
    )


def _follow(nodes: Nodes, partner: Integers, starts: Integers) -> tuple[Integers, Integers, Integers]:
    """Follow horizontal edges from one to the next: first the chains from their starts, then closed walks.

    Returns:
        The edges in walking order, the offsets of the walks, and the end at which each chain leaves.
    """
    count = len(nodes.label) // 2
    step = np.where(partner < 2 * count, partner >> 1, partner - count)  # ends count on from the edges
    after = step[np.arange(0, 2 * count, 2) + nodes.leaves[0::2]]
    ends = step[2 * count + starts]
    order, offsets = walked(after, ends)
    last = offsets[1 : len(starts) + 1]
    moves = last > offsets[: len(starts)]
    ends[moves] = after[order[last[moves] - 1]]
    return order, offsets, ends - count


def _ends_of(nodes: Nodes, segments: Integers) -> Integers:
    """The two nodes of each horizontal edge, in walking order."""
    rightward = nodes.leaves[0::2][segments]
    visited = np.empty(2 * len(segments), np.int64)
    visited[0::2], visited[1::2] = 2 * segments + ~rightward, 2 * segments + rightward
    return visited


def _inner(slab: Slab, nodes: Nodes, first: Integers) -> Integers:
    """The pixel beside the left end of a ring's first horizontal edge: below when it leads to the left."""
    left, below = nodes.points[2 * first], ~nodes.leaves[2 * first]
    return (left[:, 1] - slab.row + below) * slab.stride + left[:, 0] + 1


def _closed_walks(slab: Slab, level: float | None, points: Lattice, offsets: Integers) -> Walks:
    """Rings with their crossings."""
    none = np.zeros(len(offsets), np.int64)
    if level is None or slab.codes is None or not len(points):
        return Walks(points, offsets, np.zeros(0, np.float32), none)
    end = points.take(following(offsets), axis=0)
    found = find_crossings(slab, slab.codes, level, points, end)
    return Walks(points, offsets, found, _crack_offsets(points, end, offsets))


def _cut_walks(
    slab: Slab, level: float | None, points: Lattice, visited: Integers, offsets: Integers,
    start: Integers, stop: Integers,
) -> Walks:  # fmt: skip
    """Chains with the crossings between their cuts, which belong to no horizontal edge."""
    none = np.zeros(len(offsets), np.int64)
    if level is None or slab.codes is None or not len(start):
        return Walks(points.take(visited, axis=0), offsets, np.zeros(0, np.float32), none)
    places = np.stack([offsets[:-1], offsets[1:]], axis=1).ravel()
    whole = points.take(np.insert(visited, places, np.stack([start, stop], axis=1).ravel()), axis=0)
    whole_offsets = offsets + 2 * np.arange(len(offsets))
    end = whole.copy()
    end[:-1] = whole[1:]
    end[whole_offsets[1:] - 1] = whole[whole_offsets[1:] - 1]
    found = find_crossings(slab, slab.codes, level, whole, end)
    return Walks(points.take(visited, axis=0), offsets, found, _crack_offsets(whole, end, whole_offsets))


def _crack_offsets(begin: Lattice, end: Lattice, offsets: Integers) -> Integers:
    """How many cracks the walks have, as offsets."""
    return offsets_of(np.add.reduceat(edge_lengths(begin, end), offsets[:-1]))
