"""UNet++: a U-Net whose skip connections are dense networks of their own.

Zhou, Siddiquee, Tajbakhsh and Liang, "UNet++: A Nested U-Net Architecture for Medical Image Segmentation",
2018 (arXiv:1807.10165). Node `x_i_j` lies at level i (stride 2**i), column j; column 0 is the encoder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from keras import layers

from geoseg.errors import ModelError
from geoseg.models.blocks import conv_block, head, image_input, upsample
from geoseg.models.encoders import encode, encoder_depth


def build_unetpp(
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
    deep_supervision: bool = False,
    encoder: str = "plain",
    alpha: float = 1.0,
    weights: str | Path | None = None,
    freeze_batch_norm: bool = True,
    full_resolution: bool = True,
    lateral: bool = False,
    name: str = "unetpp",
) -> keras.Model:
    """Build a UNet++.

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
        deep_supervision: one head per column of the finest level; train all of them, then `prune`.
        encoder: "plain" convolutions, "mobilenet_v2" or "efficientnet_lite0"; with "_short" behind its name
            one that lacks the last blocks.
        alpha: width multiplier of an encoder that is not plain.
        weights: of such an encoder: None, "imagenet" (MobileNetV2 only) or the path of a .h5 file.
        freeze_batch_norm: keep the batch normalization of pre-trained weights as it is.
        full_resolution: False makes stride 2 the finest level and doubles the logits; there is then one
            column less.
        lateral: narrow encoder features that are wider than the decoder there, `width` times the stride,
            by 1×1 convolutions: most of the multiplications beside such an encoder are saved.
        name: name of the model.

    Returns:
        Model from (batch, height, width, bands) to float32 probabilities (batch, height, width, classes);
        with deep supervision to a list of them, heads `L1` … `L{columns}`, the deepest last.

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
    block = {"dropout": dropout, "batch_norm": batch_norm}
    columns = _nested(features, width, block, {"kind": up, "kernel": up_kernel})
    if not deep_supervision:
        outputs = head(columns[-1], classes, activation, name="probabilities", scale=min(features))
        return keras.Model(image, outputs, name=name)
    heads = [
        head(x, classes, activation, name=f"L{level}", scale=min(features))
        for level, x in enumerate(columns, start=1)
    ]
    return keras.Model(image, heads, name=name)


def prune(model: keras.Model, level: int) -> keras.Model:
    """Cut a UNet++ trained with deep supervision down to its first levels.

    Args:
        model: made by `build_unetpp(deep_supervision=True)`.
        level: the head to keep, 1 for `L1` and so on. The highest one keeps the whole network and drops the
            other heads only.

    Returns:
        Model with one output, the head `L{level}`, made of the layers which that head needs and no others.
        It shares its weights with `model`.

    Raises:
        ModelError: there is no such head.
    """
    heads = [name for name in model.output_names if name.startswith("L")]
    if f"L{level}" not in heads:
        found = f"its heads are {', '.join(heads)}" if heads else "build it with deep_supervision=True"
        raise ModelError(f"{model.name} has no head L{level}; {found}")
    return keras.Model(model.input, model.get_layer(f"L{level}").output, name=f"{model.name}_L{level}")


def _nested(
    features: Mapping[int, keras.KerasTensor], width: int, block: dict[str, Any], up: dict[str, Any]
) -> list[keras.KerasTensor]:
    """Nodes j = 1, 2, … of the finest level; a node joins all before it in its row and one from below."""
    strides = sorted(features)
    rows = [[features[stride]] for stride in strides]
    for column in range(1, len(strides)):
        for stride, row, below in zip(strides, rows, rows[1 : len(rows) - column + 1], strict=False):
            name = f"x_{stride.bit_length() - 1}_{column}"
            x = upsample(below[column - 1], width * stride, name=f"{name}_up", **up)
            x = layers.Concatenate(name=f"{name}_join")([*row, x])
            row.append(conv_block(x, width * stride, name=name, **block))
    return rows[0][1:]
