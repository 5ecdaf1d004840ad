"""Runs of equal pixels in the rows of a slab, and which of them make one component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from geoseg.vector.rings import Flags, Integers, offsets_of, ranges
from geoseg.vector.trace_slab import Labels, Slab


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """n runs of one label each, row by row, left to right.

    Attributes:
        start: (n,) int64, flat index in the slab of the first pixel.
        stop: (n,) int64, flat index after the last pixel.
        label: (n,) of the labels' dtype, not 0.
    """

    start: Integers
    stop: Integers
    label: Labels

    def holding(self, pixels: Integers) -> Integers:
        """The run of each of some labelled pixels (flat indices in the slab)."""
        return np.searchsorted(self.start, pixels, "right") - 1


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What is known of n runs or components.

    Attributes:
        label: (n,) int32.
        pixels: (n,) int64.
        codes: (n,) int64, sum of the probability codes.
        at_edge: (n,) bool, True = a pixel has an invalid one beside it, or the raster's edge.
    """

    label: NDArray[np.int32]
    pixels: Integers
    codes: Integers
    at_edge: Flags

    def select(self, chosen: NDArray[np.generic]) -> Tally:
        """Some of them (indices or bool)."""
        return Tally(self.label[chosen], self.pixels[chosen], self.codes[chosen], self.at_edge[chosen])


NO_TALLY = Tally(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))


def find_runs(slab: Slab, across: Flags) -> Runs:
    """The runs of a slab; those of its first row were counted with the slab above."""
    crack = np.flatnonzero(across) + 1
    label = slab.labels.ravel()[crack]
    chosen = np.flatnonzero(label != 0)  # the last crack of a row begins background: the margin
    return Runs(crack[chosen], crack[chosen + 1], label[chosen])


def tally(slab: Slab, runs: Runs) -> Tally:
    """Count every run; pixels and codes of the first row are 0, having been counted before."""
    new = np.searchsorted(runs.start, slab.stride)
    pixels, codes = np.zeros((2, len(runs.start)), np.int64)
    pixels[new:] = (runs.stop - runs.start)[new:]
    if slab.codes is not None and new < len(codes):
        # from the last run to the first: what lies between two is not added up, as its bounds are reversed
        bounds = np.stack([runs.start[new:], runs.stop[new:]], axis=1)[::-1].ravel()
        codes[new:] = np.add.reduceat(slab.codes.ravel(), bounds, dtype=np.uint32)[-2::-2]
    return Tally(runs.label.astype(np.int32), pixels, codes, _at_edge(slab, runs))


def _at_edge(slab: Slab, runs: Runs) -> Flags:
    """Whether each run has an invalid pixel left, right, above or below."""
    valid, stride = slab.valid.ravel(), slab.stride
    at_edge: Flags = ~(valid[runs.start - 1] & valid[runs.stop])
    if not slab.valid[:, 1:-1].all():
        beside = np.zeros(len(valid), bool)
        beside[stride:] = ~valid[:-stride]
        beside[:-stride] |= ~valid[stride:]
        beside &= slab.labels.ravel() != 0
        at_edge[runs.holding(np.flatnonzero(beside))] = True
    return at_edge


def connect(slab: Slab, runs: Runs, earlier: Integers, count: int) -> tuple[Integers, int]:
    """Join runs of one label that share a side, and what was joined above the slab.

    Args:
        slab: the rows.
        runs: its runs.
        earlier: (runs of the first row,) int64, the component of each so far.
        count: how many components are open so far.

    Returns:
        The component of each run, then that of each open one, and how many there are.
    """
    below, bounds = _neighbours(slab, runs)
    n = len(runs.start)
    known = np.stack([np.arange(len(earlier)), n + earlier], axis=1)  # from one more node each
    target = np.concatenate([below, known.ravel()])
    bounds = np.concatenate([bounds, np.repeat(bounds[-1], count), np.arange(len(below), len(target), 2) + 2])
    size = len(bounds) - 1
    graph = csr_array((np.ones(len(target)), target, bounds), (size, size))
    components, component = connected_components(graph, directed=False)
    return component[: n + count].astype(np.int64), components


def _neighbours(slab: Slab, runs: Runs) -> tuple[Integers, Integers]:
    """The runs of the same label below each run that share a side with it, and their offsets."""
    first = np.searchsorted(runs.stop, runs.start + slab.stride, "right")
    last = np.searchsorted(runs.start, runs.stop + slab.stride, "left")
    size = np.maximum(last - first, 0)
    below, offsets = ranges(first, size), offsets_of(size)
    same = runs.label[below] == np.repeat(runs.label, size)
    return below[same], offsets_of(same)[offsets]


def merge(parts: list[Tally], component: Integers, count: int) -> Tally:
    """Add up what is known of the members of components.

    Args:
        parts: of the members, one after another.
        component: (members,) int64 in 0 … count - 1.
        count: how many components.
    """
    label = np.zeros(count, np.int32)
    label[component] = np.concatenate([part.label for part in parts])
    at_edge = np.zeros(count, bool)
    at_edge[component[np.concatenate([part.at_edge for part in parts])]] = True
    pixels = np.concatenate([part.pixels for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    return Tally(label, _summed(pixels, component, count), _summed(codes, component, count), at_edge)


def _summed(values: Integers, component: Integers, count: int) -> Integers:
    """Sums per component, exact below 2⁵³."""
    return np.bincount(component, values, count).astype(np.int64)
