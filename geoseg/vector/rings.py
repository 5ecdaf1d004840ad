"""Rings of lattice points in ragged arrays.

A lattice point is a corner of pixels: x = column edge, y = row edge, (0, 0) = outer corner of the first
pixel. Rings are kept open here (the first point is not repeated) and walk with their pixels on the left as
seen on screen, so a shell is counter-clockwise on screen and its shoelace in (x, y down) is negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers = NDArray[np.int64]
Lattice = NDArray[np.int32]
Crossings = NDArray[np.float32]
Flags = NDArray[np.bool_]


# Rows of points are taken with `take` and `compress`: several times faster than `points[indices]`.


def offsets_of(lengths: ArrayLike) -> Integers:
    """Where each of some consecutive pieces begins, and where the last one ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def ranges(starts: NDArray[Any], lengths: NDArray[Any]) -> Integers:
    """`starts[0], starts[0] + 1, …`, then the same for every other start."""
    offsets = offsets_of(lengths)
    return np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])


def take(offsets: Integers, chosen: NDArray[Any]) -> tuple[Integers, Integers]:
    """Indices of all members of the chosen pieces, and the offsets of those pieces afterwards."""
    lengths = np.diff(offsets)[chosen]
    return ranges(offsets[:-1][chosen], lengths), offsets_of(lengths)


def following(offsets: Integers) -> Integers:
    """The index of the point after each point, around each ring."""
    after = np.arange(1, offsets[-1] + 1)
    after[offsets[1:] - 1] = offsets[:-1]
    return after


def closed(points: NDArray[Any], offsets: Integers) -> tuple[NDArray[Any], Integers]:
    """Rings with the first point of each repeated at its end, and their offsets."""
    lengths = np.diff(offsets)
    source = ranges(offsets[:-1], lengths + 1)
    closed_offsets = offsets_of(lengths + 1)
    source[closed_offsets[1:] - 1] = offsets[:-1]
    return points.take(source, axis=0), closed_offsets


def edge_lengths(begin: Lattice, end: Lattice) -> Integers:
    """Lengths in pixels of edges between lattice points (n, 2 or more) that differ in x or y at most."""
    lengths: Integers = np.abs(end[:, 0] - begin[:, 0]).astype(np.int64)
    lengths += np.abs(end[:, 1] - begin[:, 1])
    return lengths


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Simple rings, each begun at its topmost, then leftmost horizontal edge.

    Attributes:
        corners: (n, 2) int32, lattice points (x, y); consecutive points differ in one coordinate.
        offsets: (r + 1,) int64, ring i is corners[offsets[i]:offsets[i + 1]].
        crossings: (m,) float32, one per unit of length when borders are wanted, else (0,).
        crossing_offsets: (r + 1,) int64, as `offsets`, for `crossings`.
        area: (r,) int64, pixels enclosed; negative for a hole.
        component: (r,) int64, whose ring it is.
    """

    corners: Lattice
    offsets: Integers
    crossings: Crossings
    crossing_offsets: Integers
    area: Integers
    component: Integers

    def __len__(self) -> int:
        return len(self.area)

    def select(self, chosen: NDArray[Any]) -> Rings:
        """The chosen rings (indices or bool), in that order."""
        corners, offsets = take(self.offsets, chosen)
        crossings, crossing_offsets = take(self.crossing_offsets, chosen)
        return Rings(
            self.corners.take(corners, axis=0), offsets, self.crossings[crossings], crossing_offsets,
            self.area[chosen], self.component[chosen],
        )  # fmt: skip

    def renumbered(self, number: Integers) -> Rings:
        """The same rings, with component i now called number[i]; -1 stays -1 if number ends with it."""
        return replace(self, component=number[self.component])


def concatenate(blocks: Sequence[Rings]) -> Rings:
    """The rings of one or more blocks, one after another."""
    lengths = np.concatenate([np.diff(block.offsets) for block in blocks])
    crossings = np.concatenate([np.diff(block.crossing_offsets) for block in blocks])
    return Rings(
        np.concatenate([block.corners for block in blocks]), offsets_of(lengths),
        np.concatenate([block.crossings for block in blocks]), offsets_of(crossings),
        np.concatenate([block.area for block in blocks]),
        np.concatenate([block.component for block in blocks]),
    )  # fmt: skip


def compacted(blocks: Sequence[Rings]) -> list[Rings]:
    """The blocks without most of the rings whose component is -1, in few blocks.

    A block is copied only when half of it is gone or it is joined with one of its size, so a component that
    waits for thousands of slabs is copied a few times, not thousands.
    """
    kept = list[Rings]()
    for block in blocks:
        kept.append(_pruned(block, 0.5))
        while len(kept) > 1 and len(kept[-2].corners) < 2 * len(kept[-1].corners):
            kept[-2:] = [concatenate([_pruned(part, 0.0) for part in kept[-2:]])]
    return [block for block in kept if len(block)]


def _pruned(block: Rings, share: float) -> Rings:
    """The block, without the rings that are gone if they are more than a share of it."""
    gone = block.component < 0
    much = np.diff(block.offsets)[gone].sum() > share * len(block.corners)
    return block.select(~gone) if much else block


NO_RINGS = Rings(
    np.zeros((0, 2), np.int32), offsets_of(()), np.zeros(0, np.float32), offsets_of(()),
    np.zeros(0, np.int64), np.zeros(0, np.int64),
)  # fmt: skip
