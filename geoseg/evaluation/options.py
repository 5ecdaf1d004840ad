"""What is to be compared, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from geoseg.core.thresholds import Threshold
from geoseg.errors import GridError


@dataclass(frozen=True, slots=True)
class Options:
    """How a prediction is compared with the truth.

    Attributes:
        class_name: compare only this class; all in common when None.
        threshold: probability that makes a class of the prediction, of all or some by name, instead of its
            own or 0.5.
        nodata: value of pixels without data on either side, instead of the rasters' own.
        labels: names of the prediction's numbers (or values of the class attribute), e.g. 255 → building.
        truth_labels: the same of the truth.
        class_field: attribute with the class of a polygon, on either side.
        block: side of the blocks of the tests and of the bootstrap, px.
        tolerance: how far boundary pixels may be apart, px.
        tolerance_m: the same in metres, instead.
        radius_m: how far from a tree point a marked pixel may be, metres; 0 for the point's own.
        least_iou: intersection over union from which polygons match.
        res_m: pixel size of the grid for two vector files, metres.
        bounds: left, bottom, right, top in the CRS of the grid; only there is compared.
        image: which points of a CSV with a column `image` are meant; found by the prediction's name.
    """

    class_name: str | None = None
    threshold: Threshold = None
    nodata: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    truth_labels: Mapping[str, str] = field(default_factory=dict)
    class_field: str | None = None
    block: int = 256
    tolerance: float = 3.0
    tolerance_m: float | None = None
    radius_m: float = 0.0
    least_iou: float = 0.5
    res_m: float | None = None
    bounds: tuple[float, float, float, float] | None = None
    image: str | None = None

    def __post_init__(self) -> None:
        if self.block < 1:
            raise GridError(f"a block is 1 pixel or more, got {self.block}")
        if not 0 < self.least_iou <= 1:
            raise GridError(f"the IoU from which polygons match is above 0 up to 1, got {self.least_iou:g}")
        for name in ("tolerance", "tolerance_m", "radius_m", "res_m"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise GridError(f"{name} is a number from 0 up, got {value:g}")

    def image_of(self, prediction: Path) -> str:
        """The image whose points are meant."""
        return self.image or prediction.stem
