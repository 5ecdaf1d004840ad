"""Encoders: an image in, `features[stride]` out, for the strides 1, 2, 4 and so on.

The U-Net and UNet++ decoders take any of them.
"""

from collections.abc import Mapping
from pathlib import Path

import keras
from keras import layers

from geoseg.errors import ModelError
from geoseg.models.blocks import conv, conv_block
from geoseg.models.pretrained import copy_weights, load_mobilenet_v2, prepare_batch_norm

# The last layer of each stride: 1×1 expansions are the widest features, read before the next reduction.
MOBILENET_V2_FEATURES = {
    2: "block_1_expand_relu",
    4: "block_3_expand_relu",
    8: "block_6_expand_relu",
    16: "block_13_expand_relu",
    32: "block_16_project_BN",
}

# Without the last block, which has a fourth of the encoder's weights.
MOBILENET_V2_SHORT = MOBILENET_V2_FEATURES | {32: "block_15_add"}
MOBILENETS = {"mobilenet_v2": MOBILENET_V2_FEATURES, "mobilenet_v2_short": MOBILENET_V2_SHORT}

# Deepest level of each encoder: its coarsest features have stride 2**depth.
DEPTHS = {"plain": 4} | dict.fromkeys(MOBILENETS, 5)


def encoder_depth(encoder: str, depth: int | None, weights: str | Path | None = None) -> int:
    """Number of times an encoder halves the resolution.

    Args:
        encoder: "plain", "mobilenet_v2" or "mobilenet_v2_short".
        depth: levels asked for; None means 4 for "plain" and 5 for the others.
        weights: pre-trained weights, which "plain" does not take.

    Raises:
        ModelError: an unknown encoder, a depth it does not have, or weights it does not take.
    """
    if encoder not in DEPTHS:
        raise ModelError(f"unknown encoder {encoder!r}; choose one of: {', '.join(DEPTHS)}")
    if encoder == "plain" and weights is not None:
        raise ModelError("the plain encoder has no pre-trained weights; use encoder='mobilenet_v2'")
    depth = DEPTHS[encoder] if depth is None else depth
    if depth < 1 or (encoder in MOBILENETS and depth > DEPTHS[encoder]):
        raise ModelError(f"the {encoder} encoder has no depth {depth}; use 1 to {DEPTHS[encoder]}")
    return depth


def plain(
    x: keras.KerasTensor, *, width: int, depth: int, dropout: float = 0.0, batch_norm: bool = True
) -> dict[int, keras.KerasTensor]:
    """Blocks of two 3×3 convolutions with 2×2 max-pooling between them (Ronneberger et al. 2015).

    Args:
        x: scaled image tensor (batch, height, width, bands).
        width: filters at full resolution; each level doubles them.
        depth: number of poolings.
        dropout: share of values dropped in training at the start of each level below the first, 0…1.
        batch_norm: normalize after each convolution.

    Returns:
        Features by stride 1, 2, …, 2**depth; the layers are named `x_0_0`, `x_1_0`, ….
    """
    features = {1: conv_block(x, width, name="x_0_0", batch_norm=batch_norm)}
    for level in range(1, depth + 1):
        x = layers.MaxPooling2D(name=f"pool_{level}")(features[2 ** (level - 1)])
        features[2**level] = conv_block(
            x, width * 2**level, name=f"x_{level}_0", dropout=dropout, batch_norm=batch_norm
        )
    return features


def mobilenet_v2(
    x: keras.KerasTensor,
    *,
    depth: int = 5,
    alpha: float = 1.0,
    weights: str | Path | None = None,
    freeze_batch_norm: bool = True,
    stem: int = 0,
    ends: Mapping[int, str] = MOBILENET_V2_FEATURES,
) -> dict[int, keras.KerasTensor]:
    """MobileNetV2 (Sandler et al. 2018), optionally with weights learned on ImageNet.

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
        depth: deepest level, 1…5; the features reach to stride 2**depth.
        alpha: width multiplier; ImageNet weights exist for 0.35, 0.5, 0.75, 1.0, 1.3 and 1.4.
        weights: None for random ones, "imagenet" for those of Keras (its cache, else a download), or the
            path of a .h5 file that holds the network without its top.
        freeze_batch_norm: keep pre-trained statistics, scales and offsets of batch normalization.
        stem: filters of an extra convolution block at full resolution, which MobileNetV2 itself lacks;
            0 leaves it, and `features[1]`, out.
        ends: the layer that the features of each stride are read from.

    Returns:
        Features by stride, `{1 if stem, 2, …, 2**depth}`.

    Raises:
        ModelError: weights that cannot be found, downloaded or fitted.
    """
    network = keras.applications.MobileNetV2(input_tensor=x, alpha=alpha, include_top=False, weights=None)
    if weights is not None:
        copy_weights(load_mobilenet_v2(alpha, weights), network)
    prepare_batch_norm(network, frozen=freeze_batch_norm and weights is not None)
    features = {1: conv_block(x, stem, name="x_0_0")} if stem else {}
    for stride, name in ends.items():
        if stride <= 2**depth:
            features[stride] = network.get_layer(name).output
    return features


def encode(
    x: keras.KerasTensor,
    encoder: str,
    *,
    width: int,
    depth: int,
    dropout: float,
    batch_norm: bool,
    alpha: float,
    weights: str | Path | None,
    freeze_batch_norm: bool,
    full_resolution: bool,
    lateral: bool,
) -> dict[int, keras.KerasTensor]:
    """Features of the named encoder at the strides that a decoder needs: 1 (or 2) … 2**depth.

    `lateral` narrows those that are wider than the decoder there, `width` times the stride, by 1×1
    convolutions (Lin et al. 2017, arXiv:1612.03144, section 3).
    """
    if encoder == "plain":
        features = plain(x, width=width, depth=depth, dropout=dropout, batch_norm=batch_norm)
    else:
        features = mobilenet_v2(
            x,
            depth=depth,
            alpha=alpha,
            weights=weights,
            freeze_batch_norm=freeze_batch_norm,
            stem=width if full_resolution else 0,
            ends=MOBILENETS[encoder],
        )
    kept = {stride: tensor for stride, tensor in features.items() if full_resolution or stride > 1}
    return {s: _narrowed(t, width * s, s, batch_norm) if lateral else t for s, t in kept.items()}


def encoder_layers(model: keras.Model) -> list[layers.Layer]:
    """The layers on the way from the image to the coarsest features; a stem at full resolution is none.

    Raises:
        ModelError: the model has none of the features by whose names our encoders are known.
    """
    ends = [kind.format(level) for kind in ("pool_{}", "x_{}_0") for level in range(10)]
    for stride, name in MOBILENET_V2_FEATURES.items():
        ends += [MOBILENET_V2_SHORT[stride], name]
    present = {layer.name for layer in model.layers}
    found = [name for name in ends if name in present]
    if not found:
        raise ModelError(f"{model.name} has no encoder that could be frozen; train it without")
    inner: list[layers.Layer] = keras.Model(model.input, model.get_layer(found[-1]).output).layers
    return inner


def _narrowed(x: keras.KerasTensor, width: int, stride: int, batch_norm: bool) -> keras.KerasTensor:
    """Features with at most `width` channels: as they are, or through a 1×1 convolution."""
    if x.shape[-1] <= width:
        return x
    return conv(x, width, kernel=1, name=f"lateral_{stride.bit_length() - 1}", batch_norm=batch_norm)
