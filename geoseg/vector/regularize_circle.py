"""Circles for round buildings such as tanks and silos."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_candidate import Candidate
from geoseg.vector.regularize_options import Regularization
from geoseg.vector.regularize_rings import Flags, Points, Rings, lengths, polygons_of

_SIDES = 32  # of the polygon that stands for a circle
_FREEDOM = 3.0  # the numbers that draw one: its centre and its radius


@dataclass(frozen=True, slots=True, eq=False)
class Circles:
    """One circle per ring.

    Attributes:
        centre: (rings, 2) float64, the ring's centroid.
        radius: (rings,) float64, of a disc with the ring's area.
        misfit: (rings,) float64, the area between ring and circle (of a star-shaped ring) over the ring's.
        farthest: (rings,) float64, the greatest distance between ring and circle.
    """

    centre: Points
    radius: NDArray[np.float64]
    misfit: NDArray[np.float64]
    farthest: NDArray[np.float64]


def circle_candidate(rings: Rings, wanted: Flags, options: Regularization) -> Candidate:
    """Redraw those polygons as circles that have no holes and are round and large enough.

    Args:
        rings: dense.
        wanted: (polygons,) bool, those to try.
        options: thresholds.
    """
    where = wanted & (np.bincount(rings.owner) == 1)
    if not where.any():
        return Candidate.none(len(wanted))
    rings = rings.of(where)
    circles = fit_circles(rings)
    length = rings.sums(lengths(rings.edges))
    good = (circles.misfit < options.max_circle_misfit) & (circles.radius > options.min_radius)
    displacement = np.where(good, circles.misfit * rings.areas / length, np.inf)
    drawn, freedom = polygons_of(draw_circles(circles)), np.full(len(good), _FREEDOM)
    return Candidate(drawn, displacement, circles.farthest, length, freedom).spread(where)


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
    off = np.abs(lengths(one - centre[ring]) - radius[ring])
    farthest = np.maximum.reduceat(off, rings.offsets[:-1])
    return Circles(centre + start, radius, between / np.abs(safe), farthest)


def draw_circles(circles: Circles) -> Rings:
    """Draw each circle as a regular polygon of its area; each is the one ring of its own polygon."""
    angle = np.arange(_SIDES) * (2 * np.pi / _SIDES)
    widened = circles.radius * np.sqrt(2 * np.pi / (_SIDES * np.sin(2 * np.pi / _SIDES)))
    unit = np.column_stack([np.cos(angle), np.sin(angle)])
    points = circles.centre[:, None] + widened[:, None, None] * unit
    count = len(circles.radius)
    return Rings(points.reshape(-1, 2), np.arange(count + 1) * _SIDES, np.arange(count))
