"""Which pixels of its input a layer reads for a pixel of its output: the table behind `footprint`."""

from collections.abc import Callable
from dataclasses import dataclass

from keras import layers

from geoseg.errors import ModelError
from geoseg.models.layers import MaxPoolingWithIndices, MaxUnpooling


@dataclass(frozen=True)
class Step:
    """Along one axis, output pixel o reads inputs (down·o + first) // up to (down·o + last) // up."""

    first: int = 0
    last: int = 0
    down: int = 1
    up: int = 1

    def reads(self, pixel: int) -> range:
        """Input pixels that an output pixel reads; at least one, which never narrows the result."""
        first = (self.down * pixel + self.first) // self.up
        last = (self.down * pixel + self.last) // self.up
        return range(min(first, last), max(first, last) + 1)


Rule = Callable[[layers.Layer, int], Step]


def step_of(layer: layers.Layer, axis: int) -> Step:
    """How a layer moves along rows (axis 0) or columns (axis 1).

    Raises:
        ModelError: the layer is not in the table, or is set up in a way that the table does not cover.
    """
    rule = _RULES.get(type(layer))
    if rule is None:
        raise ModelError(
            f"layer {layer.name!r} ({type(layer).__name__}) mixes pixels in an unknown way, so no tile can "
            "be proved exact; replace it or use stitch='blend'"
        )
    if getattr(layer, "data_format", None) == "channels_first":
        raise ModelError(f"layer {layer.name!r} is channels first; build the model channels last")
    return rule(layer, axis)


def _pointwise(layer: layers.Layer, axis: int) -> Step:
    over = getattr(layer, "axis", -1)
    if over not in (-1, 3, [-1], [3], (-1,), (3,)):
        raise ModelError(f"layer {layer.name!r} works along axis {over}; use the channel axis, -1")
    return Step()


def _window(layer: layers.Layer, size: int, stride: int, dilation: int) -> Step:
    extent = (size - 1) * dilation + 1
    # "same" pads max(extent - stride, 0) in all where the size divides by the stride, less of it before.
    before = max(extent - stride, 0) // 2 if layer.padding == "same" else 0
    return Step(-before, extent - 1 - before, down=stride)


def _convolution(layer: layers.Layer, axis: int) -> Step:
    return _window(layer, layer.kernel_size[axis], layer.strides[axis], layer.dilation_rate[axis])


def _pooling(layer: layers.Layer, axis: int) -> Step:
    return _window(layer, layer.pool_size[axis], layer.strides[axis], 1)


def _transposed(layer: layers.Layer, axis: int) -> Step:
    stride = layer.strides[axis]
    extent = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
    before = max(extent - stride, 0) // 2 if layer.padding == "same" else 0
    # The mirror image of a convolution: input i reaches outputs stride·i - before … + extent - 1.
    return Step(before - extent + stride, before, up=stride)


def _upsampling(layer: layers.Layer, axis: int) -> Step:
    size = layer.size[axis]
    if layer.interpolation == "nearest":
        return Step(up=size)
    if layer.interpolation == "bilinear":
        # Pixel centres: output o lies at (o + ½) / size - ½ and reads the inputs on both sides of it.
        return Step(1 - size, size, down=2, up=2 * size)
    raise ModelError(
        f"layer {layer.name!r} interpolates {layer.interpolation!r}; use 'nearest' or 'bilinear'"
    )


def _shift(sign: int, edges: str) -> Rule:
    def rule(layer: layers.Layer, axis: int) -> Step:
        before = sign * getattr(layer, edges)[axis][0]
        return Step(before, before)

    return rule


_POINTWISE = (
    layers.Activation,
    layers.ActivityRegularization,
    layers.Add,
    layers.AlphaDropout,
    layers.Average,
    layers.BatchNormalization,
    layers.Concatenate,
    layers.Dropout,
    layers.ELU,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
    layers.InputLayer,
    layers.LayerNormalization,
    layers.LeakyReLU,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.ReLU,
    layers.Rescaling,
    layers.Softmax,
    layers.SpatialDropout2D,
    layers.Subtract,
)

_RULES: dict[type, Rule] = {
    **dict.fromkeys(_POINTWISE, _pointwise),
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.SeparableConv2D: _convolution,
    layers.Conv2DTranspose: _transposed,
    layers.MaxPooling2D: _pooling,
    layers.AveragePooling2D: _pooling,
    layers.UpSampling2D: _upsampling,
    layers.ZeroPadding2D: _shift(-1, "padding"),
    layers.Cropping2D: _shift(1, "cropping"),
    MaxPoolingWithIndices: lambda layer, axis: Step(0, 1, down=2),
    MaxUnpooling: lambda layer, axis: Step(up=2),
}

LAYERS = frozenset(layer.__name__ for layer in _RULES)
"""Names of the layers that networks may be made of."""
