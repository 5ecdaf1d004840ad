"""What a raster of classes holds: its plane, its classes with their colours, how many pixels each has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.errors import BundleError, SceneError
from geoseg.evaluation.opening import open_side
from geoseg.evaluation.sides import MaskSide, ProbabilitySide
from geoseg.geo.geobox import GeoBox
from geoseg.geo.reach import open_input
from geoseg.models.bundle import find_bundle
from geoseg.models.card import Card
from geoseg.report.page_map import Named
from geoseg.report.page_pack import Polygons
from geoseg.report.page_parts import Html, element, section, table, text
from geoseg.report.page_polygons import with_colors
from geoseg.report.page_raster import preview_shape, read_labels

ROWS = 512  # of a strip whose pixels are counted


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """A raster of classes, looked at.

    Attributes:
        box: its pixel plane.
        classes: names and colours.
        counts: (256,) int64 pixels by label.
        labels: (h, w) uint8, its preview.
    """

    box: GeoBox
    classes: list[Named]
    counts: NDArray[np.int64]
    labels: NDArray[np.uint8]

    @property
    def known(self) -> int:
        """Pixels with data."""
        return int(self.counts[:NODATA].sum())


def look_at(raster: Path, card: Card | None) -> Counted:
    """Open a raster, count its pixels and read its preview.

    Raises:
        SceneError: when it is no raster of classes or probabilities.
    """
    with open_side(raster) as side:
        if not isinstance(side, (MaskSide, ProbabilitySide)):
            raise SceneError(f"{raster}: it is a vector file; give the raster, and this one with --polygons")
        counts = np.zeros(256, np.int64)
        for strip in side.strips(side.box, ROWS):
            counts += np.bincount(strip.ravel(), minlength=256)
        labels = read_labels(side, preview_shape(side.box.shape))
        return Counted(side.box, _named(side, raster, card), counts, labels)


def _named(side: MaskSide | ProbabilitySide, raster: Path, card: Card | None) -> list[Named]:
    """Names and colours of a raster's classes: its own colours, else the card's, else some."""
    colors = {} if card is None else {spec.name: spec.color for spec in card.classes}
    if isinstance(side, MaskSide):
        with open_input(raster) as dataset:
            table = _colormap(dataset)
        for label, name in enumerate(side.classes, 1):
            values = np.flatnonzero(side.table == label)
            if len(values) and any((color := table.get(int(values[0]), (0, 0, 0)))[:3]):
                colors[name] = "#{:02x}{:02x}{:02x}".format(*color[:3])
    return with_colors(side.classes, colors)


def _colormap(dataset: Any) -> dict[int, tuple[int, ...]]:
    try:
        return dict(dataset.colormap(1))
    except ValueError:  # it has none
        return {}


def find_card(raster: Path, model: str | Path | None) -> Card | None:
    """The card of the model that a raster names, if it is installed; of `model`, if that is given."""
    if model is not None:
        return find_bundle(model).card
    try:
        with open_input(raster) as dataset:
            name = dataset.tags().get("GEOSEG_MODEL")
        return find_bundle(name).card if name else None
    except (BundleError, OSError):  # what cannot be opened is complained about where it is read
        return None


def classes_section(seen: Counted, polygons: Polygons | None, unit: str) -> Html:
    """A row for each class."""
    side, known = seen.box.side_m() or 1.0, max(1, seen.known)
    head = ["class", "pixels", "share", f"area, {unit}"]
    if polygons is not None:
        head += ["polygons", f"median area, {unit}", "mean confidence"]
    rows = []
    for k, (name, _) in enumerate(seen.classes, 1):
        pixels = seen.counts[k]
        row = [name, f"{pixels:,}", f"{pixels / known:.2%}", f"{pixels * side**2:,.0f}"]
        rows.append(row if polygons is None else row + _summed(polygons.take(polygons.kinds == k - 1)))
    said = f"{seen.known:,} pixels have data, {seen.counts[NODATA]:,} have none."
    return section("Classes", table(head, rows), element("p", text(said), class_="lead"))


def _summed(polygons: Polygons) -> list[str]:
    """Number, median area and mean confidence."""
    areas, sure = (values[np.isfinite(values)] for values in (polygons.areas, polygons.confidences))
    return [f"{len(polygons.kinds):,}", f"{np.median(areas):,.1f}" if len(areas) else "–",
            f"{sure.mean():.3f}" if len(sure) else "–"]  # fmt: skip
