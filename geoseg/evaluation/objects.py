"""Polygons of both sides, matched class by class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.evaluation.compare import ROWS, relabelled
from geoseg.evaluation.result import ObjectScores
from geoseg.evaluation.sides import PolygonSide, Side
from geoseg.geo.geobox import GeoBox
from geoseg.vector.components import Polygons, concatenate
from geoseg.vector.matching import match
from geoseg.vector.trace import trace

Labels = NDArray[np.uint8]


def object_scores(
    predicted: tuple[Side, Labels],
    true: tuple[Side, Labels],
    box: GeoBox,
    classes: Sequence[str],
    least_iou: float,
) -> tuple[ObjectScores | None, ...]:
    """Scores of the objects of each class; None between two rasters.

    The objects of a vector file are its polygons whose middle lies on the grid; those of a raster, when the
    other side is a vector file, are its connected pixels.

    Args:
        predicted: the prediction, and the table from its labels to numbers of classes.
        true: the same of the truth.
        box: the grid.
        classes: names of numbers 1, 2 ….
        least_iou: from which polygons match.
    """
    if not any(isinstance(side, PolygonSide) for side, _ in (predicted, true)):
        return (None,) * len(classes)
    ours, theirs = _objects(*predicted, box), _objects(*true, box)
    return tuple(_scores(ours, theirs, number, least_iou) for number in range(1, len(classes) + 1))


def _objects(side: Side, table: Labels, box: GeoBox) -> tuple[Polygons, Labels]:
    if isinstance(side, PolygonSide):
        shapes, labels = side.objects(box)
        return shapes, table[labels]
    strips = (
        (np.where(labels == NODATA, np.uint8(0), labels), None, labels != NODATA)
        for labels in relabelled(side.strips(box, ROWS), table)
    )
    traced = list(trace(strips, box.shape[1]))
    if not traced:
        return np.empty(0, object), np.empty(0, np.uint8)
    whole = concatenate(traced)
    return whole.polygons(), whole.label.astype(np.uint8)


def _scores(
    ours: tuple[Polygons, Labels], theirs: tuple[Polygons, Labels], number: int, least_iou: float
) -> ObjectScores:
    predicted, true = (shapes[labels == number] for shapes, labels in (ours, theirs))
    found = match(predicted, true, least_iou)
    return ObjectScores(found.predicted, found.true, len(found.pairs), found.precision, found.recall,
                        found.f1, found.mean_iou, least_iou)  # fmt: skip
