"""Run producers in threads of their own, a bounded number of items ahead of their consumer."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
END = object()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def submitted(
    function: Callable[[T], R], items: Iterable[T], threads: int, name: str
) -> Iterator[Iterator[tuple[T, Future[R]]]]:
    """Call `function` with each item in one of `threads` threads, as many calls ahead of the consumer.

    Yields:
        An iterator over the items in their order, each with the result to come. Leaving the `with` block
        waits for the calls that were begun.
    """
    running: deque[tuple[T, Future[R]]] = deque()

    def results() -> Iterator[tuple[T, Future[R]]]:
        for item in items:
            running.append((item, pool.submit(function, item)))
            if len(running) > threads:
                yield running.popleft()
        while running:
            yield running.popleft()

    with ThreadPoolExecutor(threads, name) as pool:
        yield results()


@contextmanager
def prefetch(items: Iterable[T], depth: int, stop: threading.Event | None = None) -> Iterator[Iterator[T]]:
    """Iterate over `items` in a background thread, at most `depth` items ahead.

    numpy, OpenCV, GDAL and the engines release the GIL while they work, so that stages overlap. An
    error of the producer is raised where the consumer takes the next item; leaving the `with` block
    stops the producer and waits for it.

    Args:
        items: what to iterate over.
        depth: how many items may wait.
        stop: set when the block is left, one for all stages of a chain: none of them waits for another then.
    """
    ready: queue.Queue[object] = queue.Queue(maxsize=depth)
    stop = stop or threading.Event()
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
        while (item := _taken(ready, stop)) is not END:
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


def _taken(ready: queue.Queue[object], stop: threading.Event) -> object:
    """The next item, when there is one; the end when all is to stop."""
    while not stop.is_set():
        try:
            return ready.get(timeout=0.1)
        except queue.Empty:
            continue
    return END


def _offer(item: object, ready: queue.Queue[object], stop: threading.Event) -> bool:
    """Put an item into the queue when there is room; False when the consumer has left."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
