"""The page of a batch: where its jobs lie, what became of them, what failed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.report.page_evaluation import read_json
from geoseg.report.page_map import Map
from geoseg.report.page_pack import Polygons
from geoseg.report.page_parts import Html, element, pairs, section, table, text
from geoseg.report.page_write import Page

STATUS = {"done": "#2e9e62", "empty": "#8a94a0", "failed": "#d03b3b"}
SUMMARY, COVERAGE = "summary*.json", "coverage*.geojson"
SIDE = 1200  # pixels of the longer side of the map of a coverage
RIM = 0.04  # around it, of its longer side
LISTED = 500  # failures in the table


def is_batch(folder: Path) -> bool:
    """Whether a folder is that of a batch which has come to an end, or a shard of it has."""
    return any(folder.glob(SUMMARY))


def batch_page(folder: Path) -> Page:
    """Put a page together.

    Raises:
        SceneError: when a file cannot be used.
    """
    accounts = [read_json(path) for path in sorted(folder.glob(SUMMARY))]
    coverages = [read_json(path) for path in sorted(folder.glob(COVERAGE))]
    features = [feature for coverage in coverages for feature in coverage["features"]]
    total = _added(accounts)
    with translated(SceneError, f"cannot use the coverage in {folder}", "run the batch again"):
        shown = coverage_map(features)
    return Page(
        title=folder.resolve().name, kind="Batch", lead=_lead(total),
        figures={"jobs": f"{total['planned']:,}", "failed": f"{total['failed']:,}",
                 "patches": f"{total['patches']:,}", "time": _time(total["seconds"]),
                 "time of all jobs": _time(total["job_seconds"])},
        sections=[_failures(accounts), _pixels(accounts), _runs(accounts), *_places(shown, features)],
        map=shown,
    )  # fmt: skip


def _lead(total: Mapping[str, Any]) -> str:
    done = f"{total['processed']:,} processed, {total['skipped']:,} without data, {total['failed']:,} failed"
    return f"{total['planned']:,} jobs planned: {done}."


def _added(accounts: Sequence[Mapping[str, Any]]) -> Counter[str]:
    """Shards of a run together."""
    keys = ("planned", "processed", "skipped", "failed", "patches", "seconds", "job_seconds")
    return Counter({key: sum(account[key] for account in accounts) for key in keys})


def coverage_map(features: Sequence[Mapping[str, Any]]) -> Map | None:
    """The jobs whose place is known, in degrees with a degree of either kind as long as on the ground.

    Args:
        features: of a coverage.geojson.
    """
    known = [feature for feature in features if feature["geometry"] is not None]
    if not known:
        return None
    shapes = np.array([shapely.Polygon(feature["geometry"]["coordinates"][0]) for feature in known])
    box = _plane(*shapely.total_bounds(shapes))
    inverse = ~box.transform
    shapes = shapely.transform(shapes, lambda points: np.column_stack(inverse * (points[:, 0], points[:, 1])))
    order = {status: k for k, status in enumerate(STATUS)}
    states = [feature["properties"] for feature in known]
    notes = [[f"job {state['job']}", f"scene {state['scene']}", *([state["error"]] if state["error"] else [])]
             for state in states]  # fmt: skip
    unknown = np.full(len(known), np.nan)
    kinds = np.array([order[state["status"]] for state in states], np.uint8)
    polygons = Polygons(shapes, kinds, unknown, unknown, notes)
    return Map(box, box.shape, list(STATUS.items()), polygons=polygons, empty="no job here")


def _plane(west: float, south: float, east: float, north: float) -> GeoBox:
    """A plane in degrees around a box."""
    slim = math.cos(math.radians((south + north) / 2))
    longest = max((east - west) * slim, north - south, 1e-5)
    step, rim = longest / SIDE, longest * RIM
    width, height = (max(1, round((size + 2 * rim) / step)) for size in ((east - west) * slim, north - south))
    corner = Affine.translation(west - rim / slim, north + rim)
    return GeoBox((height, width), corner * Affine.scale(step / slim, -step), CRS.from_epsg(4326))


def _failures(accounts: Sequence[Mapping[str, Any]]) -> Html:
    failures = [(one["job"], one["error"]) for account in accounts for one in account["failures"]]
    if not failures:
        return section("Failures", element("p", text("None: every job that was planned was done.")))
    more = f"The first {LISTED:,} of {len(failures):,}." if len(failures) > LISTED else ""
    return section("Failures", table(["job", "reason"], failures[:LISTED], 2), element("p", text(more)))


def _pixels(accounts: Sequence[Mapping[str, Any]]) -> Html:
    pixels = Counter[str]()
    for account in accounts:
        pixels.update(account["pixels"])
    known = max(1, sum(pixels.values()) - pixels["nodata"])
    rows = [[name, f"{count:,}", "" if name == "nodata" else f"{count / known:.2%}"]
            for name, count in pixels.items()]  # fmt: skip
    return section("Pixels", table(["class", "pixels", "share of those with data"], rows))


def _runs(accounts: Sequence[Mapping[str, Any]]) -> Html:
    """The account of the run, or of each of its shards."""
    parts = []
    for account in accounts:
        scenes = ", ".join(f"{count} {status}" for status, count in account["scenes"].items())
        engines = ", ".join(f"{name}: {count} jobs" for name, count in account["engines"].items())
        parts.append(pairs({
            "account": Path(account["path"]).name, "scenes": scenes,
            "done by earlier runs": account["earlier"], "engines": engines or "none",
            "wall time": _time(account["seconds"]),
        }))  # fmt: skip
    return section("Runs", *parts)


def _places(shown: Map | None, features: Sequence[Mapping[str, Any]]) -> list[Html]:
    on_map = 0 if shown is None or shown.polygons is None else len(shown.polygons.kinds)
    if on_map == len(features):
        return []
    said = f"The place of {len(features) - on_map:,} jobs is not known."
    return [section("Not on the map", element("p", text(said)))]


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
