"""How much memory the answers between a network's layers take, read off its ONNX graph."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from geoseg.errors import ModelError


def live_values(model: ModelProto | Path, stride: int) -> float:
    """Values that are held at once at the worst moment, per pixel of the input.

    Layers are computed one after another in the order of the file, and each answer is held until the last
    layer that needs it; weights do not count. Engines take more: they run branches side by side, and copy.

    Args:
        model: a network with one input (batch, height, width, bands), or its file.
        stride: of the network, pixels.

    Raises:
        ModelError: when the graph does not tell the shapes of its answers.
    """
    model = onnx.load(model) if isinstance(model, Path) else model
    sizes = _sizes(model, side=stride)
    last = {name: at for at, node in enumerate(model.graph.node) for name in node.input}
    alive, most = {model.graph.input[0].name: sizes[model.graph.input[0].name]}, 0
    for at, node in enumerate(model.graph.node):
        alive |= {name: sizes[name] for name in node.output}
        most = max(most, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last.get(name, 0) > at}
    return most / stride**2


def _sizes(model: ModelProto, side: int) -> dict[str, int]:
    """Values in each answer to one input of `side` × `side` pixels; 0 in what is made of weights alone."""
    inputs, sizes = ModelProto(), dict[str, int]()
    inputs.CopyFrom(model)
    for dimension, value in zip(_dimensions(inputs.graph.input[0])[:3], (1, side, side), strict=True):
        dimension.dim_value = value
    graph = onnx.shape_inference.infer_shapes(inputs, strict_mode=True, data_prop=True).graph
    fixed = {weight.name for weight in graph.initializer}
    for node in graph.node:
        if set(node.input) <= fixed:
            fixed |= set(node.output)
    for value in (*graph.input, *graph.value_info, *graph.output):
        shape = [dimension.dim_value for dimension in _dimensions(value)]
        if not all(shape):
            raise ModelError(f"{value.name} has no shape, got {shape}; write it with geoseg model add-onnx")
        sizes[value.name] = math.prod(shape)
    return sizes | dict.fromkeys(fixed, 0)


def _dimensions(value: Any) -> Any:
    return value.type.tensor_type.shape.dim
