"""One image and its labels as arrays, whole or by window."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning

from geoseg.core.filters import Pixels, Valid
from geoseg.core.scaling import Scaling
from geoseg.core.window import Window
from geoseg.geo.scene import Scene, open_scene
from geoseg.recipe.recipe import Recipe
from geoseg.training.catalog import Item
from geoseg.training.codes import IGNORE, Labels
from geoseg.training.labelling import read_labels

# what `open_raster` does is not for threads
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

NEUTRAL = 128  # the byte of pixels far from any data


@dataclass(frozen=True, slots=True)
class Extent:
    """What is known of an image without decoding it.

    Attributes:
        shape: (height, width), pixels.
        pixel_m: (height, width) of a pixel on the ground, metres; None when unknown.
    """

    shape: tuple[int, int]
    pixel_m: tuple[float, float] | None


def measure(recipe: Recipe, item: Item) -> Extent:
    """The extent of an image.

    Raises:
        GeosegError: when it cannot be opened, or lacks the network's bands.
    """
    with _opened(recipe.network.bands, item) as scene:
        size = item.data.pixel_size_m
        return Extent(scene.shape, (size, size) if size else scene.geobox.pixel_size_m())


def decode(recipe: Recipe, item: Item, window: Window) -> tuple[NDArray[np.uint8], Valid, Labels]:
    """Read a window of an image with its labels.

    Args:
        recipe: bands and classes.
        item: the image.
        window: inside the image.

    Returns:
        (h, w, bands) uint8 pixels, scaled as prediction would; (h, w) bool, True = has data; (h, w) uint8
        labels in geoseg's coding, 255 where there is no data.

    Raises:
        GeosegError: a file that cannot be read, a mask of another size, or a value that is not listed.
    """
    with _opened(recipe.network.bands, item) as scene:
        pixels, valid = scene.read(window)
        scaling = Scaling() if scene.dtype == "uint8" else _scaling(recipe.network.bands, item)
        labels = read_labels(recipe, item, scene, window)
    labels[~valid] = IGNORE
    return as_bytes(pixels, valid, scaling), valid, labels


def as_bytes(pixels: Pixels, valid: Valid, scaling: Scaling) -> NDArray[np.uint8]:
    """Pixels of any dtype scaled to 0 … 255 and rounded; those without data are neutral."""
    if pixels.dtype == np.uint8 and scaling.identity:
        return pixels
    scaled = np.where(valid[..., None], pixels, np.float32(scaling.neutral)).astype(np.float32)
    return np.asarray(np.rint(scaling(scaled)), np.uint8)


def _opened(bands: tuple[str, ...], item: Item) -> AbstractContextManager[Scene]:
    bidx = item.data.bidx or None
    return open_scene(item.image, bands, bidx=bidx, nodata=item.data.nodata, quiet=True)


@lru_cache(4096)
def _scaling(bands: tuple[str, ...], item: Item) -> Scaling:
    """Of the whole image, since it does not belong to a window."""
    with _opened(bands, item) as scene:
        return scene.scaling()
