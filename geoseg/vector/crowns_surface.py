"""The surface whose hills are the crowns: distance to the background plus probability, smoothed.

All arithmetic is in integers, so a pixel has the same bits in any window that holds `CrownOptions.margin`
pixels around it (or the raster's edge).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d

from geoseg.core.mask import TOP
from geoseg.errors import GridError
from geoseg.vector.crowns_options import CrownOptions

Mask = NDArray[np.bool_]
Codes = NDArray[np.uint8]
Heights = NDArray[np.uint16]
CanopyStrip = tuple[Mask, Codes]

Entry = TypeVar("Entry", np.uint16, np.int32)

CACHED = 1 << 17  # pixels worked on at a time, so that they stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Relief:
    """The surface of one strip.

    Attributes:
        row: of the strip's first pixel in the raster.
        columns: (n,) int64, those of the raster that it has, in order; in and beside the others is no canopy.
        heights: (h + 2, n + 2) uint16, 0 outside the mask; one pixel around the strip, 0 outside the raster.
    """

    row: int
    columns: NDArray[np.int64]
    heights: Heights


def reliefs(strips: Iterable[CanopyStrip], width: int, options: CrownOptions) -> Iterator[Relief]:
    """The surface of each strip, as if it had been computed for the whole raster."""
    row = 0
    for mask, codes, rows in _with_margin(strips, width, options.margin):
        around = slice(max(rows.start - 1, 0), min(rows.stop + 1, len(mask)))
        columns = _columns(mask[_widened(around, options.blur_radius)], options.blur_radius + 1)
        canopy = np.take(mask, columns, axis=1), np.take(codes, columns, axis=1)  # row by row in memory
        heights = surface(*canopy, options, around)
        missing = around.start - rows.start + 1, rows.stop + 1 - around.stop
        yield Relief(row, columns, np.pad(heights, (missing, (1, 1))))
        row += rows.stop - rows.start


def surface(mask: Mask, codes: Codes, options: CrownOptions, rows: slice = slice(None)) -> Heights:
    """The surface of a window, or of some of its rows.

    Args:
        mask: (h, w) bool, True = canopy; False where there is no data.
        codes: (h, w) uint8, probability · 254; not used outside the mask.
        options: of the crowns.
        rows: those wanted; the others tell how far away the background is.

    Returns:
        (rows, w) uint16, `options.steps_per_px` steps per pixel; 1 or more in the mask, 0 outside.
    """
    steps, (start, stop, _) = options.steps_per_px, rows.indices(len(mask))
    blurred = _widened(slice(start, stop), options.blur_radius)
    canopy = mask[blurred]
    distance = np.sqrt(np.arange(options.max_radius_px**2 + 1)) * steps
    share = np.minimum(np.arange(256) / TOP, 1) * options.weight_px * steps
    squared = squared_distance(mask, options.max_radius_px, blurred)
    heights = look_up(np.rint(distance).astype(np.uint16), squared)
    heights += look_up(np.rint(share).astype(np.uint16), codes[blurred]) * canopy
    if options.blur_radius and heights.size:
        side = 2 * options.blur_radius + 1
        # on 16 bits this is exact fixed-point arithmetic; float32 would depend on the window
        heights = cv2.GaussianBlur(heights, (side, side), options.sigma_px)
    wanted = slice(start - blurred.start, stop - blurred.start)
    return np.asarray(np.maximum(heights[wanted], np.uint16(1)) * canopy[wanted])


def look_up(table: NDArray[Entry], index: NDArray[Any]) -> NDArray[Entry]:
    """`table[index]` of an (h, w) index, some rows at a time: numpy copies the index to eight bytes each."""
    found = np.empty(index.shape, table.dtype)
    rows = max(1, CACHED // max(index.shape[1], 1))
    for start in range(0, len(index), rows):
        some = slice(start, start + rows)
        np.take(table, index[some], out=found[some], mode="clip")  # not to clip, but to write in place
    return found


def squared_distance(mask: Mask, most: int, wanted: slice = slice(None)) -> Heights:
    """Exact squared Euclidean distance to the nearest pixel outside the mask, at most `most` squared.

    Whole numbers, and eight times as fast as a general transform while the distances are short: first the
    distance along each column, then the least of (column distance)² + d² over the pixels d away in the row.

    Args:
        mask: (h, w) bool; beyond its edge nothing counts as outside.
        most: 1 … 181 px.
        wanted: rows.

    Returns:
        (rows, w) uint16, 0 outside the mask.
    """
    squared = _column_distance(mask, most)[wanted] ** 2
    rows = max(1, CACHED // max(mask.shape[1], 1))
    for start in range(0, len(squared), rows):
        _spread(squared[start : start + rows], most)
    return squared


def _widened(rows: slice, by: int) -> slice:
    """Up to `by` more rows on either side."""
    return slice(max(rows.start - by, 0), rows.stop + by)


def _columns(mask: Mask, reach: int) -> NDArray[np.int64]:
    """The columns with canopy and all within `reach` of one.

    What is left out changes nothing: the pixels kept beside a crown are background, as near as any that is
    not, and shut it off from the next crown, further than the Gaussian reaches.
    """
    return np.flatnonzero(maximum_filter1d(mask.any(axis=0), 2 * reach + 1, mode="constant"))


def _column_distance(mask: Mask, most: int) -> Heights:
    """Distance to the nearest pixel outside the mask in the same column, at most `most`."""
    distance = mask * np.uint16(most)
    for down in (distance, distance[::-1]):
        for above, row in pairwise(down):
            np.minimum(row, above + np.uint16(1), out=row)
    return distance


def _spread(squared: Heights, most: int) -> None:
    """In place, the least of squared[x + d] + d² along each row."""
    width = squared.shape[1]
    source, sums, highest = squared.copy(), np.empty_like(squared), int(squared.max(initial=0))
    for d in range(1, min(most, width)):
        if d * d >= highest:  # nothing further away can be nearer
            return
        shifted = np.add(source, np.uint16(d * d), out=sums)
        np.minimum(squared[:, d:], shifted[:, :-d], out=squared[:, d:])
        np.minimum(squared[:, :-d], shifted[:, d:], out=squared[:, :-d])


def _with_margin(
    strips: Iterable[CanopyStrip], width: int, margin: int
) -> Iterator[tuple[Mask, Codes, slice]]:
    """Each strip with up to `margin` rows above and below; the slice tells which rows are its own."""
    mask, codes = np.zeros((0, width), bool), np.zeros((0, width), np.uint8)
    waiting: deque[int] = deque()  # heights of the strips that still lack rows below
    top = 0
    for strip in strips:
        _check(*strip, width)
        mask, codes = np.concatenate([mask, strip[0]]), np.concatenate([codes, strip[1]])
        waiting.append(len(strip[0]))
        while waiting and top + waiting[0] + margin <= len(mask):
            stop = top + waiting.popleft()
            yield mask[: stop + margin], codes[: stop + margin], slice(top, stop)
            drop = max(stop - margin, 0)
            mask, codes, top = mask[drop:], codes[drop:], stop - drop
    for height in waiting:
        yield mask[max(top - margin, 0) :], codes[max(top - margin, 0) :], _own(top, height, margin)
        top += height


def _own(top: int, height: int, margin: int) -> slice:
    """The rows of a strip in a window that starts up to `margin` rows above it."""
    start = min(top, margin)
    return slice(start, start + height)


def _check(mask: Mask, codes: Codes, width: int) -> None:
    """Refuse strips that are not what they should be."""
    if mask.shape != codes.shape or mask.ndim != 2 or mask.shape[1] != width:
        raise GridError(
            f"a strip of canopy has a mask {mask.shape} and codes {codes.shape}; both must be (rows, {width})"
        )
    if not len(mask):
        raise GridError("a strip of canopy without rows was given; leave it out")
    if mask.dtype != np.bool_ or codes.dtype != np.uint8:
        raise GridError(
            f"a strip of canopy needs a bool mask and uint8 codes, got {mask.dtype} and {codes.dtype}"
        )
