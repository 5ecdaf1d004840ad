"""What a network is to answer, where others are its teachers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    if not recipe.teacher.models:
        return lambda batch, rng: batch.targets
    bundles = [named_bundle(recipe, name) for name in recipe.teacher.models]
    for bundle in bundles:
        _check(recipe, bundle)
    engines = [load_engine(bundle, patch_size=recipe.patches.size) for bundle in bundles]
    return lambda batch, rng: taught(batch, engines, recipe.teacher.share, recipe.teacher.views, rng)


def taught(
    batch: Batch, engines: Sequence[Engine], share: float, views: int, rng: Generator
) -> NDArray[np.float32]:
    """The mean word of teachers on some views of a batch, mixed with what the labels say.

    Args:
        batch: patches and their targets.
        engines: the teachers.
        share: of their word where labels say something.
        views: how many of the eight views each of them is asked about.
        rng: draws them.
    """
    word: NDArray[np.float32] = np.mean([_word(batch, each, views, rng) for each in engines], axis=0)
    mixed = share * word + (1 - share) * batch.targets
    return np.where(batch.targets == IGNORE, word, mixed).astype(np.float32)


def _word(batch: Batch, engine: Engine, views: int, rng: Generator) -> NDArray[np.float32]:
    """The mean of what one teacher says of views that are drawn."""

    def said(view: View) -> NDArray[np.float32]:
        return restored(engine(turned(batch.pixels, view)), view)

    with ThreadPoolExecutor(engine.streams) as pool:
        answers = pool.map(said, [ALL[k] for k in rng.choice(len(ALL), views, replace=False)])
        word: NDArray[np.float32] = np.mean(list(answers), axis=0)
    return word


def _check(recipe: Recipe, bundle: Bundle) -> None:
    card, spec = bundle.card, recipe.network
    for what, theirs, ours in (
        ("activation", (card.activation,), (spec.activation,)), ("bands", card.bands, spec.bands),
        ("classes", tuple(each.name for each in card.classes), recipe.class_names),
    ):  # fmt: skip
        if theirs != ours:
            raise RecipeError(
                f"teacher.models {card.name}: {what} {', '.join(theirs)}, wanted {', '.join(ours)}; "
                "a teacher has the activation, bands and classes of its recipe"
            )
