"""U-Net.

Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015
(arXiv:1505.04597), with padded convolutions, so that output and input have the same size, and batch
normalization. The encoder may be a MobileNetV2.
"""

from collections.abc import Mapping
from pathlib import Path

import keras
from keras import layers

from geoseg.models.blocks import conv_block, head, image_input, upsample
from geoseg.models.encoders import encode, encoder_depth


def build_unet(
    *,
    bands: int = 3,
    classes: int = 1,
    activation: str = "sigmoid",
    patch_size: int | None = None,
    width: int = 64,
    depth: int | None = None,
    dropout: float = 0.0,
    batch_norm: bool = True,
    up: str = "nearest",
    up_kernel: int = 2,
    encoder: str = "plain",
    alpha: float = 1.0,
    weights: str | Path | None = None,
    freeze_batch_norm: bool = True,
    full_resolution: bool = True,
    lateral: bool = False,
    name: str = "unet",
) -> keras.Model:
    """Build a U-Net.

    The classic network of street scenes, 34,514,060 parameters at 12 classes, is `build_unet(classes=12,
    activation="softmax", batch_norm=False, dropout=0.3, up="transpose", up_kernel=3)`.

    Args:
        bands: input bands; pixel values are 0…255 in any numeric type.
        classes: output channels.
        activation: "sigmoid" for independent classes, "softmax" for classes that exclude each other.
        patch_size: height and width in px, a multiple of the stride; None takes any multiple.
        width: filters at full resolution; each level doubles them.
        depth: number of times the resolution is halved, so the stride is 2**depth; None means 4, or 5 with
            an encoder that is not plain (and at most 5).
        dropout: share of values dropped in training at the start of each block but the first, 0…1.
        batch_norm: normalize after each convolution of the blocks.
        up: "nearest" repeats pixels, "transpose" is a transposed convolution of stride 2.
        up_kernel: kernel size of the transposed convolution in px.
        encoder: "plain" convolutions, "mobilenet_v2" or "efficientnet_lite0"; with "_short" behind its name
            one that lacks the last blocks.
        alpha: width multiplier of an encoder that is not plain.
        weights: of such an encoder: None, "imagenet" (MobileNetV2 only) or the path of a .h5 file.
        freeze_batch_norm: keep the batch normalization of pre-trained weights as it is.
        full_resolution: False ends the decoder at half resolution and doubles the logits: several times
            cheaper, with softer outlines.
        lateral: narrow encoder features that are wider than the decoder there, `width` times the stride,
            by 1×1 convolutions: most of the multiplications beside such an encoder are saved.
        name: name of the model.

    Returns:
        Model from (batch, height, width, bands) to float32 probabilities (batch, height, width, classes).

    Raises:
        ModelError: arguments that do not fit together, or weights that cannot be loaded.
    """
    depth = encoder_depth(encoder, depth, weights)
    image, x = image_input(bands, patch_size, 2**depth)
    features = encode(
        x,
        encoder,
        width=width,
        depth=depth,
        dropout=dropout,
        batch_norm=batch_norm,
        alpha=alpha,
        weights=weights,
        freeze_batch_norm=freeze_batch_norm,
        full_resolution=full_resolution,
        lateral=lateral,
    )
    filters = {stride: width * stride for stride in features}
    x = decode(features, filters, dropout=dropout, batch_norm=batch_norm, up=up, up_kernel=up_kernel)
    outputs = head(x, classes, activation, name="probabilities", scale=min(features))
    return keras.Model(image, outputs, name=name)


def decode(
    features: Mapping[int, keras.KerasTensor],
    filters: Mapping[int, int],
    *,
    dropout: float = 0.0,
    batch_norm: bool = True,
    up: str = "nearest",
    up_kernel: int = 2,
) -> keras.KerasTensor:
    """Climb from the coarsest features to the finest, joining each level's own on the way.

    Args:
        features: tensors by stride.
        filters: filters of the decoder's blocks by stride.
        dropout: share of values dropped in training at the start of each block, 0…1.
        batch_norm: normalize after each convolution.
        up: "nearest" or "transpose".
        up_kernel: kernel size of the transposed convolution in px.

    Returns:
        Tensor at the finest stride. Blocks are named as in UNet++: `x_i_j` is block j of level i.
    """
    coarsest, *strides = sorted(features, reverse=True)
    x = features[coarsest]
    for step, stride in enumerate(strides, start=1):
        name = f"x_{stride.bit_length() - 1}_{step}"
        x = upsample(x, filters[stride], kind=up, kernel=up_kernel, name=f"{name}_up")
        x = layers.Concatenate(name=f"{name}_join")([features[stride], x])
        x = conv_block(x, filters[stride], name=name, dropout=dropout, batch_norm=batch_norm)
    return x
