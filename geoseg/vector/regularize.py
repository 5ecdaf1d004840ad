"""Buildings with straight walls and right angles, where their borders say so.

Each polygon is redrawn in several ways: with right angles only, as a circle, with walls at any angle, finely
and coarsely. The cheapest way that keeps to the border wins, by the area between and the numbers it takes to
draw; where none keeps to it, the border stays, simplified or as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.core.prefetch import cores
from geoseg.vector.regularize_choice import Borders, choose
from geoseg.vector.regularize_direction import long_axis, wall_directions
from geoseg.vector.regularize_frame import Frame, local_frame, one_each, pixel_sizes, usable
from geoseg.vector.regularize_options import Regularization, Status
from geoseg.vector.regularize_overlaps import outdone, resolve_overlaps
from geoseg.vector.regularize_rings import Flags, Polygons, polygons_of, rings_of, without_slits
from geoseg.vector.regularize_scale import filled, scale_of
from geoseg.vector.simplify import fit_without_crossings

__all__ = ["Regularization", "Regularized", "Status", "regularize", "without_overlaps"]

T = TypeVar("T")

_BLOCK = 250  # polygons that are redrawn at once: more take time to get memory, and leave cores idle at last
_FEW = 16  # when they are few and large
_PLAIN = 1.0  # px: tolerance of the polygons that take the place of overlapping ones
_PLAIN_M, _SHARE = 0.7, 0.035  # m, and of the polygon's size: the less counts, if it is more
_ROUNDS = 4  # of simplifying what overlaps, before it is given up
_NARROW = 3.0  # px: their holes are wider


@dataclass(frozen=True, slots=True, eq=False)
class Regularized:
    """Redrawn polygons.

    Attributes:
        polygons: (n,) shapely Polygons in pixel coordinates.
        status: (n,) uint8, a `Status`.
        displacement_px: (n,) float64 pixels, the mean distance between old and new border.
        pixel_m: (n,) float64 metres, the size of such a pixel.
        orientation_deg: (n,) float64, the direction of the long axis in degrees clockwise from true north,
            0 … 180; NaN for circles and for what is no valid polygon.
    """

    polygons: Polygons
    status: NDArray[np.uint8]
    displacement_px: NDArray[np.float64]
    pixel_m: NDArray[np.float64]
    orientation_deg: NDArray[np.float64]

    @property
    def displacement_m(self) -> NDArray[np.float64]:
        """(n,) float64 metres, the mean distance between old and new border."""
        moved = self.displacement_px > 0
        return np.where(moved, self.displacement_px * self.pixel_m, 0.0)


def regularize(
    polygons: Polygons, jacobians: NDArray[np.float64], options: Regularization | None = None
) -> Regularized:
    """Redraw building borders; every result is valid and depends on its own polygon only.

    Neighbours may overlap afterwards: `without_overlaps` mends that.

    Args:
        polygons: (n,) shapely Polygons in pixel coordinates (x = column, y = row), with about one point per
            pixel of border. Those that are invalid, empty or no Polygon come back as they were.
        jacobians: (n, 2, 2) or (2, 2) float64, d(metres east, north) / d(column, row) at each polygon.
        options: thresholds.
    """
    options = options or Regularization()
    frames = one_each(jacobians, len(polygons))
    done = _in_blocks(lambda some: _regularize(polygons[some], frames[some], options), len(polygons))
    return Regularized(
        *(np.concatenate([getattr(block, one.name) for block in done]) for one in fields(Regularized))
    )


def _in_blocks(work: Callable[[slice], T], count: int, size: int = _BLOCK) -> list[T]:
    """What becomes of each block of polygons, in order; numpy and GEOS leave Python to the next one."""
    blocks = [slice(start, start + size) for start in range(0, max(count, 1), size)]
    with ThreadPoolExecutor(cores(), "geoseg-redraw") as pool:
        return list(pool.map(work, blocks))


def _regularize(polygons: Polygons, jacobians: NDArray[np.float64], options: Regularization) -> Regularized:
    """Redraw some of the polygons; arguments as for `regularize`."""
    good = usable(polygons)
    result = _unchanged(polygons, pixel_sizes(jacobians, len(polygons)))
    if not good.any():
        return result
    frame, rings = local_frame(polygons, jacobians, good)
    rings = filled(rings, scale_of(rings, frame.metres, options))
    scale, directions = scale_of(rings, frame.metres, options), wall_directions(rings)
    status, drawn, displacement = choose(Borders(rings, directions, scale), options)
    polygons, kept = _in_pixels(drawn, polygons[good], frame)
    status = np.where(kept, status, np.uint8(Status.RAW))
    result.polygons[good], result.status[good] = polygons, status
    result.displacement_px[good] = np.where(kept, displacement, 0.0)
    result.orientation_deg[good] = np.where(status == Status.CIRCLE, np.nan, long_axis(rings, directions))
    return result


def without_overlaps(regularized: Regularized, source: Polygons) -> Regularized:
    """Give up those redrawn polygons that overlap a neighbour, for simplified ones or else their source.

    Of two that overlap the one displaced more falls: it is simplified instead, a second time finely, and a
    third time goes back to its source. Whoever overlaps one that fell more often falls next. After a few
    rounds all that are left fall to their sources.

    Args:
        regularized: what `regularize` made of `source`.
        source: (n,) the polygons before, in pixel coordinates; these overlap nowhere.
    """
    polygons, status = regularized.polygons.copy(), regularized.status.copy()
    displacement, falls = regularized.displacement_px.copy(), np.zeros(len(source), int)
    coarse, fallen = _coarse(source, regularized.pixel_m), np.ones(len(source), bool)
    for _ in range(_ROUNDS):
        # only those drawn anew can overlap another
        fallen = outdone(polygons, np.where(falls, -falls, displacement), fallen)
        tolerance = np.where(falls, np.minimum(coarse, _PLAIN), coarse)
        some, lost = fallen & (falls < 2), fallen & (falls > 1)
        polygons[some] = _plain(source[some], tolerance[some])
        polygons[lost] = source[lost]
        falls += fallen
    polygons, lost = resolve_overlaps(polygons, source, np.where(falls, -falls, displacement))
    lost |= falls > 2
    plain = (falls > 0) & ~lost
    status[plain], displacement[plain] = Status.SIMPLIFIED, _mean_distance(polygons[plain], source[plain])
    status[lost], displacement[lost] = Status.RAW, 0.0
    return replace(regularized, polygons=polygons, status=status, displacement_px=displacement)


def _coarse(source: Polygons, pixel_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) float64 pixels: the greater tolerance of the polygons that take the place of overlapping ones."""
    most = np.maximum(_PLAIN, _PLAIN_M / pixel_m)
    return np.asarray(np.clip(_SHARE * np.sqrt(shapely.area(source)), 0.1, most))


def _plain(source: Polygons, tolerance: NDArray[np.float64]) -> Polygons:
    """Simplify polygons."""
    return np.concatenate(_in_blocks(lambda some: _simplified(source[some], tolerance[some]), len(source)))


def _simplified(source: Polygons, tolerance: NDArray[np.float64]) -> Polygons:
    """Simplify some of the polygons."""
    if not len(source):
        return source
    rings = without_slits(rings_of(source), _NARROW)
    plain = polygons_of(fit_without_crossings(rings, tolerance[rings.owner])[0])
    return np.where(shapely.is_valid(plain), plain, source)


def _mean_distance(new: Polygons, old: Polygons) -> NDArray[np.float64]:
    """(n,) float64: the area between valid polygons over the length of the old border."""
    between = _in_blocks(lambda k: shapely.area(shapely.symmetric_difference(new[k], old[k])), len(new), _FEW)
    return np.asarray(np.concatenate(between) / shapely.length(old))


def _in_pixels(drawn: Polygons, source: Polygons, frame: Frame) -> tuple[Polygons, Flags]:
    """Bring polygons back from their frames; the source stays where none was drawn or rounding breaks it."""
    polygons, kept = source.copy(), ~shapely.is_missing(drawn)
    if kept.any():
        polygons[kept] = polygons_of(frame.of(kept).to_pixels(rings_of(drawn[kept])))
        kept[kept] = shapely.is_valid(polygons[kept])
        polygons[~kept] = source[~kept]
    return polygons, kept


def _unchanged(polygons: Polygons, pixel_m: NDArray[np.float64]) -> Regularized:
    """All polygons as they were."""
    count = len(polygons)
    return Regularized(
        polygons.copy(),
        np.full(count, Status.RAW, np.uint8),
        np.zeros(count),
        pixel_m,
        np.full(count, np.nan),
    )
