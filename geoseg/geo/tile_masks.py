"""Class masks as the Web Mercator map sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geoseg.core.mask import NODATA
from geoseg.errors import SceneError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import GeoBox, geobox_of
from geoseg.geo.reach import open_input
from geoseg.geo.tile_grid import CRS, DEEPEST, HALF, Bounds, TileRange, latitude, metres, pixel_m

SIZE = 256  # pixels of a tile each way
EDGE = latitude(HALF)  # of the map in the north and south, degrees

Classes = NDArray[np.uint8]
Color = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class PlacedMask:
    """A class mask and where it lies.

    Attributes:
        path: the raster.
        boxes: around it, metres of EPSG:3857; two when it passes over the antimeridian.
        pixel_m: side of its pixels on the ground, metres.
        colors: its colour table, (r, g, b, a) by class.
        overviews: by how much its overviews are reduced, e.g. (2, 4, 8).
        tags: what else it says of itself.
    """

    path: Path
    boxes: tuple[Bounds, ...]
    pixel_m: float
    colors: Mapping[int, Color]
    overviews: tuple[int, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def meets(self, box: Bounds) -> bool:
        """Whether it may have pixels in a box of metres of EPSG:3857."""
        left, bottom, right, top = box
        return any(w < right and left < e and s < top and bottom < n for w, s, e, n in self.boxes)

    @property
    def zoom(self) -> int:
        """The zoom whose pixels are nearest to its own in size."""
        _, south, _, north = self.boxes[0]
        coarsest = pixel_m(0, SIZE, (south + north) / 2)
        return min(max(round(math.log2(coarsest / self.pixel_m)), 0), DEEPEST)


def place_mask(path: Path) -> PlacedMask:
    """Find out where a class mask lies.

    Args:
        path: a raster of one byte a pixel with a colour table, as `geoseg predict` writes it.

    Raises:
        SceneError: when it is none, or its place on the Earth is not known.
    """
    with _reading(path), open_input(path) as dataset:
        if dataset.count != 1 or dataset.dtypes[0] != "uint8":
            raise SceneError(
                f"{path}: a class mask has one band of bytes, got {dataset.count} of {dataset.dtypes[0]}; "
                "give a mask of geoseg predict"
            )
        if dataset.colorinterp[0].name != "palette":
            raise SceneError(
                f"{path}: it has no colour table, which says how classes look; give a mask of geoseg predict"
            )
        box, tags = geobox_of(dataset), dataset.tags()
        box.require_transform("a map")
        colors, overviews = dataset.colormap(1), tuple(dataset.overviews(1))
    side = box.side_m()
    if side is None:
        raise SceneError(f"{path}: its place on the Earth is unknown; give it a CRS with gdal_edit.py -a_srs")
    return PlacedMask(path, _boxes(path, box), side, colors, overviews, tags)


def _boxes(path: Path, box: GeoBox) -> tuple[Bounds, ...]:
    """Around a pixel plane on the map."""
    (height, width), to_map = box.shape, box.transform
    xs, ys = zip(*(to_map * (col, row) for col in (0, width) for row in (0, height)), strict=True)
    to_degrees = pyproj.Transformer.from_crs(box.crs.to_wkt(), "EPSG:4326", always_xy=True)
    with translated(SceneError, f"{path}: it lies off the map", "give another"):
        try:
            west, south, east, north = to_degrees.transform_bounds(
                min(xs), min(ys), max(xs), max(ys), densify_pts=21, errcheck=True
            )
        except ProjError as error:
            raise ValueError(str(error)) from error
    sides = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    found = [_on_map((low, south, high, north)) for low, high in sides]
    if not all(left < right and bottom < top for left, bottom, right, top in found):
        raise SceneError(f"{path}: it lies off the map, which ends at {EDGE:.2f}° north; leave it out")
    return tuple(found)


def _on_map(bounds: Bounds) -> Bounds:
    """Degrees, perhaps beyond 180°, as metres of EPSG:3857."""
    west, south, east, north = bounds
    return metres((max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)))


def read_masks(masks: Iterable[PlacedMask], tile: TileRange, size: int) -> Classes:
    """Read what masks say of a tile.

    Args:
        masks: where they overlap, later ones lie on top.
        tile: a single tile.
        size: pixels to read it with, each way.

    Returns:
        (size, size) uint8: the class nearest to each pixel's centre, 255 where there is no data.
    """
    pixels = np.full((size, size), NODATA, np.uint8)
    for mask in masks:
        found = _warped(mask, tile, size)
        np.copyto(pixels, found, where=found != NODATA)
    return pixels


def _warped(mask: PlacedMask, tile: TileRange, size: int) -> Classes:
    _, south, _, north = tile.bounds
    ratio = pixel_m(tile.zoom, size, (south + north) / 2) / mask.pixel_m
    with (
        _reading(mask.path),
        open_raster(mask.path, **_coarse_enough(mask.overviews, ratio)) as dataset,
        WarpedVRT(
            dataset, crs=CRS, transform=tile.transform(size), width=size, height=size,
            resampling=Resampling.nearest, nodata=NODATA,
        ) as view,
    ):  # fmt: skip
        pixels: Classes = view.read(1)
    return pixels


def _coarse_enough(overviews: Sequence[int], ratio: float) -> dict[str, Any]:
    """How to open a raster by its coarsest overview that is not coarser than what is wanted of it."""
    fine = [level for level, factor in enumerate(overviews) if factor <= ratio * 1.01]
    return {"overview_level": fine[-1]} if fine else {}


def _reading(path: Path) -> AbstractContextManager[None]:
    return translated(SceneError, f"cannot read the mask {path}", "give one that GDAL can read")
