"""Law 8: what is written as ONNX says what Keras says, for every architecture and every layer that we use."""

import json
import logging
from dataclasses import replace

import keras
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from keras import layers
from networks import NETWORKS, STRIDES, forward, randomized, ready

from geoseg.core.mask import classify
from geoseg.errors import ModelError
from geoseg.models import build_unet, build_unetpp
from geoseg.models.bundle import find_bundle, save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.models.export import to_onnx, to_tool_onnx

SAME = 1e-4
CARD = Card(
    name="made-up", summary="For tests.", licence="MIT", attribution=("nobody", "no one"), architecture="",
    parameters=0, activation="sigmoid", bands=("red", "green", "blue"), pixel_sizes_m=(0.2, 0.8),
    patch_size=64, overlap=16, median_kernel=0, stride=1, halo=0,
    classes=(ClassSpec("building", threshold=0.3), ClassSpec("tree", threshold=0.6)),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _same_weights_every_time():
    keras.utils.set_random_seed(0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def on_onnxruntime(proto, images):
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": images})[0]


def on_openvino(proto, images):
    core = openvino.Core()
    model = core.read_model(proto.SerializeToString())
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images)[0]


RUNTIMES = {"onnxruntime": on_onnxruntime, "openvino": on_openvino}
every_runtime = pytest.mark.parametrize("run", RUNTIMES.values(), ids=RUNTIMES)


@pytest.mark.parametrize("name", NETWORKS)
def test_engines_agree_on_every_architecture(name):
    engines_agree(ready(name), STRIDES[name])


@pytest.mark.parametrize("name", ["unet", "segnet", "mobilenet_unet"])
def test_engines_agree_on_classes_that_exclude_each_other(name):
    engines_agree(randomized(NETWORKS[name](classes=3, activation="softmax")), STRIDES[name])


def engines_agree(model, stride):
    proto = to_onnx(model)
    for sizes in [(2, 2 * stride, 2 * stride), (1, 3 * stride, 4 * stride)]:
        images = noise(*sizes, 3)
        expected = forward(model, images)
        assert np.ptp(expected) > 0.1, "an answer that is the same everywhere proves nothing"
        for run in RUNTIMES.values():
            np.testing.assert_allclose(run(proto, images), expected, atol=SAME)


def test_equal_pixels_are_unpooled_to_where_keras_puts_them():
    model = ready("segnet")
    images = np.repeat(np.repeat(noise(1, 8, 8, 3), 8, axis=1), 8, axis=2)  # flat areas: ties everywhere
    for run in RUNTIMES.values():
        np.testing.assert_allclose(run(to_onnx(model), images), forward(model, images), atol=SAME)


@pytest.mark.parametrize("bands", [1, 4])
def test_any_number_of_bands(bands):
    model = randomized(build_unet(width=2, bands=bands))
    images = noise(1, 32, 32, bands)
    np.testing.assert_allclose(on_onnxruntime(to_onnx(model), images), forward(model, images), atol=SAME)


def network_of(*chain, bands=3, size=24):
    """A model of these layers, with weights and statistics that do something."""
    pixels = keras.Input((None, None, bands))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)
    for layer in chain:
        x = layer(x)
    model, rng = keras.Model(pixels, x), np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1.0, weight.shape) for weight in model.get_weights()])
    return model, noise(2, size, size, bands)


def agrees(model, images, run=on_openvino):
    expected = forward(model, images)
    answer = run(to_onnx(model), images)
    assert answer.shape == expected.shape
    np.testing.assert_allclose(answer, expected, atol=SAME * max(1, np.abs(expected).max()))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["conv", "depthwise", "transposed", "max", "average"]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from(["same", "valid"]),
    st.booleans(),
)
def test_every_kernel_stride_and_padding(kind, kernel, stride, dilation, padding, bias):
    assume(dilation == 1 or stride == 1)
    common = dict(strides=stride, padding=padding)
    if kind in ("max", "average"):
        assume(dilation == 1 and (kind == "max" or padding == "valid"))
        pool = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
        layer = pool(kernel, **common)
    elif kind == "conv":
        layer = layers.Conv2D(6, kernel, dilation_rate=dilation, use_bias=bias, groups=3, **common)
    elif kind == "depthwise":
        layer = layers.DepthwiseConv2D(
            kernel, depth_multiplier=2, dilation_rate=dilation, use_bias=bias, **common
        )
    else:
        assume(dilation == 1)
        layer = layers.Conv2DTranspose(4, kernel, use_bias=bias, **common)
    agrees(*network_of(layer))


CHAINS = {
    "padding before a convolution": lambda: [
        layers.ZeroPadding2D(((0, 1), (2, 3))), layers.Conv2D(4, 3, strides=2)],
    "padding before a padded one": lambda: [
        layers.ZeroPadding2D(2), layers.Conv2D(4, 3, padding="same")],
    "padding alone": lambda: [layers.ZeroPadding2D(((0, 1), (2, 3))), layers.ReLU()],
    "norm after a convolution": lambda: [layers.Conv2D(4, 3), layers.BatchNormalization()],
    "norm after one with a bias": lambda: [layers.Conv2D(4, 3, use_bias=True), layers.BatchNormalization()],
    "norm after an activation": lambda: [layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()],
    "norm alone": lambda: [layers.BatchNormalization(), layers.ReLU(6.0)],
    "norm without scale and offset": lambda: [
        layers.Conv2D(4, 1), layers.BatchNormalization(scale=False, center=False)],
    "two norms": lambda: [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.BatchNormalization()],
    "nearest": lambda: [layers.UpSampling2D((2, 3))],
    "bilinear": lambda: [layers.UpSampling2D(2, interpolation="bilinear")],
    "dropout": lambda: [layers.Dropout(0.5), layers.SpatialDropout2D(0.5), layers.GaussianNoise(1.0)],
    "softmax": lambda: [layers.Conv2D(4, 3, activation="softmax")],
}  # fmt: skip


@every_runtime
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_layers_that_are_joined_or_left_out(chain, run):
    agrees(*network_of(*chain()), run)


def test_a_convolution_that_two_layers_read_is_left_as_it_is():
    pixels = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, padding="same")(pixels)
    model = keras.Model(pixels, layers.Add()([layers.BatchNormalization()(x), x]))
    agrees(randomized_norms(model), noise(1, 16, 16, 3))


def randomized_norms(model):
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.2, 1.0, weight.shape) for weight in model.get_weights()])
    return model


def test_models_inside_models_and_the_last_of_several_heads():
    inner = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()])
    pixels = keras.Input((None, None, 3))
    x = inner(pixels)
    y = keras.Model(pixels, layers.ReLU()(x))(pixels)
    agrees(randomized_norms(keras.Model(pixels, layers.Concatenate()([x, y]))), noise(1, 16, 16, 3))
    nested = randomized(build_unetpp(width=2, depth=2, deep_supervision=True))
    images = noise(1, 16, 16, 3)
    last = keras.Model(nested.input, nested.outputs[-1])
    np.testing.assert_allclose(on_openvino(to_onnx(nested), images), forward(last, images), atol=SAME)


@every_runtime
def test_float16_weights_halve_the_file_and_hardly_change_the_answer(run):
    model = build_unet(width=8, depth=2)
    whole, half = to_onnx(model), to_onnx(model, half=True)
    assert half.ByteSize() < 0.6 * whole.ByteSize()
    images = noise(1, 32, 32, 3)
    answers = [run(proto, images) for proto in (whole, half)]
    np.testing.assert_allclose(*answers, atol=1e-3)
    assert (answers[0] != answers[1]).any()


WITHOUT = {
    "Lambda": lambda: layers.Lambda(lambda x: x * 2),
    "Cropping2D": lambda: layers.Cropping2D(1),
    "bicubic": lambda: layers.UpSampling2D(2, interpolation="bicubic"),
    "slope": lambda: layers.ReLU(negative_slope=0.1),
    "elu": lambda: layers.Conv2D(4, 3, activation="elu"),
    "dilated": lambda: layers.Conv2DTranspose(4, 3, dilation_rate=2),
}


@pytest.mark.parametrize("layer", WITHOUT.values(), ids=WITHOUT)
def test_a_layer_without_onnx_form_is_refused(layer):
    pixels = keras.Input((None, None, 3))
    model = keras.Model(pixels, layers.Conv2D(2, 1, activation="sigmoid")(layer()(pixels)))
    with pytest.raises(ModelError) as error:
        to_onnx(model)
    assert "\n" not in str(error.value)


def test_a_bundle_that_cannot_be_onnx_is_saved_without_it(tmp_path, caplog):
    pixels = keras.Input((None, None, 3))
    x = layers.Cropping2D(0)(pixels)
    model = keras.Model(pixels, layers.Conv2D(2, 1, activation="sigmoid")(x))
    with caplog.at_level(logging.WARNING, "geoseg"):
        assert set(save_bundle(model, CARD, tmp_path / "b").card.files) == {"model.keras"}
    assert "Cropping2D" in caplog.text
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"card.toml", "model.keras"}
    assert set(find_bundle(tmp_path / "b").card.files) == {"model.keras"}


def test_the_file_says_who_made_the_weights_and_which_layers_are_delicate():
    proto = to_onnx(NETWORKS["unetpp-mobilenet"](), CARD)
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert facts["licence"] == "MIT"
    assert facts["attribution"] == "nobody; no one"
    delicate = json.loads(facts["float32_layers"])
    assert {"image", "Conv1", "block_1_depthwise", "block_5_project", "x_1_4_conv"} <= set(delicate)
    assert not {"block_7_expand", "x_1_1_conv", "x_1_4_first_conv"} & set(delicate)
    drawn = {node.name.split("/")[0] for node in proto.graph.node}
    assert {"image", "Conv1", "block_5_project", "x_1_4_conv", "probabilities_logits"} <= drawn
    plain = {entry.key: entry.value for entry in to_onnx(NETWORKS["unet"](), CARD).metadata_props}
    assert json.loads(plain["float32_layers"]) == []


def as_the_tools_do(proto, image, least):
    """Classes of one patch, as geodeep 0.9 and QGIS Deepness make them from bytes (h, w, bands)."""
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    size = session.get_inputs()[0].shape[-1]
    assert image.shape[:2] == (size, size)
    channels = session.run(
        None, {session.get_inputs()[0].name: image.transpose(2, 0, 1)[None] / np.float32(255)}
    )
    channels = np.where(channels[0] < least, 0, channels[0])
    return channels.argmax(axis=1)[0]


@settings(max_examples=10, deadline=None, phases=[Phase.generate])  # each example compiles a network
@given(st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)), st.integers(0, 2**16))
def test_tools_make_the_same_mask_whatever_the_thresholds(thresholds, seed):
    classes = tuple(replace(c, threshold=t) for c, t in zip(CARD.classes, thresholds, strict=True))
    card = replace(CARD, classes=classes, patch_size=32)
    model = tool_network()
    image = np.random.default_rng(seed).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    ours = forward(model, image[None])[0]
    expected = classify(ours, np.ones((32, 32), bool), thresholds, "sigmoid")
    mask = as_the_tools_do(to_tool_onnx(model, card), image, 0.5)
    margins = np.sort(np.abs(np.concatenate([ours - thresholds, np.diff(ours - thresholds)], -1)), -1)
    clear = margins[..., 0] > 1e-4
    assert clear.mean() > 0.5
    np.testing.assert_array_equal(mask[clear], expected[clear])


def tool_network():
    keras.utils.set_random_seed(5)
    return randomized(build_unet(width=2, depth=2, classes=2))


def test_tools_find_what_they_look_up():
    proto = to_tool_onnx(tool_network(), CARD)
    facts = {entry.key: json.loads(entry.value) for entry in proto.metadata_props
             if entry.key not in ("licence", "attribution")}  # fmt: skip
    assert facts == {
        "model_type": "Segmentor",
        "class_names": {"0": "background", "1": "building", "2": "tree"},
        "resolution": 40.0,
        "tile_size": 64,
        "tiles_size": 64,
        "tiles_overlap": 25,
        "seg_thresh": 0.5,
        "seg_small_segment": 0,
        "standardization_mean": [0, 0, 0],
        "standardization_std": [1, 1, 1],
    }
    ends = [
        [dim.dim_value or dim.dim_param for dim in end.type.tensor_type.shape.dim]
        for end in (*proto.graph.input, *proto.graph.output)
    ]
    assert ends == [["batch", 3, 64, 64], ["batch", 3, 64, 64]]


def test_a_softmax_is_handed_to_tools_as_it_is():
    card = replace(CARD, activation="softmax", patch_size=32)
    model = build_unet(width=2, depth=2, classes=2, activation="softmax")
    proto = to_tool_onnx(model, card)
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(facts["class_names"]) == {"0": "building", "1": "tree"}
    assert json.loads(facts["seg_thresh"]) == 0
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    expected = forward(model, image[None])[0].argmax(-1)
    assert (as_the_tools_do(proto, image, 0) == expected).mean() > 0.99


def test_the_same_network_gives_the_same_bytes():
    model = NETWORKS["unetpp"]()
    assert to_onnx(model, CARD).SerializeToString() == to_onnx(model, CARD).SerializeToString()
    assert onnx.load_from_string(to_onnx(model).SerializeToString()).opset_import[0].version == 17
