"""Where training stands, on the disk after every epoch: killed at any time, it goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RecipeError
from geoseg.recipe.recipe import Recipe
from geoseg.staging import staged
from geoseg.training.schedule import Record

Arrays = list[NDArray[Any]]

STATE = "state.npz"
BEST = "best-{}.npz"
# Nothing of these changes what is learned.
FREE = ("root", "variants", "tiny", "fit.workers", "fit.cache_mb")


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Everything that an epoch begins with.

    Attributes:
        history: a record of each finished epoch.
        variables: of the model, the states of its random generators among them.
        optimizer: its variables.
        average: the moving average of the weights.
    """

    history: list[Record]
    variables: Arrays
    optimizer: Arrays
    average: Arrays


def save_state(folder: Path, recipe: Recipe, state: State, best: int) -> None:
    """Replace the state in a folder, whole or not at all; weights of epochs other than `best` go."""
    words = json.dumps({"history": state.history, "recipe": _plain(recipe)})
    groups = {"variables": state.variables, "optimizer": state.optimizer, "average": state.average}
    arrays = {f"{name}/{k}": array for name, group in groups.items() for k, array in enumerate(group)}
    _write(folder / STATE, {"words": np.array(words), **arrays})
    for old in folder.glob(BEST.format("*")):
        if old.name != BEST.format(best):
            old.unlink()


def load_state(folder: Path, recipe: Recipe) -> State | None:
    """The state of an unfinished training; None where there is none.

    Raises:
        RecipeError: when it is of another recipe.
    """
    if not (folder / STATE).is_file():
        return None
    with np.load(folder / STATE, allow_pickle=False) as file:
        words = json.loads(str(file["words"]))
        check_same(recipe, words["recipe"], folder)
        groups = [_group(file, name) for name in ("variables", "optimizer", "average")]
    return State(words["history"], *groups)


def save_weights(folder: Path, epoch: int, weights: Sequence[NDArray[Any]]) -> None:
    """Keep the weights that were the best of all epochs so far."""
    _write(folder / BEST.format(epoch), {str(k): array for k, array in enumerate(weights)})


def load_weights(folder: Path, epoch: int) -> Arrays:
    """The weights kept of an epoch."""
    with np.load(folder / BEST.format(epoch), allow_pickle=False) as file:
        return [file[str(k)] for k in range(len(file.files))]


def check_same(recipe: Recipe, before: Recipe | Mapping[str, Any], where: Path) -> None:
    """Refuse to go on with another recipe than the one that `where` was begun with.

    Raises:
        RecipeError: names the first key that differs.
    """
    old = dict(_keys(_plain(before) if isinstance(before, Recipe) else before))
    new = dict(_keys(_plain(recipe)))
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key) and not key.startswith(FREE):
            raise RecipeError(
                f"{where} was begun with {key} = {old.get(key)!r}, the recipe says {new.get(key)!r}; "
                "set it back, or start anew with --overwrite"
            )


def _plain(recipe: Recipe) -> dict[str, Any]:
    """As JSON gives it back."""
    table: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return table


def _keys(table: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values; members of a list go by their names, or numbers."""
    if isinstance(table, list) and table and isinstance(table[0], dict):
        table = {item.get("name", str(k)): item for k, item in enumerate(table)}
    if not isinstance(table, Mapping):
        yield prefix[:-1], table
        return
    for key, value in table.items():
        yield from _keys(value, f"{prefix}{key}.")


def _group(file: Any, name: str) -> Arrays:
    count = sum(key.startswith(f"{name}/") for key in file.files)
    return [file[f"{name}/{k}"] for k in range(count)]


def _write(path: Path, arrays: Mapping[str, Any]) -> None:
    with staged(path, overwrite=True) as (draft,), draft.open("wb") as file:
        np.savez(file, **arrays)
