"""Frozen dataclasses from TOML tables; unknown keys and wrong types are errors that name file and key."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from geoseg.errors import GeosegError, RecipeError

T = TypeVar("T")


def build(kind: type[T], table: Any, where: str) -> T:
    """A dataclass from a table.

    Args:
        kind: a dataclass whose fields are numbers, texts, booleans, literals, tuples, mappings, other
            dataclasses, or None.
        table: what TOML says.
        where: file and table, named in errors.

    Raises:
        RecipeError: an unknown or missing key, or a value of another type.
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f"{where} is a table of keys and values, got {table!r}")
    hints = get_type_hints(kind)
    known = {f.name: hints[f.name] for f in fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise RecipeError(f"{where} has an unknown key {key!r}; {_suggestion(key, list(known))}")
    values = {key: convert(known[key], value, f"{where}, {key}") for key, value in table.items()}
    try:
        return kind(**values)
    except TypeError as error:
        missing = str(error).partition("missing ")[2].partition(": ")[2]
        raise RecipeError(f"{where} lacks {missing}; add it") from error
    except GeosegError as error:
        raise RecipeError(f"{where}: {error}") from error


def convert(kind: Any, value: Any, where: str) -> Any:
    """A value as the type of its field; whole numbers pass as decimal ones, lists as tuples."""
    if is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, where)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _either(arguments, value, where)
    if origin is Literal:
        return _checked(value in arguments, value, where, " or ".join(map(str, arguments)))
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin is not None and issubclass(origin, Mapping):
        _checked(isinstance(value, Mapping), value, where, "a table")
        return {str(key): convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is Any:
        return value
    if kind is float:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        return float(_checked(fits, value, where, "a number"))
    fits = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    return _checked(fits, value, where, {int: "a whole number", str: "a text", bool: "true or false"}[kind])


def _either(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """The first kind that fits; the complaint of the last one when none does."""
    for kind in kinds[:-1]:
        if kind is type(None):
            continue
        try:
            return convert(kind, value, where)
        except RecipeError:
            continue
    last = kinds[-1] if kinds[-1] is not type(None) else kinds[0]
    return convert(last, value, where)


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _checked(isinstance(value, (list, tuple)), value, where, "a list")
    if kinds[-1] is Ellipsis:
        return tuple(convert(kinds[0], item, f"{where} {k + 1}") for k, item in enumerate(value))
    _checked(len(value) == len(kinds), value, where, f"a list of {len(kinds)}")
    return tuple(convert(kind, item, where) for kind, item in zip(kinds, value, strict=True))


def _checked(fits: bool, value: Any, where: str, wanted: str) -> Any:
    if not fits:
        raise RecipeError(f"{where} is {wanted}, got {value!r}")
    return value


def _suggestion(key: str, known: list[str]) -> str:
    close = get_close_matches(key, known, 1)
    return f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(sorted(known))}"
