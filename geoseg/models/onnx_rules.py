"""How each layer of our networks is written in ONNX: channels first, sizes unknown, nothing of training.

Layers that keep their input in inference (dropout and its kin) leave no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import layers, ops

from geoseg.errors import ModelError
from geoseg.models.layers import MaxPoolingWithIndices, MaxUnpooling
from geoseg.models.onnx_draft import Draft
from geoseg.models.onnx_unpool import pool_with_indices, unpool

Rule = Callable[[Draft, layers.Layer, Sequence[str]], list[str]]


def draw(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    """Add a layer to a graph.

    Args:
        draft: the graph.
        layer: what to add.
        inputs: names of its inputs, all (batch, channels, height, width).

    Returns:
        Names of its outputs.

    Raises:
        ModelError: there is no rule for it, or it is set up in a way that the rule does not know.
    """
    rule = _RULES.get(type(layer))
    if rule is None or getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ModelError(
            f"layer {layer.name!r} ({type(layer).__name__}) has no ONNX form here; replace it, or run the "
            "model with --engine tensorflow"
        )
    draft.scope = layer.name
    return rule(draft, layer, inputs)


def _values(weight: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(weight), np.float32)


def _activated(draft: Draft, function: Any, x: str) -> str:
    known = {
        "linear": lambda: x,
        "relu": lambda: draft.op("Relu", x),
        "relu6": lambda: draft.op("Clip", x, draft.constant(0), draft.constant(6)),
        "sigmoid": lambda: draft.op("Sigmoid", x),
        "softmax": lambda: draft.op("Softmax", x, axis=1),
    }
    if (name := getattr(function, "__name__", str(function))) not in known:
        raise ModelError(f"activation {name!r} has no ONNX form here; choose one of: {', '.join(known)}")
    return known[name]()


def _window(layer: layers.Layer, size: Sequence[int], dilation: Sequence[int] = (1, 1)) -> dict[str, Any]:
    """Strides and padding; "same" pads as on sizes that divide by the stride, as all ours do."""
    extents = [(side - 1) * step + 1 for side, step in zip(size, dilation, strict=True)]
    excess = [max(e - s, 0) for e, s in zip(extents, layer.strides, strict=True)]
    total = excess if layer.padding == "same" else [0, 0]
    before = [pad // 2 for pad in total]
    after = [pad - first for pad, first in zip(total, before, strict=True)]
    return {"strides": list(layer.strides), "pads": before + after}


def _with_bias(
    draft: Draft, layer: layers.Layer, kind: str, x: str, kernel: Any, **options: Any
) -> list[str]:
    inputs = [x, draft.constant(kernel)]
    if layer.use_bias:
        inputs.append(draft.constant(_values(layer.bias)))
    return [_activated(draft, layer.activation, draft.op(kind, *inputs, **options))]


def _dilated(layer: layers.Layer) -> dict[str, Any]:
    window = _window(layer, layer.kernel_size, layer.dilation_rate)
    return window | {"dilations": list(layer.dilation_rate)}


def _convolution(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    kernel = _values(layer.kernel).transpose(3, 2, 0, 1)
    return _with_bias(draft, layer, "Conv", inputs[0], kernel, group=layer.groups, **_dilated(layer))


def _depthwise(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    height, width, bands, times = layer.kernel.shape
    kernel = _values(layer.kernel).transpose(2, 3, 0, 1).reshape(bands * times, 1, height, width)
    return _with_bias(draft, layer, "Conv", inputs[0], kernel, group=bands, **_dilated(layer))


def _transposed(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    if tuple(layer.dilation_rate) != (1, 1) or layer.output_padding is not None:
        raise ModelError(f"layer {layer.name!r} is dilated or pads its output; use neither for ONNX")
    kernel = _values(layer.kernel).transpose(3, 2, 0, 1)
    short = [max(s - k, 0) for k, s in zip(layer.kernel_size, layer.strides, strict=True)]
    options = _window(layer, layer.kernel_size) | {"output_padding": short}
    return _with_bias(draft, layer, "ConvTranspose", inputs[0], kernel, **options)


def _batch_norm(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    mean, variance = _values(layer.moving_mean), _values(layer.moving_variance)
    gamma = _values(layer.gamma) if layer.scale else np.ones_like(mean)
    beta = _values(layer.beta) if layer.center else np.zeros_like(mean)
    given = [draft.constant(each) for each in (gamma, beta, mean, variance)]
    return [draft.op("BatchNormalization", inputs[0], *given, epsilon=float(layer.epsilon))]


def _relu(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    if layer.threshold or layer.negative_slope:
        raise ModelError(
            f"layer {layer.name!r} is a ReLU with a threshold or slope; use a plain one for ONNX"
        )
    if layer.max_value is None:
        return [draft.op("Relu", inputs[0])]
    return [draft.op("Clip", inputs[0], draft.constant(0), draft.constant(layer.max_value))]


def _rescaling(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    scaled = draft.op("Mul", inputs[0], draft.constant(layer.scale))
    return [draft.op("Add", scaled, draft.constant(layer.offset))]


def _pooling(kind: str) -> Rule:
    def rule(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
        options = _window(layer, layer.pool_size)
        return [draft.op(kind, inputs[0], kernel_shape=list(layer.pool_size), **options)]

    return rule


def _upsampling(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    ways = {
        "nearest": {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        "bilinear": {"coordinate_transformation_mode": "half_pixel"},
    }
    if layer.interpolation not in ways:
        raise ModelError(f"layer {layer.name!r} interpolates {layer.interpolation!r}; use one of: "
                         f"{', '.join(ways)}")  # fmt: skip
    mode = "nearest" if layer.interpolation == "nearest" else "linear"
    scales = draft.constant([1, 1, *layer.size])
    return [draft.op("Resize", inputs[0], "", scales, mode=mode, **ways[layer.interpolation])]


def _padding(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    (top, bottom), (left, right) = layer.padding
    return [draft.op("Pad", inputs[0], draft.constant([0, 0, top, left, 0, 0, bottom, right], np.int64))]


def _concatenate(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    if layer.axis not in (-1, 3):
        raise ModelError(f"layer {layer.name!r} joins along axis {layer.axis}; use the channel axis, -1")
    return [draft.op("Concat", *inputs, axis=1)]


def _add(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    total = inputs[0]
    for each in inputs[1:]:
        total = draft.op("Add", total, each)
    return [total]


def _same(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    return list(inputs)


_IDLE = (
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.SpatialDropout2D,
)

_RULES: dict[type, Rule] = {
    **dict.fromkeys(_IDLE, _same),
    layers.Activation: lambda draft, layer, inputs: [_activated(draft, layer.activation, inputs[0])],
    layers.Add: _add,
    layers.AveragePooling2D: _pooling("AveragePool"),
    layers.BatchNormalization: _batch_norm,
    layers.Concatenate: _concatenate,
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _transposed,
    layers.DepthwiseConv2D: _depthwise,
    layers.MaxPooling2D: _pooling("MaxPool"),
    layers.ReLU: _relu,
    layers.Rescaling: _rescaling,
    layers.UpSampling2D: _upsampling,
    layers.ZeroPadding2D: _padding,
    MaxPoolingWithIndices: pool_with_indices,
    MaxUnpooling: unpool,
}
