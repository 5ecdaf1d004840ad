"""An open raster as pixels and validity, on its own pixel plane or through a view of GDAL's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RioWindow

from geoseg.core.filters import Pixels, Valid
from geoseg.core.planes import interleave
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox

WARP_TOLERANCE = 1e-6  # pixels; GDAL fails on 0


@dataclass(frozen=True, slots=True, eq=False)
class Raster:
    """Some bands of a dataset, and which of their pixels are data.

    Attributes:
        name: what the user called it.
        dataset: the rasterio dataset, or the warped view of it, that is read.
        indexes: band numbers in the model's order.
        nodata: codes for no data, each with one value (or None) per index; a pixel has no data when all its
            bands hold a code's values.
        masked: whether the dataset has a mask or alpha band.
        alpha: number of the band that is above 0 where there is data; 0 for none, or where GDAL masks by it.
        other: a second view of the same pixels; those that differ from it have no data. None for most.
    """

    name: str
    dataset: Any
    indexes: tuple[int, ...]
    nodata: tuple[tuple[float | None, ...], ...]
    masked: bool
    alpha: int = 0
    other: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.dataset.height, self.dataset.width

    @property
    def bands(self) -> int:
        """How many bands a read returns."""
        return len(self.indexes)

    @property
    def block(self) -> tuple[int, int]:
        """(height, width) of the blocks that GDAL reads whole."""
        height, width = self.dataset.block_shapes[0]
        return height, width

    @property
    def dtype(self) -> np.dtype[Any]:
        """The pixels' dtype, one for all bands."""
        return np.result_type(*(self.dataset.dtypes[i - 1] for i in self.indexes))

    @property
    def complete(self) -> bool:
        """True when no pixel can be invalid: no mask, no nodata value, integers only."""
        unbounded = not (self.masked or self.nodata or self.other)
        return unbounded and not np.issubdtype(self.dtype, np.inexact)

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Read a window inside the raster.

        Returns:
            (height, width, bands) pixels in the raster's dtype, and (height, width) bool, True = has data.

        Raises:
            SceneError: when the file is damaged there.
        """
        planes, valid = self.planes(window)
        return interleave(planes), valid

    def planes(self, window: Window) -> tuple[Pixels, Valid]:
        """`read`, with (bands, height, width) pixels."""
        place = RioWindow(window.col, window.row, window.width, window.height)
        what = f"{self.name}: cannot read rows {window.row} to {window.stop_row}"
        with translated(SceneError, what, "the file is damaged or incomplete, fetch it again"):
            planes = self.dataset.read(self.indexes, window=place)
            mask = self._mask(place) if self.masked else None
            if self.other is not None:
                same = (self.other.read(self.indexes, window=place) == planes).all(0)
                mask = same if mask is None else same & (mask > 0)
        return planes, self._validity(planes, mask)

    def _mask(self, place: RioWindow) -> Any:
        """(h, w), above 0 where the dataset has data."""
        if self.alpha:
            return self.dataset.read(self.alpha, window=place)
        return self.dataset.read_masks(self.indexes[0], window=place)

    def _validity(self, planes: Pixels, mask: Any) -> Valid:
        """The AND of mask, nodata values and finite values."""
        valid = np.ones(planes.shape[1:], bool) if mask is None else mask > 0
        for code in self.nodata:
            valid &= _has_data(planes, code)
        if np.issubdtype(planes.dtype, np.inexact):
            valid &= np.isfinite(planes).all(0)
        return valid


@contextmanager
def interpolated(raster: Raster, box: GeoBox) -> Iterator[Raster]:
    """A raster on a plane of smaller pixels, by GDAL's bilinear interpolation.

    GDAL leaves one code for no data out of it. Where there are two and it makes a difference which, the
    result holds some of the other, so the raster then has a second view.

    Raises:
        SceneError: when GDAL cannot do it.
    """
    add = raster.masked and ColorInterp.alpha not in raster.dataset.colorinterp
    codes = [code[0] for code in reversed(raster.nodata)] or [None]
    with ExitStack() as stack:
        views = [stack.enter_context(_warped(raster.dataset, box, code, add)) for code in codes]
        alpha = views[0].count if add else raster.alpha
        yield replace(raster, dataset=views[0], alpha=alpha, other=views[1] if len(views) > 1 else None)


def _warped(dataset: Any, box: GeoBox, nodata: float | None, alpha: bool) -> Any:
    """A view of the dataset on another pixel plane of the same CRS, with an alpha band added if need be."""
    with translated(SceneError, f"{dataset.name}: cannot be resampled", "--res native keeps its pixels"):
        return WarpedVRT(
            dataset, crs=box.crs, transform=box.transform, height=box.shape[0], width=box.shape[1],
            resampling=Resampling.bilinear, src_nodata=nodata, nodata=nodata, tolerance=WARP_TOLERANCE,
            add_alpha=alpha,
        )  # fmt: skip


def _has_data(planes: Pixels, nodata: Sequence[float | None]) -> Valid:
    """(h, w) bool: False where every band holds its nodata value."""
    valid = np.zeros(planes.shape[1:], bool)
    for plane, value in zip(planes, nodata, strict=True):
        if value is None:
            valid[:] = True
        elif np.isnan(value):
            valid |= ~np.isnan(plane)
        else:
            valid |= plane != plane.dtype.type(value) if _fits(value, plane.dtype) else True
    return valid


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a dtype can hold a nodata value at all."""
    if not np.issubdtype(dtype, np.integer):
        return True
    info = np.iinfo(dtype)
    return float(value).is_integer() and info.min <= value <= info.max
