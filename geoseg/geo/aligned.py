"""Rasters, polygons and points on the pixel plane of another raster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT

from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.reach_vectors import read_frame

SAME_PX = 0.01  # corners as near as this are the same
TOLERANCE_PX = 0.01  # of GDAL's approximation of a reprojection; its own default is an eighth of a pixel
FINEST_M = 0.3  # pixels of a plane for vectors alone, as long as it is not wider than
WIDEST = 2**15  # pixels
FILE_REMEDY = "give a vector file that GDAL can read"

Geometries = NDArray[Any]


def plane_of(dataset: Any) -> GeoBox:
    """The pixel plane of a raster; without a CRS where control points are all there is."""
    transform = Affine(*dataset.transform[:6])
    unrectified = bool(dataset.gcps[0]) and transform.is_identity
    return GeoBox(dataset.shape, transform, None if unrectified else dataset.crs)


@contextmanager
def on_plane(dataset: Any, box: GeoBox, fill: float | None = None) -> Iterator[Any]:
    """A view of a raster on another pixel plane: for each pixel the one in which its centre lies.

    A raster without georeference may have the
    plane's shape, and is then taken pixel by pixel.

    Args:
        dataset: an open rasterio dataset.
        box: the plane.
        fill: what lies outside the raster; None for an alpha band that masks it.

    Yields:
        The dataset itself, when it has this plane already, or a `rasterio.vrt.WarpedVRT`.

    Raises:
        SceneError: when only one of them says where it lies and their shapes differ.
    """
    own = plane_of(dataset)
    if own.shape == box.shape and _same_place(own, box):
        yield dataset
        return
    if own.crs is None or box.crs is None:
        raise SceneError(
            f"{Path(dataset.name).name}: no CRS on one side, and {_px(own.shape)} px are not the "
            f"{_px(box.shape)} px of the other or lie elsewhere; give it a CRS with gdal_edit.py -a_srs"
        )
    alpha = ColorInterp.alpha in dataset.colorinterp
    if alpha and fill is not None:
        raise SceneError(
            f"{dataset.name}: GDAL takes one of its bands for an alpha band and would mask by it; "
            "compare its class mask instead"
        )
    what = f"{dataset.name}: cannot be brought onto the other's grid"
    with translated(SceneError, what, "do they lie on the same ground?"):
        view = WarpedVRT(
            dataset, crs=box.crs, transform=box.transform, height=box.shape[0], width=box.shape[1],
            resampling=Resampling.nearest, tolerance=TOLERANCE_PX, src_nodata=fill, nodata=fill,
            add_alpha=fill is None and not alpha,
        )  # fmt: skip
    with view:
        yield view


def _same_place(own: GeoBox, box: GeoBox) -> bool:
    if not (own.georeferenced and box.georeferenced):
        return True
    if own.crs is not None and box.crs is not None and own.crs != box.crs:
        return False
    height, width = box.shape
    moved = ~box.transform * own.transform
    corners = [(0, 0), (width, 0), (0, height), (width, height)]
    return all(np.hypot(*np.subtract(moved * corner, corner)) < SAME_PX for corner in corners)


def read_vector(path: Path) -> Any:
    """A vector file as a `geopandas.GeoDataFrame`, without features that have no geometry.

    Raises:
        SceneError: when it cannot be read.
    """
    with translated(SceneError, f"cannot read {path}", FILE_REMEDY):
        frame = read_frame(path)
    return frame[~(frame.geometry.isna() | frame.geometry.is_empty)].reset_index(drop=True)


def reprojected(frame: Any, crs: Any) -> Any:
    """A GeoDataFrame in a CRS of rasterio's; as it is when either has none.

    Raises:
        ValueError: when a point lies outside the domain of the CRS, or is no number.
    """
    placed = frame if frame.crs is None or crs is None else frame.to_crs(crs.to_wkt())
    if not np.isfinite(shapely.get_coordinates(placed.geometry.to_numpy())).all():
        raise ValueError("some of its points have no place in the CRS")
    return placed


def to_plane(frame: Any, box: GeoBox, path: Path) -> Geometries:
    """(n,) geometries of a GeoDataFrame in pixel (col, row) coordinates of a plane.

    Raises:
        SceneError: when only one of them has a CRS, or none lies near the plane.
    """
    if (frame.crs is None) != (box.crs is None):
        raise SceneError(
            f"{path}: no CRS on one side: {'the vector file' if frame.crs is None else 'the raster'} has "
            "none; give it one with ogr2ogr or gdal_edit.py -a_srs"
        )
    if not len(frame):
        return np.empty(0, object)
    with translated(SceneError, f"{path}: cannot be reprojected", "does it lie in the domain of the CRS?"):
        placed = reprojected(frame, box.crs)
    shapes = moved(placed.geometry.to_numpy(), ~box.transform)
    left, top, right, bottom = shapely.total_bounds(shapes)
    if not (left < box.shape[1] and right > 0 and top < box.shape[0] and bottom > 0):
        raise SceneError(f"{path}: no overlap: nothing in it lies on the grid; are both of the same place?")
    return shapes


def moved(shapes: Geometries, transform: Affine) -> Geometries:
    """Geometries with their points put through an affine transform; heights are dropped."""
    a, b, c, d, e, f = tuple(transform)[:6]
    linear, shift = np.array([[a, d], [b, e]]), np.array([c, f])
    return np.asarray(shapely.transform(shapes, lambda points: points @ linear + shift))


def burn(
    shapes: Geometries, values: NDArray[np.uint8], shape: tuple[int, int], rows: int
) -> Iterator[NDArray[np.uint8]]:
    """Strips of a raster of polygons; a pixel belongs to the last polygon that holds its centre.

    Args:
        shapes: (n,) polygons in pixel coordinates.
        values: (n,) what to burn; 0 elsewhere.
        shape: (height, width) of the raster.
        rows: height of a strip; the last may be lower.
    """
    tree = shapely.STRtree(shapes)
    for row in range(0, shape[0], rows):
        height = min(rows, shape[0] - row)
        near = np.sort(tree.query(shapely.box(0, row, shape[1], row + height)))
        strip = np.zeros((height, shape[1]), np.uint8)
        if len(near):
            pairs = zip(shapes[near], values[near].tolist(), strict=True)
            rasterize(pairs, out=strip, transform=Affine.translation(0, row))
        yield strip


def plane_over(frame: Any, pixel_m: float | None, path: Path) -> GeoBox:
    """A plane over all features of a GeoDataFrame, with pixels that are square on the ground.

    Args:
        frame: not empty.
        pixel_m: side of a pixel, metres (map units without a CRS on Earth); None for 0.3 m, or as much more
            as keeps the plane below 32768 px.
        path: named in errors.

    Raises:
        SceneError: when the frame is empty, or has no ground to measure and no pixel size was given.
    """
    if not len(frame):
        raise SceneError(f"{path}: it holds no features, so there is no grid to compare on")
    left, bottom, right, top = frame.total_bounds
    crs = _rasterio_crs(frame)
    # the size on the ground of the pixels of any plane tells the size that they should have
    trial = GeoBox((1000, 1000), Affine((right - left) / 1000, 0, left, 0, (bottom - top) / 1000, top), crs)
    ground = trial.pixel_size_m()
    if ground is None and pixel_m is None:
        raise SceneError(f"{path}: it has no ground to measure; say the pixel size of the grid with --res")
    height_m, width_m = (1000 * size for size in ground) if ground else (top - bottom, right - left)
    side = pixel_m or max(FINEST_M, max(height_m, width_m) / WIDEST)
    height, width = (max(1, -int(-size // side)) for size in (height_m, width_m))
    step_x, step_y = (right - left) * side / width_m, (top - bottom) * side / height_m
    return GeoBox((height, width), Affine(step_x, 0, left, 0, -step_y, top), crs)


def _rasterio_crs(frame: Any) -> Any:
    from rasterio.crs import CRS

    return None if frame.crs is None else CRS.from_wkt(frame.crs.to_wkt())


def _px(shape: tuple[int, int]) -> str:
    return f"{shape[0]} × {shape[1]}"
