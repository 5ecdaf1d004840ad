"""What a comparison found, as numbers, as JSON and as a table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from geoseg.core.blocks import Verdict

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ObjectScores:
    """Polygons of a class matched one to one; see `vector.matching.match`."""

    predicted: int
    true: int
    matched: int
    precision: float
    recall: float
    f1: float
    mean_iou: float
    least_iou: float


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of a class, 0 … 1; NaN where it is on neither side.

    Attributes:
        name: of the class.
        iou: intersection over union of pixels; dice, precision and recall likewise.
        intervals: 95 % bootstrap interval of each of the four, resampled by block.
        boundary_f1: of boundary pixels within the tolerance; likewise its precision and recall.
        true_share: share of the compared pixels that are of the class in the truth.
        predicted_share: the same of the prediction.
        ks: the Kolmogorov–Smirnov test of the shares per block.
        chi_square: the chi-square test of the shares per block.
        objects: scores of polygons; None between two rasters.
    """

    name: str
    iou: float
    dice: float
    precision: float
    recall: float
    intervals: Mapping[str, Interval]
    boundary_f1: float
    boundary_precision: float
    boundary_recall: float
    true_share: float
    predicted_share: float
    ks: Verdict
    chi_square: Verdict
    objects: ObjectScores | None = None


@dataclass(frozen=True, slots=True)
class PointScores:
    """Recall of points.

    Attributes:
        name: of the class that was to be marked.
        points: those on pixels with data.
        left_out: those outside the prediction or where it has no data.
        found: those that are marked.
        recall: their share.
        marked_share: the share of the area that is marked, which is the recall of a mask strewn at random.
        radius_px: how far from a point a marked pixel may be.
    """

    name: str
    points: int
    left_out: int
    found: int
    recall: float
    marked_share: float
    radius_px: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A prediction beside the truth.

    Attributes:
        prediction: its file.
        truth: its file.
        grid: (height, width) of the grid they were compared on.
        pixels: how many were compared.
        left_out: how many were not, for want of data on either side.
        classes: scores of each class.
        accuracy: share of compared pixels that are right.
        mean_iou: over the classes and the background.
        confusion: counts of pixels, rows truth, columns prediction, background first.
        block: side of a block, px.
        tolerance_px: of the boundary.
        points: recall of points, when the truth is points; then there are no classes.
        outputs: files written.
    """

    prediction: str
    truth: str
    grid: tuple[int, int]
    pixels: int
    left_out: int
    classes: tuple[ClassScores, ...] = ()
    accuracy: float = math.nan
    mean_iou: float = math.nan
    confusion: tuple[tuple[int, ...], ...] = ()
    block: int = 256
    tolerance_px: float = math.nan
    points: PointScores | None = None
    outputs: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it: NaN is None."""
        return dict(_plain(asdict(self)))

    def table(self) -> str:
        """Aligned text, a row for each class."""
        parts = [self._pixel_rows(), self._block_rows(), self._object_rows(), self._point_rows()]
        return "\n\n".join(_aligned(rows) for rows in parts if len(rows) > 1) + f"\n\n{self._summary()}"

    def _summary(self) -> str:
        said = f"{self.pixels} pixels compared, {self.left_out} left out"
        if not self.classes:
            return said
        return f"accuracy {self.accuracy:.4f}, mean IoU {self.mean_iou:.4f} with background; {said}"

    def _pixel_rows(self) -> list[list[str]]:
        head = ["class", "IoU", "95 % interval", "Dice", "precision", "recall",
                f"boundary F1 ({self.tolerance_px:g} px)", "truth", "predicted"]  # fmt: skip
        return [head] + [
            [
                one.name, _four(one.iou), _span(one.intervals["iou"]), _four(one.dice),
                _four(one.precision), _four(one.recall), _four(one.boundary_f1), f"{one.true_share:.2%}",
                f"{one.predicted_share:.2%}",
            ]
            for one in self.classes
        ]  # fmt: skip

    def _block_rows(self) -> list[list[str]]:
        rows = [[f"cover of {self.block} px blocks", "blocks", "KS", "p", "chi-square", "p", ""]]
        for one in self.classes:
            tests = [
                text for test in (one.ks, one.chi_square) for text in (_four(test.statistic), _three(test.p))
            ]
            rows.append([one.name, str(one.ks.blocks), *tests, one.ks.reason or one.chi_square.reason])
        return rows

    def _object_rows(self) -> list[list[str]]:
        rows = [["objects", "predicted", "true", "matched", "precision", "recall", "F1", "mean IoU"]]
        for one in self.classes:
            if (o := one.objects) is not None:
                scores = map(_four, (o.precision, o.recall, o.f1, o.mean_iou))
                rows.append(
                    [
                        f"{one.name} (IoU ≥ {o.least_iou:g})",
                        *map(str, (o.predicted, o.true, o.matched)),
                        *scores,
                    ]
                )
        return rows

    def _point_rows(self) -> list[list[str]]:
        rows = [["points", "on data", "found", "recall", "area marked", "within"]]
        if (p := self.points) is not None:
            rows.append([p.name, str(p.points), str(p.found), _four(p.recall), f"{p.marked_share:.2%}",
                         f"{p.radius_px:.3g} px"])  # fmt: skip
        return rows


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _four(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4f}"


def _three(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def _span(ends: Interval) -> str:
    return "–" if math.isnan(ends[0]) else f"{ends[0]:.4f} – {ends[1]:.4f}"


def _aligned(rows: list[list[str]]) -> str:
    """Columns as wide as their widest text; names left, numbers right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        numbers = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *numbers]).rstrip())
    return "\n".join(lines)
