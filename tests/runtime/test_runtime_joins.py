"""OpenVINO's graphs without joins: the same answers, and what does not fit the pattern left as it is."""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import openvino
import pytest
from openvino import opset13 as op

from geoseg.models.export import to_onnx
from geoseg.runtime.openvino_joins import without_joins

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
CORE = openvino.Core()


def kinds(model):
    return Counter(node.get_type_name() for node in model.get_ordered_ops())


def sources(model):
    """What convolutions read."""
    convolutions = (node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    return {node.input_value(0).get_node().get_type_name() for node in convolutions}


def answer(model, *inputs):
    compiled = CORE.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(dict(enumerate(inputs)))[0]


def rewritten(model):
    changed = model.clone()
    without_joins(changed)
    return changed


def decoder(channels, *, scales=(1, 1, 2, 2), kernel=3, mode="nearest", seed=0):
    """A convolution of features (2, channels[0], 12, 20), …, the last enlarged from half as many pixels."""
    draw = np.random.default_rng(seed)
    small = [side // factor for side, factor in zip((12, 20), scales[2:], strict=True)]
    *beside, last = channels
    given = [op.parameter([-1, count, 12, 20], np.float32) for count in beside]
    given.append(op.parameter([-1, last, *small], np.float32))
    enlarged = op.interpolate(given[-1], op.constant(np.array(scales, np.float32)), mode, "scales",
                              coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip
    weights = op.constant(draw.normal(size=(5, sum(channels), kernel, kernel)).astype(np.float32))
    edge = [kernel // 2] * 2
    out = op.convolution(op.concat([*given[:-1], enlarged], 1), weights, [1, 1], edge, edge, [1, 1])
    shapes = [(2, *each.get_partial_shape()[1:].to_shape()) for each in given]
    inputs = [draw.normal(size=shape).astype(np.float32) for shape in shapes]
    return openvino.Model([op.relu(out)], given), inputs


@pytest.mark.parametrize("channels", [(3, 4), (1, 1), (2, 3, 4, 5), (7,)])
def test_the_sum_of_parts_is_the_convolution_of_what_was_joined(channels):
    model, inputs = decoder(channels)
    changed = rewritten(model)
    found = kinds(changed)
    assert (found["Concat"], found["Interpolate"], found["ConvolutionBackpropData"]) == (0, 0, 1)
    assert found["Convolution"] == len(channels) - 1
    np.testing.assert_allclose(answer(changed, *inputs), answer(model, *inputs), atol=1e-4)


@pytest.mark.parametrize("other", [dict(scales=(1, 1, 4, 4)), dict(scales=(1, 1, 2, 1)), dict(mode="linear")])
def test_features_enlarged_in_another_way_stay_enlarged(other):
    model, inputs = decoder((3, 4), **other)
    changed = rewritten(model)
    assert (kinds(changed)["Concat"], kinds(changed)["Interpolate"]) == (0, 1)
    np.testing.assert_allclose(answer(changed, *inputs), answer(model, *inputs), atol=1e-4)


@pytest.mark.parametrize("kernel", [1, 5])
def test_other_kernels_stay_as_they_are(kernel):
    model, _ = decoder((3, 4), kernel=kernel)
    assert kinds(rewritten(model)) == kinds(model)


def test_the_networks_of_this_package_lose_their_joins(tmp_path):
    from networks import NETWORKS, ready

    patches = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3)).astype(np.float32)
    for name in NETWORKS:
        file = tmp_path / f"{name}.onnx"
        file.write_bytes(to_onnx(ready(name)).SerializeToString())
        model = CORE.read_model(file)
        changed = rewritten(model)
        assert "Concat" not in sources(changed), name
        assert kinds(changed)["Interpolate"] == 0, name
        np.testing.assert_allclose(answer(changed, patches), answer(model, patches), atol=1e-5, err_msg=name)


def test_a_rewritten_layer_keeps_its_name():
    """By which layers are marked that stay in float32."""
    model, _ = decoder((3, 4))
    node = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Convolution")
    node.set_friendly_name("x_0_1_first_conv/7")
    names = [node.get_friendly_name() for node in rewritten(model).get_ordered_ops()]
    assert {"x_0_1_first_conv/7", "x_0_1_first_conv/7/0", "x_0_1_first_conv/7/1"} <= set(names)
