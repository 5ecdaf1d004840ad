"""Convolutions of joined features without the joining, in OpenVINO's graphs.

A decoder enlarges features twofold, joins them to others and convolves the whole; to enlarge and to join,
every value is copied. But a convolution of joined features is the sum of a convolution of each, which needs
no copy, as each adds itself to what is there. And a convolution of features in which every pixel is repeated
is a transposed convolution of the small ones, with 4 multiplications for 9 (the sub-pixel convolution of Shi
et al. 2016, arXiv:1609.07009).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np

SAME = {"strides": [1, 1], "pads_begin": [1, 1], "pads_end": [1, 1], "dilations": [1, 1]}
TWOFOLD = SAME | {"strides": [2, 2]}
REPEATED = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor",
            "shape_calculation_mode": "scales", "pads_begin": [0] * 4, "pads_end": [0] * 4}  # fmt: skip

SPREAD = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]], np.float32)
"""(4, 3): which taps of a kernel 3 wide fall on one pixel where pixels are repeated; the rows are those of
the transposed kernel, 4 wide. Of the two pixels that come from one, the first sees it twice and its left
neighbour once, the second sees it twice and its right neighbour once."""


def without_joins(model: Any) -> None:
    """Rewrite every 3 × 3 convolution of joined features in a graph, in place.

    Args:
        model: an `openvino.Model`, channels first. What does not fit the pattern stays as it is.
    """
    from openvino.utils import replace_node

    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution" and (terms := list(_terms(node))):
            total = reduce(_added, terms)
            total.set_friendly_name(node.get_friendly_name())
            replace_node(node, total)
    model.validate_nodes_and_infer_types()


def _terms(node: Any) -> Iterator[Any]:
    """The convolutions whose sum a node is; none when it joins nothing.

    Transposed ones come first: oneDNN can add a plain convolution to them, but not them to it.
    """
    joined, kernel = node.input_value(0).get_node(), node.input_value(1)
    if joined.get_type_name() != "Concat" or not (_has(joined, {"axis": 1}) and _is_same(node, kernel)):
        return
    parts = [each.get_source_output() for each in joined.inputs()]
    if any(part.get_partial_shape()[1].is_dynamic for part in parts):
        return
    ends = np.cumsum([part.get_partial_shape()[1].get_length() for part in parts]).tolist()
    pieces = zip(parts, [0, *ends[:-1]], ends, strict=True)
    for place, (part, first, end) in enumerate(sorted(pieces, key=lambda piece: _repeated(piece[0]) is None)):
        term = _convolved(part, _channels(kernel, first, end))
        term.set_friendly_name(f"{node.get_friendly_name()}/{place}")  # marked by how it begins
        yield term


def _convolved(part: Any, kernel: Any) -> Any:
    from openvino import opset13 as op

    small = _repeated(part)
    if small is None:
        return op.convolution(part, kernel, **SAME)
    spread = op.constant(SPREAD)
    wide = op.matmul(op.matmul(spread, kernel, False, False), spread, False, True)
    return op.convolution_backprop_data(small, op.transpose(wide, op.constant([1, 0, 2, 3])), **TWOFOLD)


def _channels(kernel: Any, first: int, end: int) -> Any:
    from openvino import opset13 as op

    return op.slice(kernel, *(op.constant([value]) for value in (first, end, 1, 1)))


def _added(left: Any, right: Any) -> Any:
    from openvino import opset13 as op

    return op.add(left, right)


def _is_same(node: Any, kernel: Any) -> bool:
    """Whether a convolution is 3 × 3, without strides, onto as many pixels as it reads."""
    shape = kernel.get_partial_shape()
    return shape.is_static and list(shape.to_shape())[2:] == [3, 3] and _has(node, SAME)


def _repeated(part: Any) -> Any:
    """The features that are enlarged twofold by repetition; None where nothing is."""
    node = part.get_node()
    if node.get_type_name() != "Interpolate" or not _has(node, REPEATED):
        return None
    scales = node.input_value(1).get_node()
    twice = scales.get_type_name() == "Constant" and scales.data.tolist() == [1, 1, 2, 2]
    return node.input_value(0) if twice else None


def _has(node: Any, wanted: dict[str, Any]) -> bool:
    found = node.get_attributes()
    return all(found.get(name) == value for name, value in wanted.items())
