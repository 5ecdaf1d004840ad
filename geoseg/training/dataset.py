"""Batches of patches and targets, each a pure function of recipe, part, epoch and number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import median_blur
from geoseg.core.prefetch import cores
from geoseg.recipe.data import Part
from geoseg.recipe.recipe import Recipe
from geoseg.training.augment import borrowed, recolored
from geoseg.training.catalog import catalog
from geoseg.training.codes import IGNORE, Labels, known_classes, targets
from geoseg.training.patches import bounds, cut, grown
from geoseg.training.pictures import pictures
from geoseg.training.plans import GridPlan, Place, Plan, TrainingPlan
from geoseg.training.samples import Reader

Bytes = NDArray[np.uint8]
Cut = tuple[Bytes, Labels]
Patch = tuple[Bytes, Bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Patches that go through the network together.

    Attributes:
        pixels: (n, size, size, bands) uint8, 0 … 255, filtered as prediction will filter.
        targets: (n, size, size, classes) uint8, 1 yes, 0 no, 255 ignore.
        names: of the image of each patch, without its ending.
        sets: the name of its set.
    """

    pixels: Bytes
    targets: Bytes
    names: tuple[str, ...]
    sets: tuple[str, ...]


class Dataset:
    """The batches of one part of a recipe's data. Use `open_part`; threads may share it."""

    def __init__(self, recipe: Recipe, plan: Plan, reader: Reader) -> None:
        self.recipe = recipe
        self._plan = plan
        self._reader = reader
        self._filter = median_blur(recipe.patches.median_kernel)

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self._plan)

    def batch(self, epoch: int, index: int) -> Batch:
        """A batch; the same for the same arguments, in any order and on any thread.

        Args:
            epoch: from 0; training patches differ between epochs.
            index: 0 … len - 1.

        Raises:
            GeosegError: an image or its labels that cannot be read or do not fit the recipe.
        """
        places = self._plan.places(epoch, index)
        cuts = [self._cut(place) for place in places]
        lights = [pixels for pixels, _ in cuts]
        patches = [self._patch(place, *each, lights) for place, each in zip(places, cuts, strict=True)]
        pixels, wanted = zip(*patches, strict=True)
        names = tuple(place.tile.item.name for place in places)
        return Batch(np.stack(pixels), np.stack(wanted), names, tuple(p.picture.data.name for p in places))

    def _cut(self, place: Place) -> Cut:
        """Pixels and labels with a rim that the median filter looks at, as it does at prediction."""
        margin, size = self._filter.margin, self.recipe.patches.size
        outer, side = grown(place.frame, margin), size + 2 * margin
        return cut(self._reader.sample(place.picture, bounds(outer, side)), outer, side)

    def _patch(self, place: Place, pixels: Bytes, labels: Labels, lights: Sequence[Bytes]) -> Patch:
        """Pixels and targets; for training in another light, that of its batch or one made up."""
        augment, rng = self.recipe.augment, place.rng
        if rng is not None:
            pixels = recolored(borrowed(pixels, lights, augment.borrow, rng), augment, rng)
        margin, size = self._filter.margin, self.recipe.patches.size
        core = slice(margin, margin + size), slice(margin, margin + size)
        pixels, labels = self._filter(pixels, labels != IGNORE)[core], np.ascontiguousarray(labels[core])
        data, recipe = place.picture.data, self.recipe
        known = known_classes(recipe, data)
        alone = data.alone and rng is not None  # a lesson for training, no truth to be scored by
        return pixels, targets(labels, known, recipe.class_names, recipe.network.activation, alone)


def open_part(recipe: Recipe, part: Part) -> Dataset:
    """The data of a recipe's part: random patches for training, a fixed grid for validation and test.

    A part that the recipe has no images for has no batches, unless it is `train`.

    Raises:
        GeosegError: files that are missing, cannot be opened or do not fit the recipe.
    """
    found = pictures(recipe, catalog(recipe, part))
    plan = TrainingPlan(recipe, found) if part == "train" else GridPlan(recipe, found)
    return Dataset(recipe, plan, Reader(recipe, plan.halvings))


@contextmanager
def loader(dataset: Dataset, epoch: int, workers: int = 0, ahead: int = 4) -> Iterator[Iterator[Batch]]:
    """Iterate over the batches of an epoch, in order, made by threads (OpenCV and GDAL release the GIL).

    An error is raised where the consumer takes the batch it hit. Leaving the `with` block drops what is
    not begun and waits for the rest.

    Args:
        dataset: whose batches.
        epoch: which, from 0.
        workers: threads; 0 for one per core.
        ahead: batches that may wait, finished or in work, beyond one per worker.
    """
    workers = workers or cores()
    pool = ThreadPoolExecutor(workers, "geoseg-load")
    try:
        yield _ordered(dataset, epoch, pool, workers + ahead)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ordered(dataset: Dataset, epoch: int, pool: ThreadPoolExecutor, most: int) -> Iterator[Batch]:
    """Batches in order, at most `most` of them asked for and not yet taken."""
    running: deque[Future[Batch]] = deque()
    for index in range(len(dataset)):
        running.append(pool.submit(dataset.batch, epoch, index))
        if len(running) >= most:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
