"""Encoders that have learned elsewhere: their weights found, fitted to other bands, and kept from harm."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from geoseg.errors import ModelError, in_a_line
from geoseg.models.backbones import PRETRAINED, Builder, build_mobilenet_v2
from geoseg.models.blocks import BATCH_NORM_MOMENTUM, conv_block

IMAGENET_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


def pretrained(
    x: keras.KerasTensor,
    encoder: str = "mobilenet_v2",
    *,
    depth: int = 5,
    alpha: float = 1.0,
    weights: str | Path | None = None,
    freeze_batch_norm: bool = True,
    stem: int = 0,
) -> dict[int, keras.KerasTensor]:
    """MobileNetV2 or EfficientNet-Lite0, optionally with weights learned on ImageNet.

    A pre-trained network's batch normalization keeps the statistics it was trained with
    (`freeze_batch_norm`): with Keras' momentum of 0.999 they would lag thousands of steps behind the
    weights, and `fit` trains them even where a model was called with `training=False`. Unfrozen layers get
    the momentum of our own blocks instead. Without pre-trained weights there are no statistics to keep and
    nothing is frozen.

    With pre-trained weights and `bands` other than 3 the first kernel is adapted: the first three bands keep
    the kernels of red, green and blue, each further band gets their mean, fewer than three bands all get
    the mean, and everything is multiplied by 3 / bands, so that a grey image gives the same features.

    Args:
        x: tensor (batch, height, width, bands) of -1…1; height and width even down to the last stride.
        encoder: one of `PRETRAINED`.
        depth: deepest level, 1…5; the features reach to stride 2**depth.
        alpha: width multiplier; ImageNet weights exist for MobileNetV2 at 0.35, 0.5, 0.75, 1.0, 1.3 and 1.4,
            for EfficientNet-Lite0 at 1.0.
        weights: None for random ones, "imagenet" for those of Keras (its cache, else a download), which has
            MobileNetV2 only, or the path of a .h5 file that holds the network without its top.
        freeze_batch_norm: keep pre-trained statistics, scales and offsets of batch normalization.
        stem: filters of an extra convolution block at full resolution, which these networks lack; 0 leaves
            it, and `features[1]`, out.

    Returns:
        Features by stride, `{1 if stem, 2, …, 2**depth}`.

    Raises:
        ModelError: weights that cannot be found, downloaded or fitted.
    """
    kind = PRETRAINED[encoder]
    network = kind.build(x, alpha=alpha)
    if weights is not None:
        copy_weights(load_pretrained(kind.build, alpha, weights), network)
    prepare_batch_norm(network, frozen=freeze_batch_norm and weights is not None)
    features = {1: conv_block(x, stem, name="x_0_0")} if stem else {}
    for stride, name in kind.ends.items():
        if stride <= 2**depth:
            features[stride] = network.get_layer(name).output
    return features


def load_pretrained(build: Builder, alpha: float, weights: str | Path) -> keras.Model:
    """A network for three bands with weights learned elsewhere.

    Args:
        build: makes it with random weights.
        alpha: width multiplier.
        weights: "imagenet" for those of Keras (its cache, else a download), or the path of a .h5 file.

    Raises:
        ModelError: weights that cannot be found, downloaded or fitted.
    """
    if weights == "imagenet":
        return _of_keras(build, alpha)
    if not Path(weights).is_file():
        raise ModelError(f"no encoder weights at {weights}; pass an existing .h5 file, 'imagenet' or None")
    network = build(keras.Input((None, None, 3)), alpha=alpha)
    try:
        with warnings.catch_warnings(action="ignore"):  # a hundred of them precede the error
            network.load_weights(weights)
    except Exception as error:
        raise ModelError(
            f"{weights} does not fit {network.name} of alpha {alpha} without top ({in_a_line(error)}); "
            "pass its own alpha or another file"
        ) from error
    return network


def _of_keras(build: Builder, alpha: float) -> keras.Model:
    if build is not build_mobilenet_v2:
        raise ModelError(
            "Keras has ImageNet weights of MobileNetV2 only; pass weights=PATH of a file made by "
            "pipelines/encoder_weights.py"
        )
    if alpha not in IMAGENET_ALPHAS:
        raise ModelError(f"no ImageNet weights for alpha {alpha}; choose one of: {IMAGENET_ALPHAS}")
    try:
        load: Callable[..., keras.Model] = keras.applications.MobileNetV2
        return load(input_shape=(224, 224, 3), alpha=alpha, include_top=False, weights="imagenet")
    except Exception as error:
        cache = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"
        raise ModelError(
            f"no MobileNetV2 weights of alpha {alpha} in {cache} and none could be downloaded "
            f"({in_a_line(error)}); pass weights=PATH of a .h5 file"
        ) from error


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy weights layer by layer to the same network, its first kernel fitted to the target's bands."""
    first = next(layer for layer in source.layers if isinstance(layer, layers.Conv2D))
    for layer in source.layers:
        if values := layer.get_weights():
            copy = target.get_layer(layer.name)
            copy.set_weights([adapt_bands(values[0], copy.kernel.shape[2])] if layer is first else values)


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
