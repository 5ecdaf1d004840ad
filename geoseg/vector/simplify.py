"""Polygons with few vertices whose sides run through the middle of the border they replace."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.vector.regularize_frame import SQUARE, local_frame, usable
from geoseg.vector.regularize_rings import Flags, Indices, Polygons, Rings, cyclic_labels, polygons_of
from geoseg.vector.simplify_sides import Tolerance, corners, fit_sides

_REPAIRS = 6  # of polygons whose sides cross, before all of their border stays as it was


def simplify_polygons(
    polygons: Polygons, tolerance: float, jacobians: NDArray[np.float64] = SQUARE
) -> Polygons:
    """Fit straight sides to dense borders.

    Where sides would cross, the border stays as it was; so does a ring with fewer than three corners. Each
    result depends on its own polygon only.

    Args:
        polygons: (n,) shapely Polygons in pixel coordinates (x = column, y = row).
        tolerance: how far the border may lie from its new sides, in pixels (square ones of equal area).
        jacobians: (n, 2, 2) or (2, 2) float64, d(metres east, north) / d(column, row); by default square.

    Returns:
        (n,) Polygons; those that were invalid, empty or no Polygon come back as they were.
    """
    if not tolerance > 0:
        raise GridError(f"a tolerance must be positive, got {tolerance}; give pixels, such as 1.0")
    result = polygons.copy()
    good = usable(polygons)
    if good.any():
        frame, rings = local_frame(polygons, jacobians, good)
        simplified = polygons_of(frame.to_pixels(fit_without_crossings(rings, tolerance)[0]))
        result[good] = np.where(shapely.is_valid(simplified), simplified, polygons[good])
    return result


def fit_or_keep(rings: Rings, tolerance: Tolerance) -> tuple[Rings, Indices]:
    """Fit sides to all rings; one with fewer than three corners keeps all its points. Some may cross.

    Returns:
        The rings and (points,) int64, the side that stands for the edge from each point to the next.
    """
    return _fitted(rings, _keep(rings, tolerance), tolerance)


def fit_without_crossings(rings: Rings, tolerance: Tolerance) -> tuple[Rings, Indices]:
    """Fit sides to all rings as `fit_or_keep` does, closer to the border where they cross."""
    keep = _keep(rings, tolerance)
    fitted, side = _fitted(rings, keep, tolerance)
    broken = ~shapely.is_valid(polygons_of(fitted))
    if not broken.any():
        return fitted, side
    some = broken[rings.owner]
    points = np.repeat(some, rings.sizes)
    keep[points] = _repaired(rings.of(broken), keep[points], _of(tolerance, some))
    return _fitted(rings, keep, tolerance)


def _repaired(rings: Rings, keep: Flags, tolerance: Tolerance, repair: int = 1) -> Flags:
    """(points,) bool: corners that leave no crossings; more of them where sides cross, at last all."""
    fitted, side = _fitted(rings, keep, tolerance)
    broken = ~shapely.is_valid(polygons_of(fitted))
    if not broken.any():
        return keep
    some = broken[rings.owner]
    points = np.repeat(some, rings.sizes)
    if repair == _REPAIRS:
        return np.asarray(keep | points)
    keep = keep | _crossed(fitted, broken)[side] & _keep(rings, np.asarray(tolerance) * 0.5**repair)
    keep[points] = _repaired(rings.of(broken), keep[points], _of(tolerance, some), repair + 1)
    return keep


def _of(tolerance: Tolerance, rings: Flags) -> Tolerance:
    """The tolerance of some rings."""
    return tolerance[rings] if isinstance(tolerance, np.ndarray) else tolerance


def _fitted(rings: Rings, keep: Flags, tolerance: Tolerance) -> tuple[Rings, Indices]:
    """Fit sides between the corners kept."""
    return fit_sides(rings, np.flatnonzero(keep), tolerance), cyclic_labels(rings.offsets, keep)


def _keep(rings: Rings, tolerance: Tolerance) -> Flags:
    """(points,) bool, True = a corner, or of a ring with fewer than three."""
    keep = np.zeros(len(rings.points), bool)
    keep[corners(rings, tolerance)] = True
    return np.asarray(keep | (rings.sums(keep.astype(np.int64)) < 3)[rings.ring])


def _crossed(rings: Rings, broken: Flags) -> Flags:
    """(points,) bool: True where the side from a point to the next meets another of its polygon.

    Args:
        rings: any.
        broken: (polygons,) bool, those to look at.
    """
    crossed = np.zeros(len(rings.points), bool)
    owner, following = rings.owner[rings.ring], rings.following
    suspect = np.flatnonzero(broken[owner])
    sides = shapely.linestrings(np.stack([rings.points, rings.points[following]], axis=1)[suspect])
    one, other = suspect[shapely.STRtree(sides).query(sides, predicate="intersects")]
    linked = (one == other) | (following[one] == other) | (following[other] == one)
    crossed[one[~linked & (owner[one] == owner[other])]] = True
    return crossed
