"""From counts to the scores that are reported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.core.blocks import BlockCounts, chi_square_test, ks_test
from geoseg.core.bootstrap import bootstrap_interval
from geoseg.core.metrics import Confusion, Scores
from geoseg.evaluation.compare import Comparison
from geoseg.evaluation.result import ClassScores, Evaluation, ObjectScores
from geoseg.geo.geobox import GeoBox

RESAMPLED = ("iou", "dice", "precision", "recall")
SEED = 0


def evaluation_of(
    prediction: Path,
    truth: Path,
    box: GeoBox,
    counts: Comparison,
    classes: Sequence[str],
    objects: Sequence[ObjectScores | None],
    outputs: Sequence[Path],
) -> Evaluation:
    """The result of a comparison.

    Args:
        prediction: its file.
        truth: its file.
        box: the grid.
        counts: all counts.
        classes: names of numbers 1, 2 ….
        objects: scores of objects of each class.
        outputs: files that are written.
    """
    total = counts.blocks.total
    pixels = int(total.counts.sum())
    intervals = _intervals(counts.blocks)
    return Evaluation(
        prediction=str(prediction), truth=str(truth), grid=box.shape, pixels=pixels,
        left_out=box.shape[0] * box.shape[1] - pixels,
        classes=tuple(
            _class_scores(name, k, counts, intervals, objects[k - 1]) for k, name in enumerate(classes, 1)
        ),
        accuracy=total.accuracy, mean_iou=_mean(total.iou),
        confusion=tuple(tuple(int(n) for n in row) for row in total.counts),
        block=counts.blocks.block, tolerance_px=counts.boundary.tolerance, outputs=tuple(map(str, outputs)),
    )  # fmt: skip


def _class_scores(
    name: str, label: int, counts: Comparison, ends: tuple[Scores, Scores], objects: ObjectScores | None
) -> ClassScores:
    total, edge, pixels = counts.blocks.total, counts.boundary, counts.blocks.total.counts.sum()
    shares = counts.blocks.shares(label)
    return ClassScores(
        name=name, iou=float(total.iou[label]), dice=float(total.dice[label]),
        precision=float(total.precision[label]), recall=float(total.recall[label]),
        intervals={
            score: (float(ends[0][k, label]), float(ends[1][k, label])) for k, score in enumerate(RESAMPLED)
        },
        boundary_f1=float(edge.f1[label]), boundary_precision=float(edge.precision[label]),
        boundary_recall=float(edge.recall[label]), true_share=float(total.true[label] / pixels),
        predicted_share=float(total.predicted[label] / pixels), ks=ks_test(*shares),
        chi_square=chi_square_test(*shares), objects=objects,
    )  # fmt: skip


def _intervals(blocks: BlockCounts) -> tuple[Scores, Scores]:
    """Low and high ends (scores, classes) of 95 % bootstrap intervals, resampled by block."""

    def scored(sums: NDArray[np.int64]) -> Scores:
        confusion = Confusion(blocks.classes, sums)
        return np.concatenate([getattr(confusion, score) for score in RESAMPLED], -1)

    low, high = bootstrap_interval(blocks.tiles(), scored, seed=SEED)
    shape = len(RESAMPLED), blocks.classes
    return low.reshape(shape), high.reshape(shape)


def _mean(values: NDArray[np.float64]) -> float:
    return float(values[~np.isnan(values)].mean())
