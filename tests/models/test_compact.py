import time
import zipfile

import keras
import numpy as np
import onnx
import pytest
from onnx.external_data_helper import uses_external_data

from geoseg.models.bundle import find_bundle, save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.models.compact import round_weights, squeeze
from geoseg.models.registry import build
from geoseg.models.unet import build_unet
from geoseg.runtime.choose import load_engine


@pytest.fixture
def model():
    model = build_unet(classes=2, width=8, depth=2)
    rng = np.random.default_rng(1)
    model.set_weights([w + rng.normal(0, 0.05, w.shape).astype(np.float32) ** 2 for w in model.get_weights()])
    return model


def card():
    return Card(
        "tiny", "A test.", "CC0-1.0", (), "unet", 0, "sigmoid", ("red", "green", "blue"), (0.1, 1.0),
        32, 8, 0, 1, 0, (ClassSpec("building"), ClassSpec("tree")),
    )  # fmt: skip


def test_rounded_kernels_fit_float16_and_the_rest_keeps_its_bits(model):
    before = model.get_weights()
    round_weights(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        if old.ndim < 2:
            assert np.array_equal(old, new)
        else:
            assert np.array_equal(new, new.astype(np.float16).astype(np.float32))
            np.testing.assert_allclose(new, old, rtol=2**-11, atol=2**-25)
            assert not np.array_equal(old, new)


def test_a_kernel_that_float16_cannot_hold_is_left_alone(model):
    kernel = next(v for v in model.weights if len(v.shape) == 4)
    kernel.assign(np.full(kernel.shape, 1e6, np.float32))
    round_weights(model)
    assert (np.asarray(kernel) == 1e6).all()


def test_a_small_bundle_holds_its_kernels_once_and_its_files_agree(model, tmp_path):
    whole = save_bundle(model, card(), tmp_path / "whole")
    small = save_bundle(model, card(), tmp_path / "small", half=True)
    sizes = [sum(path.stat().st_size for path in bundle.folder.glob("model.*")) for bundle in (small, whole)]
    assert sizes[0] < 0.5 * sizes[1]
    patches = np.random.default_rng(2).integers(0, 256, (2, 32, 32, 3), np.uint8)
    exact = load_engine(whole, "tensorflow")(patches)
    found = {engine: load_engine(small, engine, precision="float32")(patches)
             for engine in ("tensorflow", "openvino", "onnx")}  # fmt: skip
    assert 0 < np.abs(found["tensorflow"] - exact).max() < 5e-3
    for engine in ("openvino", "onnx"):
        np.testing.assert_allclose(found[engine], found["tensorflow"], atol=1e-5)
    assert small.card.files == find_bundle(tmp_path / "small").card.files


@pytest.mark.parametrize(("kind", "options"), [
    ("unet", {"width": 8, "depth": 2, "up": "transpose"}),
    ("mobilenet_unet", {"alpha": 0.35, "decoder": (8, 8, 8, 8)}),
])  # fmt: skip
def test_kernels_of_every_kind_of_convolution_are_found_in_the_keras_file(kind, options, tmp_path):
    small = save_bundle(build(kind, classes=2, **options), card(), tmp_path, half=True)
    inside = onnx.load(small.file("model.onnx"), load_external_data=False).graph.initializer
    half = [tensor for tensor in inside if tensor.data_type == onnx.TensorProto.FLOAT16]
    assert half
    for tensor in half:
        assert uses_external_data(tensor), tensor.name
        offset = next(int(pair.value) for pair in tensor.external_data if pair.key == "offset")
        assert offset % 2 == 0
    onnx.checker.check_model(str(small.file("model.onnx")))


def test_the_same_weights_are_squeezed_to_the_same_bytes(model, tmp_path):
    for name in "ab":
        model.save(tmp_path / f"{name}.keras")
        squeeze(tmp_path / f"{name}.keras")
        time.sleep(1.1)  # the seconds of HDF5's own times
    a, b = (tmp_path / f"{name}.keras" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert b"date" not in zipfile.ZipFile(a).read("metadata.json")
    again = keras.saving.load_model(a)
    for ours, theirs in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
