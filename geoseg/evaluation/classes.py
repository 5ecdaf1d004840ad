"""Which classes two sides have in common, by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.errors import SceneError
from geoseg.vector.source_classes import FOREGROUND

BACKGROUND, IGNORE = "background", "ignore"
NUMBERED = re.compile(r"class_(\d+)")


def listed(names: Iterable[str]) -> tuple[str, ...]:
    """The classes among names, each once, in the order they come."""
    return tuple(name for name in dict.fromkeys(names) if name not in (BACKGROUND, IGNORE))


def common_classes(
    predicted: Sequence[str], true: Sequence[str], wanted: str | None = None
) -> tuple[str, ...]:
    """The classes to compare, in the order of the prediction.

    Foreground without a name is whatever class is wanted, or the other side's only one. Classes that only
    a number is known of are the other side's, counted from 1.

    Args:
        predicted: names of the prediction's classes.
        true: names of the truth's classes.
        wanted: the one class that the user asks for.

    Raises:
        SceneError: when a side has no such class, or they have none in common.
    """
    if wanted is not None:
        number_of(predicted, wanted, "prediction", true)
        number_of(true, wanted, "truth", predicted)
        return (wanted,)
    predicted, true = listed(predicted), listed(true)
    if FOREGROUND in (*predicted, *true):
        return _named_foreground(predicted, true)
    common = tuple(name for name in predicted if _answers(true, name, predicted))
    if not common:
        raise SceneError(
            f"no class in common: the prediction has {_list(predicted)}, the truth {_list(true)}; "
            "name the truth's with --truth-labels, e.g. 255=building,0=background"
        )
    return common


def _named_foreground(predicted: Sequence[str], true: Sequence[str]) -> tuple[str, ...]:
    names = {*predicted, *true} - {FOREGROUND}
    if len(names) > 1 or len(predicted) > 1 or len(true) > 1:
        unnamed = "truth" if FOREGROUND in true else "prediction"
        raise SceneError(
            f"the {unnamed} does not say which class it holds, and there are {', '.join(sorted(names))}; "
            "choose one with --class"
        )
    return tuple(names) or (FOREGROUND,)


def _answers(names: Sequence[str], name: str, others: Sequence[str]) -> bool:
    return name in names or (_only_numbers(names) and f"class_{others.index(name) + 1}" in names)


def _only_numbers(names: Sequence[str]) -> bool:
    return all(NUMBERED.fullmatch(name) for name in names)


def number_of(names: Sequence[str], name: str, side: str, order: Sequence[str] = ()) -> int:
    """The label, from 1, of a class among the names of a side.

    Args:
        names: of the side's classes.
        name: of the class.
        side: named in errors.
        order: the other side's classes, by which those without a name are counted.

    Raises:
        SceneError: when there is no such class.
    """
    if name in names:
        return names.index(name) + 1
    if tuple(names) == (FOREGROUND,):
        return 1
    if name in order and _only_numbers(names) and (numbered := f"class_{order.index(name) + 1}") in names:
        return names.index(numbered) + 1
    raise SceneError(f"the {side} has no class {name}; its classes are {_list(names)}")


def table_to(
    classes: Sequence[str], names: Sequence[str], side: str, order: Sequence[str]
) -> NDArray[np.uint8]:
    """(256,) uint8 from labels of a side to numbers of the compared classes; other classes become 0."""
    table = np.zeros(NODATA + 1, np.uint8)
    table[NODATA] = NODATA
    for number, name in enumerate(classes, 1):
        table[number_of(names, name, side, order)] = number
    return table


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
