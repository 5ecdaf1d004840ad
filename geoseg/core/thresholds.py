"""Which probability makes a class: histograms by truth, and what each threshold gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.core.metrics import ratio
from geoseg.errors import GeosegError

BINS = 256

Histogram = NDArray[np.int64]
Threshold = float | Sequence[float] | Mapping[str, float] | None


def histogram(targets: NDArray[np.uint8], probabilities: NDArray[Any]) -> Histogram:
    """Count pixels by class, truth and probability.

    Args:
        targets: (…, classes), 1 yes, 0 no, 255 unknown, which does not count.
        probabilities: of the same shape, 0 … 1.

    Returns:
        (classes, 2, 256): no and yes, by probabilities from k / 256 to below (k + 1) / 256.
    """
    classes = targets.shape[-1]
    bins = np.clip((probabilities * BINS).astype(np.int64), 0, BINS - 1)
    places = (2 * np.arange(classes) + (targets == 1)) * BINS + bins
    flat = np.bincount(places[targets != NODATA], minlength=classes * 2 * BINS)
    return flat.reshape(classes, 2, BINS).astype(np.int64)


def confusions(histograms: Histogram, thresholds: Sequence[float]) -> NDArray[np.int64]:
    """What thresholds make of pixels.

    Args:
        histograms: (…, classes, 2, 256).
        thresholds: one per class, 0 … 1; taken to the next 256th.

    Returns:
        (…, classes, 2, 2): truth no and yes, by predicted no and yes (probability ≥ threshold).
    """
    cuts = np.rint(np.asarray(thresholds) * BINS)
    above = np.arange(BINS) >= cuts[:, None, None]
    return np.stack([np.sum(histograms * ~above, -1), np.sum(histograms * above, -1)], -1)


def best_thresholds(histograms: Histogram, otherwise: Sequence[float] = ()) -> tuple[float, ...]:
    """The threshold of each class with the best intersection over union.

    Several sets count alike, however large they are: what is wanted is a threshold for the next one. Where
    several thresholds are equally good it is the middle one of them.

    Args:
        histograms: (classes, 2, 256), or (sets, classes, 2, 256).
        otherwise: one per class, for classes of which nothing is to be found; 0.5 each when empty.
    """
    each = histograms.reshape(-1, *histograms.shape[-3:])
    no, yes = (each[:, :, truth, ::-1].cumsum(-1)[..., ::-1] for truth in (0, 1))  # pixels from each bin on
    true = yes[..., :1]
    iou = np.where(true > 0, np.nan_to_num(ratio(yes, no + true)), 0)
    mean = ratio(iou.sum(0), (true > 0).sum(0))
    return tuple(
        float(np.median(_where_best(row))) if np.nanmax(row, initial=0) else unknown
        for row, unknown in zip(mean, otherwise or [0.5] * len(mean), strict=True)
    )


def _where_best(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thresholds of the best score, of an odd number so that their median is one of them."""
    best = np.flatnonzero(row == row.max())
    return best[: len(best) - 1 + len(best) % 2] / BINS


def thresholds_of(
    given: Threshold, names: Sequence[str], calibrated: Sequence[float], kind: type[GeosegError]
) -> tuple[float, ...]:
    """The threshold of each class: what is given for it, else its own.

    Args:
        given: one for all classes, one each, or some by the names of their classes, 0 … 1.
        names: of the classes.
        calibrated: their own thresholds.
        kind: of the error.

    Raises:
        GeosegError: of `kind`; a threshold that is none, of no class, or too many or too few of them.
    """
    if isinstance(given, int | float):
        given = dict.fromkeys(names, given)
    elif not isinstance(given, Mapping | None):
        if len(given) != len(names):
            raise kind(f"{len(given)} thresholds for {len(names)} classes; give one, or one each")
        given = dict(zip(names, given, strict=True))
    given = given or {}
    if unknown := given.keys() - set(names):
        raise kind(f"a threshold of {min(unknown)!r}, which is no class; there are {', '.join(names)}")
    if wrong := [value for value in given.values() if not 0 <= value <= 1]:
        raise kind(f"a threshold is from 0 to 1, got {wrong[0]:g}")
    return tuple(given.get(name, own) for name, own in zip(names, calibrated, strict=True))
