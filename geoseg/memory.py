"""How much memory a run takes, and how to stay within a limit."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from geoseg.core.window import Window
from geoseg.errors import GridError
from geoseg.geo.mosaic import BLOCK, STRIPE
from geoseg.settings import Settings

ENGINE_BYTES = 2**30  # a framework, its work space, GDAL's cache
DEFAULT_LIMIT = 2 * 2**30


def column_bytes(settings: Settings, classes: int) -> int:
    """Bytes that one more column of the scene costs, as one byte a class is written."""
    grid = settings.grid((1, 1))
    pixel, written = 4 * classes + 1, 1 + classes
    summed = grid.size * pixel  # the band of patches being summed
    finished = 2 * grid.step * pixel  # rows taken out of it, and the rest moved up
    encoding = grid.step * (12 + written)  # margins to the thresholds
    held = 2 * (BLOCK + grid.step) * written  # rows that wait for a whole row of blocks
    writing = 3 * BLOCK * written  # those rows in GDAL's order, and their overview
    return summed + finished + encoding + held + writing


def stripes(area: Window, settings: Settings, classes: int, limit: int = DEFAULT_LIMIT) -> list[Window]:
    """Cut `area` into full-height stripes, as few as keep memory within `limit` bytes.

    Raises:
        GridError: when the limit is too low for the engine alone.
    """
    room = (limit - ENGINE_BYTES) // column_bytes(settings, classes)
    if room < min(STRIPE, area.width):
        need = (ENGINE_BYTES + min(STRIPE, area.width) * column_bytes(settings, classes)) / 2**30
        raise GridError(f"--max-memory of {limit / 2**30:.2f} GiB is too little; give {need:.1f}G or more")
    if room >= area.width:
        return [area]
    return list(_cut(area, room // STRIPE * STRIPE))


def _cut(area: Window, width: int) -> Iterator[Window]:
    for col in range(area.col, area.stop_col, width):
        yield Window(area.row, col, area.height, min(width, area.stop_col - col))


def estimate(area: Window, settings: Settings, classes: int, limit: int = DEFAULT_LIMIT) -> int:
    """Bytes that a run over `area` is expected to take at its peak."""
    widest = max(stripe.width for stripe in stripes(area, settings, classes, limit))
    return ENGINE_BYTES + widest * column_bytes(settings, classes)


def peak() -> int:
    """The largest resident set this process has had, bytes (not on Windows, which lacks the call)."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
