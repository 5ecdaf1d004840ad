"""Which nodes of a network's ONNX file are better not computed in coarse numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper
from onnx.reference import ReferenceEvaluator

FLOAT32_LAYERS = "float32_layers"  # as `models.export` writes it, which cannot be imported without Keras
OF_WEIGHTS = ("Transpose", "Cast", "Mul")  # what turns stored weights into those of a convolution
ENLARGING = ("Resize", "ConvTranspose", "DepthToSpace")
Nodes = frozenset[str]


def widened(proto: ModelProto) -> ModelProto:
    """The same network with the weights that are stored as float16 stored as float32, as they are used.

    See `Draft.finish` and `onnx_external`.
    """
    wide = ModelProto()
    wide.CopyFrom(proto)
    graph = wide.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        if node.op_type in OF_WEIGHTS and all(name in stored for name in node.input):
            first, *others = (stored.pop(name) for name in node.input)
            given = {tensor.name: numpy_helper.to_array(tensor) for tensor in (first, *others)}
            (values,) = ReferenceEvaluator(node).run(None, given)
            first.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), node.output[0]))
            stored[node.output[0]] = first
            graph.node.remove(node)
            for other in others:
                graph.initializer.remove(other)
    return wide


def kept_choices(proto: ModelProto) -> Iterator[tuple[str, Nodes]]:
    """What to keep in float32 while the rest is quantized, least first, each with a name for it.

    The classes themselves always stay: they are next to no work, and every rounding shows in the mask. Then
    the layers that the file wants in float32, whose loss in bfloat16 is known; then the whole encoder: 3 % of
    the multiplications of the bundled network, whose encoder is a small MobileNetV2.
    """
    last = classifier(proto)
    if delicate := delicate_nodes(proto):
        yield "the last layer and the layers too delicate for bfloat16", last | delicate
    else:
        yield "the last layer", last
    yield "the last layer and the encoder", last | delicate | encoder(proto)


def delicate_nodes(proto: ModelProto) -> Nodes:
    """The nodes that the file's metadata want in float32."""
    wanted = {entry.key: entry.value for entry in proto.metadata_props}.get(FLOAT32_LAYERS, "[]")
    layers = set(json.loads(wanted))
    return frozenset(node.name for node in proto.graph.node if node.name.split("/")[0] in layers)


def encoder(proto: ModelProto) -> Nodes:
    """The nodes that need nothing which was enlarged: all before the decoder."""
    enlarged: set[str] = set()
    found = []
    for node in proto.graph.node:  # in an order in which they can be computed
        if node.op_type in ENLARGING or enlarged.intersection(node.input):
            enlarged.update(node.output)
        else:
            found.append(node.name)
    return frozenset(found)


def classifier(proto: ModelProto) -> Nodes:
    """The last convolution and all after it."""
    sources = {name: node for node in proto.graph.node for name in node.output}
    queue: list[NodeProto] = [sources[proto.graph.output[0].name]]
    found = set()
    while queue:
        node = queue.pop()
        found.add(node.name)
        if node.op_type != "Conv":
            queue += [sources[name] for name in node.input if name in sources]
    return frozenset(found)
