"""Decoded images in memory, up to a size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What the cache asks of a value."""

    @property
    def nbytes(self) -> int:
        """Its size in memory, bytes."""


V = TypeVar("V", bound=Sized)


class ByteCache(Generic[V]):
    """Values by key; those used least recently go first when all together pass `limit` bytes.

    Threads may share it: a value that several ask for at once is made once. A value larger than `limit`
    is handed out and forgotten.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.nbytes = 0
        self._values: OrderedDict[Hashable, Future[V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """The value of `key`, made when it is not there; an error of `make` is raised and not kept."""
        with self._lock:
            future = self._values.get(key)
            if future is None:
                mine = self._values[key] = Future[V]()
            else:
                self._values.move_to_end(key)
        if future is not None:
            return future.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._values[key]
            mine.set_exception(error)
            raise
        self._keep(mine, value)
        return value

    def _keep(self, future: Future[V], value: V) -> None:
        """Finish and count a new value, and drop finished ones from the oldest until all fit."""
        with self._lock:
            future.set_result(value)
            self.nbytes += value.nbytes
            for key in [key for key, future in self._values.items() if future.done()]:
                if self.nbytes <= self.limit:
                    break
                self.nbytes -= self._values.pop(key).result().nbytes
