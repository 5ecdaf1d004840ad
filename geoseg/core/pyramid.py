"""Halve a raster: the arithmetic of overviews."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.planes import separate

Reduction = Literal["mode", "average"]


def halve(rows: NDArray[Any], reduction: Reduction, nodata: float) -> NDArray[Any]:
    """Reduce every 2 × 2 pixels to one; a last odd row or column is repeated.

    Pixels without data do not count, unless there are no others.

    Args:
        rows: (h, w, bands), uint8 for `mode`, uint8 or float32 for `average`.
        reduction: `mode` takes the most frequent value and the lowest of a tie, `average` the mean,
            rounded half up for integers.
        nodata: the value of pixels without data; for `mode` above all others (255), NaN for floats.

    Returns:
        (ceil(h / 2), ceil(w / 2), bands) of the same dtype; each band lies together in memory.
    """
    if reduction == "mode":
        of_plane = _mode
    else:
        of_plane = _mean_of_floats if np.issubdtype(rows.dtype, np.floating) else _rounded_mean
    halves = [of_plane(plane, nodata) for plane in separate(_even(rows))]
    return np.moveaxis(np.stack(halves), 0, -1)


def _even(rows: NDArray[Any]) -> NDArray[Any]:
    """Repeat a last odd row or column."""
    odd = [(0, size % 2) for size in rows.shape[:2]]
    return np.pad(rows, [*odd, (0, 0)], mode="edge") if any(pad for _, pad in odd) else rows


def _quads(plane: NDArray[Any], chosen: Any = ...) -> list[NDArray[Any]]:
    """The four pixels of every 2 × 2, or of those `chosen`, as four arrays."""
    return [plane[i::2, j::2][chosen] for i in (0, 1) for j in (0, 1)]


def _where(chosen: NDArray[np.bool_]) -> Any:
    """The indices of the few pixels that are True; ten times as fast as `numpy.nonzero`."""
    return np.unravel_index(np.flatnonzero(chosen), chosen.shape)


def _rounded_mean(plane: NDArray[Any], nodata: float) -> NDArray[Any]:
    """The mean of bytes; the few pixels that touch nodata are done over with care."""
    size = plane.shape[1] // 2, plane.shape[0] // 2
    # of single bands OpenCV's area interpolation is (a + b + c + d + 2) >> 2
    mean: NDArray[Any] = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    absent = cv2.compare(plane, int(nodata), cv2.CMP_EQ)
    if cv2.countNonZero(absent):
        few = _where(cv2.resize(absent, size, interpolation=cv2.INTER_AREA) > 0)
        mean[few] = _mean(_quads(plane, few), nodata)
    return mean


def _mean_of_floats(plane: NDArray[Any], nodata: float) -> NDArray[Any]:
    return _mean(_quads(plane), nodata)


def _mean(quads: list[NDArray[Any]], nodata: float) -> NDArray[Any]:
    """The mean of the pixels with data, rounded half up for integers."""
    four = np.stack(quads)
    floating = np.issubdtype(four.dtype, np.floating)
    valid = ~np.isnan(four) if floating else four != nodata
    total = np.where(valid, four, 0).sum(0, dtype=np.float64 if floating else np.uint16)
    count = valid.sum(0, dtype=np.uint16)
    divisor = np.maximum(count, 1)
    mean = total / divisor if floating else (2 * total + divisor) // (2 * divisor)
    return np.where(count > 0, mean, nodata).astype(four.dtype)


def _mode(plane: NDArray[Any], nodata: float) -> NDArray[Any]:
    """The value of all four where they agree, as nearly everywhere; the rest is looked at with care."""
    pairs = plane.view(np.uint16)  # neighbours in a row: equal bytes are a multiple of 257
    top, bottom = pairs[::2], pairs[1::2]
    mode = top.astype(np.uint8)
    few = _where((top != bottom) | (top != mode * np.uint16(257)))
    mode[few] = _sorted_mode(_quads(plane, few), nodata)
    return mode


def _sorted_mode(quads: list[NDArray[Any]], nodata: float) -> NDArray[Any]:
    """Sort the four by a network of comparators, nodata last; equal ones are then neighbours."""
    a, b, c, d = quads
    a, b = np.minimum(a, b), np.maximum(a, b)
    c, d = np.minimum(c, d), np.maximum(c, d)
    a, c = np.minimum(a, c), np.maximum(a, c)
    b, d = np.minimum(b, d), np.maximum(b, d)
    b, c = np.minimum(b, c), np.maximum(b, c)
    mode = np.where((c == d) & (c != nodata), c, a)
    mode = np.where((b == c) & (b != nodata), b, mode)
    return np.asarray(np.where(a == b, a, mode))
