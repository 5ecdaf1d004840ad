"""A lot carried into the scene: cut to its parcel, with the buildings that fit."""

from collections.abc import Iterator

from shapely import Polygon

from geoseg.synth.houses import Building
from geoseg.synth.layout import Parcel
from geoseg.synth.lots import LOTS, Grove, Lot
from geoseg.synth.palette import Rng
from geoseg.synth.shapes import Facet, Frame, polygons
from geoseg.synth.styles import Style


def clipped(facets: list[Facet], frame: Frame, polygon: Polygon) -> Iterator[Facet]:
    """Facets carried into the scene and cut to their parcel."""
    for facet in frame.facets(facets):
        for part in polygons(facet.polygon.intersection(polygon)):
            yield Facet(part, facet.surface, facet.plane)


def settled(buildings: list[Building], parcel: Parcel) -> list[Building]:
    """The buildings, carried into the scene, that stay within their parcel and clear of each other."""
    inner = parcel.polygon.buffer(-0.15)
    kept: list[Building] = []
    for building in (each.placed(parcel.frame) for each in buildings):
        alone = all(building.footprint.disjoint(other.footprint) for other in kept)
        if alone and building.footprint.within(inner):
            kept.append(building)
    return kept


def furnish(rng: Rng, style: Style, parcel: Parcel, dry: float) -> Lot:
    """Draw the lot of a parcel, in scene coordinates.

    A lot is drawn anew, up to five times, until all its buildings fit; after that the misfits are left out.

    Args:
        rng: source of all choices.
        style: the scene's style.
        parcel: the land.
        dry: dryness of the scene, 0..1.
    """
    for _ in range(5):
        local = LOTS[parcel.kind](rng, style, parcel, dry)
        buildings = settled(local.buildings, parcel)
        if len(buildings) == len(local.buildings):
            break
    frame = parcel.frame
    return Lot(
        [
            Facet(parcel.polygon, frame.facet(local.ground[0]).surface),
            *clipped(local.ground[1:], frame, parcel.polygon),
        ],
        list(frame.facets(local.drives)),
        list(clipped(local.things, frame, parcel.polygon)),
        buildings,
        [Grove(frame.shape(grove.polygon), grove.density, grove.radius) for grove in local.groves],
    )
