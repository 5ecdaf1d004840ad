"""Connected components as polygons on the lattice of pixel corners, with exact statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.vector.border import Points, border_points
from geoseg.vector.rings import Flags, Integers, Lattice, Rings, closed, offsets_of, take
from geoseg.vector.trace_runs import Tally

Polygons = NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """k finished components, ordered by bottom row, then top row, then leftmost column.

    No two components agree in all three, so this order does not depend on how the raster was cut into strips.
    Coordinates are pixels: x = column edge, y = row edge, (0, 0) = outer corner of the raster's first pixel.
    On screen (y down) shells run counter-clockwise and holes clockwise; a north-up transform keeps that on
    the map, one with a positive determinant turns it round. Each ring begins at one end of its topmost, then
    leftmost horizontal edge, so that its first edge has the pixels on its left.

    Attributes:
        corners: (n, 2) int32 lattice points (x, y) of closed rings, where the border turns or where three or
            more labels (background is one) meet.
        ring_offsets: (r + 1,) int64, ring i is corners[ring_offsets[i]:ring_offsets[i + 1]].
        component_offsets: (k + 1,) int64, likewise for the rings of a component: the shell, then its holes
            by topmost row and leftmost column.
        label: (k,) int32.
        pixels: (k,) int64, exact number of pixels; filled holes are not counted.
        probability_sum: (k,) int64, exact sum of the uint8 codes of those pixels; 0 without codes.
        bounds: (k, 4) int32 (first row, first column, row after the last, column after the last).
        touches_edge: (k,) bool, True = a pixel lies at the raster's edge or beside an invalid pixel.
        border: (m, 2) float64 (x, y) of closed sub-pixel rings, one point per crack; None when not wanted.
        border_offsets: (r + 1,) int64, as `ring_offsets`, for `border`.
    """

    corners: Lattice
    ring_offsets: Integers
    component_offsets: Integers
    label: NDArray[np.int32]
    pixels: Integers
    probability_sum: Integers
    bounds: Lattice
    touches_edge: Flags
    border: Points | None = None
    border_offsets: Integers | None = None

    def __len__(self) -> int:
        return len(self.label)

    def polygons(self) -> Polygons:
        """(k,) shapely Polygons in pixel coordinates along the sides of the pixels, all valid."""
        return _polygons(self.corners, self.ring_offsets, self.component_offsets)

    def border_polygons(self) -> Polygons:
        """(k,) shapely Polygons in pixel coordinates along the sub-pixel border."""
        if self.border is None or self.border_offsets is None:
            raise GridError("these components have no sub-pixel border; trace them with a level")
        return _polygons(self.border, self.border_offsets, self.component_offsets)

    def select(self, chosen: NDArray[Any]) -> Components:
        """The chosen components (bool mask or indices), in that order."""
        rings, component_offsets = take(self.component_offsets, chosen)
        corners, ring_offsets = take(self.ring_offsets, rings)
        border, border_offsets = None, None
        if self.border is not None and self.border_offsets is not None:
            points, border_offsets = take(self.border_offsets, rings)
            border = self.border.take(points, axis=0)
        return Components(
            self.corners.take(corners, axis=0), ring_offsets, component_offsets, self.label[chosen],
            self.pixels[chosen], self.probability_sum[chosen], self.bounds[chosen],
            self.touches_edge[chosen], border, border_offsets,
        )  # fmt: skip


def _polygons(points: NDArray[Any], rings: Integers, components: Integers) -> Polygons:
    """Polygons from ragged arrays, without a loop."""
    kind = shapely.GeometryType.POLYGON
    return np.asarray(shapely.from_ragged_array(kind, points.astype(np.float64), (rings, components)))


def concatenate(batches: Sequence[Components]) -> Components:
    """One or more batches in one."""
    border, border_offsets = None, None
    if all(batch.border is not None for batch in batches):
        border = np.concatenate([batch.border for batch in batches if batch.border is not None])
        border_offsets = _chained([b.border_offsets for b in batches if b.border_offsets is not None])
    return Components(
        np.concatenate([batch.corners for batch in batches]),
        _chained([batch.ring_offsets for batch in batches]),
        _chained([batch.component_offsets for batch in batches]),
        np.concatenate([batch.label for batch in batches]),
        np.concatenate([batch.pixels for batch in batches]),
        np.concatenate([batch.probability_sum for batch in batches]),
        np.concatenate([batch.bounds for batch in batches]),
        np.concatenate([batch.touches_edge for batch in batches]),
        border,
        border_offsets,
    )


def _chained(offsets: Sequence[Integers]) -> Integers:
    """The offsets of ragged arrays laid one after another."""
    return offsets_of(np.concatenate([np.diff(part) for part in offsets]))


def assemble(rings: Rings, tally: Tally, borders: bool) -> Components:
    """Put the rings of whole components, in any order, into the order of `Components`.

    Args:
        rings: all rings of some components.
        tally: of at least those components, at the numbers the rings bear.
        borders: whether to place the sub-pixel border.
    """
    shells = np.flatnonzero(rings.area > 0)
    bounds = _bounds(rings, shells)
    order = np.lexsort((bounds[:, 1], bounds[:, 0], bounds[:, 2]))
    member = rings.component[shells][order]
    rank = np.empty(len(tally.label), np.int64)
    rank[member] = np.arange(len(member))
    rings = rings.select(_ring_order(rings, rank))
    counted, counts = tally.select(member), np.bincount(rank[rings.component], minlength=len(member))
    border = border_points(rings.corners, rings.offsets, rings.crossings) if borders else (None, None)
    return Components(
        *closed(rings.corners, rings.offsets), offsets_of(counts), counted.label, counted.pixels,
        counted.codes, bounds[order], counted.at_edge, *border,
    )  # fmt: skip


def _ring_order(rings: Rings, rank: Integers) -> Integers:
    """Rings by component, the shell first, then holes by topmost row and leftmost column."""
    x, y = rings.corners[rings.offsets[:-1]].T
    return np.lexsort((x, y, rings.area < 0, rank[rings.component]))


def _bounds(rings: Rings, shells: Integers) -> Lattice:
    """(shells, 4) first row and column, and the row and column after the last."""
    if not len(shells):
        return np.zeros((0, 4), np.int32)
    begins = rings.offsets[:-1]
    x, y = np.ascontiguousarray(rings.corners.T)
    left, right = np.minimum.reduceat(x, begins), np.maximum.reduceat(x, begins)
    top, bottom = y[begins], np.maximum.reduceat(y, begins)  # a ring begins at its top
    return np.stack([top, left, bottom, right], axis=1)[shells]
