"""Many closed rings in flat arrays, so that one numpy call works on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

Points = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]
Polygons = NDArray[np.object_]


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Closed rings whose first point is not repeated at the end.

    Attributes:
        points: (points, 2) float64, ring after ring.
        offsets: (rings + 1,) int64, where each ring begins in `points`; no ring is empty.
        owner: (rings,) int64, the polygon of each ring; ascending, a polygon's shell before its holes.
    """

    points: Points
    offsets: Indices
    owner: Indices

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def sizes(self) -> Indices:
        """(rings,) int64: how many points each ring has."""
        return np.diff(self.offsets)

    @property
    def ring(self) -> Indices:
        """(points,) int64: the ring of each point."""
        return np.repeat(np.arange(len(self)), self.sizes)

    @property
    def following(self) -> Indices:
        """(points,) int64: the next point of the same ring."""
        following = np.arange(1, len(self.points) + 1)
        following[self.offsets[1:] - 1] = self.offsets[:-1]
        return following

    @property
    def previous(self) -> Indices:
        """(points,) int64: the point before, of the same ring."""
        previous = np.arange(-1, len(self.points) - 1)
        previous[self.offsets[:-1]] = self.offsets[1:] - 1
        return previous

    @property
    def shell(self) -> Flags:
        """(rings,) bool, True = an outer ring, not a hole."""
        return np.asarray(np.diff(self.owner, prepend=-1) != 0)

    @property
    def edges(self) -> Points:
        """(points, 2) float64: from each point to the next."""
        return np.asarray(self.next(self.points) - self.points)

    @property
    def areas(self) -> NDArray[np.float64]:
        """(rings,) float64: the area within each ring."""
        x, y = (self.points - np.repeat(self.points[self.offsets[:-1]], self.sizes, axis=0)).T
        return np.asarray(np.abs(self.sums(x * self.next(y) - y * self.next(x))) / 2)

    @property
    def net_areas(self) -> NDArray[np.float64]:
        """(polygons,) float64: the area of each polygon, without its holes."""
        areas, shell = self.areas, self.shell
        return np.add.reduceat(np.where(shell, areas, -areas), np.flatnonzero(shell))

    def next(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of a value per point that of the next point of the same ring: `values[following]`, but faster."""
        last = self.offsets[1:] - 1
        found = np.empty_like(values)
        found[:-1] = values[1:]
        found[last] = values[self.offsets[:-1]]
        return found

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum over each ring of a value per point."""
        return np.add.reduceat(values, self.offsets[:-1], axis=0)

    def every(self, rings: Flags) -> Flags:
        """(polygons,) bool: True where a flag is set for all rings of a polygon."""
        return np.asarray(np.logical_and.reduceat(rings, np.flatnonzero(self.shell)))

    def at(self, points: Indices) -> Rings:
        """The same rings with only some of their points (ascending; at least one of each ring)."""
        return Rings(self.points[points], np.searchsorted(points, self.offsets), self.owner)

    def moved(self, points: Points) -> Rings:
        """The same rings with other coordinates."""
        return Rings(points, self.offsets, self.owner)

    def of(self, polygons: Flags) -> Rings:
        """The rings of some polygons (bool, per polygon), which are numbered anew."""
        if polygons.all():
            return self
        some = self.only(polygons[self.owner])
        return Rings(some.points, some.offsets, (np.cumsum(polygons) - 1)[some.owner])

    def only(self, rings: Flags) -> Rings:
        """Some of the rings (bool, per ring), of the same polygons."""
        offsets = np.concatenate([[0], np.cumsum(self.sizes[rings])])
        return Rings(self.points[np.repeat(rings, self.sizes)], offsets, self.owner[rings])


def lengths(vectors: Points) -> NDArray[np.float64]:
    """(n,) float64: of (n, 2) vectors of moderate length; several times as fast as `numpy.hypot`."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def without_slits(
    rings: Rings, width: NDArray[np.float64] | float, area: NDArray[np.float64] | float = 0.0
) -> Rings:
    """Fill small holes, such as the gaps along walls that touch.

    Args:
        rings: any.
        width: of a hole as wide as long below which it goes; slits go up to half of that. One, or one a ring.
        area: below which a hole goes.
    """
    size = rings.areas
    wide = 4 * size >= width * rings.sums(lengths(rings.edges))
    return rings.only(rings.shell | (wide & (size >= area)))


def rings_of(polygons: Polygons) -> Rings:
    """Take polygons (none empty, no multipolygons) apart."""
    _, points, (ends, parts) = shapely.to_ragged_array(polygons)
    owner = np.repeat(np.arange(len(polygons)), np.diff(parts))
    offsets = ends.astype(np.int64) - np.arange(len(ends))
    first = np.ones(len(points), bool)
    first[ends[1:].astype(np.int64) - 1] = False
    return Rings(points[first], offsets, owner)


def lines_of(rings: Rings, start: Indices | None = None) -> Polygons:
    """(rings,) closed LineStrings with each point's index as Z.

    Args:
        rings: any.
        start: (rings,) the point at which each line begins; None for the first of its ring.
    """
    begin = rings.offsets[:-1] if start is None else start
    source, offsets = _closed(rings, begin)
    points = np.column_stack([rings.points[source], source])
    return np.asarray(shapely.from_ragged_array(shapely.GeometryType.LINESTRING, points, (offsets,)))


def polygons_of(rings: Rings) -> Polygons:
    """Put polygons together again; every ring has three points or more."""
    source, offsets = _closed(rings, rings.offsets[:-1])
    parts = np.append(np.flatnonzero(rings.shell), len(rings))
    return np.asarray(
        shapely.from_ragged_array(shapely.GeometryType.POLYGON, rings.points[source], (offsets, parts))
    )


def _closed(rings: Rings, start: Indices) -> tuple[Indices, Indices]:
    """The point indices of every ring, from its start round to the start again, and the new offsets."""
    sizes = rings.sizes
    offsets = rings.offsets + np.arange(len(rings) + 1)
    ring = np.repeat(np.arange(len(rings)), sizes + 1)
    step = np.arange(len(ring)) - offsets[ring] + (start - rings.offsets[:-1])[ring]
    return rings.offsets[ring] + step % sizes[ring], offsets


def cyclic_labels(offsets: Indices, marked: Flags) -> Indices:
    """Number the marks, and give every element that of the last mark at or before it, round its ring.

    Args:
        offsets: (rings + 1,) where each ring begins.
        marked: (elements,) bool; the labels in a ring without a mark mean nothing.
    """
    label = np.cumsum(marked) - 1
    last = label[offsets[1:] - 1]
    first = np.concatenate([[0], last[:-1] + 1])
    sizes = np.diff(offsets)
    return np.where(label < np.repeat(first, sizes), np.repeat(last, sizes), label)
