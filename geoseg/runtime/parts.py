"""Batches of one shape for engines that compile for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.stitch import Probabilities
from geoseg.errors import EngineError

Forward = Callable[[NDArray[Any]], Probabilities]

STRAY = 0.01  # by which rounding in bfloat16 may leave 0 … 1


def in_parts(forward: Forward, batch: NDArray[Any], size: int, classes: int) -> Probabilities:
    """Answers of `forward` for any number of patches, by calls with exactly `size` of them.

    Args:
        forward: from (size, h, w, bands) to (size, h, w, classes).
        batch: (n, h, w, bands); the last part is padded with zeros, whose answers are dropped.
        size: patches per call.
        classes: that the network should tell apart.

    Returns:
        (n, h, w, classes).

    Raises:
        EngineError: when they are no probabilities: a mask would hide it.
    """
    parts = [forward(_padded(batch[i : i + size], size)) for i in range(0, len(batch), size)]
    answer = np.concatenate(parts)[: len(batch)] if len(parts) > 1 else parts[0][: len(batch)]
    if answer.shape != (*batch.shape[:3], classes):
        raise EngineError(
            f"the network answered batches {batch.shape} with {answer.shape}, not with {classes} classes a "
            "pixel; it is not the one that its card describes"
        )
    least, most = float(answer.min()), float(answer.max())
    if not -STRAY <= least <= most <= 1 + STRAY:
        raise EngineError(
            f"the network gave values from {least:.3g} to {most:.3g}, not probabilities from 0 to 1; its "
            "weights are damaged, or its last layer is neither sigmoid nor softmax"
        )
    return answer


def _padded(batch: NDArray[Any], size: int) -> NDArray[Any]:
    missing = size - len(batch)
    return np.pad(batch, [(0, missing)] + [(0, 0)] * (batch.ndim - 1)) if missing else batch
