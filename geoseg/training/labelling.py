"""The labels of an image, from masks, polygons and points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RioWindow

from geoseg.core.window import Window
from geoseg.errors import RecipeError, SceneError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.labels import Polygons, read_polygons
from geoseg.geo.reach import open_input
from geoseg.geo.scene import Scene
from geoseg.recipe.recipe import Recipe
from geoseg.training.catalog import Item
from geoseg.training.codes import IGNORE, Labels, coding, numbered, translate


def read_labels(recipe: Recipe, item: Item, scene: Scene, window: Window) -> Labels:
    """The labels of a window: the mask, polygons over it, points over these, ignored areas over all.

    Args:
        recipe: its classes.
        item: the image.
        scene: the same, open.
        window: inside it.

    Returns:
        (h, w) uint8 in geoseg's coding.

    Raises:
        GeosegError: a file that cannot be read or does not fit the image or the set's `labels`.
    """
    codes = coding(recipe, item.data, item.partial)
    if item.mask:
        labels = _mask(item, scene.shape, window, codes)
    else:
        labels = np.full(window.shape, codes["0"], np.uint8)
    plane = scene.geobox.window(window)
    if item.polygons:
        _classes(item, scene, codes).burn(labels, plane, all_touched=item.data.all_touched)
    if item.points is not None:
        _burn_points(labels, item, _radius(item, scene), window, codes)
    if item.ignore:
        _areas(item.ignore, _required(item, scene).crs).burn(labels, plane, all_touched=True)
    return labels


def _mask(item: Item, shape: tuple[int, int], window: Window, codes: Mapping[str, int]) -> Labels:
    """A window of a mask: of numbers, or of colours where the keys of `codes` are colours."""
    what = f"cannot read the mask {item.mask}"
    with translated(SceneError, what, "fetch it again"), open_input(str(item.mask)) as dataset:
        if dataset.shape != shape:
            raise RecipeError(f"the mask {item.mask} has {_size(dataset.shape)} px, its image {item.image} "
                              f"{_size(shape)}; cut them to one size")  # fmt: skip
        colors = any(key.startswith("#") for key in codes)
        place = RioWindow(window.col, window.row, window.width, window.height)
        values = _colors(dataset, place) if colors else dataset.read(1, window=place)
        nodata = None if colors else dataset.nodata
    numbers = numbered(codes, item.data)
    if nodata is not None and float(nodata).is_integer():
        numbers = {int(nodata): IGNORE} | numbers
    return translate(values, numbers, str(item.mask), "#{:06x}" if colors else "{}")


def _colors(dataset: Any, place: RioWindow) -> NDArray[np.int32]:
    """Each pixel's colour as 0xrrggbb, of a palette or of three bands."""
    if dataset.count < 3:
        table = np.zeros((256, 3), np.int32)
        for value, color in dataset.colormap(1).items():
            table[value] = color[:3]
        rgb = table[dataset.read(1, window=place)]
    else:
        rgb = dataset.read((1, 2, 3), window=place).transpose(1, 2, 0).astype(np.int32)
    return np.asarray(rgb @ np.array([1 << 16, 1 << 8, 1], np.int32))


def _classes(item: Item, scene: Scene, codes: Mapping[str, int]) -> Polygons:
    """The set's polygons with the code of each, in the scene's CRS."""
    crs = _required(item, scene).crs
    assert item.polygons is not None
    return _coded(item.polygons, crs, item.data.class_field, tuple(sorted(codes.items())), item.data.name)


def _required(item: Item, scene: Scene) -> GeoBox:
    """The scene's pixel plane, which polygons need."""
    scene.geobox.require_transform("a vector file of labels")
    if not scene.geobox.georeferenced:
        raise RecipeError(f"{item.image} has no georeference, which polygons of data {item.data.name} need; "
                          "give masks instead")  # fmt: skip
    return scene.geobox


@lru_cache(64)
def _coded(path: Path, crs: Any, field: str, codes: tuple[tuple[str, int], ...], name: str) -> Polygons:
    return read_polygons(path, crs, partial(_values, path=path, field=field, codes=dict(codes), name=name))


@lru_cache(64)
def _areas(path: Path, crs: Any) -> Polygons:
    return read_polygons(path, crs, lambda frame: [IGNORE] * len(frame))


def _values(frame: Any, path: Path, field: str, codes: Mapping[str, int], name: str) -> Sequence[int]:
    """The code of each polygon; whole numbers in columns of decimals are whole numbers."""
    if field and field not in frame:
        columns = ", ".join(map(str, frame.columns.drop(frame.geometry.name)))
        raise RecipeError(
            f"{path} has no attribute {field!r}, the class_field of data {name}; it has {columns}"
        )
    values = frame[field] if field else [1] * len(frame)
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    if unknown := set(texts) - set(codes):
        got = min(unknown)
        raise RecipeError(f'{path} holds the value {got}; labels of data {name} lists '
                          f'{", ".join(codes)}: add it, as "{got}" = "ignore"')  # fmt: skip
    return [codes[text] for text in texts]


def _radius(item: Item, scene: Scene) -> float:
    """Of a point's disc, pixels."""
    size = item.data.pixel_size_m or scene.geobox.side_m()
    if size is None:
        raise RecipeError(f"{item.image} has no georeference, which point_radius_m needs; give pixel_size_m")
    return item.data.point_radius_m / size


def _burn_points(labels: Labels, item: Item, radius: float, window: Window, codes: Mapping[str, int]) -> None:
    """Discs around the centres of the pixels that points name."""
    if "1" not in codes:
        raise RecipeError(f'data {item.data.name} has points, but labels does not say what "1" is; add it')
    assert item.points is not None
    height, width = window.shape
    for x, y in item.points - (window.col, window.row):
        top, left = max(0, math.ceil(y - radius)), max(0, math.ceil(x - radius))
        rows, cols = np.ogrid[top : min(height, int(y + radius) + 1), left : min(width, int(x + radius) + 1)]
        labels[top:, left:][: rows.size, : cols.size][np.hypot(rows - y, cols - x) <= radius] = codes["1"]


def _size(shape: tuple[int, int]) -> str:
    return " × ".join(map(str, shape))
