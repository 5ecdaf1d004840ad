"""The ways to redraw a building, and the choice between them: the one that costs least.

A drawing costs the area between it and the border, and a price for every number that it takes. So a wall, a
notch or a slant is drawn only where it tells more about the border than it costs, and a wobble is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_candidate import Candidate, candidate
from geoseg.vector.regularize_circle import circle_candidate
from geoseg.vector.regularize_direction import Angles
from geoseg.vector.regularize_options import Regularization, Status
from geoseg.vector.regularize_rectilinear import rectilinear
from geoseg.vector.regularize_rings import Flags, Polygons, Rings
from geoseg.vector.regularize_scale import Floats, Scale
from geoseg.vector.simplify import fit_or_keep, fit_without_crossings

Ways: TypeAlias = Sequence[tuple[Status, Candidate]]

_CLOSE = 6.0  # prices: where less area lies between, no other way could make up for its own numbers
_COARSER = 1.2  # times the tolerance, from which on a second one is tried
_WIDE = 4 / 3  # of the tolerance, for walls at any angle: they keep to the border better than right angles
_LAST = 2 / 3  # of the tolerance, for the polygons that no other way fits


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """Dense rings of n polygons in their frames, the (n,) directions of their walls, and their limits."""

    rings: Rings
    directions: Angles
    scale: Scale

    def right_angles(self, where: Flags, tolerance: Floats, wall: Floats) -> Candidate:
        """Some polygons with right angles only, if these keep to the border."""
        if not where.any():
            return Candidate.none(len(where))
        rings = self.rings.of(where)
        drawn, side = rectilinear(rings, self.directions[where], tolerance[where], wall[where])
        return self.near(candidate(rings, drawn, side, right_angles=True).spread(where))

    def any_angle(self, where: Flags, tolerance: Floats, *, uncrossed: bool = True) -> Candidate:
        """Some polygons with straight walls; with more of them where walls cross, or else no candidate."""
        if not where.any():
            return Candidate.none(len(where))
        rings = self.rings.of(where)
        fit = fit_without_crossings if uncrossed else fit_or_keep
        return candidate(rings, *fit(rings, tolerance[where][rings.owner])).spread(where)

    def near(self, one: Candidate) -> Candidate:
        """Those candidates that keep to the border."""
        limit = self.scale
        return one.where((one.displacement <= limit.displacement) & (one.farthest <= limit.deviation))


def choose(borders: Borders, options: Regularization) -> tuple[NDArray[np.uint8], Polygons, Floats]:
    """Redraw polygons in every way that has a chance, and take the cheapest.

    Returns:
        (n,) uint8 `Status`, (n,) the polygons (None where RAW) and (n,) their displacement in pixels.
    """
    scale = borders.scale
    ways = _ways(borders, options)
    status, best = _cheapest(ways, scale.price)
    left = status == Status.RAW
    close = borders.any_angle(left, _LAST * scale.coarse)
    last, plain = _cheapest([(Status.SIMPLIFIED, close)], scale.price)
    return (
        np.where(left, last, status),
        np.where(left, plain.polygons, best.polygons),
        np.where(left, plain.displacement, best.displacement),
    )


def _ways(borders: Borders, options: Regularization) -> Ways:
    """Right angles first; where they leave doubt, circles, any angles and more tolerance."""
    scale = borders.scale
    right = borders.right_angles(np.ones(len(scale.fine), bool), scale.fine, scale.wall)
    doubtful = ~(right.between <= _CLOSE * scale.price)
    large = doubtful & (scale.coarse > _COARSER * scale.fine)
    wall = scale.wall * scale.coarse / scale.fine
    free = borders.any_angle(doubtful, _WIDE * scale.fine, uncrossed=False)
    return [
        (Status.RECTILINEAR, right),
        (Status.RECTILINEAR, borders.right_angles(large, scale.coarse, wall)),
        (Status.CIRCLE, circle_candidate(borders.rings, doubtful, options)),
        (Status.ANY_ANGLE, borders.near(free)),
        (Status.ANY_ANGLE, borders.near(borders.any_angle(large, _WIDE * scale.coarse))),
    ]


def _cheapest(ways: Ways, price: Floats) -> tuple[NDArray[np.uint8], Candidate]:
    """The best candidate of each polygon and its kind; RAW without any."""
    kind, best = np.full(len(price), Status.RAW, np.uint8), Candidate.none(len(price))
    for status, one in ways:
        better = one.cost(price) < best.cost(price)
        kind[better] = status
        best = one.over(best, better)
    return kind, best
