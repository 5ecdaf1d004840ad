"""Open one side of a comparison, and find out which classes it holds."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.core.mask import NODATA
from geoseg.core.thresholds import Threshold
from geoseg.errors import SceneError
from geoseg.evaluation.classes import BACKGROUND, IGNORE, listed
from geoseg.evaluation.sides import UNKNOWN, Labels, MaskSide, PolygonSide, ProbabilitySide, Side
from geoseg.geo.aligned import plane_of, read_vector
from geoseg.geo.gdal import translated
from geoseg.geo.reach import open_input
from geoseg.vector.source_classes import FOREGROUND, MOST
from geoseg.vector.source_kind import (
    OWN,
    bands_of,
    kind_of,
    mask_bands,
    probability_bands,
    refuse_threshold,
)
from geoseg.vector.source_pixels import Reader

log = logging.getLogger(__name__)

VECTORS = (".geojson", ".geojsonl", ".geojsons", ".json", ".ndjson", ".gpkg", ".fgb", ".parquet", ".shp")


def is_vector(path: Path) -> bool:
    """Whether a file is taken for a vector file, by its extension."""
    return path.suffix.lower() in VECTORS


@contextmanager
def open_side(
    path: Path,
    *,
    threshold: Threshold = None,
    nodata: float | None = None,
    labels: Mapping[str, str] | None = None,
    class_field: str | None = None,
) -> Iterator[Side]:
    """Open a raster of classes or probabilities, or a vector file of polygons.

    Args:
        path: anything GDAL opens.
        threshold: probability that makes a class, of all or some by name, instead of the raster's own or 0.5.
        nodata: value of pixels without data, instead of the raster's own.
        labels: from numbers of a mask, or values of the class attribute, to names of classes, `background`
            or `ignore`. The classes are then those that are named here.
        class_field: attribute with the class of a polygon; `class` where there is one, else all are alike.

    Raises:
        SceneError: when it cannot be read or used.
    """
    if is_vector(path):
        refuse_threshold(threshold, path, "polygons")
        yield polygon_side(path, read_vector(path), labels, class_field)
        return
    with ExitStack() as stack:
        with translated(SceneError, f"cannot open {path}", "give a raster or vector file that GDAL can read"):
            dataset = stack.enter_context(open_input(path))
        bands = bands_of(dataset, None)
        value = dataset.nodatavals[bands[0] - 1] if nodata is None else nodata
        reader = Reader(dataset, value, OWN in dataset.tags())
        if kind_of(dataset, bands) == "probability":
            classes = probability_bands(reader, bands, threshold)
            coded = reader.own and dataset.dtypes[bands[0] - 1] == "uint8"
            yield ProbabilitySide(path, plane_of(dataset), reader, classes, coded)
            return
        # a mask that calls its background no data still says where there is nothing
        if nodata is None and value == 0:
            reader = replace(reader, nodata=None)
        names, table = _named(path, labels) if labels else _found(path, reader, bands, threshold)
        yield MaskSide(path, names, plane_of(dataset), reader, bands[0], table)


def _named(path: Path, labels: Mapping[str, str]) -> tuple[tuple[str, ...], Labels]:
    """Names of classes and the table of a mask whose numbers the user named."""
    names = listed(labels.values())
    table = np.full(MOST + 1, UNKNOWN, np.uint8)
    codes = {BACKGROUND: 0, IGNORE: NODATA} | {name: k for k, name in enumerate(names, 1)}
    for number, name in labels.items():
        if not number.isdecimal() or int(number) > MOST:
            raise SceneError(f"{path}: it holds numbers from 0 to {MOST}, which {number!r} is not")
        table[int(number)] = codes[name]
    if BACKGROUND not in labels.values() and "0" not in labels:
        table[0] = 0  # nobody means anything else by it
    return names, table


def _found(
    path: Path, reader: Reader, bands: list[int], threshold: Threshold
) -> tuple[tuple[str, ...], Labels]:
    """Names of classes and the table of a mask, by its tags or by the numbers that occur."""
    classes = mask_bands(reader, bands, threshold)
    table = np.zeros(MOST + 1, np.uint8)
    values = [one.value for one in classes]
    if values == [NODATA] and not reader.own:
        log.warning("%s: its only numbers are 0 and 255, so 255 is taken for a class; "
                    "if it is no data, name the numbers", path)  # fmt: skip
    else:
        classes = tuple(one for one in classes if one.value != NODATA)
        table[NODATA] = NODATA
    if len(classes) >= UNKNOWN:
        raise SceneError(f"{path}: it holds {len(classes)} numbers; is it a mask of classes, not of objects?")
    for label, one in enumerate(classes, 1):
        table[one.value] = label
    names = tuple(one.name for one in classes)
    return (FOREGROUND,) if names in ((), ("class_1",)) else names, table


def polygon_side(
    path: Path, frame: Any, labels: Mapping[str, str] | None, class_field: str | None
) -> PolygonSide:
    """The side of polygons that were read; see `open_side`."""
    if class_field is not None and class_field not in frame:
        known = ", ".join(name for name in frame.columns if name != "geometry") or "none"
        raise SceneError(f"{path}: it has no attribute {class_field}; its attributes are {known}")
    flat = frame.geometry.geom_type.isin(["Polygon", "MultiPolygon"])
    if not flat.all():
        kinds = ", ".join(sorted(set(frame.geometry.geom_type[~flat])))
        raise SceneError(f"{path}: it holds {kinds}; give polygons, or tree points as the truth")
    field = class_field or ("class" if "class" in frame else None)
    texts = np.array([FOREGROUND] * len(frame) if field is None else frame[field].astype(str), object)
    names = _renamed(path, texts, labels) if labels else {text: text for text in sorted(set(texts))}
    classes = listed(names.values()) or (FOREGROUND,)
    codes = {BACKGROUND: 0, IGNORE: NODATA} | {name: k for k, name in enumerate(classes, 1)}
    return PolygonSide(path, classes, frame, np.array([codes[names[text]] for text in texts], np.uint8))


def _renamed(path: Path, texts: Any, labels: Mapping[str, str]) -> dict[str, str]:
    if missing := sorted(set(texts) - set(labels)):
        raise SceneError(
            f"{path}: its class {missing[0]} was not named; name it too, or say {missing[0]}=ignore"
        )
    return dict(labels)
