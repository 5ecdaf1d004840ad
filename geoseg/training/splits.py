"""Which part an image belongs to: by place, tile or group, never by patch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from geoseg.errors import RecipeError
from geoseg.geo.labels import RASTERS
from geoseg.recipe.data import DataSet, Part
from geoseg.recipe.recipe import Recipe

PARTS: tuple[Part, ...] = ("train", "val", "test")


def parts_of(
    recipe: Recipe, data: DataSet, keys: Sequence[str], known: Iterable[str]
) -> dict[str, Part | None]:
    """The part of each image; None for images that lists leave out.

    Args:
        recipe: its root and seed.
        data: the set and its split.
        keys: paths below the root without ending, of the images to be split.
        known: the same of all images of the set, excluded ones too; lists may name them.

    Raises:
        RecipeError: a list that is missing or names no image, or a group or image of two parts.
    """
    if part := "test" if data.held_out else data.split.part:
        return dict.fromkeys(keys, part)
    if data.split.by:
        groups = {key: group_of(data, key) for key in keys}
        parts = _parts_of_groups(recipe, data, {group_of(data, key) for key in known}, set(groups.values()))
        return {key: parts[group] for key, group in groups.items()}
    listed = _listed(recipe, data, {key.rpartition("/")[2] for key in known})
    return {key: listed.get(key.rpartition("/")[2]) for key in keys}


def group_of(data: DataSet, key: str) -> str:
    """What `by` finds in an image's key: its first group, or the whole match."""
    found = re.search(data.split.by, key)
    if found is None:
        raise RecipeError(
            f"data {data.name}: by = {data.split.by!r} finds no group in {key}; mend it or exclude"
        )
    return str(found[1] if found.re.groups and found[1] is not None else found[0])


def _parts_of_groups(
    recipe: Recipe, data: DataSet, known: set[str], groups: set[str]
) -> dict[str, Part | None]:
    """The named groups, then a share of the rest by hash; the rest is for training."""
    split = data.split
    if both := set(split.val) & set(split.test):
        raise RecipeError(f"data {data.name}: group {min(both)!r} is of both val and test; choose one")
    if absent := {*split.val, *split.test} - known:
        raise RecipeError(f"data {data.name}: no image is of group {min(absent)!r}; there are {_few(known)}")
    val = split.val or _smallest(recipe.seed, groups - set(split.test), split.val_share)
    return {g: "test" if g in split.test else "val" if g in val else "train" for g in groups}


def _smallest(seed: int, groups: set[str], share: float) -> set[str]:
    """The share of the groups with the smallest hashes, the same on every machine."""
    ranked = sorted(groups, key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    return set(ranked[: round(share * len(ranked))])


def _listed(recipe: Recipe, data: DataSet, names: set[str]) -> dict[str, Part]:
    parts: dict[str, Part] = {}
    for part in PARTS:
        if part not in data.split.lists:
            continue
        path = recipe.path(data.split.lists[part])
        listed = [image_name(line) for line in _lines(data, path)]
        if absent := [name for name in listed if name not in names]:
            raise RecipeError(f"{path} names {absent[0]}, but data {data.name} has no such image "
                              f"({len(absent)} of {len(listed)}); mend the list or images")  # fmt: skip
        for name in listed:
            if parts.setdefault(name, part) != part:
                raise RecipeError(
                    f"data {data.name}: {name} is in the lists of both {parts[name]} and {part}"
                )
    return parts


def _lines(data: DataSet, path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"data {data.name}: cannot read the list {path}; mend lists") from error
    return [line for line in lines if line]


def image_name(text: str) -> str:
    """The name of an image without folder and ending, whether they are given or not."""
    name = text.strip().replace("\\", "/").rpartition("/")[2]
    return name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in RASTERS else name


def _few(names: set[str], most: int = 8) -> str:
    some = sorted(names)[:most]
    return ", ".join(some) + (" …" if len(names) > most else "")
