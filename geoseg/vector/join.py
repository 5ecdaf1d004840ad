"""Carry unfinished borders and components from one slab to the next.

The vertical borders that cross the row two slabs share, and the runs in it, are the same on both sides, in
the same order: the k-th of the one is the k-th of the other. Nothing is compared or searched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from geoseg.vector.rings import Crossings, Integers, Lattice, Rings, compacted, concatenate, offsets_of
from geoseg.vector.rings_fill import fill
from geoseg.vector.rings_make import make_rings
from geoseg.vector.trace_nodes import cracks_across
from geoseg.vector.trace_paths import Paths, find_paths
from geoseg.vector.trace_runs import NO_TALLY, Tally, connect, find_runs, merge, tally
from geoseg.vector.trace_slab import Slab


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A border that lies above the seam but for its two ends.

    Attributes:
        begin: the end at the seam where it starts, walking up.
        end: the end at the seam where it comes down.
        points: parts of (n, 3) int32, see `Walks`, in walking order.
        crossings: parts of float32, one per crack in all, or empty.
    """

    begin: int
    end: int
    points: list[Lattice]
    crossings: list[Crossings]


@dataclass(frozen=True, slots=True, eq=False)
class Seam:
    """What is unfinished under the last row traced.

    Attributes:
        chains: the open borders.
        run_component: (runs of the last row,) int64, the open component of each.
        tally: of the open components.
        waiting: closed rings of open components in a few blocks; -1 as the component marks those gone.
        islets: (n, 2) int32 (x, y), a pixel of each kept component that is small enough for a filled hole.
    """

    chains: list[Chain] = field(default_factory=list)
    run_component: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    tally: Tally = NO_TALLY
    waiting: list[Rings] = field(default_factory=list)
    islets: Lattice = field(default_factory=lambda: np.zeros((0, 2), np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """Components that no row below can reach.

    Attributes:
        rings: theirs, in any order.
        tally: of all components of the slab, finished or not, at the numbers that the rings bear.
    """

    rings: Rings
    tally: Tally


def join(seam: Seam, slab: Slab, level: float | None, least: int, hole: int) -> tuple[Seam, Finished]:
    """Trace one slab and go on with what the slabs above left open.

    Args:
        seam: what they left.
        slab: the next rows.
        level: the threshold in codes for sub-pixel crossings; None for none.
        least: components with fewer pixels are dropped.
        hole: holes with no more pixels, and no kept component in them, are dropped.
    """
    across = cracks_across(slab)
    runs = find_runs(slab, across)
    component, count = connect(slab, runs, seam.run_component, len(seam.tally.label))
    of_run, of_open = np.split(component, [len(runs.start)])
    total = merge([tally(slab, runs), seam.tally], component, count)
    last = of_run[runs.start >= slab.stride * (len(slab.labels) - 1)]
    remains = np.zeros(count + 1, bool)  # one more, False, for rings that are gone and bear the number -1
    remains[last] = True
    wanted = np.append(total.pixels >= least, False) & ~remains
    paths = find_paths(slab, across, level)
    chains, done = link(seam.chains, paths)
    inner = np.concatenate([paths.inner, paths.top_inner[[chain.begin for chain in done]]])
    rings = _closed(paths, done, of_run[runs.holding(inner)], slab.row)
    rings, islets = fill(rings, hole, wanted, seam.islets)
    blocks = [block.renumbered(np.append(of_open, -1)) for block in seam.waiting] + [rings]
    finished = concatenate([block.select(wanted[block.component]) for block in blocks])
    number = np.where(remains, np.cumsum(remains) - 1, -1)
    waiting = compacted([block.renumbered(number) for block in blocks])
    go_on = Seam(chains, number[last], total.select(remains[:-1]), waiting, islets)
    return go_on, Finished(finished, total)


def link(chains: list[Chain], paths: Paths) -> tuple[list[Chain], list[Chain]]:
    """Link the chains above a slab with those in it.

    Returns:
        The chains that are open at the slab's bottom, and those that closed.
    """
    above = {chain.begin: chain for chain in chains}
    tops, pieces = len(paths.top_inner), _pieces(paths)
    rising = [Chain(begin, begin, [], []) for begin in pieces if begin >= tops]
    still_open = [_extended(chain, tops, pieces, above) for chain in rising]
    done = []
    while above:
        done.append(_extended(above.popitem()[1], tops, pieces, above))
    return [Chain(c.begin - tops, c.end - tops, c.points, c.crossings) for c in still_open], done


def _pieces(paths: Paths) -> dict[int, tuple[Lattice, Crossings, int]]:
    """The chains of a slab by where they begin: points, crossings, and the end at which they leave."""
    walks = paths.chains
    return {
        begin: (walks.points[a:b].copy(), walks.crossings[c:d].copy(), end)  # a view would keep the slab
        for begin, end, (a, b), (c, d) in zip(
            paths.begin.tolist(), paths.end.tolist(), pairwise(walks.offsets.tolist()),
            pairwise(walks.crossing_offsets.tolist()), strict=True,
        )
    }  # fmt: skip


def _extended(
    chain: Chain, tops: int, pieces: dict[int, tuple[Lattice, Crossings, int]], above: dict[int, Chain]
) -> Chain:
    """Walk on from a chain's end, down and up through the seam, to the bottom or back to its beginning."""
    at, points, crossings = chain.end, chain.points, chain.crossings
    while True:
        more_points, more_crossings, at = pieces[at]
        points.append(more_points)
        crossings.append(more_crossings)
        if at >= tops or at not in above:
            return Chain(chain.begin, at, points, crossings)
        other = above.pop(at)
        points.extend(other.points)
        crossings.extend(other.crossings)
        at = other.end


def _closed(paths: Paths, done: list[Chain], component: Integers, seam_row: int) -> Rings:
    """The rings that closed in a slab, or when it was linked with those above."""
    linked = np.array([sum(map(len, chain.points)) for chain in done], np.int64)
    lengths = np.concatenate([np.diff(paths.rings.offsets), linked])
    points = [paths.rings.points, *(part for chain in done for part in chain.points)]
    crossings = [paths.rings.crossings, *(part for chain in done for part in _turned(chain, seam_row))]
    return make_rings(np.concatenate(points), offsets_of(lengths), np.concatenate(crossings), component)


def _turned(chain: Chain, seam_row: int) -> list[Crossings]:
    """The crossings of a closed chain, which begin at the seam, from its first point on."""
    if not len(chain.crossings[0]):
        return []
    crossings = np.concatenate(chain.crossings)
    up = seam_row - next(int(part[0, 1]) for part in chain.points if len(part))
    return [crossings[up:], crossings[:up]]
