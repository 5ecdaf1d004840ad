"""How the thresholds of the regularizer fare on real predictions, beside those on scenes with known truth.

    python benchmarks/regularize_real.py [--size PX] [--scene RASTER TRUTH]...

RASTER is a building mask or probabilities that `geoseg predict` wrote, TRUTH a file of true polygons. One
threshold is changed at a time. Pairs are those of the traced borders and the truth that overlap by an IoU
above 0.5: the same for every row of a scene. Vertices are means over these pairs; forms are shares, in
percent, of all polygons: right angles, circle, any angle, simplified, raw.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from vector_scenes import make_buildings
from vectorize import SQUARE, corners, iou, matches, overlaps, traced

from geoseg.vector.ground import jacobians
from geoseg.vector.regularize import Regularization, Status, regularize, without_overlaps
from geoseg.vector.shaping import Shaping, trace_class
from geoseg.vector.source import open_raster_source

Polygons = NDArray[Any]
LEAST_M2 = 4.0
VARIANTS: dict[str, tuple[float, ...]] = {
    "price": (0.003, 0.006, 0.015),
    "max_price_m2": (0.5, 2.0),
    "tolerance": (1.0, 2.0),
    "max_tolerance_m": (0.5, 2.0),
    "max_displacement_share": (0.02, 0.06),
    "max_deviation_share": (0.1, 0.2),
    "min_wall": (2.0, 4.0),
}


@dataclass(frozen=True, slots=True)
class Case:
    """Borders and the truth, in pixel coordinates; which are pairs; d(metres) / d(pixels) at each border."""

    name: str
    border: Polygons
    truth: Polygons
    pairs: tuple[NDArray[np.int64], NDArray[np.int64]]
    frames: NDArray[np.float64]


def synthetic(size: int) -> Case:
    """A scene of `vector_scenes`."""
    scene = make_buildings(size, seed=8)
    border = traced(scene.codes).border_polygons()
    truth = scene.truth[~scene.circle]
    return Case(f"synthetic {size}²", border, truth, matches(truth, border), SQUARE)


def real(raster: Path, truth: Path) -> Case:
    """Traced buildings of at least 4 m², and true polygons where the raster has pixels."""
    with open_raster_source(raster) as source:
        box = source.geobox
        one = next((band for band in source.bands if band.name == "building"), source.bands[0])
        found = trace_class(source.strips(one.name), one, box, Shaping("building"))
    assert found is not None, f"{raster} has no buildings"
    border = found.polygons() if one.cut is None else found.border_polygons()
    middle = shapely.centroid(border)
    frames, _ = jacobians(box, shapely.get_x(middle), shapely.get_y(middle))
    large = shapely.area(border) * np.abs(np.linalg.det(frames)) >= LEAST_M2
    back = ~box.transform
    lines = gpd.read_file(truth).explode().geometry.to_crs(box.crs).to_numpy()
    true = shapely.transform(shapely.make_valid(lines), lambda points: np.column_stack(back * points.T))
    border, frames = border[large], frames[large]
    return Case(raster.stem, border, true, matches(true, border), frames)


def variants() -> Iterator[tuple[str, Regularization]]:
    """The options as they are, then with one changed."""
    yield "as they are", Regularization()
    for name, values in VARIANTS.items():
        for value in values:
            yield f"{name}={value:g}", replace(Regularization(), **{name: value})


def line(case: Case, options: Regularization) -> str:
    """What the options make of a case."""
    start = time.process_time()
    done = without_overlaps(regularize(case.border, case.frames, options), case.border)
    seconds = time.process_time() - start
    mine, theirs = case.pairs
    ours = done.polygons[theirs]
    shares = iou(case.truth[mine], ours)
    forms = " ".join(f"{100 * (done.status == form).mean():3.0f}" for form in Status)
    return (f"{shares.mean():6.4f} {np.percentile(shares, 5):6.3f} {corners(ours).mean():8.2f} "
            f"{corners(done.polygons).mean():8.2f} {overlaps(done.polygons):8d} "
            f"{len(case.border) / seconds:10,.0f}  {forms}")  # fmt: skip


def main() -> None:
    """Print a table for each scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=2048, help="side of the synthetic scene")
    parser.add_argument(
        "--scene", type=Path, nargs=2, action="append", default=[], metavar=("RASTER", "TRUTH")
    )
    options = parser.parse_args()
    cases = [synthetic(options.size), *(real(*scene) for scene in options.scene)]
    for case in cases:
        mine, theirs = case.pairs
        print(f"\n{case.name}: {len(case.border):,} polygons, {len(mine):,} pairs; true vertices "
              f"{corners(case.truth[mine]).mean():.2f}; IoU of the borders "
              f"{iou(case.truth[mine], case.border[theirs]).mean():.4f}")  # fmt: skip
        print(f"{'':28} {'IoU':>6} {'p5':>6} {'vertices':>8} {'of all':>8} {'overlaps':>8} "
              f"{'polygons/s':>10}  forms %")  # fmt: skip
        for name, changed in variants():
            print(f"{name:28} {line(case, changed)}", flush=True)


if __name__ == "__main__":
    main()
