"""Which labelled images a recipe names, by part."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RecipeError
from geoseg.geo.labels import RASTERS
from geoseg.recipe.data import DataSet, Part
from geoseg.recipe.recipe import Recipe
from geoseg.training.splits import image_name, parts_of


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """An image and where its labels are.

    Attributes:
        data: its set.
        image: its file.
        key: the file's path below the recipe's root without its ending, with forward slashes.
        mask: raster of labels.
        polygons: vector file of labels.
        ignore: vector file of areas to ignore.
        points: (n, 2) float64 x, y of tree points, pixels; None for a set without points.
        partial: whether labels miss some objects, so that background is not to be trusted.
    """

    data: DataSet
    image: Path
    key: str
    mask: Path | None = None
    polygons: Path | None = None
    ignore: Path | None = None
    points: NDArray[np.float64] | None = None
    partial: bool = False

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.key.rpartition("/")[2]


def catalog(recipe: Recipe, part: Part) -> list[Item]:
    """The labelled images of one part of all sets, set by set, sorted by path.

    Raises:
        RecipeError: no image or none to train on, a missing mask or list, a group of two parts.
    """
    items = [item for data in recipe.data for item in _items(recipe, data, part)]
    if part == "train" and not items:
        raise RecipeError(f"{recipe.name}: no image is left for training; look at split, exclude and share")
    return items


def _items(recipe: Recipe, data: DataSet, part: Part) -> list[Item]:
    found = _images(recipe, data)
    _check_masks(recipe, data, {image.parent for image in found.values()})
    keys = [key for key in found if not (data.exclude and re.search(data.exclude, _stem(key)))]
    parts = parts_of(recipe, data, keys, list(found))
    kept = [key for key in keys if parts[key] == part]
    kept = _limited(kept, {"train": data.limit, "val": data.val_limit, "test": 0}[part])
    items = [_labelled(recipe, data, key, found[key]) for key in kept]
    return _with_points(recipe.path(data.points), items) if data.points else items


def _images(recipe: Recipe, data: DataSet) -> dict[str, Path]:
    """Files by key; two with one key would share a mask."""
    files: dict[str, Path] = {}
    root = Path(recipe.root)
    if Path(data.images).is_absolute() or not data.images:
        raise RecipeError(f"data {data.name}: images starts at root, got {data.images!r}; set root instead")
    for path in sorted(root.glob(data.images)):
        if path.suffix.lower() in RASTERS:
            key = path.relative_to(root).with_suffix("").as_posix()
            if key in files:
                raise RecipeError(f"data {data.name}: {files[key].name} and {path.name} differ only in "
                                  "their ending; narrow images to one of them")  # fmt: skip
            files[key] = path
    if not files:
        raise RecipeError(
            f"data {data.name}: no image matches {recipe.path(data.images)}; mend images or root"
        )
    return files


def _check_masks(recipe: Recipe, data: DataSet, folders: set[Path]) -> None:
    """Refuse a mask that has no image: one of the two was lost or misnamed."""
    if "{stem}" not in data.masks:
        return
    groups = [{folder} for folder in folders] if "{folder}" in data.masks else [folders]
    for group in groups:
        template = recipe.path(data.masks.replace("{folder}", min(group).name))
        before, after = template.name.split("{stem}", 1)
        images = {path.stem for folder in group for path in folder.iterdir()}
        for mask in sorted(template.parent.glob(f"{before}*{after}")):
            if mask.name[len(before) : len(mask.name) - len(after)] not in images:
                raise RecipeError(
                    f"data {data.name}: mask {mask} has no image in {min(group)}; add it, or remove the mask"
                )


def _limited(keys: Sequence[str], limit: int) -> list[str]:
    """At most `limit` of them, evenly spaced; 0 for all."""
    if not 0 < limit < len(keys):
        return list(keys)
    return [keys[k] for k in np.linspace(0, len(keys) - 1, limit).round().astype(int)]


def _labelled(recipe: Recipe, data: DataSet, key: str, image: Path) -> Item:
    """An image with the files that its set's templates name, which must exist."""

    def named(template: str, what: str) -> Path | None:
        if not template:
            return None
        path = recipe.path(template.replace("{stem}", _stem(key)).replace("{folder}", image.parent.name))
        if not path.is_file():
            raise RecipeError(
                f"data {data.name}: {image} lacks its {what} {path}; add it, or exclude the image"
            )
        return path

    partial = bool(data.partial and re.search(data.partial, _stem(key)))
    return Item(data, image, key, named(data.masks, "mask"), named(data.polygons, "polygons"),
                named(data.ignore_polygons, "ignore_polygons"), partial=partial)  # fmt: skip


def _with_points(path: Path, items: Sequence[Item]) -> list[Item]:
    """Each item with its rows of a CSV of points; an image without any has none."""
    places: dict[str, list[tuple[float, float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                name = image_name(row["image"])
                places.setdefault(name, []).append((float(row["x"]), float(row["y"])))
    except OSError as error:
        raise RecipeError(f"cannot read the points {path}: {error.strerror}; mend points") from error
    except (KeyError, ValueError, TypeError) as error:
        raise RecipeError(
            f"{path}: points need columns image, x, y with numbers: {error}; mend it"
        ) from error
    if items and not any(item.name in places for item in items):
        raise RecipeError(
            f"{path} has no point in any image of data {items[0].data.name}; mend its image column"
        )
    return [replace(item, points=np.reshape(places.get(item.name, []), (-1, 2))) for item in items]


def _stem(key: str) -> str:
    return key.rpartition("/")[2]
