"""True lengths, areas and directions on the ground, for map coordinates of any CRS.

A small shape is measured in the tangent plane at its middle, whose axes point east and north. A shape
over `LARGE_M` is measured by geodesics on the ellipsoid. Both are within 0.1 % of the geodesic truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.geo.geobox import GeoBox
from geoseg.vector.ground_datum import Floats, datum_of, find_datum, tangents

Polygons = NDArray[Any]

LARGE_M = 1000.0  # beyond it the scale of Web Mercator changes by 0.1 % within a shape, at 80° N
EDGE_M = 10_000.0  # a straight edge of this length and its geodesic enclose 4e-7 of a square's area
ROUND = 0.2  # concentration of edge directions below which a shape, a circle say, has none


@dataclass(frozen=True, slots=True)
class Measures:
    """Sizes of n polygons.

    Attributes:
        area: (n,) square metres, holes taken off.
        perimeter: (n,) metres, holes included.
        orientation: (n,) azimuth of the longer side, degrees clockwise from true north, 0 … 180; NaN for
            shapes without a main direction.
    """

    area: Floats
    perimeter: Floats
    orientation: Floats


class _Corners(NamedTuple):
    """The corners (m, 2) of polygons, with the number of their ring and of their polygon."""

    xy: Floats
    ring: NDArray[np.int64]
    owner: NDArray[np.int64]


def has_ground(crs: Any) -> bool:
    """Whether coordinates in `crs` (rasterio's, pyproj's, WKT or None) can be measured in metres."""
    return find_datum(crs) is not None


def jacobians(box: GeoBox, cols: Floats, rows: Floats) -> tuple[Floats, bool]:
    """How ground metres follow pixels, at points of a raster.

    Args:
        box: the raster's pixel plane; control points are ignored.
        cols: (n,) pixel x.
        rows: (n,) pixel y.

    Returns:
        (n, 2, 2) of d(metres east, metres north) / d(col, row), and True. For a raster whose CRS is
        unknown or not tied to the Earth: d(pixels right, pixels up) / d(col, row), and False.
    """
    if not has_ground(box.crs):
        return np.tile(np.array([[1.0, 0.0], [0.0, -1.0]]), (len(cols), 1, 1)), False
    a, b, c, d, e, f = tuple(box.transform)[:6]
    linear = np.array([[a, b], [d, e]])
    return tangents(a * cols + b * rows + c, d * cols + e * rows + f, box.crs) @ linear, True


def measure(polygons: Polygons, crs: Any) -> Measures:
    """Areas, perimeters and orientations on the ground.

    Args:
        polygons: (n,) shapely Polygons or MultiPolygons in map coordinates, empty ones allowed. Edges
            are straight in the CRS.
        crs: of the map; None, or one without a place on Earth, measures in its own plain units.

    Raises:
        SceneError: when a polygon is outside the domain of the CRS.
    """
    present = ~shapely.is_empty(polygons)
    sizes = np.full((3, len(polygons)), [[0.0], [0.0], [np.nan]])
    if present.any():
        sizes[:, present] = _measured(polygons[present], crs)
    return Measures(*sizes)


def _measured(polygons: Polygons, crs: Any) -> tuple[Floats, Floats, Floats]:
    """Areas, perimeters and orientations of polygons that are not empty."""
    bounds = shapely.bounds(polygons)
    middle, sides = (bounds[:, :2] + bounds[:, 2:]) / 2, bounds[:, 2:] - bounds[:, :2]
    planar = not has_ground(crs)
    frame = np.tile(np.eye(2), (len(middle), 1, 1)) if planar else tangents(middle[:, 0], middle[:, 1], crs)
    area: Floats = shapely.area(polygons) * np.abs(np.linalg.det(frame))
    corners = _corners(polygons)
    plane = np.einsum("nij,nj->ni", frame[corners.owner], corners.xy - middle[corners.owner])
    perimeter, azimuth = _perimeters(corners._replace(xy=plane))
    orientation = _longer_sides(corners._replace(xy=plane), azimuth)
    large = (np.abs(frame) @ sides[..., None]).max((1, 2)) > LARGE_M
    if large.any() and not planar:
        area[large], perimeter[large] = _geodesic(polygons[large], crs)
    return area, perimeter, orientation


def areas_m2(polygons: Polygons, crs: Any) -> Floats:
    """(n,) ground areas, square metres; see `measure`."""
    return measure(polygons, crs).area


def perimeters_m(polygons: Polygons, crs: Any) -> Floats:
    """(n,) ground perimeters with those of holes, metres; see `measure`."""
    return measure(polygons, crs).perimeter


def _perimeters(corners: _Corners) -> tuple[Floats, Floats]:
    """Perimeters, and the azimuth modulo 90° of most edge length, radians; NaN where there is none."""
    inner = corners.ring[1:] == corners.ring[:-1]
    edges, owner = np.diff(corners.xy, axis=0)[inner], corners.owner[1:][inner]
    length = np.hypot(edges[:, 0], edges[:, 1])
    # four times their azimuth is the same for all four sides of a rectangle
    turned = length * np.exp(4j * np.arctan2(edges[:, 0], edges[:, 1]))
    perimeter = np.bincount(owner, length).astype(np.float64)
    mean = np.bincount(owner, turned.real) + 1j * np.bincount(owner, turned.imag)
    return perimeter, np.where(np.abs(mean) < ROUND * perimeter, np.nan, np.angle(mean) / 4)


def _longer_sides(corners: _Corners, azimuth: Floats) -> Floats:
    """Of two directions at right angles the one in which a polygon is longer, degrees 0 … 180."""
    sine, cosine = np.sin(azimuth)[corners.owner], np.cos(azimuth)[corners.owner]
    east, north = corners.xy.T
    along = _spans(east * sine + north * cosine, corners.owner)
    across = _spans(east * cosine - north * sine, corners.owner)
    degrees: Floats = (np.degrees(azimuth) + 90 * (across > along)) % 180
    return degrees


def _spans(values: Floats, owner: NDArray[np.int64]) -> Floats:
    """Largest minus smallest value of each owner; owners are 0, 1, 2 … in order, none missing."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    spans: Floats = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    return spans


def _corners(polygons: Polygons, longest: float | None = None) -> _Corners:
    """The corners of polygons; more along edges over `longest` map units."""
    parts, part_owner = shapely.get_parts(polygons, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    if longest is not None:  # of polygons GEOS would repair the densified area, at length
        rings = shapely.segmentize(rings, longest)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    return _Corners(xy, ring, part_owner[ring_part][ring])


def _geodesic(polygons: Polygons, crs: Any) -> tuple[Floats, Floats]:
    """Areas and perimeters along geodesics between the points of densified edges."""
    datum = datum_of(crs)
    xy, ring, owner = _corners(polygons, EDGE_M * datum.metre)
    lon, lat = map(np.degrees, datum.radians(xy[:, 0], xy[:, 1]))
    area, perimeter = np.zeros(len(polygons)), np.zeros(len(polygons))
    ends = np.append(np.flatnonzero(np.diff(ring, prepend=-1)), len(ring))
    for start, stop, sign in zip(ends[:-1], ends[1:], _signs(polygons), strict=True):
        size, around = datum.geod.polygon_area_perimeter(lon[start:stop], lat[start:stop])
        area[owner[start]] += sign * abs(size)
        perimeter[owner[start]] += around
    return area, perimeter


def _signs(polygons: Polygons) -> NDArray[np.int64]:
    """For every ring in order: 1 for a shell, the first ring of its part, and -1 for a hole."""
    _, part = shapely.get_rings(shapely.get_parts(polygons), return_index=True)
    return np.where(np.diff(part, prepend=-1) > 0, 1, -1)
