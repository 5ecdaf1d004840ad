"""An ONNX graph while it is drawn: nodes, weights, and names that cannot clash."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

LARGE = 256  # values from which a float16 copy is worth its Cast
LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(slots=True)
class Draft:
    """Nodes in order and the constants that they use.

    Attributes:
        scope: what the next results are named after.
        nodes: in an order in which they can be computed.
        weights: constants by name.
        factors: of each output channel of some kernels, not multiplied into `weights` yet.
    """

    scope: str = "image"  # as `blocks.image_input` names the layer that hands the pixels on
    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)
    factors: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its one result."""
        result = self._name()
        self.nodes.append(helper.make_node(kind, list(inputs), [result], result, **attributes))
        return result

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Add a constant and return its name."""
        name = self._name()
        self.weights[name] = np.ascontiguousarray(values, dtype)
        return name

    def finish(self, half: bool) -> tuple[list[NodeProto], list[TensorProto]]:
        """Nodes and weights for the file.

        Args:
            half: store large weights as float16; a Cast that runtimes fold when they load makes them
                float32 again. Factors stay apart: times them, values that float16 can hold are such no more.
        """
        first, stored = [], []
        for name, array in self.weights.items():
            factor = self.factors.get(name)
            if not (half and _fits_half(array)):
                whole = array if factor is None else (array * factor[:, None, None, None]).astype(np.float32)
                stored.append(numpy_helper.from_array(whole, name))
                continue
            stored.append(numpy_helper.from_array(array.astype(np.float16), f"{name}/half"))
            wide = name if factor is None else f"{name}/wide"
            first.append(helper.make_node("Cast", [f"{name}/half"], [wide], wide, to=TensorProto.FLOAT))
            if factor is not None:
                scale = factor[:, None, None, None].astype(np.float32)
                stored.append(numpy_helper.from_array(scale, f"{name}/factor"))
                first.append(helper.make_node("Mul", [wide, f"{name}/factor"], [name], name))
        return first + self.nodes, stored

    def _name(self) -> str:
        return f"{self.scope}/{len(self.nodes) + len(self.weights)}"


def _fits_half(array: NDArray[Any]) -> bool:
    """Whether it is a kernel worth it; the sums that biases are made of are not rounded in Keras either."""
    large = array.dtype == np.float32 and array.ndim > 1 and array.size >= LARGE
    return large and float(np.abs(array).max()) <= LARGEST_HALF
