"""Straight sides through the middle of dense borders.

Douglas and Peucker's method finds the corners, but it cuts off whatever lies outside the chords between
them: smooth rings lose 2 to 8 % of their area. So each piece between two corners becomes the line that fits
its points best, and the vertices are where neighbouring lines meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.regularize_rings import Indices, Points, Rings, cyclic_labels, lengths, lines_of

Tolerance: TypeAlias = float | NDArray[np.float64]

_TIE = 1e-6  # px: corners this equally far from the centre count as equally far
_MIN_TURN = np.sin(np.radians(12.0))  # lines that turn less meet too far away to trust
_MAX_MOVE = 2.0  # tolerances that a vertex may lie from the corner it replaces
_TRIMMED = 6  # edges in a piece from which on its first and last are left out: corners come out rounded
_FITTED = 4  # edges in a piece from which on a line is fitted rather than drawn from corner to corner


def corners(rings: Rings, tolerance: Tolerance) -> Indices:
    """Find the points that Douglas and Peucker's method keeps, ascending, wherever the rings begin.

    Args:
        rings: any.
        tolerance: in the unit of the points; one, or one per ring.
    """
    lines = lines_of(rings, _farthest(rings))
    kept = shapely.simplify(lines, tolerance, preserve_topology=False)
    index = shapely.get_coordinates(kept, include_z=True)[:, 2].astype(np.int64)
    keep = np.zeros(len(rings.points), bool)
    keep[index] = True
    return np.flatnonzero(keep)


def fit_sides(rings: Rings, kept: Indices, tolerance: Tolerance) -> Rings:
    """Replace each piece between two corners by its total-least-squares line; vertices are where they meet.

    Args:
        rings: dense.
        kept: the corners, as `corners` gives them.
        tolerance: with which they were found; a vertex stays within twice of its corner.
    """
    corner = rings.at(kept)
    side = _fitted_lines(rings, corner, kept)
    before = side.at(corner.previous)
    turn = before.x * side.y - before.y * side.x
    meets = np.abs(turn) > _MIN_TURN
    gap = side.through - before.through
    along = (gap[:, 0] * side.y - gap[:, 1] * side.x) / np.where(meets, turn, 1.0)
    vertex = before.through + along[:, None] * before.direction
    moved = lengths(vertex - corner.points)
    between = (before.nearest(corner.points) + side.nearest(corner.points)) / 2
    limit = _MAX_MOVE * np.broadcast_to(tolerance, len(rings))[corner.ring]
    fitted = np.where((meets & (moved <= limit))[:, None], vertex, between)
    single = rings.following[kept] == kept[corner.following]
    unchanged = (single & single[corner.previous])[:, None]
    return corner.moved(np.where(unchanged, corner.points, fitted))


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """Lines through points (k, 2) along unit vectors (k, 2)."""

    through: Points
    direction: Points

    @property
    def x(self) -> NDArray[np.float64]:
        return self.direction[:, 0]

    @property
    def y(self) -> NDArray[np.float64]:
        return self.direction[:, 1]

    def at(self, lines: Indices) -> _Lines:
        return _Lines(self.through[lines], self.direction[lines])

    def nearest(self, points: Points) -> Points:
        along = ((points - self.through) * self.direction).sum(1)
        return np.asarray(self.through + along[:, None] * self.direction)


def _fitted_lines(rings: Rings, corner: Rings, kept: Indices) -> _Lines:
    """The best line of each piece; a short one's runs from corner to corner."""
    marked = np.zeros(len(rings.points), bool)
    marked[kept] = True
    piece = cyclic_labels(rings.offsets, marked)
    count = np.bincount(piece, minlength=len(kept))
    edge = rings.edges
    weight = lengths(edge)
    weight[(count[piece] >= _TRIMMED) & (marked | rings.next(marked))] = 0
    fitted = _least_squares(piece, rings.points + edge / 2, weight, len(kept))
    chord = corner.edges
    length = np.maximum(lengths(chord), 1e-12)
    short = (count < _FITTED)[:, None]
    return _Lines(
        np.where(short, corner.points + chord / 2, fitted.through),
        np.where(short, chord / length[:, None], fitted.direction),
    )


def _least_squares(group: Indices, points: Points, weight: NDArray[np.float64], groups: int) -> _Lines:
    """The total-least-squares line through each group of weighted points."""
    total = np.maximum(np.bincount(group, weight, groups), 1e-12)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(group, weight * values, groups) / total

    through = np.column_stack([mean(points[:, 0]), mean(points[:, 1])])
    x, y = (points - through[group]).T
    angle = np.arctan2(2 * mean(x * y), mean(x * x) - mean(y * y)) / 2
    return _Lines(through, np.column_stack([np.cos(angle), np.sin(angle)]))


def _farthest(rings: Rings) -> Indices:
    """The point of each ring farthest from its centre, whichever point comes first: a true corner."""
    centre = rings.sums(rings.points) / rings.sizes[:, None]
    ring = rings.ring
    distance = lengths(rings.points - centre[ring])
    tied = np.flatnonzero(distance > np.maximum.reduceat(distance, rings.offsets[:-1])[ring] - _TIE)
    x, y = np.round(rings.points[tied] / _TIE).T
    ranked = tied[np.lexsort((y, x, ring[tied]))]
    return ranked[np.unique(ring[ranked], return_index=True)[1]]
