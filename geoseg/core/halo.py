"""What it costs to crop patches by less than the whole halo of their network.

The pixels of a patch lie in rings: those of ring `k` have `k·step` to `(k + 1)·step - 1` others between
themselves and the nearest edge. Cropping by a halo of `k·step` px keeps ring `k` and all within it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.core.filters import Valid
from geoseg.core.stitch import Probabilities


@dataclass(frozen=True, slots=True, eq=False)
class HaloErrors:
    """Errors of the pixels that are kept, by halo of 0, step, 2·step … px.

    Attributes:
        largest: (n,) float64, the largest difference of any probability, 0 … 1.
        flipped: (n,) int64, pixels that belong to another class.
        pixels: (n,) int64, pixels compared.
    """

    largest: NDArray[np.float64]
    flipped: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def __add__(self, other: HaloErrors) -> HaloErrors:
        """The errors of the pixels of both."""
        return HaloErrors(
            np.maximum(self.largest, other.largest), self.flipped + other.flipped, self.pixels + other.pixels
        )


def halo_errors(
    patch: Probabilities, exact: Probabilities, valid: Valid, flipped: NDArray[np.bool_], step: int
) -> HaloErrors:
    """Compare what a network says of a patch with what it says when it sees all that it can see.

    Args:
        patch: (size, size, classes) float32, 0 … 1, of a network that saw nothing beyond the patch.
        exact: the same pixels of one that did.
        valid: (size, size) bool, True = has data; other pixels count for nothing.
        flipped: (size, size) bool, True = belongs to another class in `patch` than in `exact`.
        step: distance between the halos to be compared, px.
    """
    ring = _rings(len(patch), step)
    count = int(ring.max()) + 1
    difference = np.where(valid, np.abs(patch - exact).max(axis=-1), 0).astype(np.float64)
    largest = np.asarray(ndimage.maximum(difference, ring, np.arange(count)))
    pixels, changed = (np.bincount(ring[which], minlength=count) for which in (valid, valid & flipped))
    return HaloErrors(_inwards(np.maximum, largest), _inwards(np.add, changed), _inwards(np.add, pixels))


def _rings(size: int, step: int) -> NDArray[np.intp]:
    """(size, size), the number of the ring that each pixel lies in."""
    depth = np.minimum(np.arange(size), np.arange(size)[::-1])
    return np.minimum.outer(depth, depth) // step


def _inwards(combine: np.ufunc, rings: NDArray[Any]) -> NDArray[Any]:
    """Each ring combined with all within it."""
    combined: NDArray[Any] = combine.accumulate(rings[::-1])[::-1]
    return combined
