"""What a network is to answer, where another one is its teacher."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geoseg.errors import RecipeError
from geoseg.models.bundle import Bundle
from geoseg.recipe.recipe import Recipe
from geoseg.runtime.choose import load_engine
from geoseg.runtime.engine import Engine
from geoseg.runtime.tta import VIEWS, View, restored, turned
from geoseg.training.codes import IGNORE
from geoseg.training.dataset import Batch
from geoseg.training.network import named_bundle

Lessons = Callable[[Batch, Generator], NDArray[Any]]
ALL = VIEWS["d4"]


def lessons(recipe: Recipe) -> Lessons:
    """What is learnt of a batch.

    Returns:
        A function of a batch and a generator of random numbers to targets (n, size, size, classes): those of
        the batch, or with a teacher float32 in 0 … 1, without any that is ignored.

    Raises:
        RecipeError: a teacher that does not fit the recipe.
    """
    if not recipe.teacher.model:
        return lambda batch, rng: batch.targets
    bundle = named_bundle(recipe, recipe.teacher.model)
    _check(recipe, bundle)
    engine = load_engine(bundle, patch_size=recipe.patches.size)
    return lambda batch, rng: taught(batch, engine, recipe.teacher.share, recipe.teacher.views, rng)


def taught(batch: Batch, engine: Engine, share: float, views: int, rng: Generator) -> NDArray[np.float32]:
    """The word of a teacher on some views of a batch, mixed with what the labels say.

    Args:
        batch: patches and their targets.
        engine: the teacher.
        share: of its word where labels say something.
        views: how many of the eight views it is asked about.
        rng: draws them.
    """

    def said(view: View) -> NDArray[np.float32]:
        return restored(engine(turned(batch.pixels, view)), view)

    with ThreadPoolExecutor(engine.streams) as pool:
        answers = pool.map(said, [ALL[k] for k in rng.choice(len(ALL), views, replace=False)])
        word = sum(answers, np.float32(0)) / np.float32(views)
    mixed = share * word + (1 - share) * batch.targets
    return np.where(batch.targets == IGNORE, word, mixed).astype(np.float32)


def _check(recipe: Recipe, bundle: Bundle) -> None:
    card, spec = bundle.card, recipe.network
    for what, theirs, ours in (
        ("activation", (card.activation,), (spec.activation,)), ("bands", card.bands, spec.bands),
        ("classes", tuple(each.name for each in card.classes), recipe.class_names),
    ):  # fmt: skip
        if theirs != ours:
            raise RecipeError(
                f"teacher.model {card.name}: {what} {', '.join(theirs)}, wanted {', '.join(ours)}; "
                "a teacher has the activation, bands and classes of its recipe"
            )
