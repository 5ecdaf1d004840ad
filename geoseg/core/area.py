"""Area averages: a raster seen through larger pixels, each the mean of exactly what lies under it.

The corners of both rasters coincide. Along an axis, pixel `j` of `coarse` covers pixels
`j · fine / coarse … (j + 1) · fine / coarse` of `fine`; one that it covers in part counts by that part, as in
GDAL's `average`. The two axes are summed one after the other, as products with sparse matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from geoseg.core.filters import Valid
from geoseg.errors import GridError

SLIVER = 1e-6  # pixels; what is covered by less is not covered


@dataclass(frozen=True, slots=True)
class Coarsening:
    """One axis of a raster, and of the same ground in pixels of another size.

    Attributes:
        fine: pixels of the raster.
        coarse: pixels of another size; usually fewer.

    Raises:
        GridError: when one of them has no pixel.
    """

    fine: int
    coarse: int

    def __post_init__(self) -> None:
        if min(self.fine, self.coarse) < 1:
            raise GridError(f"an axis needs at least one pixel, got {self.fine} and {self.coarse}")

    def under(self, start: int, stop: int) -> tuple[int, int]:
        """The half-open range of fine pixels that lie under coarse pixels `start … stop`."""
        first = math.floor(start * self.fine / self.coarse + SLIVER)
        last = math.ceil(stop * self.fine / self.coarse - SLIVER)
        return first, min(last, self.fine)


def weight_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype of weights in which means of `dtype` are exact enough: four bytes for two-byte integers."""
    narrow = np.issubdtype(dtype, np.integer) and dtype.itemsize <= 2
    return np.dtype(np.float32 if narrow else np.float64)


@lru_cache(maxsize=64)
def weights(axis: Coarsening, start: int, stop: int, dtype: np.dtype[Any]) -> Any:
    """The share that each fine pixel has in coarse pixels `start … stop` of an axis.

    Returns:
        (stop - start, fine pixels under them) `scipy.sparse.csr_array`; rows sum to 1.
    """
    edges = np.arange(start, stop + 1) * axis.fine / axis.coarse
    low, high = edges[:-1, None], edges[1:, None]
    first, last = axis.under(start, stop)
    # one more than the pixels that fit into a coarse one, as it may begin anywhere in the first
    touched = np.floor(low + SLIVER).astype(int) + np.arange(math.ceil(axis.fine / axis.coarse) + 1)
    cover = np.minimum(touched + 1, high) - np.maximum(touched, low)
    kept = (cover > SLIVER) & (touched < last)
    shares = np.where(kept, cover, 0)
    shares /= shares.sum(1, keepdims=True)
    ends = np.concatenate([[0], np.cumsum(kept.sum(1))])
    shape = stop - start, last - first
    return sparse.csr_array((shares[kept].astype(dtype), touched[kept] - first, ends), shape)


def area_average(
    planes: NDArray[Any], valid: Valid, down: Any, across: Any
) -> tuple[list[NDArray[Any]], Valid]:
    """The mean of the valid pixels under each coarse pixel, which is valid when there are any.

    Args:
        planes: (bands, h, w) of any real dtype.
        valid: (h, w) bool, True = has data.
        down: (coarse h, h) weights of rows.
        across: (coarse w, w) weights of columns.

    Returns:
        (coarse h, coarse w) planes of the same dtype, integers rounded half up, 0 where nothing is valid; and
        their validity.
    """
    if valid.all():
        means = [_mean(plane, down, across) for plane in planes]
        return [_as(mean, planes.dtype) for mean in means], np.ones((down.shape[0], across.shape[0]), bool)
    share = _mean(valid, down, across)
    divisor = np.where(share > 0, share, 1)
    means = [_mean(np.where(valid, plane, 0), down, across) / divisor for plane in planes]
    return [_as(mean, planes.dtype) for mean in means], share > 0


def _mean(plane: NDArray[Any], down: Any, across: Any) -> NDArray[Any]:
    mean: NDArray[Any] = (across @ (down @ plane.astype(down.dtype, copy=False)).T).T
    return mean


def _as(mean: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Means in the dtype of what they are the means of."""
    if not np.issubdtype(dtype, np.integer):
        return mean.astype(dtype)
    limits, half = np.iinfo(dtype), mean.dtype.type(0.5)
    rounded: NDArray[Any] = np.clip(np.floor(mean + half), limits.min, limits.max).astype(dtype)
    return rounded
