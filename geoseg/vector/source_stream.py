"""Probabilities to vectorize while they are made: rows are pushed to one thread per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.vector.source_base import Source
from geoseg.vector.source_classes import ClassBand
from geoseg.vector.source_codes import LabelStrip, class_strip

T = TypeVar("T")
R = TypeVar("R")

AHEAD = 1  # items that wait for each taker
PATIENCE = 0.1  # seconds between looks at whether the other side is still there
END: Any = object()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamSource(Source):
    """Probabilities that pass by as rows, just as the raster would hold them that they are written to."""

    def strips(self, one: ClassBand, rows: Iterable[NDArray[Any]]) -> Iterator[LabelStrip]:
        """A class of (h, w, classes) rows: uint8 codes, or float32 with NaN where there is no data.

        It ends with the raster's last row, however long the one who pushes then takes to say so.
        """
        missing = self.geobox.shape[0]
        for pixels in rows:
            planes = [pixels[..., band] for band in range(pixels.shape[2])]
            own = planes[one.band - 1]
            valid = own != NODATA if self.coded else np.isfinite(own)
            yield class_strip(planes if one.exclusive else [own], valid, one, self.coded, self.scene)
            missing -= len(pixels)
            if not missing:
                return


@contextmanager
def pushing(
    takers: Sequence[Callable[[Iterator[T]], R]],
) -> Iterator[tuple[Callable[[T], None], Callable[[], Iterator[R]]]]:
    """Push items to functions that pull them, each in a thread of its own.

    An error of a taker is raised at the next push, or with its result; leaving the `with` block stops the
    takers at their next pull, and waits for them.

    Args:
        takers: each takes an iterator over all items that are pushed.

    Yields:
        A function that pushes an item, waiting while a taker is busy with earlier ones; and one that ends the
        items and gives the takers' results, in their order.
    """
    stop, lines = Event(), [Queue[T](AHEAD) for _ in takers]
    with ThreadPoolExecutor(max(1, len(lines)), "geoseg-trace") as pool:
        running = [pool.submit(taker, _pulled(line, stop)) for taker, line in zip(takers, lines, strict=True)]

        def push(item: T) -> None:
            for line, taker in zip(lines, running, strict=True):
                _put(item, line, taker)

        def results() -> Iterator[R]:
            push(END)
            while running:
                yield running.pop(0).result()

        try:
            yield push, results
        finally:
            stop.set()


def _put(item: T, line: Queue[T], taker: Future[Any]) -> None:
    """Put an item into a queue when there is room, unless its taker has ended."""
    while not taker.done():
        try:
            line.put(item, timeout=PATIENCE)
        except Full:
            continue
        return
    taker.result()


def _pulled(line: Queue[T], stop: Event) -> Iterator[T]:
    """The items of a queue up to its end.

    Raises:
        CancelledError: when it was told to stop before that.
    """
    while not stop.is_set():
        try:
            item = line.get(timeout=PATIENCE)
        except Empty:
            continue
        if item is END:
            return
        yield item
    raise CancelledError
