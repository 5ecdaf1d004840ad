"""Which hill each pixel belongs to: steepest ascent within one strip.

A pixel points to the highest of its eight neighbours, or to itself at a peak; among equals the one further on
in the raster is the higher. That order is the same wherever the raster is cut, and has no ties, so no cycles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.crowns_surface import CACHED, Heights, Relief

Integers = NDArray[np.int64]
Labels = NDArray[np.int32]

Index = TypeVar("Index", np.int32, np.int64)
Value = TypeVar("Value", np.int32, np.int64)

STAY = 4  # the middle of the 3 × 3 neighbours, numbered in raster order
# half of the neighbours: the others are the same pairs seen from the other side
FORWARD = ((0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Basins:
    """The basins of one strip, numbered in the order in which a raster scan meets them.

    Attributes:
        columns: (w,) int64, of the raster: those of the relief.
        labels: (h, w) int32, 0 background, else 1 + basin.
        ends: (n, 2) int64, (row, col) in the raster where the ascent from each basin ends or leaves the
            strip: its peak, or a pixel in the row just above or below.
        heights: (n,) int64, of the surface there.
        edges: (m, 3) int64, pairs of basins that touch, and the height of the highest pass between them.
        first: (2, w) int64, labels and heights of the first row.
        last: (2, w) int64, the same of the last row.
    """

    columns: Integers
    labels: Labels
    ends: Integers
    heights: Integers
    edges: Integers
    first: Integers
    last: Integers


def find_basins(relief: Relief) -> Basins:
    """Split a strip into the basins of its pixels."""
    padded = relief.heights
    stride = padded.shape[1]
    cells = np.flatnonzero(padded)
    ends = _ascend(padded, cells)
    inner = slice(*np.searchsorted(cells, [stride, padded.size - stride]))
    roots, labels = _by_first_sight(ends[inner])
    places, plane = cells[roots], np.zeros(padded.size, np.int32)
    plane[cells[inner]] = labels
    plane = plane.reshape(padded.shape)[1:-1, 1:-1]
    heights = padded[1:-1, 1:-1]
    rows, cols = np.divmod(places, stride)
    return Basins(
        columns=relief.columns,
        labels=plane,
        ends=np.stack([rows - 1 + relief.row, relief.columns[cols - 1]], 1),
        heights=padded.ravel()[places].astype(np.int64),
        edges=_highest(passes(plane, heights) - (1, 1, 0), len(roots)),
        first=np.stack([plane[0], heights[0]]).astype(np.int64),
        last=np.stack([plane[-1], heights[-1]]).astype(np.int64),
    )


def spread(values: NDArray[Value], columns: NDArray[Any], width: int) -> NDArray[Value]:
    """(h, width) of the raster: zero but in these n columns, which have the values (h, n)."""
    whole = np.zeros((len(values), width), values.dtype)
    whole[:, columns] = values
    return whole


def passes(labels: NDArray[Any], heights: NDArray[Any]) -> Integers:
    """Where two labels touch.

    Args:
        labels: (h, w), 0 background.
        heights: (h, w) of the surface.

    Returns:
        (m, 3) int64: two labels and the lower of the heights, for each pair of neighbours.
    """
    found = [np.zeros((0, 3), np.int64)]
    for down, right in FORWARD:
        here, there = _shifted(labels.shape, down, right)
        one, other = labels[here], labels[there]
        rows, cols = np.divmod(np.flatnonzero(one != other), max(one.shape[1], 1))  # few: the rest is quick
        touching = (one[rows, cols] > 0) & (other[rows, cols] > 0)
        at = rows[touching], cols[touching]
        low = np.minimum(heights[here][at], heights[there][at])
        found.append(np.stack([one[at], other[at], low], 1).astype(np.int64))
    return np.concatenate(found)


def jump(target: NDArray[Index]) -> NDArray[Index]:
    """Follow pointers, of which none leads in a circle, to their ends."""
    while True:
        further: NDArray[Index] = target[target]
        if np.array_equal(further, target):
            return further
        target = further


def _ascend(padded: Heights, cells: Integers) -> Labels:
    """Where the ascent from each of `cells` ends, as index in `cells`; the outer rows end at once."""
    stride = padded.shape[1]
    steps = np.array([dy * stride + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    index = np.empty(padded.size, np.int32)
    index[cells] = np.arange(len(cells), dtype=np.int32)
    return jump(index[cells + steps[_directions(padded).ravel()[cells]]])


def _directions(padded: Heights) -> NDArray[np.uint8]:
    """(h + 2, w + 2) uint8: which of the 3 × 3 neighbours each pixel points to."""
    directions = np.full(padded.shape, STAY, np.uint8)
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    rows = max(1, CACHED // max(width, 1))
    for top in range(0, height, rows):
        stop = min(top + rows, height)
        # height and neighbour in one number, so that one maximum settles both
        keys = padded[top : stop + 2].astype(np.uint32) << np.uint32(4)
        best = np.zeros((stop - top, width), np.uint32)
        for k in range(9):
            dy, dx = divmod(k, 3)
            np.maximum(best, keys[dy : dy + stop - top, dx : dx + width] | np.uint32(k), out=best)
        directions[top + 1 : stop + 1, 1:-1] = best & np.uint32(15)
    return directions


def _by_first_sight(ends: Labels) -> tuple[Integers, Labels]:
    """The different ends in order of first occurrence, and for each entry 1 + which of them it is."""
    seen = np.full(int(ends.max(initial=-1)) + 1, -1, np.int64)
    seen[ends[::-1]] = np.arange(len(ends))[::-1]  # of equal ends the first is written last
    roots = np.flatnonzero(seen >= 0)
    roots = roots[np.argsort(seen[roots])]
    label = np.zeros(len(seen), np.int32)
    label[roots] = np.arange(1, len(roots) + 1, dtype=np.int32)
    return roots, label[ends]


def _highest(edges: Integers, count: int) -> Integers:
    """The highest pass of each pair of the basins 0 … count - 1, in either order."""
    low, high = np.minimum(edges[:, 0], edges[:, 1]), np.maximum(edges[:, 0], edges[:, 1])
    pair = low * count + high
    order = np.lexsort((-edges[:, 2], pair))
    order = order[np.flatnonzero(np.diff(pair[order], prepend=-1))]
    return np.stack([low, high, edges[:, 2]], 1)[order]


def _shifted(shape: tuple[int, ...], down: int, right: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the pixels that have a neighbour (down, right) away, and of those neighbours."""
    height, width = shape
    left = max(-right, 0)
    here = slice(0, height - down), slice(left, width - max(right, 0))
    there = slice(down, height), slice(left + right, width - max(right, 0) + right)
    return here, there
