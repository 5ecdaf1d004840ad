"""Buildings: footprints made of rectangular wings, and the roofs over them.

The footprint is the outline of the roof. Wings may overlap; where they do, the higher roof is seen, which
makes the valleys of L, T and U shaped roofs without any further geometry.
"""

from dataclasses import dataclass

from shapely import Point, Polygon, box, unary_union

from geoseg.synth.palette import CLAY, METAL, PLAIN, SHINGLE, Rng, pick
from geoseg.synth.roofs import Box, cone_roof, extras, flat_roof, ridge_roof
from geoseg.synth.shapes import Colour, Facet, Frame, Surface


@dataclass(frozen=True)
class Building:
    """A building: outline of its roof (m) and the facets seen from above."""

    footprint: Polygon
    facets: tuple[Facet, ...]

    def placed(self, frame: Frame) -> "Building":
        """The building carried out of ``frame``."""
        return Building(frame.shape(self.footprint), frame.facets(self.facets))


def outline(rng: Rng, width: float, depth: float) -> tuple[Box, ...]:
    """Wings of a house within ``width`` × ``depth`` around the origin: a rectangle, L, T, U or court."""
    x, y = width / 2, depth / 2
    wing = rng.uniform(0.36, 0.46) * width
    back = rng.uniform(-0.1, 0.2) * depth
    body = (-x, back - min(0.55 * depth, 9.5) / 2, x, back + min(0.55 * depth, 9.5) / 2)
    kind = rng.choice(["I", "L", "T", "U", "O"], p=[0.3, 0.38, 0.16, 0.12, 0.04])
    if kind == "O" and min(width, depth) > 13:
        arm = rng.uniform(3.6, 4.4)
        return (-x, -y, x, -y + arm), (-x, y - arm, x, y), (-x, -y, -x + arm, y), (x - arm, -y, x, y)
    if kind == "I" or min(width, depth) < 7:
        return ((-x, -min(y, 5.2), x, min(y, 5.2)),)
    if kind == "T":
        return body, (-wing / 2, back, wing / 2, y)
    near = (-x, -y, -x + wing, back)
    if kind == "U":
        return body, near, (x - wing * 0.8, -y * rng.uniform(0.7, 1.0), x, back)
    return body, near


def projects(wing: Box, rank: int) -> bool:
    """Whether a wing's ridge runs away from the street: long wings do as they are long."""
    left, top, right, bottom = wing
    return bottom - top > right - left or (rank > 0 and right - left < 1.6 * (bottom - top))


def pitched(rng: Rng, wings: tuple[Box, ...], *, hip: bool, colours: tuple[Colour, ...]) -> Building:
    """A house with gable or hip roofs over its wings."""
    stripe = 0.16 if colours is CLAY else 0.1
    surface = Surface(
        pick(rng, colours, 10), rng.uniform(0.05, 0.09), stripe=stripe, period=rng.uniform(0.4, 0.6)
    )
    eave = 3.0 if rng.random() < 0.65 else 5.8
    pitch = rng.uniform(0.3, 0.58)
    roof = [
        facet
        for i, wing in enumerate(wings)
        for facet in ridge_roof(
            wing,
            eave - 0.01 * i,
            pitch,
            surface,
            hip=hip and (i == 0 or rng.random() < 0.7),
            upright=projects(wing, i),
        )
    ]
    footprint = unary_union([box(*wing) for wing in wings])
    return Building(footprint, (*roof, *extras(rng, roof)))


def levelled(rng: Rng, wings: tuple[Box, ...], height: float) -> Building:
    """A building with one flat roof over its wings."""
    footprint = unary_union([box(*wing) for wing in wings])
    surface = Surface(pick(rng, PLAIN, 10), rng.uniform(0.02, 0.05))
    return Building(footprint, tuple(flat_roof(rng, footprint, height, surface)))


def round_house(rng: Rng, radius: float) -> Building:
    """A round building with a conical roof."""
    surface = Surface(pick(rng, SHINGLE + METAL), 0.08)
    facets = tuple(cone_roof(radius, rng.uniform(3, 6), rng.uniform(0.2, 0.5), surface))
    return Building(Point(0, 0).buffer(radius, quad_segs=10), facets)


def house(rng: Rng, roof: str, width: float, depth: float) -> Building:
    """A house within ``width`` × ``depth`` metres around the origin; its front is at negative y."""
    if roof == "round":
        return round_house(rng, min(width, depth, 13.0) / 2)
    wings = outline(rng, width, depth)
    if roof == "flat":
        return levelled(rng, wings, 3.2 * rng.integers(1, 4))
    colours = (SHINGLE, CLAY, METAL)[int(rng.choice(3, p=[0.7, 0.22, 0.08]))]
    return pitched(rng, wings, hip=roof == "hip", colours=colours)


def hall(rng: Rng, width: float, depth: float) -> Building:
    """A large flat building (shop, school, flats), some with a court or an annex."""
    x, y = width / 2, depth / 2
    kind = rng.random()
    height = rng.uniform(4.5, 9.5)
    if kind < 0.18 and min(width, depth) > 16:
        arm = 0.32 * min(width, depth)
        sides = ((-x, -y, x, -y + arm), (-x, y - arm, x, y), (-x, -y, -x + arm, y), (x - arm, -y, x, y))
        return levelled(rng, sides, height)
    if kind < 0.55:
        return levelled(rng, ((-x, -y * 0.4, x, y), (-x, -y, x * rng.uniform(-0.5, 0.4), y)), height)
    return levelled(rng, ((-x, -y, x, y),), height)


def barn(rng: Rng, width: float, depth: float) -> Building:
    """A long gable roof of ribbed metal."""
    surface = Surface(pick(rng, METAL, 10), 0.07, stripe=0.1, period=0.9)
    wing = (-width / 2, -depth / 2, width / 2, depth / 2)
    facets = [
        *ridge_roof(
            wing, rng.uniform(3.5, 5), rng.uniform(0.2, 0.35), surface, hip=False, upright=depth > width
        )
    ]
    return Building(box(*wing), tuple(facets))
