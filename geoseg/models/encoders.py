"""Encoders: an image in, `features[stride]` out, for the strides 1, 2, 4 and so on.

The U-Net and UNet++ decoders take any of them.
"""

from pathlib import Path

import keras
from keras import layers

from geoseg.errors import ModelError
from geoseg.models.backbones import PRETRAINED
from geoseg.models.blocks import conv, conv_block
from geoseg.models.pretrained import pretrained

# Deepest level of each encoder: its coarsest features have stride 2**depth.
DEPTHS = {"plain": 4} | dict.fromkeys(PRETRAINED, 5)


def encoder_depth(encoder: str, depth: int | None, weights: str | Path | None = None) -> int:
    """Number of times an encoder halves the resolution.

    Args:
        encoder: "plain" or one of `PRETRAINED`.
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
    if depth < 1 or (encoder in PRETRAINED and depth > DEPTHS[encoder]):
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
        features = pretrained(
            x,
            encoder,
            depth=depth,
            alpha=alpha,
            weights=weights,
            freeze_batch_norm=freeze_batch_norm,
            stem=width if full_resolution else 0,
        )
    kept = {stride: tensor for stride, tensor in features.items() if full_resolution or stride > 1}
    return {s: _narrowed(t, width * s, s, batch_norm) if lateral else t for s, t in kept.items()}


def encoder_layers(model: keras.Model) -> list[layers.Layer]:
    """The layers on the way from the image to the coarsest features; a stem at full resolution is none.

    Raises:
        ModelError: the model has none of the features by whose names our encoders are known.
    """
    plain_ends = {kind.format(level) for kind in ("pool_{}", "x_{}_0") for level in range(10)}
    pretrained_ends = {name for kind in PRETRAINED.values() for name in kind.ends.values()}
    found = _named(model, pretrained_ends) or _named(model, plain_ends)  # the coarsest last
    if not found:
        raise ModelError(f"{model.name} has no encoder that could be frozen; train it without")
    inner: list[layers.Layer] = keras.Model(model.input, found[-1].output).layers
    return inner


def _named(model: keras.Model, names: set[str]) -> list[layers.Layer]:
    return [layer for layer in model.layers if layer.name in names]


def _narrowed(x: keras.KerasTensor, width: int, stride: int, batch_norm: bool) -> keras.KerasTensor:
    """Features with at most `width` channels: as they are, or through a 1×1 convolution."""
    if x.shape[-1] <= width:
        return x
    return conv(x, width, kernel=1, name=f"lateral_{stride.bit_length() - 1}", batch_norm=batch_norm)
