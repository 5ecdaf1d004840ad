"""From probabilities to class masks and to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.core.planes import row_blocks, separate
from geoseg.core.stitch import Probabilities

NODATA = 255
TOP = 254  # the byte of probability 1
BELOW = -1e-30  # a margin that only margins of 0 and more exceed

Activation = Literal["sigmoid", "softmax"]


def classify(
    probabilities: Probabilities, valid: Valid, thresholds: Sequence[float], activation: Activation
) -> NDArray[np.uint8]:
    """Turn probabilities into class numbers.

    With sigmoids a pixel belongs to the class that clears its threshold by most, and to the
    background when none does. With a softmax it belongs to its most probable class.

    Args:
        probabilities: (h, w, classes) in 0 … 1.
        valid: (h, w) bool, True = has data.
        thresholds: one per class, 0 … 1; a softmax ignores them.
        activation: the network's last layer.

    Returns:
        (h, w) uint8: 0 background, 1 … n classes in card order, 255 nodata.
    """
    limits = [0.0] * probabilities.shape[-1] if activation == "softmax" else thresholds
    mask = _absent(valid)
    for rows in row_blocks(valid.shape):
        mask[rows] |= _widest(separate(probabilities[rows]), limits)
    return mask


def _widest(planes: Sequence[NDArray[np.float32]], limits: Sequence[float]) -> NDArray[np.uint8]:
    """The number, from 1, of the plane that exceeds its limit by most; 0 where none reaches it."""
    mask = np.zeros(planes[0].shape, np.uint8)
    best = np.full(planes[0].shape, BELOW, np.float32)
    for number, (plane, limit) in enumerate(zip(planes, limits, strict=True), 1):
        margin = plane - np.float32(limit)
        better = (margin > best).view(np.uint8)
        np.maximum(mask, better * np.uint8(number), out=mask)  # numbers grow: the last to be better stays
        np.maximum(best, margin, out=best)
    return mask


def _absent(valid: Valid) -> NDArray[np.uint8]:
    """0 where there is data and 255 elsewhere: 1 - 1 and 0 - 1 in bytes."""
    return valid.view(np.uint8) - np.uint8(1)


def quantize(probabilities: Probabilities, valid: Valid) -> NDArray[np.uint8]:
    """Probabilities 0 … 1 as bytes round(254·p), 255 where not valid; `dequantize` is the inverse.

    The bytes of each class lie together in memory, as the writer wants them.
    """
    height, width, classes = probabilities.shape
    flat = np.ascontiguousarray(probabilities).reshape(height, width * classes)
    codes = np.empty((classes, height, width), np.uint8)
    absent = _absent(valid)
    for rows in row_blocks(valid.shape):
        block = cv2.convertScaleAbs(flat[rows], alpha=TOP).reshape(-1, width, classes)
        for code, plane in zip(codes, separate(block), strict=True):
            np.bitwise_or(plane, absent[rows], out=code[rows])
    return np.moveaxis(codes, 0, -1)


def dequantize(codes: NDArray[np.uint8]) -> tuple[Probabilities, Valid]:
    """Probabilities in 0 … 1 (float32, within 1/508 of what they were; 0 where not valid) and validity."""
    valid = codes != NODATA
    return np.where(valid, codes.astype(np.float32) / TOP, np.float32(0)), valid
