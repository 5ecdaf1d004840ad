"""Where the patches of a batch are cut."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.random import Generator

from geoseg.errors import RecipeError
from geoseg.recipe.data import Patches
from geoseg.recipe.recipe import Recipe
from geoseg.training.augment import pose
from geoseg.training.draws import draw, units_of
from geoseg.training.patches import Frame, bounds, frame, grid, level_of
from geoseg.training.pictures import Picture, Tile

DRAW, PATCH = 1, 2  # first numbers of the seeds of an epoch's order and of a patch
FINEST = 0.5  # pixels of a picture per pixel of a training patch
Scale = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A patch to be cut.

    Attributes:
        picture: from which.
        tile: the image it is named after.
        frame: where.
        rng: of its augmentation; None for none.
    """

    picture: Picture
    tile: Tile
    frame: Frame
    rng: Generator | None = None


class Plan(Protocol):
    """The batches of an epoch."""

    def __len__(self) -> int:
        """How many."""

    @property
    def halvings(self) -> int:
        """How often pixels are halved, at most."""

    def places(self, epoch: int, index: int) -> list[Place]:
        """The patches of one of them."""


class TrainingPlan:
    """Random patches; sets are mixed by share, in every batch, and images by area (or, whole, evenly)."""

    def __init__(self, recipe: Recipe, pictures: Sequence[Picture]) -> None:
        self.recipe = recipe
        self.whole = recipe.patches.how == "resize"
        self.units, weights = units_of(pictures, self.whole)
        ranges = [_range(recipe.patches, picture) for picture in pictures]
        zoom = max(recipe.augment.scale, 1.0)
        self.halvings = 0 if self.whole else max(_level(high, zoom) for _, high in ranges)
        count = recipe.patches.per_epoch or sum(_count(recipe.patches, picture) for picture in pictures)
        batches, size = math.ceil(count / recipe.fit.batch_size), recipe.fit.batch_size
        self.batches = batches
        self.order = lru_cache(4)(
            lambda epoch: draw(weights, batches, size, np.random.default_rng([DRAW, recipe.seed, epoch]))
        )

    def __len__(self) -> int:
        """Batches an epoch; all are full: the number of patches is rounded up."""
        return self.batches

    def places(self, epoch: int, index: int) -> list[Place]:
        """The patches of a batch."""
        places = []
        for k, unit in enumerate(self.order(epoch)[index]):
            rng = np.random.default_rng([PATCH, self.recipe.seed, epoch, index, k])
            places.append(self._place(*self.units[int(unit)], rng))
        return places

    def _place(self, picture: Picture, tile: Tile, rng: Generator) -> Place:
        size, turned = self.recipe.patches.size, pose(self.recipe.augment, rng)
        if self.whole:
            shift = rng.uniform(-1, 1, 2) * self.recipe.augment.shift
            return Place(picture, tile, frame(size, tuple(size * (0.5 + shift)), (1, 1), turned), rng)
        low, high = _range(self.recipe.patches, picture)
        scale = _between(low, high, rng.random())
        reach = [size * side * turned.zoom / 2 for side in scale]
        window = tile.window
        x = _anywhere((window.col, window.stop_col), picture.shape[1], reach[0], rng)
        y = _anywhere((window.row, window.stop_row), picture.shape[0], reach[1], rng)
        return Place(picture, tile, frame(size, (x, y), scale, turned), rng)


class GridPlan:
    """Every picture once, in order and untouched; the last batch may be short."""

    def __init__(self, recipe: Recipe, pictures: Sequence[Picture]) -> None:
        self.batch_size = recipe.fit.batch_size
        self.all = [place for picture in pictures for place in _covering(recipe.patches, picture)]
        most = recipe.patches.how == "crop"
        self.halvings = max((level_of(place.frame, 16) for place in self.all if most), default=0)

    def __len__(self) -> int:
        """Batches."""
        return math.ceil(len(self.all) / self.batch_size)

    def places(self, epoch: int, index: int) -> list[Place]:
        """The patches of a batch, the same in every epoch."""
        start = index * self.batch_size
        return list(islice(self.all, start, start + self.batch_size))


def _covering(patches: Patches, picture: Picture) -> list[Place]:
    """The patches of a grid that touch an image, each named after the image in its centre."""
    if patches.how == "resize":
        size = patches.size
        return [Place(picture, picture.tiles[0], frame(size, (size / 2, size / 2), (1, 1)))]
    found = []
    for matrix in grid(picture.shape, patches.size, _scale(patches, picture)):
        if tiles := list(picture.touching(bounds(matrix, patches.size))):
            x, y = matrix @ (patches.size / 2, patches.size / 2, 1)
            found.append(Place(picture, min(tiles, key=lambda tile: _distance(tile, x, y)), matrix))
    return found


def _distance(tile: Tile, x: float, y: float) -> float:
    """From a point to the middle of a tile."""
    return math.hypot(
        x - tile.window.col - tile.window.width / 2, y - tile.window.row - tile.window.height / 2
    )


def _range(patches: Patches, picture: Picture) -> tuple[Scale, Scale]:
    """The finest and coarsest scale of training patches; none that would invent most of its pixels."""
    low, high = (_scaled(size, picture) for size in patches.pixel_sizes_m or (None, None))
    mean = math.sqrt(low[0] * low[1])
    factor = max(1.0, min(FINEST / mean, high[0] / low[0]))
    return (low[0] * factor, low[1] * factor), high


def _scale(patches: Patches, picture: Picture) -> Scale:
    """The scale of validation patches: coarser pictures keep their own pixels, up to the range's end."""
    size, most = patches.val_pixel_size_m, math.inf
    if patches.pixel_sizes_m:
        size = size or math.sqrt(patches.pixel_sizes_m[0] * patches.pixel_sizes_m[1])
        most = max(1.0, patches.pixel_sizes_m[1] / size)
    wanted = _scaled(size, picture)
    own = min(max(1.0, 1 / min(wanted)), most)
    return wanted[0] * own, wanted[1] * own


def _scaled(size_m: float | None, picture: Picture) -> Scale:
    """Pixels of the picture along x and y per pixel of `size_m` metres; 1 for its own pixels."""
    if size_m is None:
        return 1.0, 1.0
    if picture.pixel_m is None:
        raise RecipeError(f"{picture.tiles[0].item.image} has no georeference, which pixel_sizes_m needs; "
                          f"give data {picture.data.name} a pixel_size_m")  # fmt: skip
    return size_m / picture.pixel_m[1], size_m / picture.pixel_m[0]


def _between(low: Scale, high: Scale, share: float) -> Scale:
    """A scale between two, even in its logarithm."""
    x, y = (a * (b / a) ** share for a, b in zip(low, high, strict=True))
    return x, y


def _level(scale: Scale, zoom: float) -> int:
    return level_of(np.array([[scale[0] * zoom, 0, 0], [0, scale[1] * zoom, 0]]), 16)


def _count(patches: Patches, picture: Picture) -> int:
    """Patches that cover a picture once."""
    return 1 if patches.how == "resize" else len(_covering(patches, picture))


def _anywhere(span: tuple[int, int], length: int, reach: float, rng: Generator) -> float:
    """A centre inside `span` whose patch of half size `reach` stays inside the picture, if there is one."""
    inset = min(reach, length / 2)
    low, high = (min(max(end, inset), length - inset) for end in span)
    return float(rng.uniform(low, high))
