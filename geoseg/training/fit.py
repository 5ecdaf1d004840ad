"""Train a network epoch by epoch."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geoseg.errors import RecipeError
from geoseg.recipe.fit import Fit
from geoseg.recipe.recipe import Recipe
from geoseg.runtime.keras_engine import device
from geoseg.runtime.machine import fast_precision
from geoseg.training.average import Average
from geoseg.training.dataset import Batch, Dataset, loader, open_part
from geoseg.training.log import event_file
from geoseg.training.losses import LossFunction, loss
from geoseg.training.network import build_network, prediction_patches, pretrained_layers
from geoseg.training.schedule import History, Record, best_epoch, learning_rate, should_stop
from geoseg.training.scores import summary
from geoseg.training.state import State, load_state, save_state, save_weights
from geoseg.training.teacher import Lessons, lessons
from geoseg.training.validate import answers, measure, not_finite

Progress = Callable[[int, int], object]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """A network in training.

    Attributes:
        recipe: how it is trained.
        model: the network.
        loss: what it minimizes.
        lessons: what it is to answer.
        average: of its weights, which is validated and kept.
        pretrained: layers that stay as they are in the first `frozen_epochs`.
    """

    recipe: Recipe
    model: keras.Model
    loss: LossFunction
    lessons: Lessons
    average: Average
    pretrained: list[keras.layers.Layer]

    def frozen(self, epoch: int) -> bool:
        """Whether the pre-trained layers stay as they are in this epoch."""
        return bool(self.pretrained) and epoch < self.recipe.fit.frozen_epochs


def fit(
    recipe: Recipe, folder: Path, *, resume: bool = False, progress: Progress = lambda done, total: None
) -> History:
    """Train the network of a recipe.

    After every epoch the folder holds all that is needed to go on from there, the best weights so far
    (`state.load_weights`) and a TensorBoard log.

    Args:
        recipe: how.
        folder: of this training; made if absent.
        resume: go on where the training in the folder stands.
        progress: called with the numbers of batches finished since the last call and of all.

    Returns:
        A record of each epoch: `loss`, `learning_rate`, `steps`, `seconds`, and of validation `val_loss`,
        `val_accuracy`, `val_iou` and `val_iou_CLASS`.

    Raises:
        RecipeError: a recipe that cannot be trained, that differs from the resumed one, or whose loss is
            not finite.
    """
    keras.utils.set_random_seed(recipe.seed)
    train, val = open_part(recipe, "train"), open_part(recipe, "val")
    if len(val) == 0:
        raise RecipeError(f"{recipe.name} has no images for validation; give the split of a set some")
    learner = _learner(recipe)
    state = load_state(folder, recipe) if resume else None
    history: list[Record] = list(state.history) if state else []
    _compile(learner, max(len(history) - 1, 0))
    if state:
        _restore(learner, state)
    total = recipe.fit.epochs * (len(train) + len(val))
    progress(len(history) * (len(train) + len(val)), total)
    with event_file(folder / "tensorboard") as write:
        while not should_stop(recipe.fit, history):
            record = _epoch(learner, train, val, history, folder, lambda done: progress(done, total))
            history.append(record)
            save_state(folder, recipe, _state(learner, history), best_epoch(recipe.fit, history))
            write(len(history), {_tag(name): value for name, value in record.items()})
            log.info("epoch %d: %s", len(history), ", ".join(f"{k} {v:.4g}" for k, v in record.items()))
    return history


def precision(spec: Fit) -> str:
    """What a recipe's network computes in on this machine."""
    return fast_precision(keras.backend.backend()) if spec.precision == "auto" else spec.precision


def _learner(recipe: Recipe) -> Learner:
    model = build_network(recipe, precision(recipe.fit))
    prediction_patches(recipe, model)  # says now whether they fit, before hours of training
    average = Average(model, recipe.fit.ema)
    return Learner(recipe, model, loss(recipe), lessons(recipe), average, pretrained_layers(recipe, model))


def _compile(learner: Learner, epoch: int) -> None:
    """Make the network ready for the epochs from this one on; its optimizer starts anew."""
    model = learner.model
    for layer in learner.pretrained:
        layer.trainable = not learner.frozen(epoch)
    heads = len(model.outputs)
    # XLA makes TensorFlow six times slower on a CPU, while JAX is nothing without it.
    slow = keras.backend.backend() == "tensorflow" and device("tensorflow") == "CPU"
    model.compile(
        optimizer=_optimizer(learner.recipe.fit, model),
        loss=[learner.loss] * heads,
        loss_weights=[1 / heads] * heads,
        jit_compile=False if slow else "auto",
    )
    model.optimizer.build(model.trainable_variables)


def _optimizer(spec: Fit, model: keras.Model) -> keras.optimizers.Optimizer:
    """Adam, or AdamW that lets no bias and no normalization decay."""
    clip = {"global_clipnorm": spec.clip_norm} if spec.clip_norm else {}
    if not spec.weight_decay:
        return keras.optimizers.Adam(spec.learning_rate, **clip)
    optimizer = keras.optimizers.AdamW(spec.learning_rate, weight_decay=spec.weight_decay, **clip)
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if len(v.shape) < 2])
    return optimizer


def _epoch(
    learner: Learner, train: Dataset, val: Dataset, history: list[Record], folder: Path,
    progress: Callable[[int], object],
) -> Record:  # fmt: skip
    """Train and validate once; keep the weights if they are the best so far."""
    spec, epoch, start = learner.recipe.fit, len(history), time.monotonic()
    if learner.frozen(epoch) != learner.frozen(max(epoch - 1, 0)):
        _compile(learner, epoch)
    with loader(train, epoch, spec.workers) as batches:
        cost = _steps(learner, batches, len(train), history, progress)
    record = {"loss": cost, "learning_rate": learning_rate(spec, history, epoch, 1.0), "steps": len(train)}
    with learner.average.applied():
        record |= _validated(learner, val, progress)
        if best_epoch(spec, [*history, record]) == epoch:
            save_weights(folder, epoch, learner.model.get_weights())
    return record | {"seconds": round(time.monotonic() - start, 2)}


def _steps(
    learner: Learner, batches: Iterable[Batch], count: int, history: list[Record],
    progress: Callable[[int], object],
) -> float:  # fmt: skip
    """Train on all batches; their mean loss."""
    model, epoch, cost = learner.model, len(history), math.nan
    before = sum(int(record["steps"]) for record in history)
    model.reset_metrics()
    for step, batch in enumerate(batches, 1):
        model.optimizer.learning_rate = learning_rate(learner.recipe.fit, history, epoch, step / count)
        rng = np.random.default_rng([learner.recipe.seed, epoch, step])
        targets = [learner.lessons(batch, rng)] * len(model.outputs)
        cost = float(model.train_on_batch(batch.pixels, targets, return_dict=True)["loss"])
        if not math.isfinite(cost):
            raise not_finite(learner.recipe, f"the loss at step {step} of epoch {epoch + 1}")
        learner.average.update(before + step)
        progress(1)
    return cost


def _validated(learner: Learner, val: Dataset, progress: Callable[[int], object]) -> dict[str, float]:
    def shown() -> Any:
        for answer in answers(learner.model, val, learner.recipe):
            yield answer
            progress(1)

    measured = measure(shown(), learner.recipe, learner.loss)
    scores = summary(measured.tally, [spec.threshold for spec in learner.recipe.classes])
    return {"val_loss": measured.loss, **{f"val_{name}": value for name, value in scores.items()}}


def _state(learner: Learner, history: list[Record]) -> State:
    groups = learner.model.variables, learner.model.optimizer.variables, learner.average.values
    return State(history, *([np.array(keras.ops.convert_to_numpy(v)) for v in group] for group in groups))


def _restore(learner: Learner, state: State) -> None:
    saved = (learner.model.variables, state.variables), (learner.model.optimizer.variables, state.optimizer)
    for variables, values in saved:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
    learner.average.values = [keras.ops.array(value) for value in state.average]


def _tag(name: str) -> str:
    """TensorBoard draws names that differ after the slash side by side."""
    return f"val/{name[4:]}" if name.startswith("val_") else f"train/{name}"
