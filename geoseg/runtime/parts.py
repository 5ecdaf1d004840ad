"""Batches of one shape for engines that compile for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.stitch import Probabilities

Forward = Callable[[NDArray[Any]], Probabilities]


def in_parts(forward: Forward, batch: NDArray[Any], size: int) -> Probabilities:
    """Answers of `forward` for any number of patches, by calls with exactly `size` of them.

    Args:
        forward: from (size, h, w, bands) to (size, h, w, classes).
        batch: (n, h, w, bands); the last part is padded with zeros, whose answers are dropped.
        size: patches per call.

    Returns:
        (n, h, w, classes).
    """
    parts = [forward(_padded(batch[i : i + size], size)) for i in range(0, len(batch), size)]
    return np.concatenate(parts)[: len(batch)] if len(parts) > 1 else parts[0][: len(batch)]


def _padded(batch: NDArray[Any], size: int) -> NDArray[Any]:
    missing = size - len(batch)
    return np.pad(batch, [(0, missing)] + [(0, 0)] * (batch.ndim - 1)) if missing else batch
