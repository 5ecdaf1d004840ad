"""What makes a tree crown: its sizes, in pixels or derived from metres."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil, floor, isfinite

from geoseg.errors import GridError

MOST_RADIUS = 181  # px: twice its square still fits in 16 bits
FINEST = 256  # steps of the surface per pixel
HIGHEST = 65_534  # the largest step, with room for rounding


@dataclass(frozen=True, slots=True)
class CrownOptions:
    """How touching crowns are told apart.

    A crown is a hill of a surface: the distance to the background plus `weight_px` times the probability,
    smoothed by a Gaussian.

    Attributes:
        max_radius_px: distances beyond it count as it, 1 … 181 px.
        sigma_px: of the Gaussian, 0 for none.
        min_rise_px: a hill that rises less than this above its pass to a higher one belongs to that one.
        weight_px: how many pixels of distance a probability of 1 is worth.
    """

    max_radius_px: int = 33
    sigma_px: float = 1.5
    min_rise_px: float = 0.15
    weight_px: float = 32.0

    def __post_init__(self) -> None:
        sizes = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, size in sizes.items():
            if not (isfinite(size) and size >= 0):
                raise GridError(f"{name} must be a number of 0 or more, got {size}; give it in pixels")
        if not 1 <= self.max_radius_px <= MOST_RADIUS or self.max_radius_px != int(self.max_radius_px):
            raise GridError(
                f"max_radius_px must be a whole number, 1 … {MOST_RADIUS}, got {self.max_radius_px}"
            )
        if self.rise_steps < 1:
            raise GridError(
                f"min_rise_px must be at least {1 / self.steps_per_px:.4f} (one step), got {self.min_rise_px}"
            )

    @classmethod
    def from_pixel_size(
        cls, pixel_m: float, min_radius_m: float = 1.5, max_radius_m: float = 10.0
    ) -> CrownOptions:
        """The options for trees of some sizes.

        The ratios were tuned on synthetic canopy with crowns of 5 … 24 px radius.

        Args:
            pixel_m: side of a pixel, m.
            min_radius_m: radius of the smallest crown of its own, m.
            max_radius_m: radius of the largest, m.
        """
        if not (pixel_m > 0 and 0 < min_radius_m <= max_radius_m):
            raise GridError(
                f"a pixel size above 0 m and radii in rising order are needed, got {pixel_m} m, "
                f"{min_radius_m} m and {max_radius_m} m"
            )
        least, most = min_radius_m / pixel_m, ceil(max_radius_m / pixel_m - 1e-9)
        rise = max(0.03 * least, 2 / FINEST)
        return cls(max(1, min(most, MOST_RADIUS)), 0.3 * least, rise, 6.4 * least)

    @property
    def steps_per_px(self) -> int:
        """Steps of the 16-bit surface per pixel of height: as many as fit, at most 256."""
        return max(1, min(FINEST, floor(HIGHEST / (self.max_radius_px + self.weight_px))))

    @property
    def rise_steps(self) -> int:
        """`min_rise_px` in steps of the surface."""
        return round(self.min_rise_px * self.steps_per_px)

    @property
    def blur_radius(self) -> int:
        """Reach of the Gaussian in pixels: 3 sigma."""
        return ceil(3 * self.sigma_px)

    @property
    def margin(self) -> int:
        """How far from a pixel the raster tells where that pixel's ascent goes, px."""
        return self.max_radius_px + self.blur_radius + 1
