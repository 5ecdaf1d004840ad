"""Degrees of rasters that reach beyond 180°, for GeoJSON, which does not.

GDAL cuts what it reprojects; coordinates that are degrees already it takes as they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray


def in_degrees(wkt: str | None) -> bool:
    """Whether the coordinates of a CRS are longitudes and latitudes in degrees."""
    if wkt is None:
        return False
    crs = pyproj.CRS.from_user_input(wkt)
    return crs.is_geographic and crs.axis_info[0].unit_name == "degree"


def wrapped(geometry: NDArray[Any]) -> NDArray[Any]:
    """(n,) polygons with longitudes from -180 to 180, cut where they pass over the antimeridian."""
    bounds = shapely.bounds(geometry).reshape(-1, 4)
    outside = np.flatnonzero((bounds[:, 0] < -180) | (bounds[:, 2] > 180))
    if not len(outside):
        return geometry
    within = geometry.copy()
    for k in outside:
        within[k] = _wrapped(geometry[k], *bounds[k, [0, 2]])
    return within


def _wrapped(shape: Any, west: float, east: float) -> Any:
    parts = []
    for turn in range(math.floor((west + 180) / 360), math.ceil((east + 180) / 360)):
        world = shapely.box(360 * turn - 180, -180, 360 * turn + 180, 180)
        piece = shapely.get_parts(shapely.intersection(shape, world))
        piece = piece[shapely.area(piece) > 0]
        parts.extend(shapely.transform(piece, lambda xy, east=360 * turn: xy - [east, 0]))
    return shapely.orient_polygons(parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts))
