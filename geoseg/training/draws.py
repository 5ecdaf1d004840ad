"""Which image each training patch of an epoch comes from."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geoseg.training.pictures import Picture, Tile

Unit = tuple[Picture, Tile]


def units_of(pictures: Sequence[Picture], whole_images: bool) -> tuple[list[Unit], NDArray[np.float64]]:
    """All images with their weights, which sum to 1: shares of sets, divided by area or, whole, by number."""
    units = [(picture, tile) for picture in pictures for tile in picture.tiles if picture.data.share > 0]
    amounts = np.array([1.0 if whole_images else math.prod(tile.window.shape) for _, tile in units])
    names = [picture.data.name for picture, _ in units]
    totals = {name: sum(a for a, n in zip(amounts, names, strict=True) if n == name) for name in set(names)}
    shares = np.array([picture.data.share / totals[picture.data.name] for picture, _ in units])
    weights = amounts * shares
    return units, weights / weights.sum()


def draw(weights: NDArray[np.float64], batches: int, batch_size: int, rng: Generator) -> NDArray[np.intp]:
    """The units of every patch of an epoch, (batches, batch_size).

    A comb with even teeth along the sums of the weights takes every unit as often as its weight says, to
    less than 1. Neighbouring teeth make a stratum, and each batch has one tooth of every stratum, at
    random: so every batch holds the sets in their shares, to less than 1 patch each.
    """
    count = batches * batch_size
    teeth = (np.arange(count) + rng.random()) / count
    chosen = np.searchsorted(np.cumsum(weights)[:-1], teeth, side="right")
    return np.column_stack([rng.permutation(stratum) for stratum in chosen.reshape(batch_size, batches)])
