import math

import keras
import numpy as np
import pytest
from keras import layers
from networks import NETWORKS, averaging, forward, ready

from geoseg.errors import ModelError
from geoseg.models import build_unetpp, check_input_size, prune
from geoseg.models.footprint import Footprint, footprint

EXPECTED = {
    "unet": Footprint(stride=16, halo=96, receptive_field=204),
    "unet-transpose": Footprint(stride=16, halo=112, receptive_field=220),
    "unet-mobilenet": Footprint(stride=32, halo=320, receptive_field=619),
    "unetpp": Footprint(stride=16, halo=96, receptive_field=204),
    "unetpp-mobilenet": Footprint(stride=32, halo=320, receptive_field=619),
    "unetpp-mobilenet-short": Footprint(stride=32, halo=288, receptive_field=555),
    "unetpp-efficientnet": Footprint(stride=32, halo=352, receptive_field=659),
    "segnet": Footprint(stride=32, halo=192, receptive_field=404),
    "mobilenet_unet": Footprint(stride=32, halo=320, receptive_field=619),
}


def observed(model, axis, images=127.5, step=127.5, tolerance=0.0):
    """The footprint seen by changing one line of input pixels at every phase of the stride."""
    stride, reach = (derived := footprint(model)).stride, derived.halo + derived.stride
    shape = [stride, 2 * reach + stride] if axis else [2 * reach + stride, stride]
    before = np.broadcast_to(images, (stride, *shape, 3)).astype("float32")
    after = before.copy()
    for phase in range(stride):
        np.moveaxis(after[phase], axis, 0)[reach + phase] += step
    change = np.abs(forward(model, after) - forward(model, before)).max(axis=(2 - axis, 3))
    phase, out = np.nonzero(change > tolerance)
    # By periodicity each change is one of the block that starts at 0.
    block = (out - reach) // stride * stride
    pixel, source = out - reach - block, phase - block
    spans = [source[pixel == i] for i in range(stride)]
    margin = max(-source.min(), source.max() + 1 - stride, 0)
    field = max(np.ptp(span) + 1 for span in spans)
    return Footprint(stride, math.ceil(margin / stride) * stride, int(field))


def logits(model):
    return keras.Model(model.input, model.output._keras_history.operation.input)


@pytest.mark.parametrize("name", NETWORKS)
def test_derived_footprint_is_the_observed_one(name):
    model = NETWORKS[name]()
    derived = footprint(model)
    assert derived == EXPECTED[name]
    averages = logits(averaging(model))
    for seen in (observed(averages, axis) for axis in (0, 1)):
        if name == "segnet":  # unpooling fills one pixel of four, so not every path of the graph is taken
            assert seen.receptive_field <= derived.receptive_field <= seen.receptive_field + 32
            assert seen.halo <= derived.halo
        else:
            assert seen == derived


@pytest.mark.parametrize("name", ["unet", "unet-transpose", "unetpp", "segnet", "mobilenet_unet"])
def test_no_random_network_looks_beyond_its_footprint(name):
    model = ready(name)
    derived = footprint(model)
    shape = (derived.stride, 2 * (derived.halo + derived.stride) + derived.stride, 3)
    images = np.random.default_rng(0).uniform(0, 127, shape)
    seen = observed(logits(model), 1, images, step=128, tolerance=1e-6)
    assert seen.receptive_field <= derived.receptive_field
    assert seen.halo <= derived.halo


@pytest.mark.parametrize("name", NETWORKS)
def test_exact_tiles_equal_one_pass_over_the_scene(name):
    model = ready(name)
    stride, halo = (found := footprint(model)).stride, found.halo
    height, width = 40, 200
    scene = np.random.default_rng(2).uniform(0, 255, (height, width, 3))
    step = (64, 128)
    up_to = [-size % edge for size, edge in zip(scene.shape, step, strict=False)]
    padded = np.pad(scene, [(halo, halo + up_to[0]), (halo, halo + up_to[1]), (0, 0)], mode="symmetric")
    whole = forward(model, padded[None])[0, halo : halo + height, halo : halo + width]
    stitched = np.empty((height + up_to[0], width + up_to[1], 2), "float32")
    for row in range(0, height, step[0]):
        for col in range(0, width, step[1]):
            tile = padded[row : row + step[0] + 2 * halo, col : col + step[1] + 2 * halo]
            core = forward(model, tile[None])[0, halo:-halo, halo:-halo]
            stitched[row : row + step[0], col : col + step[1]] = core
    assert step[0] % stride == step[1] % stride == 0
    assert whole.std() > 1e-3
    np.testing.assert_allclose(stitched[:height, :width], whole, atol=1e-5)


def test_pruning_shrinks_the_footprint():
    model = build_unetpp(width=2, deep_supervision=True)
    found = [footprint(prune(model, level)) for level in (1, 2, 3, 4)]
    assert [f.stride for f in found] == [2, 4, 8, 16]
    assert [f.halo for f in found] == [8, 24, 48, 96]
    assert footprint(model) == found[-1]


def through(*stack, size=(None, None)):
    return keras.Sequential([keras.Input((*size, 3)), *stack])


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ([layers.Conv2D(1, 3, padding="same", dilation_rate=4)], Footprint(1, 4, 9)),
        ([layers.DepthwiseConv2D(5, padding="same")], Footprint(1, 2, 5)),
        ([layers.SeparableConv2D(1, 3, padding="same")], Footprint(1, 1, 3)),
        ([layers.Conv2D(1, 3, strides=2, padding="same"), layers.UpSampling2D()], Footprint(2, 2, 3)),
        ([layers.AveragePooling2D(4), layers.UpSampling2D(4)], Footprint(4, 0, 4)),
        ([layers.MaxPooling2D(), layers.UpSampling2D(interpolation="bilinear")], Footprint(2, 2, 4)),
        ([layers.MaxPooling2D(), layers.Conv2DTranspose(1, 2, strides=2)], Footprint(2, 0, 2)),
        (
            [layers.MaxPooling2D(), layers.Conv2DTranspose(1, 4, strides=2, padding="same")],
            Footprint(2, 2, 4),
        ),
        ([layers.ZeroPadding2D(1), layers.Conv2D(1, 3)], Footprint(1, 1, 3)),
        ([layers.ZeroPadding2D(8), layers.Cropping2D(8)], Footprint(1, 0, 1)),
        ([layers.Conv2D(1, 3, strides=2, padding="same")], Footprint(2, 2, 3)),
        ([layers.UpSampling2D(3), layers.AveragePooling2D(3)], Footprint(1, 0, 1)),
    ],
)
def test_single_layers(stack, expected):
    assert footprint(through(*stack)) == expected


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_up_sampling_reads_what_the_table_says(factor, interpolation):
    up = layers.UpSampling2D(factor, interpolation=interpolation)
    stack = [layers.AveragePooling2D(factor), up, layers.Conv2D(1, 3, padding="same")]
    model = averaging(through(*stack))
    assert observed(model, 1, images=0, step=1) == footprint(model)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_transposed_convolution_reads_what_the_table_says(kernel, padding):
    up = layers.Conv2DTranspose(1, kernel, strides=2, padding=padding, use_bias=False)
    model = averaging(through(layers.AveragePooling2D(2), up, layers.Conv2D(1, 3, padding="same")))
    seen, derived = observed(model, 0, images=0, step=1), footprint(model)
    assert seen == derived if kernel > 1 else seen.receptive_field <= derived.receptive_field


def test_nested_models_branches_and_several_outputs():
    block = through(layers.Conv2D(3, 3, padding="same"), layers.ReLU())
    inputs = keras.Input((None, None, 3))
    inner = keras.Model(inputs, [block(inputs), layers.MaxPooling2D()(inputs)])
    image = keras.Input((None, None, 3))
    fine, coarse = inner(image)
    joined = layers.Add()([fine, layers.UpSampling2D()(block(coarse))])
    model = keras.Model(image, [joined, fine])
    assert footprint(model) == Footprint(stride=2, halo=2, receptive_field=6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            layers.GlobalAveragePooling2D(name="squeeze"),
            "layer 'squeeze' .GlobalAveragePooling2D. mixes pixels",
        ),
        (layers.UpSampling2D(interpolation="bicubic", name="up"), "layer 'up' interpolates 'bicubic'"),
        (layers.BatchNormalization(axis=1, name="norm"), "layer 'norm' works along axis 1"),
    ],
)
def test_layers_without_a_local_footprint_are_named(layer, message):
    with pytest.raises(ModelError, match=message):
        footprint(through(layer, size=(8, 8)))


def test_impossible_footprints_are_refused():
    with pytest.raises(ModelError, match="halo a multiple of stride"):
        Footprint(stride=16, halo=100, receptive_field=204)


def test_input_sizes():
    check_input_size((256, 512), 32)
    with pytest.raises(ModelError, match="patch size 250 is not a multiple of 32; use 256"):
        check_input_size((256, 250), 32)
