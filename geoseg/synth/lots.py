"""What stands on each kind of parcel, and where trees may grow on it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from shapely import LineString, Polygon

from geoseg.synth.houses import Building, barn, hall, house
from geoseg.synth.layout import Parcel, choose
from geoseg.synth.palette import LAWN, SOIL, Rng, pick, scaled, tint
from geoseg.synth.shapes import Facet, Frame, Surface, polygons, rectangle
from geoseg.synth.styles import Style
from geoseg.synth.yard import bays, car, earth, fence, paving, pool, tarmac, turf


@dataclass(frozen=True)
class Grove:
    """Land on which trees grow.

    Attributes:
        polygon: where, m.
        density: trees per 100 m².
        radius: smallest and largest crown radius, m.
    """

    polygon: Polygon
    density: float
    radius: tuple[float, float] = (1.2, 5.6)


@dataclass
class Lot:
    """A furnished parcel: ground covers, drives (which cross the side walk), things that stand up, groves."""

    ground: list[Facet] = field(default_factory=list)
    drives: list[Facet] = field(default_factory=list)
    things: list[Facet] = field(default_factory=list)
    buildings: list[Building] = field(default_factory=list)
    groves: list[Grove] = field(default_factory=list)


def back_yard(rng: Rng, lot: Lot, width: float, front: float, back: float) -> None:
    """Patio, pool, shed and fence behind a house, between ``front`` and ``back`` (y, m)."""
    deep = back - front
    patio = rectangle(
        rng.uniform(-0.2, 0.2) * width, front + 1.2, width * rng.uniform(0.3, 0.7), rng.uniform(3, 7)
    )
    lot.ground.append(Facet(patio, paving(rng)))
    if deep > 9 and width > 13 and rng.random() < 0.22:
        lot.ground.extend(pool(rng, rng.uniform(-0.15, 0.15) * width, front + deep * 0.55))
    if deep > 6 and rng.random() < 0.4:
        size = rng.uniform(2.4, 4.5, 2)
        corner = Frame(rng.choice([-1, 1]) * (width / 2 - size[0] / 2 - 1.0), back - size[1] / 2 - 1.0, 0.0)
        lot.buildings.append(barn(rng, *size).placed(corner))
    x = width / 2 - 0.2
    lot.things.append(fence(rng, [(-x, front), (-x, back - 0.2), (x, back - 0.2), (x, front)]))


def home(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """A house with its drive, front garden and back yard."""
    width, depth = parcel.width, parcel.depth
    lot = Lot()
    cover = turf if rng.random() < 0.72 else (lambda r, _: earth(r))
    lot.ground.append(Facet(rectangle(0, 0, width, depth), cover(rng, dry)))
    setback = rng.uniform(0.12, 0.2) * depth
    inner = min(width - 2 * rng.uniform(*style.side), 21.0)
    deep = min(depth * rng.uniform(0.4, 0.54), 17.0)
    building = house(rng, choose(rng, style.roofs), inner, deep)
    middle = -depth / 2 + setback + deep / 2
    lot.buildings.append(building.placed(Frame(0, middle, 0.0)))
    front, back = -depth / 2 + setback, middle + deep / 2
    if rng.random() < 0.7:
        behind = turf(rng, dry) if rng.random() < 0.5 else earth(rng)
        lot.ground.append(
            Facet(rectangle(0, (back - 4 + depth / 2) / 2, width, depth / 2 - back + 4), behind)
        )
    back_yard(rng, lot, width, back, depth / 2)
    lane = rng.uniform(3.0, 5.6)
    side = -width / 2 + lane / 2 + rng.uniform(0.5, 1.5)
    lot.drives.append(Facet(rectangle(side, -depth / 2 + setback / 2 - 0.5, lane, setback + 9), paving(rng)))
    for i in range(int(rng.integers(0, 3))):
        place = Frame(side + (i - 0.5) * 2.3 * (lane > 4.4), front - 2.8 - 0.8 * i, math.pi / 2)
        lot.things.extend(place.facets(car(rng)))
    lot.groves.append(Grove(rectangle(0, 0, width, depth), style.trees))
    if rng.random() < 0.45:
        lot.groves.append(Grove(rectangle(0, depth / 2 - 2.0, width, 4.0), 4.0, (1.2, 2.6)))
    return lot


def flats(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """One flat building that fills most of its parcel."""
    width, depth = parcel.width, parcel.depth
    yard = paving(rng) if rng.random() < 0.6 else turf(rng, dry)
    lot = Lot(ground=[Facet(rectangle(0, 0, width, depth), yard)])
    size = (width - 2 * rng.uniform(*style.side), depth * rng.uniform(0.55, 0.85))
    building = hall(rng, *size) if rng.random() < 0.6 else house(rng, "flat", *size)
    lot.buildings.append(building.placed(Frame(0, rng.uniform(-0.02, 0.05) * depth, 0.0)))
    lot.groves.append(Grove(rectangle(0, 0, width, depth), style.trees * 0.8))
    return lot


def shop(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """A large hall at the back of a parking lot."""
    width, depth = parcel.width, parcel.depth
    lot = Lot(ground=[Facet(rectangle(0, 0, width, depth), tarmac(rng))])
    deep = depth * rng.uniform(0.34, 0.46)
    length = min(width * rng.uniform(0.65, 0.93), 120.0)
    y = depth / 2 - deep / 2 - rng.uniform(2, 5)
    lot.buildings.append(hall(rng, length, deep).placed(Frame(rng.uniform(-0.04, 0.04) * width, y, 0.0)))
    lot.ground.append(Facet(rectangle(0, y, length + 5, deep + 4), paving(rng)))
    full = rng.uniform(0.2, 0.85)
    for row in np.arange(-depth / 2 + 4.0, y - deep / 2 - 6, 8.2):
        lot.things.extend(bays(rng, 0, float(row), width - 10, full=full))
        lot.groves.append(Grove(rectangle(0, float(row), width - 6, 5), 0.35, (1.2, 2.8)))
    lot.ground.append(Facet(rectangle(0, -depth / 2 + 0.8, width, 1.6), turf(rng, dry)))
    lot.groves.append(Grove(rectangle(0, -depth / 2 + 0.8, width, 2.5), 2.0, (1.2, 3.0)))
    lot.drives.append(Facet(rectangle(0, -depth / 2, 7, 8), tarmac(rng)))
    return lot


def park(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """Grass with a path and trees in clumps."""
    width, depth = parcel.width, parcel.depth
    grass = turf(rng, dry * 0.6)
    lot = Lot(ground=[Facet(rectangle(0, 0, width, depth), grass)])
    path = LineString(
        [(-width / 2, rng.uniform(-0.4, 0.4) * depth), (0, 0), (width / 2, rng.uniform(-0.4, 0.4) * depth)]
    )
    lot.ground.append(Facet(path.buffer(1.1), paving(rng)))
    lot.groves.append(Grove(rectangle(0, 0, width, depth), style.trees * 1.2, (1.5, 6.0)))
    for _ in range(3):
        x, y = rng.uniform(-0.4, 0.4) * width, rng.uniform(-0.4, 0.4) * depth
        lot.groves.append(Grove(rectangle(x, y, 16, 12), 4.0, (2.0, 5.0)))
    return lot


def vacant(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """Bare ground with a few bushes."""
    ground = earth(rng) if rng.random() < 0.7 else turf(rng, min(1.0, dry + 0.4))
    shape = rectangle(0, 0, parcel.width, parcel.depth)
    return Lot(ground=[Facet(shape, ground)], groves=[Grove(shape, 0.35, (1.0, 2.5))])


def crops(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """A field or orchard, with a hedge along some edges."""
    width, depth = parcel.width, parcel.depth
    colour = pick(rng, (*LAWN, *SOIL, (176, 162, 112), (120, 128, 70)), 10)
    rows = Surface(
        colour, 0.12, 0.3, rng.uniform(0.05, 0.14), rng.uniform(1.5, 4.0), rng.choice([0.0, math.pi / 2])
    )
    lot = Lot(ground=[Facet(rectangle(0, 0, width, depth), rows)])
    for edge in (rectangle(0, depth / 2, width, 4), rectangle(width / 2, 0, 4, depth)):
        if rng.random() < 0.4:
            lot.groves.append(Grove(edge, 4.0, (1.2, 3.8)))
    return lot


def farm(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """A farm house, barns and a silo around a yard."""
    width, depth = parcel.width, parcel.depth
    lot = Lot(ground=[Facet(rectangle(0, 0, width, depth), turf(rng, dry))])
    lot.ground.append(Facet(rectangle(0, 0, width * 0.6, depth * 0.5).buffer(4), earth(rng)))
    lot.drives.append(Facet(rectangle(0, -depth * 0.3, 4.5, depth * 0.5), earth(rng)))
    places = [(-0.22, -0.2), (0.22, -0.18), (-0.2, 0.14), (0.24, 0.16)]
    for i, (x, y) in enumerate(places):
        spot = Frame(x * width, y * depth, rng.normal(0, 0.12))
        if i == 0:
            main = house(rng, choose(rng, style.roofs), rng.uniform(12, 18), rng.uniform(9, 14))
            lot.buildings.append(main.placed(spot))
        elif rng.random() < 0.7:
            lot.buildings.append(barn(rng, rng.uniform(12, 28), rng.uniform(8, 13)).placed(spot))
    if rng.random() < 0.5:
        lot.buildings.append(house(rng, "round", 7, 7).placed(Frame(0.04 * width, 0.3 * depth, 0.0)))
    lot.groves.append(Grove(rectangle(0, 0, width, depth), style.trees, (1.2, 5.5)))
    lot.groves.append(Grove(rectangle(0, depth * 0.42, width, depth * 0.1), 2.5, (1.5, 4.5)))
    return lot


def wood(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """Trees, crown to crown."""
    shape = rectangle(0, 0, parcel.width, parcel.depth)
    ragged = shape.buffer(-8).buffer(8)
    grass = Surface(tint(rng, scaled(LAWN[0], 0.8)), 0.16, mottle=dry)
    return Lot(ground=[Facet(shape, grass)], groves=[Grove(polygons(ragged)[0], 3.5, (1.8, 5.5))])


LOTS: dict[str, Callable[[Rng, Style, Parcel, float], Lot]] = {
    "house": home,
    "block": flats,
    "shop": shop,
    "park": park,
    "vacant": vacant,
    "field": crops,
    "farm": farm,
    "wood": wood,
}
