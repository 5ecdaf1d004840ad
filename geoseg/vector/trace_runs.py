"""Runs of equal pixels in the rows of a slab, and which of them make one component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from geoseg.vector.rings import Flags, Integers, ranges
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
    chosen = np.flatnonzero(label)  # the last crack of a row begins background: the margin
    return Runs(crack[chosen], crack[chosen + 1], label[chosen])


def tally(slab: Slab, runs: Runs) -> Tally:
    """Count every run; pixels and codes of the first row are 0, having been counted before."""
    new = np.searchsorted(runs.start, slab.stride)
    pixels, codes = np.zeros((2, len(runs.start)), np.int64)
    pixels[new:] = (runs.stop - runs.start)[new:]
    if slab.codes is not None and new < len(codes):
        bounds = np.stack([runs.start[new:], runs.stop[new:]], axis=1).ravel()
        codes[new:] = np.add.reduceat(slab.codes.ravel(), bounds, dtype=np.uint32)[::2]
    at_edge = np.zeros(len(codes), bool)
    at_edge[runs.holding(_beside_invalid(slab))] = True
    return Tally(runs.label.astype(np.int32), pixels, codes, at_edge)


def _beside_invalid(slab: Slab) -> Integers:
    """Flat indices of the labelled pixels with an invalid pixel left, right, above or below."""
    invalid, stride = ~slab.valid.ravel(), slab.stride
    beside = np.zeros_like(invalid)
    beside[1:] = invalid[:-1]
    beside[:-1] |= invalid[1:]
    beside[stride:] |= invalid[:-stride]
    beside[:-stride] |= invalid[stride:]
    beside &= slab.labels.ravel() != 0
    return np.flatnonzero(beside)


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
    above, below = _neighbours(slab, runs)
    n = len(runs.start)
    above = np.concatenate([above, np.arange(len(earlier))])
    below = np.concatenate([below, n + earlier])
    graph = coo_matrix((np.ones(len(above), np.int8), (above, below)), (n + count, n + count))
    components, component = connected_components(graph, directed=False)
    return component.astype(np.int64), components


def _neighbours(slab: Slab, runs: Runs) -> tuple[Integers, Integers]:
    """The pairs of runs of one label, one above the other, that share a side."""
    first = np.searchsorted(runs.stop, runs.start + slab.stride, "right")
    last = np.searchsorted(runs.start, runs.stop + slab.stride, "left")
    size = np.maximum(last - first, 0)
    above = np.repeat(np.arange(len(size)), size)
    below = ranges(first, size)
    same = runs.label[above] == runs.label[below]
    return above[same], below[same]


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
