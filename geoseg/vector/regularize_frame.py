"""A flat frame for each polygon in which right angles are those on the ground.

Its axes point east and north, its origin lies at the polygon and its unit is one pixel: the side of a square
with a pixel's area on the ground. It depends on that polygon alone, and moves with it exactly when the
polygon moves by whole pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.vector.regularize_rings import Flags, Points, Polygons, Rings, rings_of

SQUARE: NDArray[np.float64] = np.array([[1.0, 0.0], [0.0, -1.0]])  # one unit per pixel, north up


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The frames of n polygons.

    Attributes:
        origin: (n, 2) float64, a point near each polygon, in pixel coordinates.
        matrix: (n, 2, 2) float64, from pixel coordinates to the frame; its determinant is 1 or -1.
        metres: (n,) float64, the length of the frame's unit.
    """

    origin: Points
    matrix: NDArray[np.float64]
    metres: NDArray[np.float64]

    def to_pixels(self, rings: Rings) -> Rings:
        """Rings in the frames of their owners, in pixel coordinates."""
        owner = rings.owner[rings.ring]
        points = (
            _turned(np.linalg.inv(self.matrix).astype(np.float64), rings.points, owner) + self.origin[owner]
        )
        return rings.moved(points)

    def of(self, polygons: Flags) -> Frame:
        """The frames of some polygons (bool, per polygon)."""
        return Frame(self.origin[polygons], self.matrix[polygons], self.metres[polygons])


def usable(polygons: Polygons) -> Flags:
    """(n,) bool, True = a valid Polygon that is not empty."""
    plain = (shapely.get_type_id(polygons) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(polygons)
    plain[plain] = shapely.is_valid(polygons[plain])
    return np.asarray(plain)


def local_frame(polygons: Polygons, jacobians: NDArray[np.float64], good: Flags) -> tuple[Frame, Rings]:
    """Bring the good ones of some polygons into their frames.

    Args:
        polygons: (n,) shapely Polygons in pixel coordinates.
        jacobians: (n, 2, 2) or (2, 2) float64, d(metres east, north) / d(column, row).
        good: (n,) bool, as `usable` says.

    Returns:
        The frames and the rings of the good polygons.
    """
    chosen = one_each(jacobians, len(polygons))[good]
    metres = pixel_sizes(jacobians, len(polygons))[good]
    if not (np.isfinite(metres) & (metres > 0)).all():
        raise GridError("a Jacobian is singular or not finite; give d(metres east, north) / d(column, row)")
    rings = rings_of(polygons[good])
    origin = np.floor(rings.points[rings.offsets[:-1][rings.shell]])
    frame = Frame(origin, chosen / metres[:, None, None], metres)
    owner = rings.owner[rings.ring]
    return frame, rings.moved(_turned(frame.matrix, rings.points - origin[owner], owner))


def pixel_sizes(jacobians: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(count,) float64 metres: the side of a square with a pixel's area at each polygon."""
    return np.asarray(np.sqrt(np.abs(np.linalg.det(one_each(jacobians, count)))))


def one_each(jacobians: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(count, 2, 2) Jacobians from one each, or from one for all."""
    jacobians = np.asarray(jacobians, np.float64)
    if jacobians.shape not in ((2, 2), (count, 2, 2)):
        raise GridError(
            f"Jacobians must be (2, 2) or ({count}, 2, 2), got {jacobians.shape}; give one per polygon"
        )
    return np.broadcast_to(jacobians, (count, 2, 2))


def _turned(matrices: NDArray[np.float64], points: Points, owner: NDArray[np.int64]) -> Points:
    """Each point times the matrix of its owner."""
    a, b, c, d = matrices.reshape(-1, 4)[owner].T
    x, y = points.T
    return np.column_stack([a * x + b * y, c * x + d * y])
