"""The whole flow: scene → patches → network → strips of finished rows."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from geoseg.core.batching import Batch, batches
from geoseg.core.filters import Filter
from geoseg.core.grid import Grid
from geoseg.core.patches import PixelSource, read_patches
from geoseg.core.prefetch import cores, prefetch, submitted
from geoseg.core.scaling import Scaling
from geoseg.core.stitch import Prediction, Probabilities, Strip, stitch
from geoseg.core.window import Window
from geoseg.runtime.engine import Engine

T = TypeVar("T")

AHEAD = 2  # batches that each stage may run ahead of the next
CORES_PER_READER = 4  # the others are for the network, and for GDAL, which decodes on all of them


@dataclass(slots=True)
class Stages:
    """What the stages of a run did; each is written by one thread only.

    Attributes:
        patches: patches that went through the network.
        seconds: time each stage was at work, by name; they overlap.
    """

    patches: int = 0
    seconds: dict[str, float] = field(default_factory=dict)

    def timed(self, name: str, items: Iterable[T]) -> Iterator[T]:
        """Pass `items` on, adding the time it takes to get them to stage `name`."""
        iterator = iter(items)
        while True:
            start = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            yield item


def segment(
    source: PixelSource,
    engine: Engine,
    grid: Grid,
    *,
    filter_: Filter | None = None,
    scaling: Scaling | None = None,
    area: Window | None = None,
    stages: Stages | None = None,
    readers: int | None = None,
) -> Generator[Strip]:
    """Run a network over a scene, or over `area` of it, and yield finished rows from top to bottom.

    Reading, inference, stitching and whatever the caller does with the strips run in threads joined by
    bounded queues. Memory is one band of patches as wide as `area`, whatever its height.

    Args:
        source: the scene.
        engine: the network.
        grid: patches over the whole scene.
        filter_: applied before patches are cut.
        scaling: to the 0 … 255 of the network.
        area: the part of the scene to compute; the same pixels have the same values for any area.
        stages: filled with counts and times.
        readers: threads that read, fill and cut, and from which `source` is read; None for one for every
            four cores.
    """
    readers = readers or max(1, cores() // CORES_PER_READER)
    stages = stages or Stages()
    scaling = scaling or Scaling()
    stop = threading.Event()
    patches = read_patches(source, grid, area, filter_, scaling.neutral, threads=readers)
    full = stages.timed("read", batches(patches, engine.batch_size, scaling))
    with (
        prefetch(full, AHEAD, stop) as ready,
        prefetch(_infer(engine, ready, stages), AHEAD, stop) as answers,
        prefetch(_stitched(answers, engine, grid, area, stages), 1, stop) as strips,
    ):
        yield from strips


def _infer(engine: Engine, ready: Iterable[Batch], stages: Stages) -> Iterator[list[Prediction]]:
    """The predictions of each batch, in order; as many batches at once as suits the engine."""
    todo = stages.timed("starve", ready)
    with submitted(lambda batch: engine(batch.pixels), todo, engine.streams, "geoseg-infer") as running:
        for batch, answer in running:
            yield _predictions(batch, answer, stages)


def _predictions(batch: Batch, answer: Future[Probabilities], stages: Stages) -> list[Prediction]:
    start = time.perf_counter()
    probabilities = answer.result()
    stages.seconds["infer"] = stages.seconds.get("infer", 0.0) + time.perf_counter() - start
    stages.patches += len(batch.patches)
    return [Prediction(patch.index, probabilities[k], patch.valid) for k, patch in enumerate(batch.patches)]


def _stitched(
    answers: Iterable[list[Prediction]], engine: Engine, grid: Grid, area: Window | None, stages: Stages
) -> Iterator[Strip]:
    """The finished rows of all batches' predictions."""
    predictions = stages.timed("wait", _flat(answers))
    return stages.timed("stitch", stitch(predictions, grid, engine.classes, area))


def _flat(groups: Iterable[list[T]]) -> Iterator[T]:
    for group in groups:
        yield from group
