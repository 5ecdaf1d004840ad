"""Neighbours that redrawing has pushed into each other."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.regularize_frame import usable
from geoseg.vector.regularize_rings import Flags, Indices, Polygons


def resolve_overlaps(
    polygons: Polygons, fallback: Polygons, displacement: NDArray[np.float64]
) -> tuple[Polygons, Flags]:
    """Give up redrawn polygons until none overlaps another.

    A polygon falls back if it overlaps a neighbour that was displaced less (or as much and comes first), or
    the fallback of a neighbour that falls. So no fallen one meets a redrawn one, and where there are no
    overlaps nothing falls.

    Args:
        polygons: (n,) redrawn, in pixel coordinates.
        fallback: (n,) what each was before; these overlap nowhere.
        displacement: (n,) float64, how far each was moved, in one unit.

    Returns:
        (n,) the polygons, of which no two overlap, and (n,) bool, True = has fallen back.
    """
    fallen = outdone(polygons, displacement)
    if not fallen.any():
        return polygons.copy(), fallen
    intruder, invaded = _overlapping(polygons, fallback)
    next_ones = intruder[fallen[invaded]]
    while not fallen[next_ones].all():
        fallen[next_ones] = True
        next_ones = intruder[fallen[invaded]]
    return np.where(fallen, fallback, polygons), fallen


def outdone(polygons: Polygons, displacement: NDArray[np.float64], among: Flags | None = None) -> Flags:
    """(n,) bool: True = overlaps a neighbour that was displaced less, or as much and comes first.

    `among` (n,) bool: only pairs of which one is True; all by default.
    """
    one, other = _overlapping(polygons, polygons, among)
    mine, theirs = displacement[one], displacement[other]
    result = np.zeros(len(polygons), bool)
    result[np.where((mine > theirs) | ((mine == theirs) & (one > other)), one, other)] = True
    return result


def _overlapping(polygons: Polygons, others: Polygons, among: Flags | None = None) -> tuple[Indices, Indices]:
    """Pairs (i, j), i ≠ j, of which the insides of polygon i and other j meet; invalid ones meet nothing.

    `among` (n,) bool: only those of which i is True.
    """
    some = np.arange(len(polygons)) if among is None else np.flatnonzero(among)
    one, other = shapely.STRtree(others).query(polygons[some])  # by their boxes: cheap
    one, other = _where(some[one], other, some[one] != other)
    sound = _usable_at(one, polygons) & _usable_at(other, others)
    one, other = _where(one, other, sound)
    one, other = _where(one, other, shapely.intersects(polygons[one], others[other]))
    return _where(one, other, ~shapely.touches(polygons[one], others[other]))


def _where(one: Indices, other: Indices, holds: Flags) -> tuple[Indices, Indices]:
    return one[holds], other[holds]


def _usable_at(index: Indices, polygons: Polygons) -> Flags:
    """Whether the polygons at some indices are usable; each is looked at once."""
    found, place = np.unique(index, return_inverse=True)
    return np.asarray(usable(polygons[found])[place])
