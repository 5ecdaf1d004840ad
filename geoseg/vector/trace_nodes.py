"""Where borders turn: the lattice points of a slab at which some label has a corner.

Each label is traced on its own, with its pixels on the left as seen on screen. At a lattice point it takes
one to four of the pixels NW, NE, SW, SE, its *case* (bits 1, 2, 4, 8). A *node* joins a horizontal edge to
a vertical one:

    one or three pixels   a corner: one node
    two on a diagonal     two nodes, each at the corner of one pixel, so that they stay apart (4-connected)
    two side by side      straight on; where other labels meet, two nodes with an edge of no length between
                          them, so that neighbours share every vertex
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.rings import Flags, Integers, Lattice
from geoseg.vector.trace_slab import Labels, Slab

NODES = np.array([0, 1, 1, 2, 1, 2, 2, 1, 1, 2, 2, 1, 2, 1, 1, 0])
# whether the first node of a case is left horizontally (or else arrived at), and the second
LEAVES = np.zeros((2, 16), bool)
LEAVES[0, [2, 4, 6, 7, 10, 12, 14]] = True
LEAVES[1, [3, 5, 6]] = True
FALLING, RISING = 9, 6  # the pixels NW and SE; NE and SW


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """n nodes, by label, then row, then column.

    Consecutive nodes 2k and 2k + 1 are the ends of one horizontal edge.

    Attributes:
        points: (n, 3) int32, (x, y, 1 where two pixels of the label meet diagonally).
        label: (n,) of the labels' dtype.
        leaves: (n,) bool, True = the border leaves along the horizontal edge, False = it arrives there.
        downward: (n,) int64, the nodes in the order in which a walk down each column meets them.
    """

    points: Lattice
    label: Labels
    leaves: Flags
    downward: Integers


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """The vertical borders that cross one row of pixels, left to right.

    Attributes:
        points: (n, 3) int32, (x, y, 0) where they meet the cut.
        label: (n,) of the labels' dtype.
        south: (n,) bool, True = the border walks down and its pixel lies right of it.
    """

    points: Lattice
    label: Labels
    south: Flags


def cracks_across(slab: Slab) -> Flags:
    """True where a pixel of the flattened slab differs from the next one."""
    flat = slab.labels.ravel()
    return np.not_equal(flat[:-1], flat[1:])


def find_nodes(slab: Slab, across: Flags) -> Nodes:
    """The nodes at all lattice points between the rows of a slab."""
    turns = _turns(slab, across)
    at, label, case = _cases(slab, turns)
    if len(label) and label.min() != label.max():
        order = np.argsort(label, kind="stable")
        at, label, case = at[order], label[order], case[order]
    entry = np.repeat(np.arange(len(case)), NODES[case])
    second = np.concatenate([[False], entry[1:] == entry[:-1]]) if len(entry) else np.zeros(0, bool)
    at, label, case = at[entry], label[entry], case[entry]
    y = at // slab.stride
    points = np.empty((len(at), 3), np.int32)
    points[:, 0], points[:, 1] = at - y * slab.stride, y + slab.row
    points[:, 2] = (case == RISING) | (case == FALLING)
    return Nodes(points, label, LEAVES[second.view(np.uint8), case], _downward(case, second))


def _turns(slab: Slab, across: Flags) -> Integers:
    """Flat indices of the NW pixels of the lattice points with both a vertical and a horizontal crack."""
    flat, stride = slab.labels.ravel(), slab.stride
    down = np.not_equal(flat[:-stride], flat[stride:])
    turns = across[:-stride] | across[stride:]
    turns &= down[:-1] | down[1:]
    return np.flatnonzero(turns)


def _cases(slab: Slab, at: Integers) -> tuple[Integers, Labels, NDArray[np.uint8]]:
    """For each lattice point and each label at it: the point, the label and its case."""
    flat, stride = slab.labels.ravel(), slab.stride
    square = np.stack([flat[at], flat[at + 1], flat[at + stride], flat[at + stride + 1]])
    only = square.max(initial=0)
    if ((square == 0) | (square == only)).all():  # a mask, the usual: one entry for each point, a corner
        return at, np.full(len(at), only), _bits(square != 0)
    cases = np.stack([_bits(square == pixel) for pixel in square])
    before = np.array([[0], [1], [3], [7]], np.uint8)  # a label is taken once, at the first of its pixels
    chosen = (square != 0) & ((cases & before) == 0) & (NODES[cases] > 0)
    place, pixel = np.nonzero(chosen.T)
    return at[place], square[pixel, place], cases[pixel, place]


def _bits(square: Flags) -> NDArray[np.uint8]:
    """Cases from (4, n) flags: whether NW, NE, SW and SE are taken."""
    nw, ne, sw, se = square.view(np.uint8)
    case: NDArray[np.uint8] = nw | (ne << 1) | (sw << 2) | (se << 3)
    return case


def _downward(case: NDArray[np.uint8], second: Flags) -> Integers:
    """All nodes, with the one whose vertical edge goes up first where two of a label share a point."""
    order = np.arange(len(case))
    later = np.flatnonzero(second & (case == RISING))
    order[later], order[later - 1] = later - 1, later
    return order


def find_ends(row: Labels, y: int) -> Ends:
    """The vertical borders in one row (width + 2,) of labels, cut at lattice row y."""
    crack = np.flatnonzero(row[:-1] != row[1:])
    sides = np.stack([row[crack], row[crack + 1]], axis=1)
    chosen = np.flatnonzero(sides)
    points = np.zeros((len(chosen), 3), np.int32)
    points[:, 0], points[:, 1] = crack[chosen // 2], y
    return Ends(points, sides.ravel()[chosen], chosen % 2 == 1)


def vertical_partners(nodes: Nodes, top: Ends, bottom: Ends) -> Integers:
    """The other end of the vertical edge of every node, every top end and every bottom end, in one count.

    One stable sort by column (and label) brings the two ends of each edge side by side.
    """
    n, t, b = len(nodes.label), len(top.label), len(bottom.label)
    member = np.concatenate([np.arange(n, n + t), nodes.downward, np.arange(n + t, n + t + b)])
    x = np.concatenate([nodes.points[:, 0], top.points[:, 0], bottom.points[:, 0]])[member]
    label = np.concatenate([nodes.label, top.label, bottom.label])[member]
    order = np.argsort(_narrow(x), kind="stable")
    if len(label) and label.min() != label.max():
        order = order[np.argsort(label[order], kind="stable")]
    pairs = member[order].reshape(-1, 2)
    partner = np.empty(n + t + b, np.int64)
    partner[pairs[:, 0]], partner[pairs[:, 1]] = pairs[:, 1], pairs[:, 0]
    return partner


def _narrow(x: NDArray[Any]) -> NDArray[Any]:
    """Columns as uint16 where they fit: those are sorted by radix, several times faster."""
    return x.astype(np.uint16) if len(x) and x.max() <= np.iinfo(np.uint16).max else x
