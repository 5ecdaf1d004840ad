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
    the fallback of a neighbour that may fall because it overlaps something itself. So no fallen one can
    meet a redrawn one, and a polygon's fate depends only on those whose polygon or fallback meets its own,
    and on those that these meet.

    Args:
        polygons: (n,) redrawn, in pixel coordinates.
        fallback: (n,) what each was before; these overlap nowhere.
        displacement: (n,) float64, how far each was moved, in one unit.

    Returns:
        (n,) the polygons, of which no two overlap, and (n,) bool, True = has fallen back.
    """
    fallen = np.zeros(len(polygons), bool)
    one, other = _overlapping(polygons, polygons)
    worse = (displacement[one] > displacement[other]) | (
        (displacement[one] == displacement[other]) & (one > other)
    )
    fallen[one[worse]] = True
    intruder, invaded = _overlapping(polygons, fallback)
    risk = np.zeros(len(polygons), bool)
    risk[one] = risk[intruder] = True
    fallen[intruder[risk[invaded]]] = True
    return np.where(fallen, fallback, polygons), fallen


def crowded(polygons: Polygons, fallback: Polygons, reach: NDArray[np.float64]) -> Flags:
    """Tell which polygons have neighbours: one that meets them, or that comes near what they were before.

    Args:
        polygons: (n,) redrawn, in pixel coordinates.
        fallback: (n,) what each was before.
        reach: (n,) float64 pixels, what is near to each of `fallback`.

    Returns:
        (n,) bool, True = has neighbours, or is one.
    """
    tree = shapely.STRtree(polygons)
    near = tree.query(fallback, predicate="dwithin", distance=reach)
    met = tree.query(polygons, predicate="intersects")
    one, other = np.concatenate([near, met], axis=1)
    result = np.zeros(len(polygons), bool)
    result[one[one != other]] = result[other[one != other]] = True
    return result


def _overlapping(polygons: Polygons, others: Polygons) -> tuple[Indices, Indices]:
    """Pairs (i, j), i ≠ j, of which the insides of polygon i and other j meet; invalid ones meet nothing."""
    one, other = shapely.STRtree(others).query(polygons)  # by their boxes: cheap
    one, other = _where(one, other, one != other)
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
