"""Weights learned elsewhere: found, fitted to other bands, and kept from harm in training."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from geoseg.errors import ModelError, in_a_line
from geoseg.models.blocks import BATCH_NORM_MOMENTUM

IMAGENET_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def load_mobilenet_v2(alpha: float, weights: str | Path) -> keras.Model:
    """MobileNetV2 for three bands, without its top.

    Args:
        alpha: width multiplier.
        weights: "imagenet" for those of Keras (its cache, else a download), or the path of a .h5 file.

    Raises:
        ModelError: weights that cannot be found, downloaded or fitted.
    """
    load: Callable[..., keras.Model] = keras.applications.MobileNetV2
    if weights == "imagenet":
        if alpha not in IMAGENET_ALPHAS:
            raise ModelError(f"no ImageNet weights for alpha {alpha}; choose one of: {IMAGENET_ALPHAS}")
        try:
            return load(input_shape=(224, 224, 3), alpha=alpha, include_top=False, weights="imagenet")
        except Exception as error:
            cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
            raise ModelError(
                f"no MobileNetV2 weights of alpha {alpha} in {cache} and none could be downloaded "
                f"({in_a_line(error)}); pass weights=PATH of a .h5 file"
            ) from error
    if not Path(weights).is_file():
        raise ModelError(f"no encoder weights at {weights}; pass an existing .h5 file, 'imagenet' or None")
    network = load(input_shape=(None, None, 3), alpha=alpha, include_top=False, weights=None)
    try:
        with warnings.catch_warnings(action="ignore"):  # a hundred of them precede the error
            network.load_weights(weights)
    except Exception as error:
        raise ModelError(
            f"{weights} does not fit MobileNetV2 of alpha {alpha} without top ({in_a_line(error)}); "
            "pass its own alpha or another file"
        ) from error
    return network


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy MobileNetV2's weights layer by layer, its first kernel fitted to the target's bands."""
    for layer in source.layers:
        values = layer.get_weights()
        if layer.name == "Conv1":
            values = [adapt_bands(values[0], target.get_layer("Conv1").kernel.shape[2])]
        if values:
            target.get_layer(layer.name).set_weights(values)


def adapt_bands(kernel: np.ndarray, bands: int) -> np.ndarray:
    """Fit a first convolution for red, green and blue to another number of bands.

    Args:
        kernel: (height, width, 3, filters).
        bands: number of input bands wanted.

    Returns:
        Kernel (height, width, bands, filters) that answers to a grey image as the given one does.
    """
    if bands == 3:
        return kernel
    mean = kernel.mean(axis=2, keepdims=True)
    rgb = kernel if bands > 3 else mean[:, :, :0]
    extra = np.repeat(mean, bands - rgb.shape[2], axis=2)
    adapted: np.ndarray = np.concatenate([rgb, extra], axis=2) * (3 / bands)
    return adapted


def prepare_batch_norm(network: keras.Model, *, frozen: bool) -> None:
    """Freeze a network's batch normalization, or let it keep pace with training as our own blocks do."""
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = not frozen
            layer.momentum = BATCH_NORM_MOMENTUM
