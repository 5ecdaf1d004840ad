"""From map coordinates of any CRS to its own ellipsoid, and to tangent planes there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from geoseg.errors import SceneError

Floats = NDArray[np.float64]

STEP_M = 10.0  # of the differences that give a tangent plane: short of curvature, long of rounding


@dataclass(frozen=True, slots=True, eq=False)
class Datum:
    """What leads from a CRS to its own ellipsoid.

    Attributes:
        name: of the CRS.
        geod: the ellipsoid.
        to_geodetic: map to longitude and latitude.
        unit: of those, radians.
        metre: about this many map units are a metre.
    """

    name: str
    geod: pyproj.Geod
    to_geodetic: pyproj.Transformer
    unit: float
    metre: float

    def radians(self, xs: Floats, ys: Floats) -> tuple[Floats, Floats]:
        """Longitude and latitude, radians.

        Raises:
            SceneError: when a point is outside the domain of the CRS.
        """
        lon, lat = self.to_geodetic.transform(xs, ys)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise SceneError(
                f"coordinates such as {xs[0]:g}, {ys[0]:g} lie outside the domain of {self.name}; "
                "is it the raster's true CRS? see gdalinfo"
            )
        return np.asarray(lon) * self.unit, np.asarray(lat) * self.unit


def find_datum(crs: Any) -> Datum | None:
    """The datum of a CRS (rasterio's, pyproj's or WKT); None for local and engineering ones, and for None."""
    return None if crs is None else _datum(crs if isinstance(crs, str) else crs.to_wkt())


def datum_of(crs: Any) -> Datum:
    """The datum of a CRS that has one.

    Raises:
        SceneError: when it has none.
    """
    datum = find_datum(crs)
    if datum is None:
        raise SceneError("the CRS has no place on Earth, so nothing can be measured; give the raster another")
    return datum


@lru_cache(maxsize=16)
def _datum(wkt: str) -> Datum | None:
    crs = pyproj.CRS.from_user_input(wkt)
    geod, geodetic = crs.get_geod(), crs.geodetic_crs
    if geod is None or geodetic is None or crs.is_geocentric:
        return None
    radians = geodetic.axis_info[0].unit_conversion_factor
    metres = radians * geod.a if crs.is_geographic else crs.axis_info[0].unit_conversion_factor
    to_geodetic = pyproj.Transformer.from_crs(crs, geodetic, always_xy=True)
    return Datum(crs.name, geod, to_geodetic, radians, 1 / metres)


def tangents(xs: Floats, ys: Floats, crs: Any) -> Floats:
    """(n, 2, 2) of d(metres east, metres north) / d(x, y) at map points, by differences in space.

    Earth-centred coordinates have neither an antimeridian nor poles, so nothing is special there.
    """
    datum = datum_of(crs)
    h = STEP_M * datum.metre
    around_x, around_y = (xs, xs + h, xs - h, xs, xs), (ys, ys, ys, ys + h, ys - h)
    lon, lat = datum.radians(np.concatenate(around_x), np.concatenate(around_y))
    space = _geocentric(lon, lat, datum.geod).reshape(3, 5, -1)
    along = np.stack([space[:, 1] - space[:, 2], space[:, 3] - space[:, 4]], -1) / (2 * h)
    lon, lat = lon[: len(xs)], lat[: len(xs)]
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)])
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)])
    frame: Floats = np.einsum("ajn,jnk->nak", np.stack([east, north]), along)
    return frame


def _geocentric(lon: Floats, lat: Floats, geod: pyproj.Geod) -> Floats:
    """(3, n) Earth-centred metres of points on the ellipsoid."""
    normal = geod.a / np.sqrt(1 - geod.es * np.sin(lat) ** 2)
    flat = normal * np.cos(lat)
    return np.stack([flat * np.cos(lon), flat * np.sin(lon), normal * (1 - geod.es) * np.sin(lat)])
