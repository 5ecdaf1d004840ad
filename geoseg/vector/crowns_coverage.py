"""Outlines of crowns that share their borders: simplified together, and measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from geoseg.errors import GridError

Polygons = NDArray[Any]  # of shapely geometries
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def simplify_coverage(polygons: Polygons, tolerance_px: float) -> Polygons:
    """Simplify outlines so that neighbours keep one common border: no overlaps, no gaps.

    Visvalingam's method, as GEOS has it for coverages. Where polygons do not fit together (a vertex of one
    inside an edge of its neighbour, or an overlap), they and all that is connected to them stay as they are.

    Args:
        polygons: (n,) shapely polygons or multipolygons in pixel coordinates that share the vertices of their
            common borders.
        tolerance_px: roughly, details smaller than a square of this side go, px.

    Returns:
        (n,) geometries.
    """
    if not tolerance_px >= 0:
        raise GridError(f"a tolerance of 0 px or more is needed, got {tolerance_px}")
    polygons = np.asarray(polygons, object)
    if tolerance_px == 0 or len(polygons) == 0:
        return polygons.copy()
    if shapely.coverage_is_valid(polygons):
        return np.asarray(shapely.coverage_simplify(polygons, tolerance_px), object)
    return _by_group(polygons, tolerance_px)


def equivalent_diameter(area: Floats) -> Floats:
    """Diameter of the circle of the same area, in the unit whose square the area is in."""
    return np.asarray(2 * np.sqrt(np.asarray(area, np.float64) / np.pi))


def circularity(polygons: Polygons) -> Floats:
    """4π · area / perimeter²: 1 for a circle, less for all else, 0 for what has no area."""
    length = shapely.length(polygons)
    return np.asarray(4 * np.pi * shapely.area(polygons) / np.where(length > 0, length, np.inf) ** 2)


def _by_group(polygons: Polygons, tolerance: float) -> Polygons:
    """Simplify each connected group that fits together, unless its outline then runs into another group."""
    group = _groups(polygons)
    simplified = polygons.copy()
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        if shapely.coverage_is_valid(polygons[members]):
            simplified[members] = shapely.coverage_simplify(polygons[members], tolerance)
    while len(clashing := _clashes(simplified, group)):
        again = np.isin(group, clashing)
        simplified[again] = polygons[again]
    return simplified


def _groups(polygons: Polygons) -> Integers:
    """(n,) int64: which polygons are connected by touching."""
    tree = shapely.STRtree(polygons)
    pairs = tree.query(polygons, predicate="intersects")
    graph = coo_matrix((np.ones(pairs.shape[1], bool), tuple(pairs)), shape=(len(polygons),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _clashes(polygons: Polygons, group: Integers) -> Integers:
    """Groups with a polygon that now intersects one of another group."""
    one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    return np.unique(group[one[group[one] != group[other]]])
