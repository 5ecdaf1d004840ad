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
    """When a redrawn polygon may replace a border.

    A pixel is the side of a square of a pixel's area, a polygon's size the root of its area.

    Attributes:
        tolerance: how uneven a wall may be, in pixels.
        full_size: the size from which on the tolerance holds, in pixels; for smaller buildings it shrinks in
            proportion, and for larger ones a proportional tolerance is tried beside it.
        max_tolerance_m: that proportional one's greatest, in metres.
        price: how much area between old and new border each number that draws a polygon must save, as a share
            of the polygon's area. A wall at a right angle takes one number, a corner at any angle two.
        max_price: the greatest such area, in square pixels.
        max_price_m2: the same in square metres; the greater of the two counts.
        max_displacement: the greatest mean distance between old and new border, in pixels.
        max_deviation: the greatest distance from the old border to the new one, in pixels.
        max_displacement_share: the same as shares of the polygon's size; the greater counts.
        max_deviation_share: see there.
        min_wall: shorter walls at right angles and narrower holes are left out, in pixels.
        min_wall_m: the same in metres; the greater of the two counts.
        min_radius: smaller circles are not looked for, in pixels.
        max_circle_misfit: the area between border and circle over the circle's; a share.
    """

    tolerance: float = 1.5
    full_size: float = 28.0
    max_tolerance_m: float = 1.0
    price: float = 0.009
    max_price: float = 12.0
    max_price_m2: float = 1.0
    max_displacement: float = 0.5
    max_deviation: float = 3.0
    max_displacement_share: float = 0.04
    max_deviation_share: float = 0.15
    min_wall: float = 3.0
    min_wall_m: float = 0.0
    min_radius: float = 5.0
    max_circle_misfit: float = 0.07

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < np.inf:
                raise GridError(f"{field.name} must be zero or more and finite, got {value}")
        for name in ("tolerance", "full_size"):
            if getattr(self, name) == 0:
                raise GridError(f"{name} must be positive, got 0; give pixels")
