"""From probabilities to class masks and to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.core.planes import interleave
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
    mask = np.zeros(valid.shape, np.uint8)
    best = np.full(valid.shape, BELOW, np.float32)
    for number, limit in enumerate(limits, 1):  # argmax along a short last axis is ten times slower
        margin = probabilities[..., number - 1] - np.float32(limit)
        np.copyto(mask, np.uint8(number), where=margin > best)
        np.maximum(best, margin, out=best)
    np.copyto(mask, np.uint8(NODATA), where=~valid)
    return mask


def quantize(probabilities: Probabilities, valid: Valid) -> NDArray[np.uint8]:
    """Probabilities 0 … 1 as bytes round(254·p), 255 where not valid; `dequantize` is the inverse."""
    height, width, classes = probabilities.shape
    flat = np.ascontiguousarray(probabilities).reshape(height, width * classes)
    codes: NDArray[np.uint8] = cv2.convertScaleAbs(flat, alpha=TOP).reshape(probabilities.shape)
    absent = np.where(valid, np.uint8(0), np.uint8(NODATA))
    codes |= interleave([absent] * classes)
    return codes


def dequantize(codes: NDArray[np.uint8]) -> tuple[Probabilities, Valid]:
    """Probabilities in 0 … 1 (float32, within 1/508 of what they were; 0 where not valid) and validity."""
    valid = codes != NODATA
    return np.where(valid, codes.astype(np.float32) / TOP, np.float32(0)), valid
