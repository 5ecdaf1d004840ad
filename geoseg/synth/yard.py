"""Pieces of gardens and lots: ground covers, cars, fences, pools, parking bays."""

import math
from collections.abc import Iterator

import numpy as np
from shapely import LineString, Point

from geoseg.synth.palette import CAR, LAWN, PAVED, SOIL, TAR, WATER, Rng, pick
from geoseg.synth.shapes import Facet, Frame, Surface, rectangle

LINE = Surface((208, 206, 200), 0.15)


def turf(rng: Rng, dry: float) -> Surface:
    """Grass, greener or drier around the scene's dryness (0..1)."""
    return Surface(
        pick(rng, LAWN), rng.uniform(0.08, 0.13), mottle=float(np.clip(rng.normal(dry, 0.25), 0, 1))
    )


def earth(rng: Rng) -> Surface:
    """Bare soil, gravel or mulch."""
    return Surface(pick(rng, SOIL), rng.uniform(0.1, 0.18), mottle=0.25)


def paving(rng: Rng) -> Surface:
    """Concrete or slabs."""
    return Surface(pick(rng, PAVED), 0.045)


def tarmac(rng: Rng) -> Surface:
    """Asphalt."""
    return Surface(pick(rng, TAR, 6), 0.045)


def car(rng: Rng) -> tuple[Facet, ...]:
    """A car around the origin, its length along x."""
    length, width = rng.uniform(4.1, 5.1), rng.uniform(1.75, 2.0)
    paint = Surface(pick(rng, CAR, 6), 0.04)
    glass = Surface((48, 54, 62), 0.03)
    return (
        Facet(rectangle(0, 0, length, width), paint, (0.0, 0.0, 0.9)),
        Facet(rectangle(-0.2, 0, length * 0.62, width * 0.86), glass, (0.0, 0.0, 1.2)),
        Facet(rectangle(-0.3, 0, length * 0.36, width * 0.84), paint, (0.0, 0.0, 1.45)),
    )


def fence(rng: Rng, points: list[tuple[float, float]]) -> Facet:
    """A thin wall along a line."""
    colour = pick(rng, ((150, 132, 112), (176, 170, 160), (112, 98, 86)))
    line = LineString(points).buffer(0.1, cap_style="square", join_style="mitre")
    return Facet(line, Surface(colour, 0.08), (0.0, 0.0, rng.uniform(0.9, 1.7)))


def pool(rng: Rng, x: float, y: float) -> tuple[Facet, Facet]:
    """A pool and the paving around it."""
    width, depth = rng.uniform(6, 9), rng.uniform(3.2, 4.6)
    core = rectangle(x, y, width - 2.4, depth - 2.4).buffer(1.2)
    if rng.random() < 0.4:
        core = core.union(Point(x + width * 0.25, y + depth * 0.3).buffer(depth * 0.42))
    return Facet(core.buffer(1.1), paving(rng)), Facet(core, Surface(pick(rng, WATER), 0.04))


def bays(rng: Rng, x: float, y: float, width: float, *, full: float) -> Iterator[Facet]:
    """A row of parking bays along x, centred at (x, y): lines, and cars in a share ``full`` of the bays."""
    count = max(1, int(width / 2.7))
    for i in range(count + 1):
        left = x + (i - count / 2) * 2.7
        yield Facet(rectangle(left, y, 0.16, 5.0), LINE)
        if i < count and rng.random() < full:
            facing = math.pi / 2 * rng.choice([-1, 1]) + rng.normal(0, 0.03)
            place = Frame(left + 1.35 + rng.normal(0, 0.1), y + rng.normal(0, 0.25), facing)
            yield from place.facets(car(rng))
