"""Joining what surrounds a convolution with it, in a drawn ONNX graph."""

from __future__ import annotations

from collections import Counter

import numpy as np
from onnx import NodeProto, helper

from geoseg.models.onnx_draft import Draft


def fold(draft: Draft) -> None:
    """Put paddings before a convolution and batch normalizations behind it into the convolution itself.

    Runtimes would do so when they load, but OpenVINO forgets then which layers are to stay in float32.
    """
    readers = Counter(name for node in draft.nodes for name in node.input)
    made_by = {node.output[0]: node for node in draft.nodes}
    for node in list(draft.nodes):
        before = made_by.get(node.input[0]) if node.input else None
        if before is None or readers[before.output[0]] > 1:
            continue
        if (before.op_type, node.op_type) == ("Conv", "BatchNormalization"):
            _fold_norm(draft, before, node)
        if (before.op_type, node.op_type) == ("Pad", "Conv"):
            _fold_pad(draft, before, node)


def _fold_norm(draft: Draft, conv: NodeProto, norm: NodeProto) -> None:
    gamma, beta, mean, variance = (draft.weights.pop(name).astype(np.float64) for name in norm.input[1:])
    factor = gamma / np.sqrt(variance + helper.get_node_attr_value(norm, "epsilon"))
    kernel, *bias = conv.input[1:]
    shift = beta - factor * (mean - (draft.weights[bias[0]] if bias else 0.0))
    draft.factors[kernel] = factor * draft.factors.get(kernel, 1.0)
    name = bias[0] if bias else f"{kernel}/bias"
    draft.weights[name] = shift.astype(np.float32)
    del conv.input[2:]
    conv.input.append(name)
    conv.output[0] = norm.output[0]
    draft.nodes.remove(norm)


def _fold_pad(draft: Draft, pad: NodeProto, conv: NodeProto) -> None:
    _, _, top, left, _, _, bottom, right = draft.weights.pop(pad.input[1]).tolist()
    pads = next(attribute for attribute in conv.attribute if attribute.name == "pads").ints
    pads[:] = [own + more for own, more in zip(pads, (top, left, bottom, right), strict=True)]
    conv.input[0] = pad.input[0]
    draft.nodes.remove(pad)
