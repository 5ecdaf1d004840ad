"""MobileNetV2-U-Net: a U-Net decoder on a small encoder that knows ImageNet.

Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018
(arXiv:1801.04381), as encoder of Ronneberger et al. 2015. Pre-trained features are what carries over to
places that the training data does not show.
"""

from collections.abc import Sequence
from pathlib import Path

import keras

from geoseg.errors import ModelError
from geoseg.models.blocks import head, image_input
from geoseg.models.pretrained import pretrained
from geoseg.models.unet import decode

_STRIDES = (16, 8, 4, 2, 1)


def build_mobilenet_unet(
    *,
    bands: int = 3,
    classes: int = 1,
    activation: str = "sigmoid",
    patch_size: int | None = None,
    decoder: Sequence[int] = (512, 256, 128, 64),
    dropout: float = 0.0,
    up: str = "nearest",
    up_kernel: int = 2,
    alpha: float = 1.0,
    weights: str | Path | None = None,
    freeze_batch_norm: bool = True,
    freeze_encoder: bool = False,
    name: str = "mobilenet_unet",
) -> keras.Model:
    """Build a U-Net with a MobileNetV2 encoder; its stride is 32.

    Args:
        bands: input bands; pixel values are 0…255 in any numeric type. How pre-trained weights are fitted
            to other than 3 bands is told at `pretrained.pretrained`.
        classes: output channels.
        activation: "sigmoid" for independent classes, "softmax" for classes that exclude each other.
        patch_size: height and width in px, a multiple of 32; None takes any multiple.
        decoder: filters of the decoder at strides 16, 8, 4, 2 and 1. With four numbers it ends at half
            resolution and the logits are doubled, which is much cheaper; a small one is (96, 64, 48, 32).
        dropout: share of values dropped in training at the start of each decoder block, 0…1.
        up: "nearest" repeats pixels, "transpose" is a transposed convolution of stride 2.
        up_kernel: kernel size of the transposed convolution in px.
        alpha: width multiplier of the encoder.
        weights: None, "imagenet" or the path of a .h5 file.
        freeze_batch_norm: keep the batch normalization of pre-trained weights as it is.
        freeze_encoder: train the decoder only.
        name: name of the model.

    Returns:
        Model from (batch, height, width, bands) to float32 probabilities (batch, height, width, classes).

    Raises:
        ModelError: arguments that do not fit together, or weights that cannot be loaded.
    """
    if len(decoder) not in (4, 5):
        raise ModelError(f"decoder needs 4 or 5 numbers of filters, got {tuple(decoder)}")
    image, x = image_input(bands, patch_size, 32)
    stem = decoder[4] if len(decoder) == 5 else 0
    features = pretrained(x, alpha=alpha, weights=weights, freeze_batch_norm=freeze_batch_norm, stem=stem)
    if freeze_encoder:
        for layer in keras.Model(image, features[32]).layers:
            layer.trainable = False
    filters = dict(zip(_STRIDES, decoder, strict=False))
    x = decode(features, filters, dropout=dropout, up=up, up_kernel=up_kernel)
    outputs = head(x, classes, activation, name="probabilities", scale=min(features))
    return keras.Model(image, outputs, name=name)
