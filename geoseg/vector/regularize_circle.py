"""Circles for round buildings such as tanks and silos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_rings import Points, Rings

_SIDES = 32  # of the polygon that stands for a circle


@dataclass(frozen=True, slots=True, eq=False)
class Circles:
    """One circle per ring.

    Attributes:
        centre: (rings, 2) float64, the ring's centroid.
        radius: (rings,) float64, of a disc with the ring's area.
        misfit: (rings,) float64, the area between ring and circle (of a star-shaped ring) over the ring's.
    """

    centre: Points
    radius: NDArray[np.float64]
    misfit: NDArray[np.float64]


def fit_circles(rings: Rings) -> Circles:
    """Find the circle with the centroid and the area of each ring."""
    ring, following = rings.ring, rings.following
    start = rings.points[rings.offsets[:-1]]
    one = rings.points - start[ring]
    other = one[following]
    twice = one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]
    signed = rings.sums(twice) / 2
    safe = np.where(signed == 0, 1.0, signed)
    centre = rings.sums(twice[:, None] * (one + other)) / (6 * safe[:, None])
    area = np.abs(signed)
    radius = np.sqrt(area / np.pi)
    middle, step = (one + other) / 2 - centre[ring], other - one
    squared = np.maximum((middle**2).sum(axis=1), 1e-12)
    angle = np.abs(middle[:, 0] * step[:, 1] - middle[:, 1] * step[:, 0]) / squared
    between = rings.sums(np.abs(squared - radius[ring] ** 2) / 2 * angle)
    return Circles(centre + start, radius, between / np.abs(safe))


def draw_circles(circles: Circles) -> Rings:
    """Draw each circle as a regular polygon of its area; each is the one ring of its own polygon."""
    angle = np.arange(_SIDES) * (2 * np.pi / _SIDES)
    widened = circles.radius * np.sqrt(2 * np.pi / (_SIDES * np.sin(2 * np.pi / _SIDES)))
    unit = np.column_stack([np.cos(angle), np.sin(angle)])
    points = circles.centre[:, None] + widened[:, None, None] * unit
    count = len(circles.radius)
    return Rings(points.reshape(-1, 2), np.arange(count + 1) * _SIDES, np.arange(count))
