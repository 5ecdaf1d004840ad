"""A scene from one seed: pixels, and the outlines of every building and tree in it."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from shapely import Polygon, box
from shapely.affinity import scale

from geoseg.errors import SceneError
from geoseg.synth import roads
from geoseg.synth.furnish import furnish
from geoseg.synth.layout import Layout, lay_out
from geoseg.synth.light import Sun
from geoseg.synth.raster import burn
from geoseg.synth.render import World, render
from geoseg.synth.sensor import Sensor
from geoseg.synth.shapes import Facet, polygons
from geoseg.synth.styles import STYLES, Style
from geoseg.synth.vegetation import Crown, plant
from geoseg.synth.yard import turf

BACKGROUND, BUILDING, TREE, NODATA = 0, 1, 2, 255
DRY = (172.0, 156.0, 122.0)  # ground on which the grass has dried out


@dataclass(frozen=True)
class SceneSpec:
    """What to draw.

    Attributes:
        seed: the same seed and parameters give the same scene.
        height: rows, 16..32768.
        width: columns, 16..32768.
        pixel_size_m: ground size of a pixel, 0.1..1 m.
        style: "suburb", "town" or "rural".
        swath: True leaves data only within a turned, irregular flight swath; False fills the scene.
        sun_azimuth_deg: clockwise from north (up), 0..360; None draws it from the seed.
        sun_elevation_deg: above the horizon, 20..80; None draws it from the seed.
        sensor: camera and air; None draws them from the seed.

    Raises:
        SceneError: if a value is out of its range.
    """

    seed: int
    height: int
    width: int
    pixel_size_m: float = 0.3
    style: str = "suburb"
    swath: bool = False
    sun_azimuth_deg: float | None = None
    sun_elevation_deg: float | None = None
    sensor: Sensor | None = None

    def __post_init__(self) -> None:
        for name in ("seed", "height", "width"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 0:
                raise SceneError(f"{name} is {getattr(self, name)}; choose a whole number from 0 on")
        if self.style not in STYLES:
            raise SceneError(f"style is {self.style!r}; choose one of {', '.join(STYLES)}")
        for name, low, high in (
            ("height", 16, 32768),
            ("width", 16, 32768),
            ("pixel_size_m", 0.1, 1.0),
            ("sun_azimuth_deg", 0, 360),
            ("sun_elevation_deg", 20, 80),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SceneError(f"{name} is {value}; choose a value from {low} to {high}")


@dataclass(frozen=True)
class SyntheticScene:
    """A drawn scene and its truth.

    Coordinates of polygons are pixels: x = column, y = row, (0, 0) is the outer corner of the first pixel.

    Attributes:
        spec: what was asked for.
        pixels: (height, width, 3) uint8 RGB, 1..255; 0 where there is no data.
        valid: (height, width) bool, True = has data.
        buildings: outlines of whole roofs, also where a crown hangs over them; disjoint, cut at the scene's
            edge (and the swath's).
        trees: outlines of whole crowns; crowns of a clump overlap.
        mask: (height, width) uint8, what is seen from above at the pixel's centre: 0 background, 1 building,
            2 tree (a crown over a roof is a tree), 255 no data.
        sun: where the light came from.
        sensor: camera and air.
    """

    spec: SceneSpec
    pixels: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]
    buildings: tuple[Polygon, ...]
    trees: tuple[Polygon, ...]
    mask: npt.NDArray[np.uint8]
    sun: Sun
    sensor: Sensor


def flight(rng: np.random.Generator, height: int, width: int) -> Polygon:
    """A turned quadrilateral with a step in one side, within the scene; pixels."""
    turn = rng.uniform(0.08, 0.16) * rng.choice([-1, 1])
    corners = (
        np.array([(-1, -1), (0.25, -1), (0.25, -0.86), (1, -0.86), (1, 1), (-1, 1)]) * (width, height) / 2
    )
    corners = corners + rng.uniform(-0.015, 0.015, corners.shape) * (width, height)
    cos, sin = math.cos(turn), math.sin(turn)
    turned = corners @ np.array([(cos, sin), (-sin, cos)]) * 0.97 + (width / 2, height / 2)
    return Polygon(turned).intersection(box(0, 0, width, height))


def clipped(shapes: Iterable[Polygon], area: Polygon, pixel_size_m: float) -> tuple[Polygon, ...]:
    """Shapes from metres to pixels, cut to ``area`` (pixels); slivers under 0.01 px² are dropped."""
    factor = 1 / pixel_size_m
    scaled = [scale(shape, factor, factor, origin=(0, 0)) for shape in shapes]
    near = [shape for shape in scaled if shape.intersects(area)]
    parts = (
        part
        for shape in near
        for part in polygons(shape if area.contains(shape) else shape.intersection(area))
    )
    return tuple(part for part in parts if part.area >= 0.01)


def compose(
    rng: np.random.Generator, style: Style, layout: Layout, size: tuple[float, float]
) -> tuple[list[Facet], list[Polygon], tuple[Crown, ...]]:
    """All facets, footprints and crowns of a scene of ``size`` (width, height in m)."""
    lot_rng, road_rng, tree_rng = rng.spawn(3)
    dry = float(rng.uniform(0.1, 0.75))
    lots = [furnish(lot_rng, style, parcel, dry) for parcel in layout.parcels]
    facets = [Facet(box(-60, -60, size[0] + 60, size[1] + 60), turf(road_rng, dry))]
    facets += [facet for lot in lots for facet in lot.ground]
    facets += roads.side_walks(road_rng, layout, style, dry)
    facets += [facet for lot in lots for facet in lot.drives]
    facets += roads.surfaces(road_rng, layout, style)
    facets += [facet for lot in lots for facet in lot.things]
    facets += roads.traffic(road_rng, layout, style)
    built = [building for lot in lots for building in lot.buildings]
    facets += [facet for building in built for facet in building.facets]
    groves = [grove for lot in lots for grove in lot.groves]
    footprints = [building.footprint for building in built]
    crowns = plant(tree_rng, layout, style, groves, footprints, roads.carriageway(layout, 0.3))
    return facets, footprints, crowns


def sunlight(spec: SceneSpec, rng: np.random.Generator) -> Sun:
    """The sun that the spec asks for, or one of a late morning."""
    azimuth, elevation = rng.uniform(105, 255), rng.uniform(40, 64)
    return Sun(
        azimuth if spec.sun_azimuth_deg is None else spec.sun_azimuth_deg,
        elevation if spec.sun_elevation_deg is None else spec.sun_elevation_deg,
    )


def classes(
    valid: npt.NDArray[np.bool_], buildings: Iterable[Polygon], trees: Iterable[Polygon]
) -> npt.NDArray[np.uint8]:
    """The mask of what is seen from above, like `SyntheticScene.mask`."""
    mask = np.full(valid.shape, BACKGROUND, np.uint8)
    burn(mask, buildings, BUILDING)
    burn(mask, trees, TREE)
    mask[~valid] = NODATA
    return mask


def synthesize(spec: SceneSpec) -> SyntheticScene:
    """Draw a scene.

    Everything follows from the spec: the same spec gives the same bytes on the same machine and libraries.
    """
    streets, content, sky, camera, ink = np.random.default_rng(spec.seed).spawn(5)
    style = STYLES[spec.style]
    size = (spec.width * spec.pixel_size_m, spec.height * spec.pixel_size_m)
    sun, sensor = sunlight(spec, sky), spec.sensor or Sensor.draw(camera)
    facets, footprints, crowns = compose(content, style, lay_out(streets, style, *size), size)
    world = World(facets, crowns, sun, DRY)
    pixels = render(world, spec.height, spec.width, spec.pixel_size_m, sensor, ink)
    area = flight(sky, spec.height, spec.width) if spec.swath else box(0, 0, spec.width, spec.height)
    data = np.zeros((spec.height, spec.width), np.uint8)
    burn(data, [area], 1)
    valid = data.astype(np.bool_)
    pixels[~valid] = 0
    buildings = clipped(footprints, area, spec.pixel_size_m)
    trees = clipped((crown.polygon for crown in crowns), area, spec.pixel_size_m)
    return SyntheticScene(
        spec, pixels, valid, buildings, trees, classes(valid, buildings, trees), sun, sensor
    )
