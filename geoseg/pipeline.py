"""The whole flow: scene → patches → network → strips of finished rows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from geoseg.core.batching import Batch, batches
from geoseg.core.filters import Filter
from geoseg.core.grid import Grid
from geoseg.core.patches import PixelSource, read_patches
from geoseg.core.prefetch import prefetch
from geoseg.core.scaling import Scaling
from geoseg.core.stitch import Prediction, Probabilities, Strip, stitch
from geoseg.core.window import Window
from geoseg.runtime.engine import Engine

T = TypeVar("T")

AHEAD = 2  # batches that each stage may run ahead of the next


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
) -> Generator[Strip]:
    """Run a network over a scene, or over `area` of it, and yield finished rows from top to bottom.

    Reading, inference and whatever the caller does with the strips run in three threads joined by
    bounded queues. Memory is one band of patches as wide as `area`, whatever its height.

    Args:
        source: the scene.
        engine: the network.
        grid: patches over the whole scene.
        filter_: applied before patches are cut.
        scaling: to the 0 … 255 of the network.
        area: the part of the scene to compute; the same pixels have the same values for any area.
        stages: filled with counts and times.
    """
    stages = stages or Stages()
    scaling = scaling or Scaling()
    patches = read_patches(source, grid, area, filter_, scaling.neutral)
    full = stages.timed("read", batches(patches, engine.batch_size, scaling))
    with prefetch(full, AHEAD) as ready, prefetch(_infer(engine, ready, stages), AHEAD) as answers:
        yield from stages.timed(
            "stitch", stitch(stages.timed("wait", _flat(answers)), grid, engine.classes, area)
        )


def _infer(engine: Engine, ready: Iterable[Batch], stages: Stages) -> Iterator[list[Prediction]]:
    """The predictions of each batch, in order; as many batches at once as suits the engine."""
    with ThreadPoolExecutor(engine.streams, "geoseg-infer") as pool:
        running: deque[tuple[Batch, Future[Probabilities]]] = deque()
        for batch in stages.timed("starve", ready):
            running.append((batch, pool.submit(engine, batch.pixels)))
            if len(running) > engine.streams:
                yield _predictions(*running.popleft(), stages)
        while running:
            yield _predictions(*running.popleft(), stages)


def _predictions(batch: Batch, answer: Future[Probabilities], stages: Stages) -> list[Prediction]:
    start = time.perf_counter()
    probabilities = answer.result()
    stages.seconds["infer"] = stages.seconds.get("infer", 0.0) + time.perf_counter() - start
    stages.patches += len(batch.patches)
    return [Prediction(patch.index, probabilities[k], patch.valid) for k, patch in enumerate(batch.patches)]


def _flat(groups: Iterable[list[T]]) -> Iterator[T]:
    for group in groups:
        yield from group
