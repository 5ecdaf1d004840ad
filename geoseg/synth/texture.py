"""Noise that is a function of the place in the scene, so that bands drawn one by one meet without a seam."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
_SIZE = 1024


@dataclass(frozen=True)
class Noise:
    """Smooth noise of any wavelength, from one periodic table of white noise.

    Attributes:
        white: (1024, 1024) float32, standard normal; repeats after 1024 wavelengths.
        scale: pixels per metre.
    """

    white: Plane
    scale: float

    @classmethod
    def draw(cls, rng: np.random.Generator, scale: float) -> "Noise":
        """Fill the table from ``rng``."""
        return cls(rng.standard_normal((_SIZE, _SIZE), dtype=np.float32), scale)

    def octave(self, wavelength: float, salt: int, top: int, height: int, width: int) -> Plane:
        """Noise of one wavelength.

        Args:
            wavelength: distance of independent values, m; at least one pixel is used.
            salt: different salts give independent noise.
            top: first row of the result in the scene.
            height: rows of the result.
            width: columns of the result.

        Returns:
            (height, width) float32 with mean about 0 and deviation about 0.8.
        """
        step = max(1, round(wavelength * self.scale))
        first = top // step - 2
        rows = np.arange(first, (top + height) // step + 3) + 389 * salt
        columns = np.arange(-2, width // step + 3) + 523 * salt
        knots = self.white[np.ix_(rows % _SIZE, columns % _SIZE)]
        field: Plane = cv2.resize(knots, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        return field[top - first * step :, 2 * step :][:height, :width]

    def fractal(
        self, mix: Sequence[tuple[float, float]], salt: int, top: int, height: int, width: int
    ) -> Plane:
        """Sum of octaves; ``mix`` lists (wavelength in m, weight)."""
        total = np.zeros((height, width), np.float32)
        for i, (wavelength, weight) in enumerate(mix):
            total += weight * self.octave(wavelength, salt + i, top, height, width)
        return total
