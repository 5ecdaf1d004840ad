"""What the measuring scripts share: work in processes of their own, scenes made from a real one, tables.

Needs Linux.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

BLOCK = 512


@dataclass(frozen=True, slots=True)
class Run:
    """What a process took.

    Attributes:
        wall: seconds from its start to its end.
        peak: its largest resident set, bytes.
        answer: what the work gave back.
    """

    wall: float
    peak: int
    answer: Any


def alone(work: Callable[..., Any], *arguments: Any) -> Run:
    """Do a script's work in a fresh process. Its script is imported there once more.

    Raises:
        BrokenProcessPool: the process was killed, most likely for want of memory.
    """
    start = time.perf_counter()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        answer, peak = pool.submit(_measured, work, arguments).result()
    return Run(time.perf_counter() - start, peak, answer)


def median_run(rounds: Iterable[Run]) -> Run:
    """The run whose wall time is the median; of an even number the longer one."""
    runs = sorted(rounds, key=lambda run: run.wall)
    return next(run for run in runs if run.wall == statistics.median_high([each.wall for each in runs]))


def sides(text: str) -> tuple[int, int]:
    """Height and width from `HEIGHTxWIDTH`, for `argparse`."""
    height, width = text.split("x")
    return int(height), int(width)


def write_scene(
    source: str, target: Path, size: tuple[int, int] | None = None, times: tuple[int, int] = (1, 1)
) -> None:
    """Write the middle of a scene, repeated, as a tiled GeoTIFF compressed like the source.

    Args:
        source: a raster whose data GDAL can write; its internal mask is not taken along.
        target: the file to write.
        size: height and width of the part, pixels; None for all.
        times: how often it is repeated down and across.
    """
    import numpy as np
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(source) as given:
        height, width = np.minimum(size or given.shape, given.shape)
        middle = Window((given.width - width) // 2, (given.height - height) // 2, width, height)
        profile = given.profile | dict(
            driver="GTiff", height=height * times[0], width=width * times[1], tiled=True, blockxsize=BLOCK,
            blockysize=BLOCK, bigtiff="if_safer", transform=given.window_transform(middle),
        )  # fmt: skip
        with rasterio.open(target, "w", **profile) as made:
            for row in range(0, height, BLOCK):
                rows = min(BLOCK, height - row)
                pixels = given.read(window=Window(middle.col_off, middle.row_off + row, width, rows))
                for copy in range(times[0]):
                    place = Window(0, copy * height + row, width * times[1], rows)
                    made.write(np.tile(pixels, (1, 1, times[1])), window=place)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def mib(size: float) -> str:
    """Bytes as MiB."""
    return f"{size / 2**20:,.0f}"


def _measured(work: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, int]:
    """The answer and the peak; not by `getrusage`, which counts what the parent had before the fork."""
    answer = work(*arguments)
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return answer, next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
