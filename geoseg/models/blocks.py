"""The pieces that all architectures share: input, convolution block, up-sampling, head."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from geoseg.errors import ModelError

ACTIVATIONS = ("sigmoid", "softmax")
UPSAMPLING = ("nearest", "transpose")

# Keras' default of 0.99 lags behind the weights in runs of a few thousand steps, and MobileNetV2's 0.999
# ruins them: training looks fine while inference uses stale statistics.
BATCH_NORM_MOMENTUM = 0.97


def check_input_size(size: int | Sequence[int], stride: int) -> None:
    """Check that an input of this size passes through a network of this stride.

    Args:
        size: height and width in px, or one number for both.
        stride: the network's stride in px (`Footprint.stride`).

    Raises:
        ModelError: a size that is not a positive multiple of the stride.
    """
    for side in (size,) if isinstance(size, int) else size:
        if side < 1 or side % stride:
            use = max(1, math.ceil(side / stride)) * stride
            raise ModelError(f"patch size {side} is not a multiple of {stride}; use {use}")


def image_input(
    bands: int, patch_size: int | None, stride: int
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Input of 0…255 and the same scaled to -1…1.

    Args:
        bands: number of input bands.
        patch_size: height and width in px; None leaves both open to any multiple of the stride.
        stride: what the patch size must be a multiple of.

    Returns:
        The input tensor (batch, height, width, bands), which takes any numeric type and is cast to float32,
        and the scaled float32 tensor.

    Raises:
        ModelError: no bands, or a patch size that does not fit the stride.
    """
    if bands < 1:
        raise ModelError(f"a network needs at least one input band, got {bands}")
    if patch_size is not None:
        check_input_size(patch_size, stride)
    image = keras.Input((patch_size, patch_size, bands), dtype="float32", name="image")
    # Scaled in float32 also under mixed precision: bfloat16 would merge neighbouring grey values.
    return image, layers.Rescaling(1 / 127.5, offset=-1.0, dtype="float32", name="scale")(image)


def conv(
    x: keras.KerasTensor, filters: int, *, name: str, kernel: int = 3, batch_norm: bool = True
) -> keras.KerasTensor:
    """Convolution, batch normalization unless switched off, ReLU; the ReLU bears the name."""
    x = layers.Conv2D(
        filters,
        kernel,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    if batch_norm:
        x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"{name}_bn")(x)
    return layers.ReLU(name=name)(x)


def conv_block(
    x: keras.KerasTensor, filters: int, *, name: str, dropout: float = 0.0, batch_norm: bool = True
) -> keras.KerasTensor:
    """Dropout and two 3×3 convolutions; the last layer bears the block's name.

    Args:
        x: tensor (batch, height, width, channels).
        filters: channels of both convolutions.
        name: name of the block's output layer and prefix of the others.
        dropout: share of values dropped in training before the first convolution, 0…1.
        batch_norm: normalize after each convolution, which then has no bias.
    """
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    x = conv(x, filters, name=f"{name}_first", batch_norm=batch_norm)
    return conv(x, filters, name=name, batch_norm=batch_norm)


def upsample(x: keras.KerasTensor, filters: int, *, kind: str, kernel: int, name: str) -> keras.KerasTensor:
    """Double height and width.

    Args:
        x: tensor (batch, height, width, channels).
        filters: channels of a transposed convolution; "nearest" keeps the channels of `x`.
        kind: "nearest" repeats pixels, "transpose" is a transposed convolution of stride 2. Neither needs
            to know height and width beforehand, which Keras' bilinear up-sampling does.
        kernel: kernel size of the transposed convolution in px.
        name: name of the layer.

    Raises:
        ModelError: an unknown kind.
    """
    if kind == "nearest":
        return layers.UpSampling2D(name=name)(x)
    if kind == "transpose":
        return layers.Conv2DTranspose(filters, kernel, strides=2, padding="same", name=name)(x)
    raise ModelError(f"unknown up-sampling {kind!r}; choose one of: {', '.join(UPSAMPLING)}")


def head(
    x: keras.KerasTensor, classes: int, activation: str, *, name: str, scale: int = 1
) -> keras.KerasTensor:
    """1×1 convolution to one logit per class, and probabilities in float32 whatever the precision.

    Args:
        x: tensor (batch, height, width, channels).
        classes: number of output channels.
        activation: "sigmoid" for independent classes, "softmax" for classes that exclude each other.
        name: name of the output layer.
        scale: 2 doubles height and width of the logits by a transposed convolution that starts as bilinear
            interpolation and is trained further (Long, Shelhamer and Darrell 2015, section 3.3).

    Returns:
        Tensor (batch, scale·height, scale·width, classes) of probabilities 0…1.

    Raises:
        ModelError: an unknown activation, or one that does not fit the number of classes.
    """
    _check_classes(classes, activation)
    x = layers.Conv2D(classes, 1, name=f"{name}_logits")(x)
    if scale == 2:
        double = layers.Conv2DTranspose(classes, 4, strides=2, padding="same", name=f"{name}_logits_x2")
        x = double(x)
        double.set_weights([_bilinear_kernel(classes), np.zeros(classes)])
    return layers.Activation(activation, dtype="float32", name=name)(x)


def _check_classes(classes: int, activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise ModelError(f"unknown activation {activation!r}; choose one of: {', '.join(ACTIVATIONS)}")
    least = 2 if activation == "softmax" else 1
    if classes < least:
        raise ModelError(f"{activation} needs at least {least} classes, got {classes}; use sigmoid for one")


def _bilinear_kernel(classes: int) -> np.ndarray:
    """Kernel (4, 4, classes, classes) of a stride-2 transposed convolution that interpolates linearly."""
    line = np.array([0.25, 0.75, 0.75, 0.25])
    square: np.ndarray = line[:, None, None, None] * line[None, :, None, None] * np.eye(classes)
    return square
