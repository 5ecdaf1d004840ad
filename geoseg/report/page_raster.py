"""Small views of large rasters, read through their overviews or in pieces: memory does not grow with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RioWindow

from geoseg.core.mask import NODATA, TOP
from geoseg.core.planes import interleave
from geoseg.errors import SceneError
from geoseg.evaluation.sides import UNKNOWN, MaskSide, ProbabilitySide
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox, geobox_of
from geoseg.geo.raster import Raster
from geoseg.geo.reach import open_input
from geoseg.geo.scene import open_scene

LONGEST, LARGEST = 4096, 9_000_000  # pixels of the longer side of a preview, and of all of it
ROWS = 256  # read at a time
SAME = 1e-3  # of a pixel's side
EVERY = 4  # probability codes that a page tells apart: a quarter of the bytes

Bytes = NDArray[np.uint8]
Valid = NDArray[np.bool_]


def preview_shape(shape: tuple[int, int], longest: int = LONGEST, largest: int = LARGEST) -> tuple[int, int]:
    """(height, width) of the preview of a plane: its own if it is small enough.

    Args:
        shape: of the plane, pixels.
        longest: of a side of the preview, pixels.
        largest: pixels of the preview.
    """
    shrink = max(1.0, max(shape) / longest, math.sqrt(shape[0] * shape[1] / largest))
    return max(1, int(shape[0] / shrink)), max(1, int(shape[1] / shrink))


def read_labels(side: MaskSide | ProbabilitySide, shape: tuple[int, int]) -> Bytes:
    """(h, w) uint8 labels of a raster seen through larger pixels: 0 background, 255 no data.

    Of a mask each pixel shows the label that most of its pixels have.
    """
    if isinstance(side, ProbabilitySide):
        return _classified(side, shape)
    dataset = side.reader.dataset
    with _reading(dataset.name):
        values = dataset.read(side.band, out_shape=shape, resampling=Resampling.mode)
        absent = np.zeros(shape, bool)
        if not side.reader.own:
            absent = dataset.read_masks(side.band, out_shape=shape) == 0
    if side.reader.nodata is not None:
        absent |= values == side.reader.nodata
    labels: Bytes = side.table[np.clip(values, 0, len(side.table) - 1).astype(np.int64)]
    labels[labels == UNKNOWN] = 0
    labels[absent] = NODATA
    return labels


def _classified(side: ProbabilitySide, shape: tuple[int, int]) -> Bytes:
    """The class that clears its threshold by most, of averaged probabilities."""
    codes = read_codes(side.reader.dataset, [one.band for one in side.bands], shape, side.coded)
    exclusive = any(one.exclusive for one in side.bands)
    limits = [0 if exclusive else one.cut or 0 for one in side.bands]
    margins = codes.astype(np.float32) - np.array(limits, np.float32)
    labels = np.where(margins.max(-1) > 0, margins.argmax(-1) + 1, 0).astype(np.uint8)
    labels[(codes == NODATA).any(-1)] = NODATA
    return labels


def read_codes(dataset: Any, bands: Sequence[int], shape: tuple[int, int], coded: bool) -> Bytes:
    """(h, w, bands) uint8 probabilities round(254·p), averaged over larger pixels; 255 for no data."""
    planes = []
    with _reading(dataset.name):
        for band in bands:
            values = dataset.read(band, out_shape=shape, resampling=Resampling.average, masked=True)
            if not coded:
                values = np.ma.masked_invalid(values * (TOP * dataset.scales[band - 1])
                                              + TOP * dataset.offsets[band - 1])  # fmt: skip
            planes.append(np.rint(values).astype(np.float32).filled(NODATA).astype(np.uint8))
    return np.stack(planes, -1)


def certainty(codes: Bytes) -> Bytes:
    """(h, w) uint8, the code of the most probable class of (h, w, classes), coarsely; 255 for no data."""
    best = codes.max(-1)
    coarse = best // EVERY * EVERY
    coarse[best == NODATA] = NODATA
    return np.asarray(coarse)


def read_picture(
    path: str | Path,
    box: GeoBox,
    shape: tuple[int, int] | None = None,
    maybe_empty: bool = False,
    allow_remote: bool = False,
) -> tuple[Bytes, Valid]:
    """A scene on the ground of a pixel plane.

    Args:
        path: of the scene.
        box: the plane.
        shape: (height, width) of the picture; when None, the pixels that the scene has there, or as many of
            them as a preview may have.
        maybe_empty: whether it may have no data there at all.
        allow_remote: see `geo.reach`.

    Returns:
        (h, w, 3) uint8 red, green, blue, and (h, w) bool, True = has data.

    Raises:
        SceneError: when it cannot be read or used, or does not lie there.
    """
    with (
        translated(SceneError, f"cannot open {path}", "give a raster that GDAL can read"),
        open_input(path, allow_remote=allow_remote) as dataset,
    ):
        few = dataset.count < 3
    bidx = (1, 1, 1) if few else None
    with open_scene(path, bidx=bidx, quiet=True, allow_remote=allow_remote) as scene:
        raster: Raster = scene.source  # type: ignore[assignment]  # at its own pixels it is one
        own = geobox_of(raster.dataset)
        shape = shape or _finest(own, box)
        view = _decimated if _same_ground(own, box) else _warped
        planes, valid = view(raster, box, shape)
        if not (maybe_empty or valid.any()):
            raise SceneError(f"{path} has no data on the ground of the mask; are both of the same place?")
        pixels = interleave(planes)
        scaled = scene.scaling()(pixels)
    return np.clip(scaled + 0.5 * (scaled.dtype != np.uint8), 0, 255).astype(np.uint8), valid


def _finest(own: GeoBox, box: GeoBox) -> tuple[int, int]:
    """(height, width) of the preview of a plane with the pixels of another one, if they are finer."""
    fine, coarse = own.side_m(), box.side_m()
    ratio = max(1.0, coarse / fine) if fine and coarse else 1.0
    return preview_shape((round(box.shape[0] * ratio), round(box.shape[1] * ratio)))


def _same_ground(own: GeoBox, box: GeoBox) -> bool:
    """Whether the corners of two planes are the same; without georeference, their proportions."""
    if not own.georeferenced or not box.georeferenced or own.gcps or box.gcps:
        return True
    if own.crs != box.crs:
        return False
    corners = [(0, 0), (1, 0), (0, 1), (1, 1)]
    ours, theirs = (
        np.array([plane.transform * (col * plane.shape[1], row * plane.shape[0]) for col, row in corners])
        for plane in (own, box)
    )
    side = math.sqrt(abs(box.transform.determinant))
    return bool(np.abs(ours - theirs).max() < SAME * side)


def _decimated(raster: Raster, box: GeoBox, shape: tuple[int, int]) -> tuple[Any, Valid]:
    """All of a raster, averaged."""
    dataset, bands = raster.dataset, list(raster.indexes)
    with _reading(dataset.name):
        planes = dataset.read(bands, out_shape=(len(bands), *shape), resampling=Resampling.average)
        if raster.alpha:
            return planes, dataset.read(raster.alpha, out_shape=shape, resampling=Resampling.average) > 0
        return planes, dataset.dataset_mask(out_shape=shape) > 0


def _warped(raster: Raster, box: GeoBox, shape: tuple[int, int]) -> tuple[Any, Valid]:
    """A raster on another plane, averaged, some rows at a time."""
    dataset, plane = raster.dataset, box.zoom_to(shape)
    own_alpha = ColorInterp.alpha in dataset.colorinterp
    with (
        _reading(dataset.name),
        WarpedVRT(dataset, crs=plane.crs, transform=plane.transform, height=shape[0], width=shape[1],
                  resampling=Resampling.average, add_alpha=not own_alpha) as view,
    ):  # fmt: skip
        alpha = view.colorinterp.index(ColorInterp.alpha) + 1 if own_alpha else view.count
        parts = []
        for row in range(0, shape[0], ROWS):
            window = RioWindow(0, row, shape[1], min(ROWS, shape[0] - row))
            parts.append(view.read([*raster.indexes, alpha], window=window))
    planes = np.concatenate(parts, 1)
    return planes[:-1], planes[-1] > 0


@contextmanager
def _reading(name: str) -> Iterator[None]:
    with translated(SceneError, f"{name}: cannot be read", "it is damaged or incomplete, fetch it again"):
        yield
