"""Polygons of a vector file on the plane of a raster, and what their areas and confidences are like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import SceneError
from geoseg.evaluation.opening import is_vector
from geoseg.geo.aligned import read_vector, to_plane
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.report.page_charts import BINS, bars, edges_of, histogram
from geoseg.report.page_map import Named
from geoseg.report.page_pack import Polygons
from geoseg.report.page_parts import Html, element, joined, section, text

PALETTE = ("#e63946", "#2a9d8f", "#f4a261", "#457b9d", "#b565d9", "#e9c46a", "#8d6e63", "#ef7fa4", "#6a994e",
           "#5e60ce")  # fmt: skip
FLAT = (3, 6)  # GEOS's types of polygons and multipolygons
SHOWN = 8  # classes with histograms
MOST = 255  # classes


def read_polygons(path: Path, box: GeoBox, names: Sequence[Named]) -> tuple[Polygons, list[Named]]:
    """Polygons of a vector file on a plane, and the classes with those that only the file has.

    Args:
        path: of the file; without an attribute `class` all are of the first class.
        box: the plane; what lies outside is left out.
        names: the classes that are known.

    Raises:
        SceneError: when it cannot be read, or lies elsewhere.
    """
    if not is_vector(path):
        raise SceneError(f"{path}: it is no vector file; give e.g. a .gpkg or .geojson")
    frame = read_vector(path)
    shapes = to_plane(frame, box, path)
    ground = shapely.box(0, 0, box.shape[1], box.shape[0])
    use = np.isin(shapely.get_type_id(shapes), FLAT) & shapely.intersects(shapes, ground)
    frame, shapes = frame[use], shapes[use]
    classes = frame["class"].astype(str).tolist() if "class" in frame else [names[0][0]] * len(frame)
    if len({*dict(names), *classes}) > MOST:
        raise SceneError(f"{path}: its attribute class has over {MOST} values; are they names of polygons?")
    known = with_colors([*dict(names), *sorted(set(classes) - set(dict(names)))], dict(names))
    order = {name: k for k, (name, _) in enumerate(known)}
    kinds = np.array([order[name] for name in classes], np.uint8)
    with translated(SceneError, f"{path}: area or confidence of a polygon is no number", "mend them"):
        return Polygons(shapes, kinds, _areas(frame, shapes, box), _column(frame, "confidence")), known


def with_colors(names: Sequence[str], colors: dict[str, str]) -> list[Named]:
    """Classes with the colours that are known, and others of a palette."""
    return [(name, colors.get(name, PALETTE[k % len(PALETTE)])) for k, name in enumerate(names)]


def _column(frame: Any, name: str) -> NDArray[np.float64]:
    return np.asarray(frame[name] if name in frame else np.full(len(frame), np.nan), np.float64)


def _areas(frame: Any, shapes: NDArray[Any], box: GeoBox) -> NDArray[np.float64]:
    """As the file says, else of the pixels that they cover; square metres where the plane has any."""
    side = box.side_m()
    name = "area_m2" if side else "area_px"
    return _column(frame, name) if name in frame else np.asarray(shapely.area(shapes)) * (side or 1) ** 2


def histograms(polygons: Polygons, classes: Sequence[Named], unit: str) -> Html:
    """Area and confidence of the polygons of the most frequent classes."""
    counts = np.bincount(polygons.kinds, minlength=len(classes))
    frequent = sorted(np.argsort(-counts, kind="stable")[:SHOWN])
    charts = [
        chart for kind in frequent
        for chart in _charts(polygons.take(polygons.kinds == kind), classes[kind], unit)
    ]  # fmt: skip
    note = element("p", text("Number of polygons; areas on a logarithmic scale."), class_="lead")
    return section("Polygons", note, element("div", joined(charts), class_="charts"))


def _charts(polygons: Polygons, named: Named, unit: str) -> list[Html]:
    """Those of one class; none of what is not known."""
    (name, color), charts = named, []
    areas, sure = polygons.areas, polygons.confidences
    areas, sure = areas[np.isfinite(areas) & (areas > 0)], sure[np.isfinite(sure)]
    if len(areas):
        edges = edges_of(areas)
        charts.append(bars(f"{name}: area", histogram(areas, edges), edges, unit, color))
    if len(sure):
        edges = np.linspace(min(0.5, float(sure.min())), 1, BINS + 1)
        charts.append(bars(f"{name}: confidence", histogram(sure, edges), edges, "mean probability", color))
    return charts
