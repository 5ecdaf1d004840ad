"""Weights with which overlapping patches are blended, a partition of unity by construction.

Both tapers are separable, so the weight of a pixel is the product of a row weight and a column
weight, and dividing each axis by its own sum makes the sum over all patches 1: there is no weight
plane and no final division.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.core.grid import Axis


def ramp(overlap: int) -> NDArray[np.float64]:
    """The rising half of a sin² (Hann) window, sampled at half pixels so that no weight is 0.

    Args:
        overlap: pixels over which the weight rises from 0 to 1.

    Returns:
        (overlap,) float64 in (0, 1); `ramp + ramp[::-1]` is 1.
    """
    return np.sin(np.pi * (np.arange(overlap) + 0.5) / (2 * overlap)) ** 2


def axis_weights(axis: Axis) -> NDArray[np.float32]:
    """Weights of every patch along one axis, summing to 1 at every pixel of the scene.

    A blended axis (`lead` 0) has sin² ramps where neighbours overlap and none at the scene's ends.
    A cropped axis has weight 1 in the core and 0 in the halo.

    Returns:
        (count, size) float32.
    """
    weights = np.ones((axis.count, axis.size))
    if axis.lead:
        weights[:, : axis.lead] = weights[:, -axis.lead :] = 0
    elif axis.size > axis.step:
        rising = ramp(axis.size - axis.step)
        weights[1:, : len(rising)] *= rising
        weights[:-1, -len(rising) :] *= rising[::-1]
    return (weights / _covered(axis, weights)).astype(np.float32)


def _covered(axis: Axis, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of all weights at each pixel of each patch, (count, size); 1 where it is 0."""
    total = np.zeros((axis.count - 1) * axis.step + axis.size)
    views = [total[i * axis.step : i * axis.step + axis.size] for i in range(axis.count)]
    for view, row in zip(views, weights, strict=True):
        view += row
    total[total == 0] = 1
    return np.stack(views)
