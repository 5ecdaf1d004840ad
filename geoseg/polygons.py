"""From a raster of classes or probabilities to a file of polygons: trace, shape, describe, write."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import shapely

from geoseg.errors import GridError
from geoseg.geo.geobox import GeoBox
from geoseg.vector.attributes import FeatureBatch, columns_for, feature_batch
from geoseg.vector.components import Components, Polygons, concatenate
from geoseg.vector.crowns import CanopyStrip, CrownOptions, separate, simplify_coverage
from geoseg.vector.files import check_output, decimals_for, write_features
from geoseg.vector.ground import jacobians
from geoseg.vector.regularize import Status, regularize, without_overlaps
from geoseg.vector.regularize_overlaps import resolve_overlaps
from geoseg.vector.simplify import simplify_polygons
from geoseg.vector.source import RasterSource, open_raster_source
from geoseg.vector.trace import trace
from geoseg.vector.trace_slab import LabelStrip

Profile = Literal["building", "tree", "generic"]
STATUS_NAMES = np.array(["", *(status.name.lower().replace("_", " ") for status in Status)], object)
KNOWN: Mapping[str, Profile] = {"building": "building", "tree": "tree"}
LEAST_M2 = {"building": 4.0, "tree": 1.0, "generic": 0.0}
SMOOTH_PX = {"building": 1.0, "tree": 2.0, "generic": 1.0}


@dataclass(frozen=True, slots=True)
class Shaping:
    """How traced polygons are drawn.

    Attributes:
        profile: of all classes; None for each class's own (by its name).
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

    def profile_of(self, class_name: str) -> Profile:
        """How polygons of a class are drawn."""
        return self.profile or KNOWN.get(class_name, "generic")

    def least_m2(self, profile: Profile) -> float:
        """The area below which polygons are left out."""
        return LEAST_M2[profile] if self.min_area_m2 is None else self.min_area_m2


@dataclass(frozen=True, slots=True)
class Vectorized:
    """What was done with a raster.

    Attributes:
        raster: its name.
        output: the file written.
        polygons: how many, by class.
        seconds: wall time.
    """

    raster: str
    output: str
    polygons: Mapping[str, int]
    seconds: float


def vectorize(
    raster: str | Path,
    output: str | Path,
    *,
    shaping: Shaping | None = None,
    class_name: str | None = None,
    band: int | str | None = None,
    threshold: float | None = None,
    nodata: float | None = None,
    scene: str | None = None,
    overwrite: bool = False,
) -> Vectorized:
    """Turn a raster of classes or probabilities into polygons on its own ground.

    Args:
        raster: anything GDAL opens: a class mask, probabilities, or another program's mask.
        output: .geojson, .geojsonl, .gpkg, .fgb or .parquet; `-` for lines of GeoJSON on stdout.
        shaping: how polygons are drawn.
        class_name: take only this class.
        band: take only this band.
        threshold: probability that makes a class, instead of the raster's own or 0.5.
        nodata: the value of pixels without data, instead of the raster's own.
        scene: what the polygons' attribute `scene` says; the raster's name when None.
        overwrite: replace an output that exists.

    Raises:
        GeosegError: one line that says what was wrong, what was got and what to do.
    """
    start = time.perf_counter()
    shaping, counts = shaping or Shaping(), dict[str, int]()
    with open_raster_source(
        raster, class_name=class_name, band=band, threshold=threshold, nodata=nodata
    ) as source:
        check_output(output, source.geobox.crs, overwrite)
        write_features(
            output, _features(source, shaping, scene or source.scene, counts), crs=source.geobox.crs,
            columns=columns_for(source.geobox.crs), decimals=decimals_for(source.geobox), overwrite=overwrite,
        )  # fmt: skip
    return Vectorized(str(raster), str(output), counts, time.perf_counter() - start)


def _features(
    source: RasterSource, shaping: Shaping, scene: str, counts: dict[str, int]
) -> Iterator[FeatureBatch]:
    """The features of one class after the other.

    A class is held as polygons until it is complete, because neighbours have to be looked at together.
    """
    area = next(c.name for c in columns_for(source.geobox.crs) if c.name.startswith("area_"))
    for number, (name, _) in enumerate(source.classes):
        profile = shaping.profile_of(name)
        cut = source.cuts[number] if source.kind == "probability" else None
        traced = _traced(source, name, profile, cut, shaping)
        counts[name] = 0
        if traced is None:
            continue
        polygons, form = _drawn(traced, profile, cut, shaping, source.geobox)
        solid = ~shapely.is_empty(polygons)
        batch = feature_batch(
            polygons[solid], source.geobox, class_name=name, scene=scene, model=source.model,
            pixels=traced.pixels[solid], sums=None if cut is None else traced.probability_sum[solid],
            touches_edge=traced.touches_edge[solid], regularized=None if form is None else form[solid],
        )  # fmt: skip
        large = batch.take(batch.columns[area] >= shaping.least_m2(profile))
        counts[name] = len(large)
        yield large


def _traced(
    source: RasterSource, name: str, profile: Profile, cut: float | None, shaping: Shaping
) -> Components | None:
    """All components of a class, None without any; crowns for trees whose probability is known."""
    box = source.geobox
    strips: Iterator[LabelStrip] = source.strips(name)
    size = box.side_m() or 1.0  # pixels count where there is no ground
    least = max(1, int(shaping.least_m2(profile) / 2 / size**2))  # the exact test is on the final area
    hole = int(shaping.max_hole_m2 / size**2)
    level = cut if shaping.simplify and profile != "tree" else None
    if profile == "tree" and cut is not None and shaping.simplify:
        strips = _crowns(strips, box.shape[1], size)
    batches = list(trace(strips, box.shape[1], min_pixels=least, max_hole_pixels=hole, level=level))
    return concatenate(batches) if batches else None


def _crowns(strips: Iterator[LabelStrip], width: int, pixel_m: float) -> Iterator[LabelStrip]:
    """Strips whose labels are single crowns, beside the codes and validity they were made from."""
    waiting = deque[LabelStrip]()

    def canopy() -> Iterator[CanopyStrip]:
        for strip in strips:
            waiting.append(strip)
            labels, codes, _ = strip
            yield labels > 0, np.zeros(labels.shape, np.uint8) if codes is None else codes

    for labels in separate(canopy(), width, CrownOptions.from_pixel_size(pixel_m)):
        _, codes, valid = waiting.popleft()
        yield labels, codes, valid


def _drawn(
    traced: Components, profile: Profile, cut: float | None, shaping: Shaping, box: GeoBox
) -> tuple[Polygons, np.ndarray | None]:
    """Polygons in pixel coordinates, and for buildings the form that each was given."""
    pixels = traced.polygons()
    if not shaping.simplify:
        return pixels, None
    tolerance = (
        SMOOTH_PX[profile] if shaping.simplify_m is None else shaping.simplify_m / (box.side_m() or 1.0)
    )
    if profile == "tree":
        return simplify_coverage(pixels, tolerance), None
    dense = pixels if cut is None else traced.border_polygons()
    centre = shapely.centroid(dense)
    frames, _ = jacobians(box, shapely.get_x(centre), shapely.get_y(centre))
    if profile == "building" and shaping.regularize:
        walls = without_overlaps(regularize(dense, frames), dense)
        return walls.polygons, STATUS_NAMES[walls.status]
    if not tolerance:
        return dense, None
    simple, _ = resolve_overlaps(simplify_polygons(dense, tolerance, frames), dense, np.zeros(len(dense)))
    return simple, None
