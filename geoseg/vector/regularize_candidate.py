"""How far a redrawn polygon lies from the border that it replaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.vector.regularize_rings import Flags, Polygons, Rings, polygons_of


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """Redrawn polygons and what they cost.

    Attributes:
        polygons: (n,) Polygons in their frames.
        displacement: (n,) float64 pixels, the mean distance between old and new border: the area between them
            over the length of the old one; infinite where the polygon is not valid.
        farthest: (n,) float64 pixels, from the old border's corners to the new border.
    """

    polygons: Polygons
    displacement: NDArray[np.float64]
    farthest: NDArray[np.float64]

    @property
    def exists(self) -> Flags:
        """(n,) bool, True = there is a valid candidate."""
        return np.isfinite(self.displacement)

    @classmethod
    def none(cls, count: int) -> Candidate:
        """No polygons at all."""
        return cls(np.full(count, None, object), *np.full((2, count), np.inf))

    def where(self, holds: Flags) -> Candidate:
        """The candidates for which `holds` is True."""
        return Candidate(self.polygons, np.where(holds, self.displacement, np.inf), self.farthest)

    def spread(self, where: Flags) -> Candidate:
        """The candidates of more polygons: these where `where` is True, and none elsewhere."""
        full = Candidate.none(len(where))
        for mine, theirs in zip(_arrays(full), _arrays(self), strict=True):
            mine[where] = theirs
        return full


def _arrays(one: Candidate) -> tuple[Polygons, NDArray[np.float64], NDArray[np.float64]]:
    return one.polygons, one.displacement, one.farthest


def candidate(rings: Rings, outline: Polygons, possible: Flags | None = None) -> Candidate:
    """Measure redrawn rings against the outlines that they replace.

    Args:
        rings: redrawn, of three points or more each.
        outline: (n,) valid Polygons with few vertices.
        possible: (n,) bool, False = no candidate; None for all True.
    """
    polygons = polygons_of(rings)
    good = shapely.is_valid(polygons)
    if possible is not None:
        good &= possible
    displacement, farthest = np.full((2, len(polygons)), np.inf)
    new, old = polygons[good], outline[good]
    common = shapely.area(shapely.intersection(new, old))
    displacement[good] = (shapely.area(new) + shapely.area(old) - 2 * common) / shapely.length(old)
    farthest[good] = _farthest(new, old)
    return Candidate(polygons, displacement, farthest)


def _farthest(new: Polygons, old: Polygons) -> NDArray[np.float64]:
    """The greatest distance from a vertex of each old polygon to the border of the new one."""
    if not len(new):
        return np.empty(0)
    points, index = shapely.get_coordinates(old, return_index=True)
    border = shapely.boundary(new)
    shapely.prepare(border)
    distance = shapely.distance(shapely.points(points), border[index])
    begin = np.searchsorted(index, np.arange(len(new)))
    return np.asarray(np.maximum.reduceat(distance, begin))
