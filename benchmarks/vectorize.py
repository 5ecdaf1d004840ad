"""Speed, memory and accuracy of `geoseg vectorize` beside other programs, on scenes with known truth.

    python benchmarks/vectorize.py [--size PX] [--wide PX] [--peer-size PX] [--banepa FOLDER]

Needs Linux. `gdal_polygonize.py` (Debian: gdal-bin, python3-gdal) and `buildingregulariser` (PyPI) are
compared with when they are there. FOLDER holds the Banepa buildings: scene/banepa_labelled_mask.tif and
buildings.geojson. Seconds are CPU seconds of one core, lengths pixels of 0.3 m. For tracing the scene is in
memory beforehand and every row is a process of its own; only gdal_polygonize reads a GeoTIFF and writes a
FlatGeobuf, and its memory is not told. No way keeps the polygons it made.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import geopandas as gpd
import numpy as np
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio.transform import from_origin
from vector_scenes import PIXEL_M, Buildings, make_buildings, make_crowns

from geoseg.polygons import Shaping, vectorize
from geoseg.vector.components import Components, concatenate
from geoseg.vector.crowns import CrownOptions, separate
from geoseg.vector.regularize import regularize, without_overlaps
from geoseg.vector.trace import trace

STRIP = 128
WIDE_ROWS = 2048
CROWN_STRIP = 256
CROWN_SIZE = 4096
LEAST_CROWN = 30  # px
SQUARE = np.diag([PIXEL_M, -PIXEL_M])
GRID = from_origin(400_000, 5_700_000, PIXEL_M, PIXEL_M)
CRS = "EPSG:32633"
PEER = "buildingregulariser"

Polygons = NDArray[Any]
Row = dict[str, Any]


def strips(codes: NDArray[np.uint8], sums: bool = True) -> Iterator[tuple[Any, Any, None]]:
    """Rows of a scene as `trace` takes them, with probabilities to add up or without."""
    for row in range(0, len(codes), STRIP):
        part = codes[row : row + STRIP]
        yield part >= 128, part if sums else None, None


# ------------------------------------------------------------------------------------------ tracing


def trace_geoseg(codes: NDArray[np.uint8], border: bool = False, sums: bool = True) -> int:
    """Polygons with their probability sums, strip by strip."""
    level = 127.5 if border else None
    batches = trace(strips(codes, sums), codes.shape[1], level=level)
    return sum(len(batch.border_polygons() if border else batch.polygons()) for batch in batches)


def trace_border(codes: NDArray[np.uint8]) -> int:
    """The same with sub-pixel borders."""
    return trace_geoseg(codes, border=True)


def trace_bare(codes: NDArray[np.uint8]) -> int:
    """The same as rasterio does: polygons of the mask, no probability sums."""
    return trace_geoseg(codes, sums=False)


def trace_rasterio(codes: NDArray[np.uint8]) -> int:
    """Polygons of the whole mask, each made with `shape()`; no probability sums."""
    mask = (codes >= 128).astype(np.uint8)
    found = rasterio.features.shapes(mask, mask=mask > 0, connectivity=4)
    return sum(not shapely.geometry.shape(feature).is_empty for feature, _ in found)


def memory(name: str) -> float:
    """A size of this process, MiB: VmRSS is the present one, VmHWM the largest so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def measure(way: Callable[[NDArray[np.uint8]], int], path: Path, repeat: int) -> Row:
    """Time one way of tracing in this process, and how much memory it takes on top of the scene."""
    codes = np.tile(np.load(path), (1, repeat))
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before, start = memory("VmRSS"), time.process_time()
    found = way(codes)
    seconds = time.process_time() - start
    return dict(pixels=codes.size, seconds=seconds, extra=memory("VmHWM") - before, polygons=found)


def alone(way: Callable[[NDArray[np.uint8]], int], path: Path, repeat: int = 1) -> Row:
    """`measure` in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, way, path, repeat).result()


def trace_gdal(codes: NDArray[np.uint8], folder: Path) -> Row:
    """Debian's program, from file to file."""
    mask, output = folder / "mask.tif", folder / "mask.fgb"
    rows, cols = codes.shape
    profile = dict(driver="GTiff", height=rows, width=cols, count=1, dtype="uint8", nodata=0, tiled=True,
                   compress="deflate", crs=CRS, transform=GRID)  # fmt: skip
    with rasterio.open(mask, "w", **profile) as file:
        file.write((codes >= 128).astype(np.uint8), 1)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        used = pool.submit(polygonize, str(mask), str(output)).result()
    return used | dict(pixels=codes.size, polygons=len(gpd.read_file(output, columns=[])))


def polygonize(mask: str, output: str) -> Row:
    """Run the program, free of this Python's paths; to be called in a small process of its own."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "GDAL", "PROJ"))
    }
    command = ["gdal_polygonize.py", "-q", mask, "-f", "FlatGeobuf", output]
    subprocess.run(command, check=True, env=clean, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return dict(seconds=used.ru_utime + used.ru_stime, extra=float("nan"))


def tracing(scene: Buildings, wide: int, folder: Path) -> None:
    """Print the speed and memory of every way to trace."""
    path, few = folder / "codes.npy", folder / "few.npy"
    np.save(path, scene.codes)
    np.save(few, scene.codes[:WIDE_ROWS])
    repeat = max(1, wide // scene.codes.shape[1])
    rows = {
        "geoseg": alone(trace_bare, path),
        "geoseg, with sums": alone(trace_geoseg, path),
        "geoseg, with sums and sub-pixel borders": alone(trace_border, path),
        "rasterio.features.shapes + shape()": alone(trace_rasterio, path),
        "geoseg, with sums, wide": alone(trace_geoseg, few, repeat),
        "rasterio.features.shapes + shape(), wide": alone(trace_rasterio, few, repeat),
    }
    print(
        f"\nTracing {scene.codes.shape[1]:,} px wide, and {repeat * scene.codes.shape[1]:,} × {WIDE_ROWS:,}"
    )
    print(f"{'':42} {'polygons':>9} {'seconds':>8} {'Mpx/s':>7} {'× rasterio':>11} {'extra MiB':>10}")
    for name, row in rows.items():
        peer = rows["rasterio.features.shapes + shape()" + (", wide" if "wide" in name else "")]
        print_traced(name, row, peer)
    if shutil.which("gdal_polygonize.py"):
        print_traced(
            "gdal_polygonize.py", trace_gdal(scene.codes, folder), rows["rasterio.features.shapes + shape()"]
        )
    else:
        print("gdal_polygonize.py: not on the PATH, left out")


def print_traced(name: str, row: Row, peer: Row) -> None:
    """A line of the tracing table."""
    times = peer["seconds"] / row["seconds"]
    print(f"{name:42} {row['polygons']:9,} {row['seconds']:8.2f} {row['pixels'] / row['seconds'] / 1e6:7.1f} "
          f"{times:11.2f} {row['extra']:10.0f}", flush=True)  # fmt: skip


# --------------------------------------------------------------------------------------- buildings


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` gives, and its CPU seconds."""
    start = time.process_time()
    return work(), time.process_time() - start


def straight(polygons: Polygons) -> Polygons:
    """Regularized by geoseg, neighbours looked at."""
    return without_overlaps(regularize(polygons, SQUARE), polygons).polygons


def peer_straight(polygons: Polygons, crs: Any, to_map: Callable[[Any], Any]) -> Polygons:
    """Regularized by the other program with its defaults, in map coordinates; None where it left one out."""
    from buildingregulariser import regularize_geodataframe

    placed = shapely.transform(polygons, to_map)
    frame = gpd.GeoDataFrame({"number": range(len(placed))}, geometry=placed, crs=crs)
    done = regularize_geodataframe(frame, num_cores=1)
    drawn = np.full(len(polygons), None, object)
    drawn[done["number"].to_numpy()] = done.geometry.to_numpy()
    return drawn


def on_map(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """From pixels to the metres of `CRS`."""
    return points * [GRID.a, GRID.e] + [GRID.c, GRID.f]


def off_map(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """And back."""
    return (points - [GRID.c, GRID.f]) / [GRID.a, GRID.e]


def iou(one: Polygons, other: Polygons) -> NDArray[np.float64]:
    """Intersection over union of pairs; 0 where one is missing."""
    one, other = shapely.make_valid(one), shapely.make_valid(other)
    common = shapely.area(shapely.intersection(one, other))
    return np.nan_to_num(common / (shapely.area(one) + shapely.area(other) - common))


def matches(truth: Polygons, found: Polygons) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of truth and found that overlap by an IoU above 0.5, so that neither is in two pairs."""
    mine, theirs = shapely.STRtree(found).query(truth, predicate="intersects")
    good = iou(truth[mine], found[theirs]) > 0.5
    return mine[good], theirs[good]


def overlaps(polygons: Polygons) -> int:
    """How many pairs share more than a millionth of a unit of area."""
    polygons = shapely.make_valid(polygons[~shapely.is_missing(polygons)])
    one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    one, other = one[one < other], other[one < other]
    return int((shapely.area(shapely.intersection(polygons[one], polygons[other])) > 1e-6).sum())


def corners(polygons: Polygons) -> NDArray[np.int64]:
    """Vertices, the closing ones not counted."""
    rings = np.where(shapely.is_missing(polygons), 0, shapely.get_num_interior_rings(polygons) + 1)
    return shapely.get_num_coordinates(polygons) - rings


def accuracy(drawn: Polygons, truth: Polygons, pairs: tuple[Any, Any], circle: NDArray[np.bool_]) -> Row:
    """How near polygons are to the truth they were matched with."""
    mine, theirs = pairs
    true, ours, angular = truth[mine], drawn[theirs], ~circle[mine]
    shares = iou(true, ours)
    far = shapely.hausdorff_distance(shapely.boundary(true), shapely.boundary(ours), densify=0.25)
    return {
        "IoU": shares.mean(),
        "p5": np.percentile(shares, 5),
        "area %": 100 * (np.nansum(shapely.area(ours)) / shapely.area(true).sum() - 1),
        "vertices": corners(ours[angular]).sum() / corners(true[angular]).sum(),
        "Hausdorff p95": np.nanpercentile(far, 95),
        "invalid": int((~shapely.is_valid(drawn)).sum()),
        "overlaps": overlaps(drawn),
    }


def traced(codes: NDArray[np.uint8]) -> Components:
    """All buildings of a scene above 4 m², with sub-pixel borders."""
    return concatenate(list(trace(strips(codes), codes.shape[1], min_pixels=44, level=127.5)))


def regularizing(scene: Buildings, peer: bool) -> None:
    """Print speed and accuracy of straight walls."""
    found = traced(scene.codes)
    border, pixels = found.border_polygons(), found.polygons()
    pairs = matches(scene.truth, border)
    print(f"\nRegularizing, {len(border):,} polygons of {scene.codes.shape[1]:,}² px, {len(scene.truth):,} "
          f"buildings, {len(pairs[0]):,} pairs; vertices: per true one, without circles")  # fmt: skip
    ways: dict[str, Callable[[], Polygons]] = {
        "pixels as traced": lambda: pixels,
        "sub-pixel borders as traced": lambda: border,
        "geoseg": lambda: straight(border),
    }
    if peer:
        ways[f"{PEER}, pixels"] = lambda: shapely.transform(peer_straight(pixels, CRS, on_map), off_map)
        ways[f"{PEER}, borders"] = lambda: shapely.transform(peer_straight(border, CRS, on_map), off_map)
    for number, (name, way) in enumerate(ways.items()):
        drawn, seconds = timed(way)
        row = accuracy(drawn, scene.truth, pairs, scene.circle)
        if not number:
            print(f"{'':32} {'polygons/s':>10} " + " ".join(f"{head:>8}" for head in row))
        speed = f"{len(border) / seconds:10,.0f}" if seconds > 0.01 else f"{'-':>10}"
        print(f"{name:32} {speed} " + " ".join(cell(*item) for item in row.items()), flush=True)


def cell(head: str, value: float) -> str:
    """A number under its head."""
    wide = max(8, len(head))
    return f"{value:{wide}d}" if isinstance(value, int) else f"{value:{wide}.3f}"


# ------------------------------------------------------------------------------------------ crowns


def crown_labels(mask: NDArray[np.bool_], codes: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The crowns of a scene, strip by strip."""
    rows = range(0, len(codes), CROWN_STRIP)
    parts = ((mask[row : row + CROWN_STRIP], codes[row : row + CROWN_STRIP]) for row in rows)
    return np.concatenate(list(separate(parts, codes.shape[1], CrownOptions.from_pixel_size(PIXEL_M))))


def f1(labels: NDArray[np.int32], truth: NDArray[np.int32]) -> float:
    """F1 of crowns of at least `LEAST_CROWN` px that overlap their truth by an IoU above 0.5."""
    ours, true = np.bincount(labels.ravel()), np.bincount(truth.ravel())
    both = (labels > 0) & (truth > 0)
    keys, common = np.unique(truth[both].astype(np.int64) * len(ours) + labels[both], return_counts=True)
    one, other = keys // len(ours), keys % len(ours)
    large = (true[one] >= LEAST_CROWN) & (ours[other] >= LEAST_CROWN)
    hits = (common / (true[one] + ours[other] - common) > 0.5) & large
    return 2 * hits.sum() / ((ours[1:] >= LEAST_CROWN).sum() + (true[1:] >= LEAST_CROWN).sum())


def crowns() -> None:
    """Print speed and F1 of crowns."""
    codes, truth = make_crowns(CROWN_SIZE)
    mask = codes >= 127
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    scenes = {"probabilities": codes, "saturated": np.where(mask, np.uint8(254), np.uint8(0))}
    print(f"\nCrowns, {CROWN_SIZE:,}² px, {100 * mask.mean():.0f} % canopy, {truth.max():,} crowns")
    print(f"{'':32} {'crowns':>8} {'F1 at IoU 0.5':>14} {'Mpx/s':>7}")
    print(f"{'connected components':32} {parts.max():8,} {f1(parts, truth):14.3f} {'-':>7}")
    for name, plane in scenes.items():
        labels, seconds = timed(lambda plane=plane: crown_labels(mask, plane))
        print(f"{'geoseg, ' + name:32} {labels.max():8,} {f1(labels, truth):14.3f} "
              f"{codes.size / seconds / 1e6:7.1f}", flush=True)  # fmt: skip


# ------------------------------------------------------------------------------------------ Banepa


def banepa(data: Path, folder: Path, peer: bool) -> None:
    """Print how near the polygons of a true mask are to the polygons it was drawn from."""
    mask = data / "scene" / "banepa_labelled_mask.tif"
    truth = gpd.read_file(data / "buildings.geojson").explode()
    crs = truth.estimate_utm_crs()
    true = shapely.make_valid(truth.geometry.to_crs(crs).to_numpy())
    ways = {"pixels as traced": Shaping("building", simplify=False), "geoseg": Shaping("building")}
    drawn, seconds = {}, {}
    for name, shaping in ways.items():
        output = folder / f"{name.replace(' ', '_')}.gpkg"
        _, seconds[name] = timed(lambda out=output, how=shaping: vectorize(mask, out, shaping=how))
        drawn[name] = gpd.read_file(output, columns=[]).to_crs(crs).geometry.to_numpy()
    if peer:
        pixels = drawn["pixels as traced"]
        drawn[PEER], seconds[PEER] = timed(lambda: peer_straight(pixels, crs, lambda points: points))
    print(f"\nBanepa, true mask, {len(true):,} buildings in the file; geoseg: from file to file")
    print(f"{'':32} {'polygons':>9} {'seconds':>8} {'pairs':>6} {'IoU':>6} {'vertices':>9} {'true':>6}")
    for name, polygons in drawn.items():
        polygons = polygons[~shapely.is_missing(polygons)]
        one, other = matches(true, polygons)
        shares = iou(true[one], polygons[other])
        print(f"{name:32} {len(polygons):9,} {seconds[name]:8.2f} {len(one):6,} {shares.mean():6.3f} "
              f"{corners(polygons[other]).mean():9.1f} {corners(true[one]).mean():6.1f}",
              flush=True)  # fmt: skip


def main() -> None:
    """Print a table for each question."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=8192, help="side of the scene of buildings")
    parser.add_argument("--wide", type=int, default=98_304, help="width of the wide scene")
    parser.add_argument("--peer-size", type=int, default=4096, help="side of the scene for the other program")
    parser.add_argument("--banepa", type=Path, metavar="FOLDER", help="the Banepa buildings")
    options = parser.parse_args()
    peer = importlib.util.find_spec(PEER) is not None
    if not peer:
        print(f"{PEER}: not installed, left out")
    cv2.setNumThreads(1)
    scene = make_buildings(options.size)
    with tempfile.TemporaryDirectory() as name:
        tracing(scene, options.wide, Path(name))
        regularizing(scene, peer=False)
        if peer:
            regularizing(make_buildings(options.peer_size, seed=8), peer=True)
        crowns()
        if options.banepa:
            banepa(options.banepa, Path(name), peer)


if __name__ == "__main__":
    main()
