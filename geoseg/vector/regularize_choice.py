"""The ways to redraw a building, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.regularize_candidate import Candidate, candidate
from geoseg.vector.regularize_circle import draw_circles, fit_circles
from geoseg.vector.regularize_direction import Angles
from geoseg.vector.regularize_options import Regularization, Status
from geoseg.vector.regularize_rings import Flags, Polygons, Rings, polygons_of
from geoseg.vector.regularize_walls import rectilinear
from geoseg.vector.simplify import corners, fit_or_keep, fit_without_crossings

Candidates: TypeAlias = dict[Status, Candidate]

_OUTLINE = 0.35  # px: tolerance of the outline that candidates are measured against
_WIDE = 4 / 3  # of the tolerance, for walls at any angle: they keep to the border better than right angles
_CLOSE = 2 / 3  # of the tolerance, for the polygons that no other way fits
_ROUNDER = 0.75  # of the displacement with right angles, that a circle's must stay below


def candidates(
    rings: Rings, directions: Angles, metres: NDArray[np.float64], options: Regularization
) -> Candidates:
    """Redraw polygons in every way that has a chance; the first that there is for a polygon is its best.

    Args:
        rings: dense, in their frames (unit: pixels).
        directions: (polygons,) radians, of the walls.
        metres: (polygons,) the size of a pixel.
        options: thresholds.
    """
    outline = _outlines(rings)
    tolerance = options.tolerance * np.minimum(1.0, np.sqrt(shapely.area(outline)) / options.full_size)
    shortest = np.maximum(options.min_wall, options.min_wall_m / metres)
    drawn, done = rectilinear(rings, directions, tolerance, shortest)
    right = _near(candidate(drawn, outline, rings.every(done)), options)
    doubtful = right.displacement > options.preference
    disc = _circles(rings, outline, doubtful, options)
    disc = disc.where(disc.displacement < _ROUNDER * right.displacement)
    free = _near(_any_angle(rings, outline, doubtful & ~disc.exists, _WIDE * tolerance), options)
    right = right.where(right.displacement <= free.displacement + options.preference)
    close = _simplified(rings, outline, ~(disc.exists | right.exists | free.exists), _CLOSE * tolerance)
    return {
        Status.CIRCLE: disc,
        Status.RECTILINEAR: right,
        Status.ANY_ANGLE: free,
        Status.SIMPLIFIED: close,
    }


def choose(ways: Candidates) -> tuple[NDArray[np.uint8], Polygons, NDArray[np.float64]]:
    """Take the first candidate of each polygon.

    Returns:
        (n,) uint8 `Status`, (n,) the polygons (None where RAW) and (n,) their displacement in pixels.
    """
    count = len(ways[Status.CIRCLE].polygons)
    status = np.full(count, Status.RAW, np.uint8)
    polygons, displacement = np.full(count, None, object), np.zeros(count)
    for way, one in reversed(ways.items()):
        chosen = one.exists
        status[chosen] = way
        polygons[chosen], displacement[chosen] = one.polygons[chosen], one.displacement[chosen]
    return status, polygons, displacement


def _outlines(rings: Rings) -> Polygons:
    """Valid polygons with fewer vertices, next to the border everywhere."""
    kept = np.zeros(len(rings.points), bool)
    kept[corners(rings, _OUTLINE)] = True
    kept |= (rings.sums(kept.astype(np.int64)) < 3)[rings.ring]
    outline = polygons_of(rings.at(np.flatnonzero(kept)))
    broken = ~shapely.is_valid(outline)
    if broken.any():
        outline[broken] = polygons_of(rings.of(broken))
    return outline


def _circles(rings: Rings, outline: Polygons, wanted: Flags, options: Regularization) -> Candidate:
    """As circles, where a polygon has no holes and is round and large enough."""
    round_ = wanted & (np.bincount(rings.owner) == 1)
    if round_.any():
        circles = fit_circles(rings.of(round_))
        round_[round_] = (circles.misfit < options.max_circle_misfit) & (circles.radius > options.min_radius)
    return _some(round_, rings, outline, lambda chosen: draw_circles(fit_circles(chosen)))


def _any_angle(rings: Rings, outline: Polygons, wanted: Flags, tolerance: NDArray[np.float64]) -> Candidate:
    """With straight walls at any angle, if these are fewer than the border's points."""
    limit = tolerance[wanted]
    free = _some(wanted, rings, outline, lambda some: fit_or_keep(some, limit[some.owner]))
    return free.where(_fewer(free.polygons, rings))


def _simplified(rings: Rings, outline: Polygons, wanted: Flags, tolerance: NDArray[np.float64]) -> Candidate:
    """Fitted closely, however far away that is."""
    limit = tolerance[wanted]
    return _some(wanted, rings, outline, lambda some: fit_without_crossings(some, limit[some.owner]))


def _near(one: Candidate, options: Regularization) -> Candidate:
    """Those candidates that keep to the old border."""
    return one.where((one.displacement <= options.max_displacement) & (one.farthest <= options.max_deviation))


def _some(wanted: Flags, rings: Rings, outline: Polygons, draw: Callable[[Rings], Rings]) -> Candidate:
    """Draw and measure some polygons; the others are no candidates."""
    if not wanted.any():
        return Candidate.none(len(outline))
    return candidate(draw(rings.of(wanted)), outline[wanted]).spread(wanted)


def _fewer(polygons: Polygons, rings: Rings) -> Flags:
    """(polygons,) bool, True = a polygon of fewer points than its border had."""
    return np.asarray(shapely.get_num_coordinates(polygons) < np.bincount(rings.owner, rings.sizes + 1))
