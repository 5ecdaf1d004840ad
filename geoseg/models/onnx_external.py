"""One copy of the weights for two files: ONNX tensors that lie in the Keras file beside them.

ONNX calls it external data: a tensor names a file in its own folder, an offset and a length. A `.keras` file
whose members are not compressed holds its kernels as plain bytes, so the small files of `compact` need them
only once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data

# Axes of kernels in the order of Keras: of convolutions, transposed ones too, and of depthwise ones.
LAYOUTS = (2, 3, 1, 0), (2, 3, 0, 1)


def point_into(proto: ModelProto, file: Path) -> None:
    """Let a network's float16 kernels point to the same numbers in its Keras file, where they are there.

    Args:
        proto: the network, changed in place; it is to be saved beside `file`.
        file: see `compact.squeeze`.
    """
    content = file.read_bytes()
    transposed = list(_transposed(proto, content, file.name))
    nodes = [*transposed, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _transposed(proto: ModelProto, content: bytes, name: str) -> Iterator[NodeProto]:
    """Replace tensors; nodes that make them what they were."""
    for tensor in proto.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT16 or len(tensor.dims) != len(LAYOUTS[0]):
            continue
        kernel = numpy_helper.to_array(tensor)
        for axes in LAYOUTS:
            stored = kernel.transpose(axes)
            if (offset := content.find(stored.tobytes())) < 0:
                continue
            whole = tensor.name
            tensor.name, tensor.dims[:] = f"{whole}/keras", stored.shape
            set_external_data(tensor, name, offset, stored.nbytes)
            tensor.ClearField("raw_data")
            back = [int(axis) for axis in np.argsort(axes)]
            yield helper.make_node("Transpose", [tensor.name], [whole], whole, perm=back)
            break
