"""Tree crowns: where they stand and what outline they have."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from geoseg.synth.layout import Layout
from geoseg.synth.lots import Grove
from geoseg.synth.palette import Rng, pick
from geoseg.synth.roads import kerb_places
from geoseg.synth.shapes import Colour
from geoseg.synth.styles import Style

Points = npt.NDArray[np.float64]

LEAVES: tuple[Colour, ...] = (
    (76, 98, 58), (66, 88, 54), (88, 106, 62), (70, 84, 58), (92, 100, 70), (58, 78, 52), (98, 112, 60),
)  # fmt: skip
RARE: tuple[Colour, ...] = ((110, 90, 72), (122, 112, 66), (96, 66, 62))


@dataclass(frozen=True)
class Crown:
    """A tree seen from above.

    Attributes:
        x: centre, m.
        y: centre, m.
        radius: mean radius, m.
        height: of the top, m.
        lobes: (n, 2) amplitude (fraction of the radius) and phase of the outline's waves 2, 3, 4, …
        colour: of the leaves in full sun, 0..255.
        peak: 0 a round dome, 1 a cone.
    """

    x: float
    y: float
    radius: float
    height: float
    lobes: tuple[tuple[float, float], ...]
    colour: Colour
    peak: float

    def reach(self, angle: Points) -> Points:
        """Radius (m) of the outline in the directions ``angle`` (radians)."""
        reach = np.full(angle.shape, self.radius)
        for k, (size, phase) in enumerate(self.lobes, start=2):
            reach += self.radius * size * np.cos(k * angle + phase)
        return reach

    @property
    def polygon(self) -> Polygon:
        """The outline, m."""
        angle = np.linspace(0, 2 * math.pi, 26, endpoint=False)
        reach = self.reach(angle)
        return Polygon(np.stack([self.x + reach * np.cos(angle), self.y + reach * np.sin(angle)], axis=1))


def crown(rng: Rng, x: float, y: float, radius: float) -> Crown:
    """A crown of one of a few growth forms."""
    form = rng.choice(["broad", "cone", "palm"], p=[0.8, 0.14, 0.06])
    colour = pick(rng, LEAVES if rng.random() < 0.95 else RARE, 6)
    waves = 9
    if form == "palm":
        radius, height, peak = rng.uniform(1.5, 2.4), rng.uniform(7, 14), 0.6
        sizes = np.where(np.arange(waves) == rng.integers(3, 6), 0.3, 0.03)
    elif form == "cone":
        radius, peak = min(radius, 3.4), 0.9
        height, sizes = radius * rng.uniform(2.6, 4.0), rng.uniform(0, 0.05, waves)
    else:
        height, peak = radius * rng.uniform(1.3, 2.1) + 0.6, rng.uniform(0, 0.25)
        sizes = rng.uniform(0, 0.13, waves) / np.sqrt(np.arange(1, waves + 1))
    lobes = tuple(zip(sizes.tolist(), rng.uniform(0, 2 * math.pi, waves).tolist(), strict=True))
    return Crown(x, y, float(radius), float(min(height, 17.0)), lobes, colour, float(peak))


def scatter(rng: Rng, grove: Grove) -> Iterator[tuple[float, float, float]]:
    """Centres and radii of trees in a grove, some in clumps of several stems."""
    left, top, right, bottom = grove.polygon.bounds
    box_area = (right - left) * (bottom - top)
    low, high = grove.radius
    for _ in range(int(rng.poisson(grove.density * box_area / 100))):
        x, y = rng.uniform(left, right), rng.uniform(top, bottom)
        radius = low + (high - low) * rng.beta(1.5, 2.6)
        for _ in range(1 if rng.random() < 0.7 else int(rng.integers(2, 6))):
            yield x, y, radius
            x, y = x + rng.normal(0, 1.2 * radius), y + rng.normal(0, 1.2 * radius)
            radius = float(np.clip(radius * rng.uniform(0.6, 1.1), low, high))


def within(grove: Grove, stems: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """The stems that stand in the grove."""
    if not stems:
        return []
    places = np.array(stems)
    keep = shapely.contains_xy(grove.polygon, places[:, 0], places[:, 1])
    return [stem for stem, kept in zip(stems, keep, strict=True) if kept]


def street_trees(rng: Rng, layout: Layout, style: Style) -> Iterator[tuple[float, float, float]]:
    """Trees in the verges; each street has its own spacing and size."""
    for street in layout.streets:
        size, share = rng.uniform(1.8, 5.0), style.street_trees * rng.uniform(0, 2)
        for place in kerb_places(rng, street, (7, 13), street.width / 2 + rng.uniform(1.0, 2.2)):
            if rng.random() < share:
                yield place.x, place.y, size * rng.uniform(0.7, 1.25)


def thinned(stems: Points, closeness: float) -> npt.NDArray[np.bool_]:
    """Which stems stay so that none stands nearer to an earlier one than a share of both radii.

    Args:
        stems: (n, 3) x, y, radius, m.
        closeness: least distance as a share of the sum of the radii.
    """
    points = shapely.points(stems[:, :2])
    later, earlier = shapely.STRtree(points).query(
        points, predicate="dwithin", distance=2 * stems[:, 2].max()
    )
    gap = np.hypot(*(stems[later, :2] - stems[earlier, :2]).T)
    clash = (earlier < later) & (gap < closeness * (stems[later, 2] + stems[earlier, 2]))
    order = np.argsort(later[clash], kind="stable")
    keep = np.ones(len(stems), bool)
    for i, j in zip(later[clash][order], earlier[clash][order], strict=True):
        keep[i] &= not keep[j]
    return keep


def plant(
    rng: Rng, layout: Layout, style: Style, groves: list[Grove], built: list[Polygon], closed: BaseGeometry
) -> tuple[Crown, ...]:
    """All crowns of a scene, lowest first.

    Args:
        rng: source of all choices.
        layout: the streets, for the trees along them.
        style: the scene's style.
        groves: land where trees grow.
        built: buildings; no stem stands in or close to them, but crowns may hang over them.
        closed: carriageways; no stem stands in them either.
    """
    stems = [stem for grove in groves for stem in within(grove, list(scatter(rng, grove)))]
    stems.extend(street_trees(rng, layout, style))
    if not stems:
        return ()
    places = np.array(stems)[rng.permutation(len(stems))]
    roots = shapely.points(places[:, :2])
    crowded, _ = shapely.STRtree(built).query(roots, predicate="dwithin", distance=0.45 * places[:, 2])
    shapely.prepare(closed)
    free = ~shapely.contains_xy(closed, places[:, 0], places[:, 1])
    free[crowded] = False
    places = places[free]
    if not len(places):
        return ()
    places = places[thinned(places, 0.55)]
    return tuple(sorted((crown(rng, *place) for place in places.tolist()), key=lambda each: each.height))
