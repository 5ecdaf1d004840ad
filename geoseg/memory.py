"""How much memory a run takes, and how to stay within a limit."""

from __future__ import annotations

import copy
import logging
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from geoseg.core.window import Window
from geoseg.errors import GridError
from geoseg.geo.strip_writer import BLOCK, STRIPE
from geoseg.models.bundle import ONNX_FILE, Bundle
from geoseg.runtime.choose import BATCH_PIXELS
from geoseg.runtime.engine import Engine
from geoseg.settings import Settings

ENGINE_BYTES = 2**30  # a framework, its work space for calls of up to `BATCH_PIXELS`, GDAL's cache
DEFAULT_LIMIT = 4 * 2**30  # exact mode of the larger bundled model takes 3; blending 1
WORK_SPACE, KERAS_WORK_SPACE = 1.5, 2.0  # times what the graph holds at once; measured up to 1.5 and 1.9
TYPICAL_VALUES = 256.0  # that a U-Net of 64 filters holds per pixel, for networks without an ONNX file

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """What a run may take of the machine.

    Attributes:
        engine: the network, with as many calls at once as there is room for.
        stripes: full-height parts of the area, to be worked on one after another.
        bytes: expected peak.
    """

    engine: Engine
    stripes: list[Window]
    bytes: int


def share(
    area: Window, settings: Settings, engine: Engine, bundle: Bundle, limit: int = DEFAULT_LIMIT
) -> Share:
    """Plan a run over `area` within `limit` bytes: fewer calls of the network at once, then stripes.

    Raises:
        GridError: when the limit is too low for one call and the narrowest stripe.
    """
    call, column = call_bytes(settings, engine, bundle), column_bytes(settings, engine.classes)
    room = limit - ENGINE_BYTES - min(STRIPE, area.width) * column
    calls = min(engine.streams, max(room // call, 1)) if call else engine.streams
    fixed = ENGINE_BYTES + calls * call
    columns = stripes(area, settings, engine.classes, limit, fixed)
    widest = max(stripe.width for stripe in columns)
    return Share(_at_once(engine, calls), columns, fixed + widest * column)


def call_bytes(settings: Settings, engine: Engine, bundle: Bundle) -> int:
    """Bytes that a call takes beyond what `ENGINE_BYTES` covers; a GPU has memory of its own."""
    pixels = engine.batch_size * settings.patch_size**2 - BATCH_PIXELS
    if pixels <= 0 or "(CPU" not in engine.name:
        return 0
    size = 2 if engine.precision in ("bfloat16", "float16") else 4
    times = WORK_SPACE if engine.name.startswith(("openvino", "onnx")) else KERAS_WORK_SPACE
    return int(pixels * times * size * _values(bundle))


def _values(bundle: Bundle) -> float:
    """Values per pixel that the network holds at once; cut off at a head it holds no more."""
    if ONNX_FILE not in bundle.card.files:
        return TYPICAL_VALUES
    return _read_values(bundle.file(ONNX_FILE), bundle.card.stride)


@lru_cache(maxsize=8)
def _read_values(file: Path, stride: int) -> float:
    from geoseg.models.activations import live_values  # onnx takes a while to import

    return live_values(file, stride)


def _at_once(engine: Engine, calls: int) -> Engine:
    """The engine, to be called no more than so often at once."""
    if calls == engine.streams:
        return engine
    log.warning("--max-memory has room for %d of %d calls of the network at once", calls, engine.streams)
    slower = copy.copy(engine)
    slower.streams = calls
    return slower


def column_bytes(settings: Settings, classes: int) -> int:
    """Bytes that one more column of the scene costs, as one byte a class is written."""
    pixel, written = 4 * classes + 1, 1 + classes
    summed = (settings.patch_size - 2 * settings.lead) * pixel  # the band of patches being summed
    finished = 3 * settings.step * pixel  # rows taken out of it: made, waiting, written
    encoding = settings.step * (12 + written)  # margins to the thresholds
    held = 2 * (BLOCK + settings.step) * written  # rows that wait for a whole row of blocks
    writing = 3 * BLOCK * written  # those rows in GDAL's order, and their overview
    return summed + finished + encoding + held + writing


def stripes(
    area: Window, settings: Settings, classes: int, limit: int = DEFAULT_LIMIT, fixed: int = ENGINE_BYTES
) -> list[Window]:
    """Cut `area` into full-height stripes, as few as keep memory within `limit` bytes.

    Raises:
        GridError: when the limit is too low for the `fixed` bytes of the engine and the narrowest stripe.
    """
    column, least = column_bytes(settings, classes), min(STRIPE, area.width)
    room = (limit - fixed) // column
    if room < least:
        need = math.ceil((fixed + least * column) / 2**30 * 10) / 10
        raise GridError(
            f"--max-memory of {limit / 2**30:.2f} GiB is too little for patches of {settings.patch_size} px; "
            f"give {need:.1f}G or more, or a smaller --patch-size"
        )
    if room >= area.width:
        return [area]
    return list(_cut(area, room // STRIPE * STRIPE))


def _cut(area: Window, width: int) -> Iterator[Window]:
    for col in range(area.col, area.stop_col, width):
        yield Window(area.row, col, area.height, min(width, area.stop_col - col))


def peak() -> int:
    """The largest resident set this process has had, bytes (not on Windows, which lacks the call)."""
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024
