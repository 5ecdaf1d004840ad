"""Filters that run on pixels before they are cut into patches.

A filter takes pixels whose invalid ones are filled already and says how much context it needs
(`margin`); the reader reads that much more, filters, then crops, so that the answer is the same for
any windowing: blur then cut equals cut then blur. Past the scene's own edge every filter repeats the
edge pixel (OpenCV `BORDER_REPLICATE`, scipy `nearest`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.errors import FilterError

Pixels = NDArray[Any]
Valid = NDArray[np.bool_]

CV_DTYPES = {3: ("uint8", "uint16", "float32"), 5: ("uint8", "uint16", "float32")}


class Filter(Protocol):
    """What the reader asks of a filter."""

    @property
    def margin(self) -> int:
        """Context needed on every side, pixels."""

    def __call__(self, pixels: Pixels, valid: Valid) -> Pixels:
        """Filter (h, w, bands) pixels; `valid` (h, w) is True where they are data. Same shape and dtype."""


@dataclass(frozen=True, slots=True)
class NoFilter:
    """Leaves pixels as they are."""

    margin: int = 0

    def __call__(self, pixels: Pixels, valid: Valid) -> Pixels:
        """Return `pixels` unchanged."""
        return pixels


@dataclass(frozen=True, slots=True)
class MedianBlur:
    """The median of a `kernel` × `kernel` square, band by band.

    Raises:
        FilterError: when `kernel` is not an odd number from 3 up.
    """

    kernel: int

    def __post_init__(self) -> None:
        if self.kernel < 3 or self.kernel % 2 == 0:
            raise FilterError(f"a median kernel is an odd number from 3 up, or 0 for none; got {self.kernel}")

    @property
    def margin(self) -> int:
        """Half the kernel."""
        return self.kernel // 2

    def __call__(self, pixels: Pixels, valid: Valid) -> Pixels:
        """Blur (h, w, bands) pixels of any integer or float dtype without NaN."""
        if pixels.dtype.name in CV_DTYPES.get(self.kernel, ("uint8",)):
            bands = [
                cv2.medianBlur(np.ascontiguousarray(pixels[..., b]), self.kernel)
                for b in range(pixels.shape[-1])
            ]
            return np.stack(bands, axis=-1)
        blurred: Pixels = ndimage.median_filter(pixels, size=(self.kernel, self.kernel, 1), mode="nearest")
        return blurred


def median_blur(kernel: int) -> Filter:
    """The median filter with a `kernel` px square; none for a kernel of 0 or 1."""
    return NoFilter() if kernel in (0, 1) else MedianBlur(kernel)


FILL_REACH = 16  # pixels around data that are filled from it
FILL_MARGIN = 2 * FILL_REACH  # context a fill needs: a mirrored pixel lies as far behind the border
RIM = np.ones((5, 5), np.uint8)  # as far as OpenCV's 5 × 5 distances jump


def fill_invalid(pixels: Pixels, valid: Valid, neutral: float = 0) -> Pixels:
    """Continue the image past the border of its data, as if reflected there.

    Without this, nodata values (0, 65535, NaN …) would draw an edge into the image that networks take
    for a wall. An invalid pixel takes the value of its mirror image behind the nearest valid pixel, or
    of the nearest valid pixel itself where that mirror image is not valid either. Beyond `FILL_REACH`
    it is `neutral`. The limited reach makes the answer independent of the window that was read, as
    long as the window has a margin of `FILL_MARGIN`.

    Args:
        pixels: (h, w, bands), any dtype.
        valid: (h, w) bool, True = has data.
        neutral: the value far from any data.

    Returns:
        (h, w, bands) of the same dtype; `pixels` itself when all are valid.
    """
    if valid.all():
        return pixels
    filled: Pixels = pixels.copy()
    box = _around(~valid, FILL_MARGIN)
    _fill(filled[box], valid[box], _held(neutral, pixels.dtype))
    return filled


def _held(value: float, dtype: np.dtype[Any]) -> float:
    """The value nearest to one that a dtype holds: int8 has no mid-grey."""
    if not np.issubdtype(dtype, np.integer):
        return value
    info = np.iinfo(dtype)
    return min(max(value, int(info.min)), int(info.max))


def _around(chosen: Valid, margin: int) -> tuple[slice, slice]:
    """The smallest box that holds all chosen pixels, with a margin."""
    rows, cols = (np.flatnonzero(chosen.any(axis)) for axis in (1, 0))
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + margin + 1),
        slice(max(0, int(cols[0]) - margin), int(cols[-1]) + margin + 1),
    )


def _fill(pixels: Pixels, valid: Valid, neutral: float) -> None:
    """Fill invalid pixels in place."""
    if not valid.any():
        pixels[...] = neutral
        return
    invalid = ~valid
    distance, label = cv2.distanceTransformWithLabels(
        invalid.view(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    near = invalid & (distance <= FILL_REACH)
    rim = valid & (cv2.dilate(invalid.view(np.uint8), RIM) > 0)  # nearest pixels are nowhere else
    places = np.empty(int(label.max()) + 1, np.intp)
    places[label[rim]] = np.flatnonzero(rim)
    pixels[invalid & ~near] = neutral
    pixels[near] = pixels[_mirrored(near, valid, *np.divmod(places[label[near]], valid.shape[1]))]


def _mirrored(
    near: Valid, valid: Valid, row: NDArray[np.intp], col: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the pixels in `near` find their mirror images, given their nearest valid pixels."""
    here_row, here_col = np.nonzero(near)
    far_row, far_col = 2 * row - here_row, 2 * col - here_col
    mirrors = (far_row >= 0) & (far_row < valid.shape[0]) & (far_col >= 0) & (far_col < valid.shape[1])
    mirrors[mirrors] = valid[far_row[mirrors], far_col[mirrors]]
    return np.where(mirrors, far_row, row), np.where(mirrors, far_col, col)
