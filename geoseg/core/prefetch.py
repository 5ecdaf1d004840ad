"""Run a producer in a thread of its own, a bounded number of items ahead of its consumer."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
END = object()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def prefetch(items: Iterable[T], depth: int) -> Iterator[Iterator[T]]:
    """Iterate over `items` in a background thread, at most `depth` items ahead.

    numpy, OpenCV, GDAL and the engines release the GIL while they work, so that stages overlap. An
    error of the producer is raised where the consumer takes the next item; leaving the `with` block
    stops the producer and waits for it.
    """
    ready: queue.Queue[object] = queue.Queue(maxsize=depth)
    stop = threading.Event()
    failure: list[BaseException] = []

    def produce() -> None:
        try:
            for item in items:
                if not _offer(item, ready, stop):
                    return
        except BaseException as error:
            failure.append(error)
        finally:
            _offer(END, ready, stop)

    def consume() -> Iterator[T]:
        while (item := ready.get()) is not END:
            yield item  # type: ignore[misc]
        if failure:
            raise failure[0]

    thread = threading.Thread(target=produce, name="geoseg-prefetch", daemon=True)
    thread.start()
    try:
        yield consume()
    finally:
        stop.set()
        thread.join()


def _offer(item: object, ready: queue.Queue[object], stop: threading.Event) -> bool:
    """Put an item into the queue when there is room; False when the consumer has left."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
