"""Where on Earth a raster lies, for the map of what a batch has covered."""

from __future__ import annotations

from pathlib import Path

import pyproj
from pyproj.exceptions import ProjError

from geoseg.errors import GeosegError, SceneError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import geobox_of

DECIMALS = 7


def footprint(raster: str | Path) -> list[list[float]] | None:
    """(longitude, latitude) of a raster's corners, the first again at the end.

    Returns:
        None when it has no place on Earth, or cannot be opened.
    """
    try:
        with translated(SceneError, f"cannot open {raster}", ""), open_raster(raster) as dataset:
            box = geobox_of(dataset)
        if box.crs is None or box.gcps:
            return None
        height, width = box.shape
        corners = (0, 0), (0, height), (width, height), (width, 0), (0, 0)
        ring = [box.transform * corner for corner in corners]
        to_degrees = pyproj.Transformer.from_crs(box.crs.to_wkt(), "OGC:CRS84", always_xy=True)
        lon, lat = to_degrees.transform([x for x, _ in ring], [y for _, y in ring], errcheck=True)
    except (GeosegError, ProjError):
        return None
    return [[round(x, DECIMALS), round(y, DECIMALS)] for x, y in zip(lon, lat, strict=True)]
