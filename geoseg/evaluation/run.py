"""`evaluate`: open both sides, choose the grid, compare, write."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.core.blocks import BlockCounts
from geoseg.core.boundary import BoundaryCounts
from geoseg.core.thresholds import Threshold
from geoseg.errors import SceneError
from geoseg.evaluation.classes import common_classes, number_of, table_to
from geoseg.evaluation.compare import ROWS, Comparison, Progress, count_points, relabelled, watched
from geoseg.evaluation.grids import grid_of, pixels_of, tolerance_px
from geoseg.evaluation.objects import object_scores
from geoseg.evaluation.opening import open_side
from geoseg.evaluation.options import Options
from geoseg.evaluation.points import counts_for, is_points, read_points
from geoseg.evaluation.report import outputs_in, report
from geoseg.evaluation.result import Evaluation, PointScores
from geoseg.evaluation.scores import evaluation_of
from geoseg.evaluation.sides import Side
from geoseg.geo.gdal import session

TREE = "tree"


def evaluate(
    prediction: str | Path,
    truth: str | Path,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    **options: Any,
) -> Evaluation:
    """Compare a prediction with the truth, raster or vector on either side.

    They are compared on the grid of the prediction if it is a raster, else on the truth's; two vector files
    on one of their own. What has no data on either side is left out. Memory does not grow with rasters, but
    for a confusion matrix each block; vector files are held whole.

    Args:
        prediction: a class mask, probabilities or polygons.
        truth: the same, or tree points (a vector file, or a CSV with columns image, x, y in pixels).
        output: folder for `errormap.tif`, `errormap.png`, `confusion.png` and `scores.json`; None for none.
        overwrite: replace those files if they exist.
        progress: called with the numbers of pixels compared since the last call and of all.
        **options: as in `evaluation.options.Options`.

    Raises:
        GeosegError: one line that says what was wrong, what was got and what to do.
    """
    chosen = Options(**options)
    folder = None if output is None else Path(output)
    run = _evaluate_points if is_points(Path(truth)) else _evaluate_sides
    with session():
        return run(Path(prediction), Path(truth), folder, chosen, overwrite, progress)


def _evaluate_sides(
    prediction: Path, truth: Path, folder: Path | None, chosen: Options, overwrite: bool, progress: Progress
) -> Evaluation:
    with ExitStack() as stack:
        ours = stack.enter_context(_open(prediction, chosen.labels, chosen, chosen.threshold))
        theirs = stack.enter_context(_open(truth, chosen.truth_labels, chosen))
        box = grid_of(ours, theirs, chosen)
        classes = common_classes(ours.classes, theirs.classes, chosen.class_name)
        tables = (
            table_to(classes, ours.classes, "prediction", theirs.classes),
            table_to(classes, theirs.classes, "truth", ours.classes),
        )
        counts = Comparison(
            BlockCounts(box.shape, len(classes) + 1, chosen.block),
            BoundaryCounts(len(classes) + 1, tolerance_px(chosen, box)),
        )
        draw, finish = stack.enter_context(report(folder, box, True, overwrite))
        predicted, true = (
            relabelled(side.strips(box, ROWS), table)
            for side, table in zip((ours, theirs), tables, strict=True)
        )
        counts.run(watched(true, box.shape[1], box.shape[0] * box.shape[1], progress), predicted, draw)
        if not counts.blocks.counts.any():
            raise SceneError(
                f"{prediction} and {truth} share no pixel with data; are both of the same place?"
            )
        objects = object_scores((ours, tables[0]), (theirs, tables[1]), box, classes, chosen.least_iou)
        outputs = () if folder is None else outputs_in(folder, mapped=True)
        found = evaluation_of(prediction, truth, box, counts, classes, objects, outputs)
        finish(found)
    return found


def _evaluate_points(
    prediction: Path, truth: Path, folder: Path | None, chosen: Options, overwrite: bool, progress: Progress
) -> Evaluation:
    with ExitStack() as stack:
        ours = stack.enter_context(_open(prediction, chosen.labels, chosen, chosen.threshold))
        box = grid_of(ours, None, chosen)
        name = chosen.class_name or _point_class(ours)
        label = number_of(ours.classes, name, "prediction")
        points = read_points(truth, box, chosen.image_of(prediction), ours.box)
        radius = chosen.radius_m and pixels_of(chosen.radius_m, box, "--radius", "leave it out")
        counts = counts_for(points, box, radius)
        _, finish = stack.enter_context(report(folder, box, False, overwrite))
        table = np.zeros(256, np.uint8)
        table[[label, 255]] = 1, 255
        strips = relabelled(ours.strips(box, ROWS), table)
        count_points(counts, watched(strips, box.shape[1], box.shape[0] * box.shape[1], progress))
        if not counts.points:
            raise SceneError(f"{prediction} has no data at any point of {truth}; are both of the same place?")
        scores = PointScores(
            name, counts.points, len(points) - counts.points, counts.found, counts.found / counts.points,
            counts.marked / counts.pixels, radius,
        )  # fmt: skip
        outputs = () if folder is None else tuple(map(str, outputs_in(folder, mapped=False)))
        left_out = box.shape[0] * box.shape[1] - counts.pixels
        found = Evaluation(
            str(prediction), str(truth), box.shape, counts.pixels, left_out, points=scores, outputs=outputs
        )
        finish(found)
    return found


def _open(
    path: Path, labels: Mapping[str, str], chosen: Options, threshold: Threshold = None
) -> AbstractContextManager[Side]:
    return open_side(
        path, threshold=threshold, nodata=chosen.nodata, labels=labels, class_field=chosen.class_field
    )


def _point_class(ours: Side) -> str:
    """What points are of, when nobody says: trees, or the prediction's only class."""
    if TREE in ours.classes or len(ours.classes) > 1:
        return TREE
    return ours.classes[0]
