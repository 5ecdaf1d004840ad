"""What it costs to stand for a border: the area between, and the numbers it takes to draw."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.regularize_rings import Flags, Indices, Polygons, Rings, lengths, polygons_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Redrawn polygons and what they cost.

    Attributes:
        polygons: (n,) Polygons in their frames.
        displacement: (n,) float64 pixels, the mean distance from the old border to the sides that stand for
            it; infinite where there is no valid polygon.
        farthest: (n,) float64 pixels, the greatest such distance.
        length: (n,) float64 pixels, of the old border.
        freedom: (n,) float64, how many numbers it takes to draw the polygon.
    """

    polygons: Polygons
    displacement: Floats
    farthest: Floats
    length: Floats
    freedom: Floats

    @classmethod
    def none(cls, count: int) -> Candidate:
        """No polygons at all."""
        return cls(np.full(count, None, object), *np.full((2, count), np.inf), *np.ones((2, count)))

    @property
    def between(self) -> Floats:
        """(n,) float64 square pixels: about the area between old border and new."""
        return self.displacement * self.length

    def cost(self, price: Floats) -> Floats:
        """(n,) float64 square pixels, with `price` (n,) for each number."""
        return np.asarray(self.between + self.freedom * price)

    def where(self, holds: Flags) -> Candidate:
        """The candidates for which `holds` is True."""
        return replace(self, displacement=np.where(holds, self.displacement, np.inf))

    def over(self, other: Candidate, holds: Flags) -> Candidate:
        """These where `holds` is True, and the others elsewhere."""
        pairs = zip(_arrays(self), _arrays(other), strict=True)
        return Candidate(*(np.where(holds, mine, theirs) for mine, theirs in pairs))

    def spread(self, where: Flags) -> Candidate:
        """The candidates of more polygons: these where `where` is True, and none elsewhere."""
        full = Candidate.none(len(where))
        for mine, theirs in zip(_arrays(full), _arrays(self), strict=True):
            mine[where] = theirs
        return full


def _arrays(one: Candidate) -> tuple[Polygons, Floats, Floats, Floats, Floats]:
    return one.polygons, one.displacement, one.farthest, one.length, one.freedom


def candidate(rings: Rings, drawn: Rings, side: Indices, *, right_angles: bool = False) -> Candidate:
    """Measure redrawn rings against the borders that they replace.

    A corner takes two numbers; with right angles every wall takes one, and their direction another. The
    displacement is that of the areas if it is more: sides may reach beyond what they stand for.

    Args:
        rings: dense.
        drawn: as many rings, of three points or more each.
        side: (points,) int64, the side of `drawn` that stands for the edge from a point to the next.
        right_angles: whether all walls of `drawn` are parallel or at right angles.
    """
    polygons = polygons_of(drawn)
    distance, weight = _distances(rings, drawn, side)
    begin = rings.offsets[:-1][rings.shell]  # of every polygon
    length = np.add.reduceat(weight, begin)
    mean = np.add.reduceat(distance * weight, begin) / length
    grown = np.abs(drawn.net_areas - rings.net_areas) / length
    corners = np.bincount(drawn.owner, drawn.sizes).astype(np.float64)
    return Candidate(
        polygons,
        np.where(shapely.is_valid(polygons), np.maximum(mean, grown), np.inf),
        np.maximum.reduceat(distance, begin),
        length,
        corners + 1 if right_angles else 2 * corners,
    )


def _distances(rings: Rings, drawn: Rings, side: Indices) -> tuple[Floats, Floats]:
    """How far the middle of every edge lies from the side that stands for it, and the edge's length."""
    edge, along = rings.edges, drawn.edges[side]
    gap = rings.points + edge / 2 - drawn.points[side]
    squared = np.maximum(np.einsum("ij,ij->i", along, along), 1e-12)
    share = np.clip(np.einsum("ij,ij->i", gap, along) / squared, 0.0, 1.0)
    return lengths(gap - share[:, None] * along), lengths(edge)
