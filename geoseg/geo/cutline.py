"""Polygons outside which a scene is not looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.errors import SceneError
from geoseg.geo.aligned import reprojected
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.reach_vectors import read_frame


def read_cutline(path: Path, box: GeoBox) -> tuple[dict[str, Any], ...]:
    """The polygons of a vector file as GeoJSON-like geometries in the CRS of a pixel plane, if it has one.

    Raises:
        SceneError: when the file cannot be read or holds no polygon.
    """
    box.require_transform("a cutline")
    with translated(SceneError, f"cannot read the cutline {path}", "give a vector file of polygons"):
        frame = reprojected(read_frame(path), box.crs)
    shapes = [shape for shape in frame.geometry if shape is not None and shape.area > 0]
    if not shapes:
        raise SceneError(f"the cutline {path} holds no polygon; give a file with at least one")
    return tuple(shape.__geo_interface__ for shape in shapes)
