"""Polygons outside which a scene is not looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox


def read_cutline(path: Path, box: GeoBox) -> tuple[dict[str, Any], ...]:
    """The polygons of a vector file as GeoJSON-like geometries in the CRS of a pixel plane, if it has one.

    Raises:
        SceneError: when the file cannot be read or holds no polygon.
    """
    import geopandas

    box.require_transform("a cutline")
    with translated(SceneError, f"cannot read the cutline {path}", "give a vector file of polygons"):
        frame = geopandas.read_file(path)
    if frame.crs is not None and box.crs is not None:
        frame = frame.to_crs(box.crs.to_wkt())
    shapes = [shape for shape in frame.geometry if shape is not None and shape.area > 0]
    if not shapes:
        raise SceneError(f"the cutline {path} holds no polygon; give a file with at least one")
    return tuple(shape.__geo_interface__ for shape in shapes)
