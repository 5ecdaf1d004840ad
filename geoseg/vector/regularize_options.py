"""When a redrawn polygon may replace a border."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from geoseg.errors import GridError


class Status(IntEnum):
    """How a polygon was redrawn."""

    RECTILINEAR = 1
    CIRCLE = 2
    ANY_ANGLE = 3
    SIMPLIFIED = 4
    RAW = 5


@dataclass(frozen=True, slots=True)
class Regularization:
    """When a redrawn polygon may replace a border. A pixel is the side of a square of a pixel's area.

    Attributes:
        tolerance: how uneven a wall may be, in pixels.
        max_displacement: the greatest mean distance between old and new border, in pixels.
        max_deviation: the greatest distance of an old border's corner from the new border, in pixels.
        preference: how much nearer to the border walls at any angle must be to replace right angles, in
            pixels (mean distance).
        min_wall: shorter walls are left out, in pixels.
        min_wall_m: the same in metres; the greater of the two counts.
        min_radius: smaller circles are not looked for, in pixels.
        full_size: the root of the area from which on the tolerance holds, in pixels; for smaller buildings
            it shrinks in proportion.
        max_circle_misfit: the area between border and circle over the circle's; a share.
    """

    tolerance: float = 1.5
    max_displacement: float = 0.4
    max_deviation: float = 3.0
    preference: float = 0.25
    min_wall: float = 3.0
    min_wall_m: float = 0.0
    min_radius: float = 5.0
    full_size: float = 28.0
    max_circle_misfit: float = 0.07

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise GridError(f"{field.name} must be zero or more and finite, got {value}")
        for name in ("tolerance", "full_size"):
            if getattr(self, name) == 0:
                raise GridError(f"{name} must be positive, got 0; give pixels")
