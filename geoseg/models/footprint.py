"""How far a network looks, read off its Keras graph.

A network of pooling, convolution and up-sampling layers is periodic: moving the input by one stride moves
the output by one stride. So it is enough to know, for each pixel of one period of a tensor, the first and
the last input pixel that it depends on. This table passes from layer to layer in integers, which makes the
asymmetric padding of strided convolutions and the phase of each pooling come out exactly.

The two conditions for tiles that join without a trace, a halo that covers the receptive field and origins
at multiples of the stride: Majurski and Bajcsy 2021 (doi:10.6028/jres.126.009), Rumberger et al. 2021
(arXiv:2101.05846).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import keras

from geoseg.errors import ModelError
from geoseg.models.steps import Step, step_of


@dataclass(frozen=True)
class Footprint:
    """What a network asks of the tiles that it is given, in px of its input.

    Attributes:
        stride: tile origins and sizes must be multiples of this.
        halo: a multiple of the stride. Of a tile whose origin and size are multiples of the stride, the
            output less `halo` px on each side equals that of the whole scene.
        receptive_field: side of the largest square of input pixels that one output pixel depends on.
    """

    stride: int
    halo: int
    receptive_field: int

    def __post_init__(self) -> None:
        if self.stride < 1 or self.halo < 0 or self.receptive_field < 1 or self.halo % self.stride:
            raise ModelError(f"{self} is impossible; stride and field ≥ 1, halo a multiple of stride")


def footprint(model: keras.Model) -> Footprint:
    """Derive stride, halo and receptive field of a model.

    Batch normalization and dropout count as they act in inference. Nested Functional and Sequential models
    and several outputs are followed; the result covers all outputs. Where "valid" padding makes an output
    smaller, its first pixel counts as lying on the first pixel of the input.

    Args:
        model: Functional or Sequential, channels last.

    Raises:
        ModelError: a layer that mixes pixels in a way not known here, or from all over the image.
    """
    reaches = [
        reach
        for axis in (0, 1)
        for reach in _through(model, axis, [_Reach(Fraction(1), ((0, 0),))] * len(model.inputs))
    ]
    stride = math.lcm(*(reach.period for reach in reaches))
    margin = max(reach.margin for reach in reaches)
    field = max(last - first + 1 for reach in reaches for first, last in reach.spans)
    return Footprint(stride, math.ceil(margin / stride) * stride, field)


@dataclass(frozen=True)
class _Reach:
    """Input pixels that a tensor's pixels depend on, along one axis.

    `scale` is the size of a tensor pixel in input pixels; `spans[i]` the first and last input pixel for
    tensor pixel i of the period that starts at 0, from where all others follow.
    """

    scale: Fraction
    spans: tuple[tuple[int, int], ...]

    @property
    def period(self) -> int:
        """Length in input pixels after which the spans repeat."""
        return int(len(self.spans) * self.scale)

    @property
    def margin(self) -> int:
        """Input pixels needed on either side of a period to compute it."""
        before = -min(first for first, _ in self.spans)
        after = max(last for _, last in self.spans) + 1 - self.period
        return max(before, after, 0)

    def hull(self, pixels: Iterable[int]) -> tuple[int, int]:
        """First and last input pixel that any of these tensor pixels depends on."""
        spans = []
        for pixel in pixels:
            turns, phase = divmod(pixel, len(self.spans))
            first, last = self.spans[phase]
            spans.append((first + turns * self.period, last + turns * self.period))
        return min(first for first, _ in spans), max(last for _, last in spans)

    def then(self, step: Step) -> "_Reach":
        """Reach of a layer's output, this being the reach of its input."""
        ratio = Fraction(step.down, step.up)
        length = len(self.spans) * ratio.denominator // math.gcd(len(self.spans), ratio.numerator)
        return _Reach(self.scale * ratio, tuple(self.hull(step.reads(pixel)) for pixel in range(length)))


def _through(operation: keras.Operation, axis: int, inputs: Sequence[_Reach]) -> list[_Reach]:
    """Reaches of all outputs of a model, or the one reach that all outputs of a layer share."""
    if isinstance(operation, keras.Sequential):
        for layer in operation.layers:
            inputs = _through(layer, axis, inputs)
        return list(inputs)
    if isinstance(operation, keras.Model):
        return _through_graph(operation, axis, inputs)
    return [_joined(inputs, operation).then(step_of(operation, axis))]


def _through_graph(model: keras.Model, axis: int, inputs: Sequence[_Reach]) -> list[_Reach]:
    if not hasattr(model, "_nodes_by_depth"):
        raise ModelError(f"{model.name} is a subclassed model without a graph; build it as Functional model")
    known = dict(zip(map(id, model.inputs), inputs, strict=True))
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            results = _through(node.operation, axis, [known[id(tensor)] for tensor in node.input_tensors])
            if len(results) == 1:
                results *= len(node.outputs)
            known |= dict(zip(map(id, node.outputs), results, strict=True))
    return [known[id(tensor)] for tensor in model.outputs]


def _joined(reaches: Sequence[_Reach], operation: keras.Operation) -> _Reach:
    if len(scales := {reach.scale for reach in reaches}) > 1:
        sizes = " and ".join(map(str, sorted(scales)))
        raise ModelError(f"layer {operation.name!r} joins tensors of strides {sizes}; resample one of them")
    length = math.lcm(*(len(reach.spans) for reach in reaches))
    hulls = [[reach.hull([pixel]) for reach in reaches] for pixel in range(length)]
    spans = tuple((min(first for first, _ in hull), max(last for _, last in hull)) for hull in hulls)
    return _Reach(scales.pop(), spans)
