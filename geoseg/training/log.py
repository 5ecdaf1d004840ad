"""The event file that TensorBoard shows, written by its own package, without TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter


class Log(Protocol):
    """Takes the scalars of a step; names with a slash are grouped by what is before it."""

    def __call__(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write and flush them."""


@contextmanager
def event_file(folder: Path) -> Iterator[Log]:
    """A new event file in a folder; TensorBoard reads all files of a folder as one run."""
    writer = EventFileWriter(str(folder))

    def write(step: int, scalars: Mapping[str, float]) -> None:
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        writer.flush()

    try:
        yield write
    finally:
        writer.close()
