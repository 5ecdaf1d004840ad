"""Roof facets: gables, hips, cones, flat roofs, and what stands on them."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from shapely import Point, Polygon

from geoseg.synth.palette import PLAIN, Rng, pick, scaled, tint
from geoseg.synth.shapes import Facet, Frame, Surface, polygons, rectangle

Box = tuple[float, float, float, float]


def ridge_roof(
    wing: Box, eave: float, pitch: float, surface: Surface, *, hip: bool, upright: bool
) -> Iterator[Facet]:
    """Facets of a gable or hip roof over a rectangle.

    Args:
        wing: left, top, right, bottom, m.
        eave: height of the eaves, m.
        pitch: rise over run of the long sides.
        surface: the covering; its rows are turned along each side's eaves.
        hip: True slopes the ends as well.
        upright: True runs the ridge along y, False along x.
    """
    left, top, right, bottom = wing
    width, depth = right - left, bottom - top
    a, b = (depth / 2, width / 2) if upright else (width / 2, depth / 2)
    inset = min(a, b) * 0.95 if hip else 0.0
    side = Polygon([(-a, b), (-a + inset, 0), (a - inset, 0), (a, b)])
    end = Polygon([(a, b), (a - inset, 0), (a, -b)])
    across = Surface(surface.colour, surface.grain, 0.0, surface.stripe, surface.period, math.pi / 2)
    along = Surface(surface.colour, surface.grain, 0.0, surface.stripe, surface.period, 0.0)
    cap = Surface(scaled(surface.colour, 1.12), surface.grain)
    turn = math.pi / 2 if upright else 0.0
    centre = ((left + right) / 2, (top + bottom) / 2)
    for angle in (0.0, math.pi):
        frame = Frame(*centre, turn + angle)
        yield frame.facet(Facet(side, across, (0.0, -pitch, eave + pitch * b)))
        if hip:
            yield frame.facet(Facet(end, along, (-pitch * b / inset, 0.0, eave + pitch * b * a / inset)))
    ridge = rectangle(0, 0, 2 * (a - inset), 0.3)
    yield Frame(*centre, turn).facet(Facet(ridge, cap, (0.0, 0.0, eave + pitch * b + 0.02)))


def cone_roof(radius: float, eave: float, pitch: float, surface: Surface) -> Iterator[Facet]:
    """Facets of a cone over a circle around the origin."""
    ring = np.array(Point(0, 0).buffer(radius, quad_segs=10).exterior.coords)
    for start, end in pairwise(ring):
        x, y = (start + end) / 2 / np.hypot(*((start + end) / 2))
        yield Facet(Polygon([start, end, (0, 0)]), surface, (-pitch * x, -pitch * y, eave + pitch * radius))


def flat_roof(rng: Rng, footprint: Polygon, height: float, surface: Surface) -> Iterator[Facet]:
    """A flat roof with its parapet, patches of newer covering and machines."""
    level = (0.0, 0.0, height)
    yield Facet(footprint, surface, level)
    core = footprint.buffer(-0.35, join_style="mitre")
    rim = Surface(scaled(surface.colour, rng.uniform(0.85, 1.2)), 0.05)
    for part in polygons(footprint.difference(core)):
        yield Facet(part, rim, (0.0, 0.0, height + rng.uniform(0.2, 0.6)))
    left, top, right, bottom = core.bounds if not core.is_empty else footprint.bounds
    for _ in range(min(24, int(rng.poisson(footprint.area / 55)))):
        size = rng.uniform(0.7, 2.4, 2)
        unit = rectangle(rng.uniform(left, right), rng.uniform(top, bottom), *size)
        if core.contains(unit):
            colour = scaled(pick(rng, PLAIN), rng.uniform(0.7, 1.05))
            yield Facet(unit, Surface(colour, 0.05), (0.0, 0.0, height + rng.uniform(0.05, 1.3)))
    for _ in range(int(rng.poisson(footprint.area / 160))):
        size = rng.uniform(2.0, 6.0, 2)
        patch = rectangle(rng.uniform(left, right), rng.uniform(top, bottom), *size)
        if core.contains(patch):
            yield Facet(patch, Surface(scaled(surface.colour, rng.uniform(0.88, 1.1)), 0.06), level)


def extras(rng: Rng, roof: list[Facet]) -> Iterator[Facet]:
    """Chimneys, sky lights and solar panels on the larger facets of a pitched roof."""
    for facet in roof:
        if facet.polygon.area < 18 or rng.random() < 0.45:
            continue
        x, y = (
            float(v) for v in np.array(facet.polygon.representative_point().coords[0]) + rng.normal(0, 1.0, 2)
        )
        a, b, c = facet.plane
        kind = rng.random()
        size = (
            (0.8, 0.8)
            if kind < 0.45
            else (1.0, 1.4)
            if kind < 0.75
            else (rng.uniform(3, 5), rng.uniform(1.7, 3.2))
        )
        shape = Frame(x, y, math.atan2(b, a) + math.pi / 2).shape(rectangle(0, 0, *size))
        if not facet.polygon.contains(shape):
            continue
        if kind < 0.45:
            yield Facet(shape, Surface(tint(rng, (140, 120, 110)), 0.05), (0.0, 0.0, a * x + b * y + c + 1.0))
        elif kind < 0.75:
            yield Facet(shape, Surface(pick(rng, ((70, 80, 95), (215, 220, 225))), 0.03), (a, b, c + 0.05))
        else:
            panels = Surface((38, 46, 68), 0.05, stripe=0.25, period=1.0, heading=math.atan2(b, a))
            yield Facet(shape, panels, (a, b, c + 0.08))
