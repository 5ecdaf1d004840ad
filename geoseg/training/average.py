"""A moving average of all weights, batch normalization's statistics among them, which generalizes better.

Polyak and Juditsky 1992; the momentum rises at the start as in TensorFlow's ExponentialMovingAverage, so that
short runs do not keep their first weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

EVERY = 8  # steps between updates, which then count for so many: less than 1 % of the time


class Average:
    """The average of a model's weights; of none when `momentum` is 0, so that it changes nothing.

    Attributes:
        values: float32 tensors in the order of the model's weights.
    """

    def __init__(self, model: keras.Model, momentum: float) -> None:
        self._momentum = momentum
        self._variables = model.weights if momentum else []
        self.values: list[Any] = [ops.array(value) for value in _copies(self._variables)]

    def update(self, step: int) -> None:
        """Move towards the present weights; `step` counts from 1 over the whole training."""
        if step % EVERY:
            return
        share = 1 - min(self._momentum, (1 + step) / (10 + step)) ** EVERY
        self.values = [
            value + share * (ops.convert_to_tensor(variable) - value)
            for variable, value in zip(self._variables, self.values, strict=True)
        ]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the average as its weights inside the `with` block."""
        present = _copies(self._variables)
        self._assign(self.values)
        try:
            yield
        finally:
            self._assign(present)

    def _assign(self, values: list[Any]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(ops.copy(value))  # JAX gives a variable's own array away when it computes


def _copies(variables: list[Any]) -> list[NDArray[Any]]:
    """Values that stay as they are when the variables change."""
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]
