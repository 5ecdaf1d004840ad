"""A network run over a part of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RecipeError
from geoseg.recipe.recipe import Recipe
from geoseg.training.dataset import Batch, Dataset, loader
from geoseg.training.losses import LossFunction
from geoseg.training.scores import Tally

Answer = tuple[Batch, NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What was counted.

    Attributes:
        tally: for scores.
        loss: the mean over patches; NaN without any.
    """

    tally: Tally
    loss: float


def answers(model: keras.Model, dataset: Dataset, recipe: Recipe) -> Iterator[Answer]:
    """Every batch with the network's probabilities (n, h, w, classes), of the last head if there are many."""
    with loader(dataset, 0, recipe.fit.workers) as batches:
        for batch in batches:
            heads = model.predict_on_batch(_filled(batch.pixels, recipe.fit.batch_size))
            last = heads[-1] if isinstance(heads, (list, tuple)) else heads
            probabilities = np.asarray(last, np.float32)[: len(batch.pixels)]
            if not np.isfinite(probabilities).all():
                raise not_finite(recipe, "a probability")
            yield batch, probabilities


def measure(given: Iterable[Answer], recipe: Recipe, compute: LossFunction) -> Measured:
    """Count, and average the loss of, all answers."""
    tally = Tally(recipe.class_names, recipe.network.activation == "softmax")
    costs: list[float] = []
    for batch, probabilities in given:
        tally.add(batch.targets, probabilities, batch.names, batch.sets)
        tensors = map(keras.ops.convert_to_tensor, (batch.targets, probabilities))
        costs += [float(compute(*tensors))] * len(batch.pixels)
    return Measured(tally, float(np.mean(costs)) if costs else float("nan"))


def not_finite(recipe: Recipe, what: str) -> RecipeError:
    """The error of a training that ran away."""
    return RecipeError(
        f"{recipe.name}: {what} is not a finite number; lower fit.learning_rate, set fit.clip_norm, or "
        "fit.precision = float32"
    )


def _filled(pixels: NDArray[Any], size: int) -> NDArray[Any]:
    """A short batch filled up with zeros: another shape would have to be compiled anew."""
    return np.pad(pixels, [(0, max(0, size - len(pixels))), (0, 0), (0, 0), (0, 0)])
