"""How sure a score is: percentile bootstrap over tiles.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. Tiles are drawn, not pixels:
neighbouring pixels err together, so pixels as units would promise far too much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def bootstrap_interval(
    counts_by_tile: NDArray[Any],
    score: Callable[[NDArray[np.int64]], NDArray[np.float64]],
    level: float = 0.95,
    rounds: int = 1000,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Confidence interval of scores that are computed from counts added up over tiles.

    Args:
        counts_by_tile: (tiles, …) whole numbers, as (tiles, classes, classes) of confusion matrices.
        score: from sums (rounds, …), one for each resample, to scores (rounds,) or (rounds, k); NaN
            where a resample holds nothing to score, which then does not count.
        level: share of resamples inside the interval, 0 … 1.
        rounds: number of resamples.
        seed: of the resamples.

    Returns:
        Low and high end, each of the shape of one resample's scores; NaN where fewer than two tiles leave
        nothing to resample, or no resample has a score.
    """
    counts = np.asarray(counts_by_tile)
    tiles = len(counts)
    if tiles < 2:
        nothing = np.full_like(score(np.zeros((1, *counts.shape[1:]), np.int64))[0], np.nan, np.float64)
        return nothing, nothing
    draws = np.random.default_rng(seed).multinomial(tiles, np.full(tiles, 1 / tiles), size=rounds)
    sums = draws @ counts.reshape(tiles, -1).astype(np.int64)
    scores = np.asarray(score(sums.reshape(rounds, *counts.shape[1:])), np.float64)
    tail = (1 - level) / 2
    return _quantile(scores, tail), _quantile(scores, 1 - tail)


def _quantile(scores: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Along the first axis, without NaN; NaN where nothing else is there."""
    ordered = np.sort(scores, axis=0)  # NaN comes last
    last = np.sum(~np.isnan(ordered), axis=0) - 1
    place = share * np.maximum(last, 0)
    below, above = np.floor(place).astype(int), np.ceil(place).astype(int)
    low, high = (np.take_along_axis(ordered, k[None], axis=0)[0] for k in (below, above))
    value: NDArray[np.float64] = low + (place - below) * (high - low)
    return value
