"""How the pixels of a class become polygons: traced as its profile asks, then drawn."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import tee
from typing import get_args

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.geo.geobox import GeoBox
from geoseg.models.card import Profile
from geoseg.vector.components import Components, Polygons, concatenate
from geoseg.vector.crowns import CanopyStrip, CrownOptions, separate, simplify_coverage
from geoseg.vector.ground import jacobians
from geoseg.vector.regularize import Status, regularize, without_overlaps
from geoseg.vector.regularize_overlaps import resolve_overlaps
from geoseg.vector.simplify import simplify_polygons
from geoseg.vector.source_classes import ClassBand
from geoseg.vector.source_codes import LabelStrip
from geoseg.vector.trace import trace

STATUS_NAMES = np.array(["", *(status.name.lower().replace("_", " ") for status in Status)], object)
PROFILES: Mapping[str, Profile] = {name: name for name in get_args(Profile)}
LEAST_M2 = {"building": 4.0, "tree": 1.0, "generic": 0.0}
SMOOTH_PX = {"building": 1.0, "tree": 2.0, "generic": 1.0}


@dataclass(frozen=True, slots=True)
class Shaping:
    """How traced polygons are drawn.

    Attributes:
        profile: of all classes; None for each class's own (by the raster's tag, else by its name).
        min_area_m2: smaller polygons are left out; None for the profile's own (building 4, tree 1 m²).
        max_hole_m2: smaller holes are filled.
        simplify_m: how far a side may lie from the border; None for 1 px (crowns 2 px).
        regularize: give buildings straight walls; False only simplifies them.
        simplify: False keeps the sides of the pixels.
    """

    profile: Profile | None = None
    min_area_m2: float | None = None
    max_hole_m2: float = 0.0
    simplify_m: float | None = None
    regularize: bool = True
    simplify: bool = True

    def __post_init__(self) -> None:
        if self.profile is not None and self.profile not in get_args(Profile):
            raise GridError(f"a profile is one of {', '.join(get_args(Profile))}, got {self.profile!r}")
        for name in ("min_area_m2", "max_hole_m2", "simplify_m"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise GridError(f"{name} is a number from 0 up, got {value}")

    def profile_of(self, one: ClassBand) -> Profile:
        """How polygons of a class are drawn."""
        return self.profile or PROFILES.get(one.profile or one.name, "generic")

    def least_m2(self, profile: Profile) -> float:
        """The area below which polygons are left out."""
        return LEAST_M2[profile] if self.min_area_m2 is None else self.min_area_m2


def trace_class(
    strips: Iterator[LabelStrip], one: ClassBand, box: GeoBox, shaping: Shaping
) -> Components | None:
    """All components of a class, None without any; crowns for trees whose probability is known.

    Args:
        strips: of the class, from top to bottom.
        one: the class.
        box: the raster's pixel plane.
        shaping: how its polygons are drawn.
    """
    profile, width = shaping.profile_of(one), box.shape[1]
    size = box.side_m() or 1.0  # pixels count where there is no ground
    least = max(1, int(shaping.least_m2(profile) / 2 / size**2))  # the exact test is on the final area
    hole = int(shaping.max_hole_m2 / size**2)
    traced = partial(trace, width=width, min_pixels=least, max_hole_pixels=hole)
    if one.cut is None or not shaping.simplify:
        batches = traced(strip[:3] for strip in strips)
    elif profile == "tree":
        batches = traced(strip[:3] for strip in _crowns(strips, width, size))
    else:
        batches = _bordered(strips, one, traced)
    found = list(batches)
    return concatenate(found) if found else None


def _bordered(
    strips: Iterator[LabelStrip], one: ClassBand, traced: Callable[..., Iterator[Components]]
) -> Iterator[Components]:
    """Components with their sub-pixel border, where the lead passes the cut.

    Where the lead is not the probability itself, they are traced with either, which finds the same
    components after the same strips.
    """
    if not one.exclusive:
        return traced((strip[:3] for strip in strips), level=one.cut)
    first, second = tee(strips)
    bordered = traced(((strip.labels, strip.lead, strip.valid) for strip in first), level=one.cut)
    summed = traced(strip[:3] for strip in second)
    return (
        replace(border, probability_sum=sums.probability_sum)
        for border, sums in zip(bordered, summed, strict=True)
    )


def _crowns(strips: Iterator[LabelStrip], width: int, pixel_m: float) -> Iterator[LabelStrip]:
    """Strips whose labels are single crowns, beside the codes and validity they were made from."""
    waiting = deque[LabelStrip]()

    def canopy() -> Iterator[CanopyStrip]:
        for strip in strips:
            waiting.append(strip)
            assert strip.codes is not None, "crowns need probabilities"
            yield strip.labels > 0, strip.codes

    for labels in separate(canopy(), width, CrownOptions.from_pixel_size(pixel_m)):
        yield waiting.popleft()._replace(labels=labels)


def draw(
    traced: Components, one: ClassBand, box: GeoBox, shaping: Shaping
) -> tuple[Polygons, NDArray[np.object_] | None]:
    """Draw the components of a class.

    Returns:
        Polygons in pixel coordinates, some maybe empty, and for buildings the form that each was given.
    """
    profile = shaping.profile_of(one)
    if not shaping.simplify:
        return traced.polygons(), None
    tolerance = (
        SMOOTH_PX[profile] if shaping.simplify_m is None else shaping.simplify_m / (box.side_m() or 1.0)
    )
    if profile == "tree":
        return simplify_coverage(traced.polygons(), tolerance), None
    dense = traced.polygons() if one.cut is None else traced.border_polygons()
    centre = shapely.centroid(dense)
    frames, _ = jacobians(box, shapely.get_x(centre), shapely.get_y(centre))
    if profile == "building" and shaping.regularize:
        walls = without_overlaps(regularize(dense, frames), dense)
        return walls.polygons, STATUS_NAMES[walls.status]
    if not tolerance:
        return dense, None
    simple, _ = resolve_overlaps(simplify_polygons(dense, tolerance, frames), dense, np.zeros(len(dense)))
    return simple, None
