"""What a coarser network does to class masks: pixels that change, and accuracy that is lost."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA, classify
from geoseg.core.metrics import ratio
from geoseg.models.card import Card
from geoseg.runtime.engine import Engine

Masks = NDArray[np.uint8]
IGNORE = 255


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Patches of real scenes, as the network is given them.

    Attributes:
        pixels: (n, size, size, bands), 0 … 255, filtered as prediction filters.
        valid: (n, size, size) bool, True = has data.
        targets: (n, size, size, classes) uint8, 1 yes, 0 no, 255 unknown; None without labels.
    """

    pixels: NDArray[Any]
    valid: NDArray[np.bool_]
    targets: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """How many patches."""
        return len(self.pixels)


@dataclass(frozen=True, slots=True)
class MaskChange:
    """Masks of a coarser network beside those of the float32 one.

    Attributes:
        agreement: share of valid pixels that belong to the same class, 0 … 1.
        iou_before: intersection over union with the labels in float32, by class; NaN where nothing is known.
        iou_after: the same of the coarser network.
    """

    agreement: float
    iou_before: tuple[float, ...]
    iou_after: tuple[float, ...]

    @property
    def iou_loss(self) -> float:
        """The largest loss of any class, 0 … 1, negative for a gain; NaN without labels."""
        losses = np.subtract(self.iou_before, self.iou_after)
        return float(np.nanmax(losses)) if not np.isnan(losses).all() else math.nan


def class_masks(engine: Engine, samples: Samples, card: Card) -> Masks:
    """Class masks (n, size, size) uint8 of patches: 0 background, 1 … n classes, 255 nodata."""

    def masks(start: int) -> Masks:
        part = slice(start, start + engine.batch_size)
        answers, valid = engine(samples.pixels[part]), samples.valid[part]
        rows = answers.reshape(1, -1, answers.shape[-1])
        found = classify(rows, valid.reshape(1, -1), card.thresholds, card.activation)
        return found.reshape(valid.shape)

    with ThreadPoolExecutor(engine.streams) as pool:
        return np.concatenate(list(pool.map(masks, range(0, len(samples), engine.batch_size))))


def mask_change(before: Masks, after: Masks, samples: Samples, card: Card) -> MaskChange:
    """Compare two sets of class masks of the same patches; see `MaskChange`."""
    valid = before != NODATA
    agreement = float(ratio(np.count_nonzero((before == after) & valid), np.count_nonzero(valid)))
    return MaskChange(agreement, _iou(before, samples, card), _iou(after, samples, card))


def _iou(masks: Masks, samples: Samples, card: Card) -> tuple[float, ...]:
    """Intersection over union of each class, where its truth is known; NaN where it never is."""
    if samples.targets is None:
        return (math.nan,) * len(card.classes)
    return tuple(_class_iou(masks == number + 1, samples.targets[..., number], masks != NODATA)
                 for number in range(len(card.classes)))  # fmt: skip


def _class_iou(marked: NDArray[np.bool_], truth: NDArray[np.uint8], valid: NDArray[np.bool_]) -> float:
    known = valid & (truth != IGNORE)
    marked, true = marked & known, (truth == 1) & known
    return float(ratio(np.count_nonzero(marked & true), np.count_nonzero(marked | true)))
