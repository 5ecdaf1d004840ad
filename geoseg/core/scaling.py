"""From the numbers in a raster to the 0 … 255 that networks are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import SceneError

NARROW = 1e-6  # relative width below which values count as constant
TINY = 1e-30  # values below it count as 0, and their quotients overflow
FULL_16_BIT = 0.25  # of 65535: no sensor of 10 … 14 bits has its 98th percentile above this


@dataclass(frozen=True, slots=True)
class Scaling:
    """The linear map that takes `low` to 0 and `high` to 255, cut off at both ends.

    Raises:
        SceneError: when `low` is not below `high`.
    """

    low: float = 0.0
    high: float = 255.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise SceneError(f"the lower end of a scale must be below the upper, got {self.low} {self.high}")

    @property
    def identity(self) -> bool:
        """True when values stay as they are."""
        return (self.low, self.high) == (0.0, 255.0)

    @property
    def neutral(self) -> float:
        """The value that becomes 128, mid-grey."""
        return self.low + 128 / 255 * (self.high - self.low)

    def __call__(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Scale an array of any shape: uint8 stays uint8 under the identity, all else becomes float32."""
        if self.identity and pixels.dtype == np.uint8:
            return pixels
        scaled = pixels.astype(np.float32)
        if not self.identity:
            scaled = (scaled - np.float32(self.low)) * np.float32(255 / (self.high - self.low))
        return np.clip(scaled, 0, 255)


def guess_scaling(dtype: str, sample: NDArray[Any]) -> Scaling:
    """Choose a scaling from the dtype and a sample of valid values of the whole scene.

    uint8, and anything whose values lie in 0 … 255, stays as it is; floats in 0 … 1 and numbers that
    fill 16 bits are taken as whole ranges; the rest (10 … 14 bit sensors, reflectances) is stretched
    between its 2nd and 98th percentile. The scaling belongs to the scene, never to a patch.

    Args:
        dtype: numpy name of the raster's dtype.
        sample: (n,) finite values of valid pixels, all bands together.
    """
    if dtype == "uint8" or sample.size == 0:
        return Scaling()
    least, most = float(sample.min()), float(sample.max())
    low, high = (float(v) for v in np.percentile(sample, (2, 98)))
    if least >= 0 and most <= 1 and np.issubdtype(np.dtype(dtype), np.floating):
        return Scaling(0, 1)
    if least >= 0 and most <= 255:
        return Scaling()
    if dtype == "uint16" and high > FULL_16_BIT * 65535:
        return Scaling(0, 65535)
    if high - low <= NARROW * max(abs(low), abs(high), TINY):
        return Scaling(low, low + max(1.0, abs(low)))  # constant: there is nothing to stretch
    return Scaling(low, high)
