"""The pixel plane of a raster: its shape and where on the ground it lies. It has no pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import pyproj
from affine import Affine
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.control import GroundControlPoint

from geoseg.core.window import Window, whole
from geoseg.errors import SceneError

COARSEST = 6  # times the wanted pixel size; beyond it there is nothing to resample


@dataclass(frozen=True, slots=True, eq=False)
class GeoBox:
    """A georeferenced pixel plane.

    Attributes:
        shape: (height, width) in pixels.
        transform: pixel (col, row) to map (x, y); (0, 0) is the outer corner of the first pixel.
        crs: `rasterio.crs.CRS` of the map coordinates, None when unknown.
        gcps: ground control points (`rasterio.control.GroundControlPoint`) of an unrectified raster.
    """

    shape: tuple[int, int]
    transform: Affine
    crs: Any = None
    gcps: tuple[Any, ...] = ()

    @property
    def georeferenced(self) -> bool:
        """True when pixels have map coordinates, by a transform or by control points."""
        return bool(self.gcps) or not self.transform.is_identity

    def require_transform(self, what: str) -> None:
        """Refuse `what` needs map coordinates of pixels, when there are only control points.

        Raises:
            SceneError: then.
        """
        if self.gcps:
            raise SceneError(
                f"{what} needs a rectified scene, this one has only {len(self.gcps)} ground control points; "
                "rectify it first, e.g. with gdalwarp"
            )

    def window(self, window: Window) -> GeoBox:
        """The part of the plane under a window; control points move along."""
        moved = self.transform * Affine.translation(window.col, window.row)
        shifted = tuple(_shift(point, window) for point in self.gcps)
        return replace(
            self, shape=window.shape, transform=moved if not self.gcps else self.transform, gcps=shifted
        )

    def zoom_to(self, shape: tuple[int, int]) -> GeoBox:
        """The same ground with other pixels: outer corners stay exactly where they are."""
        scale = Affine.scale(self.shape[1] / shape[1], self.shape[0] / shape[0])
        return replace(self, shape=shape, transform=self.transform * scale)

    def pixel_size_m(self) -> tuple[float, float] | None:
        """Height and width of the pixel at the centre, in true ground metres; None when unknown.

        Lengths are geodesic on the CRS's own ellipsoid, so they are right in degrees, in feet, in Web
        Mercator at any latitude, and on other planets.
        """
        if self.crs is None or self.gcps:
            return None
        try:
            ground = _ground(self.crs.to_wkt())
            if ground is None:
                return None
            geod, to_degrees = ground
            row, col = self.shape[0] / 2, self.shape[1] / 2
            corners = [(col, row - 0.5), (col, row + 0.5), (col - 0.5, row), (col + 0.5, row)]
            points = [self.transform * corner for corner in corners]
            lon, lat = to_degrees.transform([x for x, _ in points], [y for _, y in points], errcheck=True)
            _, _, metres = geod.inv([lon[0], lon[2]], [lat[0], lat[2]], [lon[1], lon[3]], [lat[1], lat[3]])
        except ProjError:
            return None
        return (metres[0], metres[1]) if all(0 < m < math.inf for m in metres) else None

    def side_m(self) -> float | None:
        """The side of a square of the ground area of the pixel at the centre, metres; None when unknown."""
        size = self.pixel_size_m()
        return None if size is None else math.sqrt(size[0] * size[1])

    def window_of(self, bounds: tuple[float, float, float, float]) -> Window:
        """The whole pixels that touch map `bounds` (left, bottom, right, top), clipped to the plane.

        Raises:
            SceneError: when they do not meet.
        """
        self.require_transform("a box")
        left, bottom, right, top = bounds
        if not all(map(math.isfinite, bounds)):
            raise SceneError(f"bounds are four finite numbers, got {left} {bottom} {right} {top}; mend them")
        to_pixel = ~self.transform
        cols, rows = zip(*(to_pixel * (x, y) for x in (left, right) for y in (bottom, top)), strict=True)
        row, col = _floor(min(rows)), _floor(min(cols))
        window = Window(row, col, -_floor(-max(rows)) - row, -_floor(-max(cols)) - col).clip(self.shape)
        if window.empty:
            raise SceneError(
                f"bounds {left} {bottom} {right} {top} lie outside the scene; "
                "give left bottom right top in its CRS"
            )
        return window

    def whole(self) -> Window:
        """The window of all pixels."""
        return whole(self.shape)


@lru_cache(maxsize=64)
def _ground(wkt: str) -> tuple[pyproj.Geod, Transformer] | None:
    """The ellipsoid of a CRS and the way to its degrees; None of one that is not of a planet's."""
    crs = pyproj.CRS.from_wkt(wkt)
    geod, geodetic = crs.get_geod(), crs.geodetic_crs
    if geod is None or geodetic is None:
        return None
    return geod, Transformer.from_crs(crs, geodetic, always_xy=True)


def _floor(value: float) -> int:
    """Floor that forgives a millionth of a pixel, so that bounds on pixel edges stay there."""
    return math.floor(value + 1e-6)


def _shift(point: Any, window: Window) -> GroundControlPoint:
    row, col = point.row - window.row, point.col - window.col
    return GroundControlPoint(row, col, point.x, point.y, point.z, point.id, point.info)


def resampled(box: GeoBox, sizes_m: tuple[float, float], tolerance: float = 1.2) -> GeoBox:
    """The plane with pixels that a model was trained for, or `box` itself when they are near enough.

    Pixels are made square on the ground, of the nearest size in the trained range. Nothing changes
    while both sides of the pixel are within `tolerance` of that.

    Args:
        box: the scene's plane; left alone when its pixel size is unknown.
        sizes_m: smallest and largest wanted pixel size, metres.
        tolerance: largest ratio that is left alone.

    Raises:
        SceneError: when the scene is so coarse that resampling would invent most of it.
    """
    native = box.pixel_size_m()
    if native is None:
        return box
    mean = math.sqrt(native[0] * native[1])
    wanted = min(max(mean, sizes_m[0]), sizes_m[1])
    if mean > COARSEST * wanted:
        raise SceneError(
            f"pixels of {mean:.3g} m are too coarse for a model trained at "
            f"{sizes_m[0]:g} to {sizes_m[1]:g} m; "
            "give a finer scene, or --res native to run on its pixels as they are"
        )
    if all(1 / tolerance <= size / wanted <= tolerance for size in native):
        return box
    height, width = (max(1, round(n * size / wanted)) for n, size in zip(box.shape, native, strict=True))
    return box.zoom_to((height, width))


def geobox_of(dataset: Any) -> GeoBox:
    """The pixel plane of an open rasterio dataset, as its file tells it."""
    points, crs = dataset.gcps
    transform = Affine(*dataset.transform[:6])
    if points and transform.is_identity:
        return GeoBox(dataset.shape, transform, crs, tuple(points))
    return GeoBox(dataset.shape, transform, dataset.crs)
