"""Carriageways, kerbs, verges, side walks, lane marks and parked cars."""

import math
from collections.abc import Iterator

import numpy as np
import shapely
from shapely import LineString, unary_union
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from geoseg.synth.layout import Layout, Street
from geoseg.synth.palette import Rng, scaled
from geoseg.synth.shapes import Facet, Frame, Surface, polygons
from geoseg.synth.styles import Style
from geoseg.synth.yard import car, earth, paving, tarmac, turf


def carriageway(layout: Layout, margin: float) -> BaseGeometry:
    """All street surfaces widened by ``margin`` (m), with rounded corners at the junctions."""
    strips = [street.line.buffer(street.width / 2 + margin, cap_style="square") for street in layout.streets]
    return unary_union(strips).buffer(4.0).buffer(-4.0)


def layer(shape: BaseGeometry, surface: Surface) -> list[Facet]:
    """Level facets for all polygons of a geometry."""
    return [Facet(polygon, surface) for polygon in polygons(shape)]


def side_walks(rng: Rng, layout: Layout, style: Style, dry: float) -> list[Facet]:
    """Side walks and verges; rural roads have a strip of bare ground instead."""
    if not style.walks:
        return layer(carriageway(layout, 1.4), earth(rng))
    verge = turf(rng, dry) if rng.random() < 0.6 else paving(rng)
    return [*layer(carriageway(layout, 3.3), paving(rng)), *layer(carriageway(layout, 1.7), verge)]


def surfaces(rng: Rng, layout: Layout, style: Style) -> list[Facet]:
    """Kerbs and asphalt, with lane marks where no junction is near."""
    asphalt = tarmac(rng)
    kerbs = layer(carriageway(layout, 0.3), paving(rng)) if style.walks else []
    return [*kerbs, *layer(carriageway(layout, 0.0), asphalt), *repairs(rng, layout, asphalt), *marks(layout)]


def repairs(rng: Rng, layout: Layout, asphalt: Surface) -> Iterator[Facet]:
    """Patches of newer or older asphalt along the streets."""
    for street in layout.streets:
        for start in np.arange(0, street.line.length, 45.0):
            if rng.random() < 0.35:
                part = substring(street.line, start, start + rng.uniform(4, 30))
                shift = rng.uniform(-0.25, 0.25) * street.width
                strip = part.offset_curve(shift).buffer(
                    street.width * rng.uniform(0.08, 0.2), cap_style="flat"
                )
                yield from layer(
                    strip, Surface(scaled(asphalt.colour, rng.uniform(0.85, 1.1)), asphalt.grain)
                )


def marks(layout: Layout) -> Iterator[Facet]:
    """Dashed middle lines of the wider streets, and stop lines' worth of gap at each junction."""
    for street in layout.streets:
        if street.width < 9.5:
            continue
        junctions = unary_union([s.line.buffer(s.width / 2 + 3) for s in layout.streets if s is not street])
        paint = Surface((206, 202, 190) if street.width > 11 else (196, 168, 92), 0.15)
        for start in np.arange(0, street.line.length, 9.0):
            dash = substring(street.line, start, start + 3.5)
            if dash.disjoint(junctions):
                yield from layer(dash.buffer(0.12, cap_style="flat"), paint)


def along(line: LineString, distance: float, offset: float) -> Frame:
    """Frame at a distance along a line, moved sideways; x follows the line."""
    here, ahead = line.interpolate(distance), line.interpolate(distance + 0.5)
    angle = math.atan2(ahead.y - here.y, ahead.x - here.x)
    return Frame(here.x - math.sin(angle) * offset, here.y + math.cos(angle) * offset, angle)


def kerb_places(rng: Rng, street: Street, gap: tuple[float, float], offset: float) -> Iterator[Frame]:
    """Places on both sides of a street, ``offset`` (m) from its middle and ``gap`` apart."""
    for side in (-1.0, 1.0):
        distance = rng.uniform(*gap)
        while distance < street.line.length - 1:
            yield along(street.line, distance, side * offset)
            distance += rng.uniform(*gap)


def traffic(rng: Rng, layout: Layout, style: Style) -> Iterator[Facet]:
    """Cars at the kerb (where there is one) and a few in the lanes, clear of the junctions."""
    lines = [street.line for street in layout.streets]
    tree = shapely.STRtree(lines)
    for i, street in enumerate(layout.streets):
        lanes = [((60.0, 300.0), street.width * (0.12 if style.walks else 0.25))]
        kerbs = [((7.0, 60.0), street.width / 2 - 1.05)] if style.walks else []
        for gap, offset in kerbs + lanes:
            for place in kerb_places(rng, street, gap, offset):
                near = tree.query(shapely.Point(place.x, place.y), predicate="dwithin", distance=9.0)
                if all(j == i for j in near):
                    yield from place.facets(car(rng))
