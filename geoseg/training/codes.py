"""What label values mean: from the numbers of a set to geoseg's coding, and from that to targets.

The coding of (h, w) labels is that of class masks: 0 background, 1 … n classes in the recipe's order,
255 ignore; and n + 1 … 2n where the first … last class is ruled out and nothing is known of the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA, Activation
from geoseg.core.planes import interleave
from geoseg.errors import RecipeError
from geoseg.recipe.data import NOT, DataSet
from geoseg.recipe.recipe import Recipe

IGNORE = NODATA
Labels = NDArray[np.uint8]


def coding(recipe: Recipe, data: DataSet, partial: bool = False) -> dict[str, int]:
    """The code of each key of a set's `labels`; `0` is background unless it is listed.

    Args:
        recipe: its classes and activation.
        data: the set.
        partial: background is ignored, because labels miss some objects.

    Raises:
        RecipeError: background without a meaning, in a softmax network without such a class.
    """
    names = recipe.class_names
    background = names.index("background") + 1 if "background" in names else 0
    if background == 0 and recipe.network.activation == "softmax" and "background" in data.labels.values():
        raise RecipeError(f"data {data.name} labels background, which is no class of a softmax network: "
                          "add a class background, or ignore it")  # fmt: skip
    codes = {name: number for number, name in enumerate(names, 1)} | {"ignore": IGNORE}
    codes |= {f"{NOT}{name}": len(names) + codes[name] for name in names}
    codes["background"] = IGNORE if partial else background
    rest = {} if data.masks else {"0": "background"}
    return {key: codes[name] for key, name in (rest | dict(data.labels)).items()}


def numbered(codes: Mapping[str, int], data: DataSet) -> dict[int, int]:
    """The coding of a raster's values: keys are numbers, or colours as 0xrrggbb.

    Raises:
        RecipeError: a key that is neither.
    """
    try:
        return {int(key[1:], 16) if key.startswith("#") else int(key): code for key, code in codes.items()}
    except ValueError as error:
        wrong = str(error).rpartition(": ")[2]
        raise RecipeError(f"data {data.name}: labels of masks are numbers or #rrggbb, got {wrong}") from error


def translate(values: NDArray[Any], codes: Mapping[int, int], where: str, name: str = "{}") -> Labels:
    """Look integers of any shape up in a coding.

    Args:
        values: integers.
        codes: a code, 0 … 255, for each.
        where: the file, named in errors.
        name: how errors write a value, as `#{:06x}`.

    Raises:
        RecipeError: a value that has no code.
    """
    keys = np.array(sorted(codes))
    places = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    wrong = keys[places] != values
    if wrong.any():
        got, listed = name.format(int(values[wrong][0])), ", ".join(name.format(k) for k in sorted(codes))
        raise RecipeError(
            f'{where} holds the value {got}; labels lists {listed}: add it, as "{got}" = "ignore"'
        )
    return np.array([codes[int(key)] for key in keys], np.uint8)[places]


def targets(
    labels: Labels,
    known: Sequence[str],
    classes: Sequence[str],
    activation: Activation,
    alone: bool = False,
) -> Labels:
    """What a network should answer, per class.

    Args:
        labels: (h, w), in geoseg's coding.
        known: classes that are labelled in this set.
        classes: all, in channel order.
        activation: with `sigmoid`, a known class is 0 where another one or the background is labelled;
            with `softmax`, exactly one class is 1, or all are ignored.
        alone: with `sigmoid`, where a known class is, no other is, known or not.

    Returns:
        (h, w, classes): 1 yes, 0 no, 255 ignore; a class that is not known is 255.
    """
    table = _table(tuple(known), tuple(classes), activation, alone)
    return interleave([cv2.LUT(labels, column) for column in table])


@lru_cache(64)
def _table(known: tuple[str, ...], classes: tuple[str, ...], activation: Activation, alone: bool) -> Labels:
    """(classes, 256): the target of each class for each code."""
    table = np.full((len(classes), 256), IGNORE, np.uint8)
    use = np.array([name in known for name in classes])
    for code in range(len(classes) + 1):
        yes = np.arange(1, len(classes) + 1) == code
        if activation == "sigmoid":
            said = use | (alone and yes[use].any())
            table[said, code] = yes[said]
        elif yes[use].any():
            table[:, code] = yes
    if activation == "sigmoid":
        here = np.flatnonzero(use)
        table[here, len(classes) + 1 + here] = 0
    return table


def known_classes(recipe: Recipe, data: DataSet) -> tuple[str, ...]:
    """The classes that a set labels; a softmax network's class `background` wherever it is labelled."""
    return (*data.classes, *({"background"} & set(data.labels.values())))
