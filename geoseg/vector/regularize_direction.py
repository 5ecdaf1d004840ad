"""The direction of a building's walls, from the chords of its border."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.vector.regularize_rings import Rings

Angles = NDArray[np.float64]

_CHORD = 5  # points that a chord spans: long enough to bridge the steps of the pixels
_ROUNDS = 3  # of averaging, all but the first without the chords that go elsewhere
_SPREAD = np.radians(10.0)  # how far from the mean a chord still counts, one sigma


def wall_directions(rings: Rings) -> Angles:
    """Find the mean direction of each polygon's walls, where all four of a rectangle are one.

    Quadrupled angles make parallel and perpendicular chords agree; their mean, weighted by length, is
    taken again with the chords that agree with it. Holes have no say: they follow their shell.

    Args:
        rings: dense, in frames with right angles.

    Returns:
        (polygons,) float64, radians from the first axis towards the second, in 0 … π/2.
    """
    shells = _shells(rings)
    length, angle = _chords(shells)
    ring = shells.ring
    weight, sines, cosines = length, np.sin(4 * angle), np.cos(4 * angle)
    for _ in range(_ROUNDS):
        mean = np.arctan2(shells.sums(weight * sines), shells.sums(weight * cosines)) / 4
        off = (angle - mean[ring] + np.pi / 4) % (np.pi / 2) - np.pi / 4
        weight = length * np.exp(-((off / _SPREAD) ** 2) / 2)
    return np.asarray(mean % (np.pi / 2))


def long_axis(rings: Rings, directions: Angles) -> Angles:
    """Of a wall direction and the one across, take that in which the shell extends farther.

    Args:
        rings: in frames whose axes point east and north.
        directions: (polygons,) as `wall_directions` gives them.

    Returns:
        (polygons,) float64, degrees clockwise from north, in 0 … 180.
    """
    shells = _shells(rings)
    turned = turn(shells, -directions)
    start = turned.offsets[:-1]
    extent = np.maximum.reduceat(turned.points, start) - np.minimum.reduceat(turned.points, start)
    along = np.where(extent[:, 0] >= extent[:, 1], directions, directions + np.pi / 2)
    return np.asarray((90.0 - np.degrees(along)) % 180.0)


def turn(rings: Rings, angles: Angles) -> Rings:
    """Turn all rings of each polygon about its origin by an angle in radians."""
    cosine, sine = np.cos(angles), np.sin(angles)
    owner = rings.owner[rings.ring]
    x, y = rings.points.T
    c, s = cosine[owner], sine[owner]
    return rings.moved(np.column_stack([c * x - s * y, s * x + c * y]))


def _shells(rings: Rings) -> Rings:
    """Only the outer rings, one per polygon."""
    return rings.only(rings.shell)


def _chords(rings: Rings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The length and the angle of the chord that begins at each point."""
    sizes = rings.sizes
    span = np.minimum(_CHORD, np.maximum(sizes // 4, 1))
    ring = rings.ring
    start = rings.offsets[:-1][ring]
    end = start + (np.arange(len(ring)) - start + span[ring]) % sizes[ring]
    dx, dy = (rings.points[end] - rings.points).T
    return np.hypot(dx, dy), np.arctan2(dy, dx)
