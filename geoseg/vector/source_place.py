"""Where the pixels of a raster to vectorize lie: always a plane with a transform."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from affine import Affine
from rasterio.transform import from_gcps

from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox

log = logging.getLogger(__name__)

RECTIFY = "rectify the raster with gdalwarp first"
FINEST = 1e-12  # of the largest coordinate; float64 has 1e-16
STRAY = 0.5  # pixels that control points may be off a plane


def placed(box: GeoBox, name: str) -> GeoBox:
    """A pixel plane with a transform, fitted to control points where they are all there is.

    Args:
        box: the raster's.
        name: of the raster, for errors and a warning when it has no CRS.

    Raises:
        SceneError: when pixels have no size, or control points do not lie on a plane.
    """
    transform = box.transform
    if box.gcps:
        with translated(SceneError, f"{name}: its control points give no place", RECTIFY):
            transform = from_gcps(box.gcps)
    if not _sized(transform, box.shape):
        raise SceneError(
            f"{name}: its pixels have no size on the map; see gdalinfo, set it with gdal_edit.py"
        )
    if box.gcps and (stray := _stray(box.gcps, ~transform)) > STRAY:
        raise SceneError(f"{name}: its control points are {stray:.1f} px off a plane; {RECTIFY}")
    if box.crs is None:
        log.warning("%s has no CRS: sizes of polygons are in pixels", name)
    return replace(box, transform=transform, gcps=())


def _sized(transform: Affine, shape: tuple[int, int]) -> bool:
    """Whether pixels have a size, and one that map coordinates are exact enough to show."""
    height, width = shape
    corners = [transform * (col, row) for col in (0, width) for row in (0, height)]
    farthest = max(abs(value) for corner in corners for value in corner)
    longest = max(math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e))
    if not (math.isfinite(farthest) and math.isfinite(longest)):
        return False
    thickness = abs(transform.determinant) / longest if longest else 0.0
    return thickness > FINEST * farthest


def _stray(points: Sequence[Any], to_pixel: Affine) -> float:
    """The largest distance of a control point from where a transform puts it, pixels."""
    places = [to_pixel * (point.x, point.y) for point in points]
    return max(math.hypot(c - p.col, r - p.row) for (c, r), p in zip(places, points, strict=True))
