"""Which tiles of an error map hold the most errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from geoseg.core.metrics import ratio
from geoseg.core.window import Window
from geoseg.report.errormap import MEANINGS

CODES = len(MEANINGS)  # right without a class, missed, extra, right, another class
MISSED, EXTRA, RIGHT, OTHER = 1, 2, 3, 4


def tile_counts(strips: Iterable[NDArray[np.uint8]], block: int) -> NDArray[np.int64]:
    """(rows, cols, codes) pixels of each tile by code; what has no data is left out.

    Args:
        strips: (rows, width) uint8 of an error map, `block` rows each but the last.
        block: side of a tile, pixels; those at the right and lower edge may be smaller.
    """
    return np.stack([_counted(strip, block) for strip in strips])


def _counted(strip: NDArray[np.uint8], block: int) -> NDArray[np.int64]:
    starts = np.arange(0, strip.shape[1], block)
    columns = [np.count_nonzero(strip == code, axis=0) for code in range(CODES)]
    return np.stack([np.add.reduceat(column, starts) for column in columns], -1).astype(np.int64)


def wrong(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """(…) wrong pixels of (…, codes) counts."""
    return np.asarray(counts[..., MISSED] + counts[..., EXTRA] + counts[..., OTHER])


def iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(…) intersection over union of all classes together, NaN where there are none."""
    return ratio(counts[..., RIGHT], wrong(counts) + counts[..., RIGHT])


def worst(counts: NDArray[np.int64], most: int) -> list[tuple[int, int]]:
    """(row, col) of the tiles with the most wrong pixels, the worst first, none without any."""
    errors = wrong(counts)
    order = np.argsort(-errors, axis=None, kind="stable")[:most]
    places = zip(*np.unravel_index(order, errors.shape), strict=True)
    return [(int(row), int(col)) for row, col in places if errors[row, col]]


def windows(places: Iterable[tuple[int, int]], block: int, shape: tuple[int, int]) -> Iterator[Window]:
    """The pixels of tiles."""
    return (Window(row * block, col * block, block, block).clip(shape) for row, col in places)
