"""Law 9: what every architecture must do, whatever its encoder."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from networks import NETWORKS, STRIDES, forward, randomized

from geoseg import models
from geoseg.errors import ModelError
from geoseg.models import architectures, build, build_mobilenet_unet, build_segnet, build_unet, build_unetpp

every_network = pytest.mark.parametrize("name", NETWORKS)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


@every_network
@pytest.mark.parametrize("bands", [1, 4, 8])
def test_any_number_of_bands(name, bands):
    model = NETWORKS[name](bands=bands)
    size = 2 * STRIDES[name]
    probabilities = forward(model, noise(1, size, size, bands))
    assert probabilities.shape == (1, size, size, 1)
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1


@every_network
def test_output_training_and_saving(name, tmp_path):
    keras.utils.set_random_seed(1)
    model = NETWORKS[name](classes=3, activation="softmax")
    check_sizes(model, STRIDES[name])
    check_integer_input(model, STRIDES[name])
    check_training(model, 2 * STRIDES[name])
    check_saving(model, STRIDES[name], tmp_path / "model.keras")


def check_sizes(model, stride):
    for height, width in [(1, 1), (2, 3)]:
        probabilities = forward(model, noise(2, height * stride, width * stride, 3))
        assert probabilities.shape == (2, height * stride, width * stride, 3)
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)


def check_integer_input(model, stride):
    image = noise(1, stride, stride, 3).astype("uint8")
    result = keras.ops.convert_to_numpy(model(image, training=False))
    np.testing.assert_array_equal(result, forward(model, image))


def check_training(model, size):
    images = noise(2, size, size, 3)
    labels = (images[..., 0] > 128).astype("int32")
    # Eager, because tracing these graphs takes longer than running them; Adam would be half of a step then.
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    before, after = (float(model.train_on_batch(images, labels)) for _ in range(2))
    assert after < before


def check_saving(model, stride, path):
    model.save(path)
    image = noise(2, 2 * stride, stride, 3)
    loaded = keras.saving.load_model(path, safe_mode=True)
    np.testing.assert_allclose(forward(loaded, image), forward(model, image), atol=1e-6)


@pytest.mark.parametrize("name", ["unet-transpose", "segnet", "mobilenet_unet"])
def test_compiled_with_sizes_unknown(name):
    model, stride = NETWORKS[name](), STRIDES[name]
    for height, width in [(1, 2), (2, 1), (2, 2)]:  # the third size makes Keras trace with unknown ones
        images = noise(1, height * stride, width * stride, 3)
        np.testing.assert_allclose(model.predict(images, verbose=0), forward(model, images), atol=1e-5)


@every_network
def test_fixed_patch_size_and_wrong_one(name):
    size = STRIDES[name]
    assert NETWORKS[name](patch_size=size).input_shape == (None, size, size, 3)
    with pytest.raises(
        ModelError, match=rf"patch size {size + 6} is not a multiple of {size}; use {2 * size}$"
    ):
        NETWORKS[name](patch_size=size + 6)


@pytest.mark.parametrize(
    ("build_network", "arguments", "count"),
    [
        (
            build_unet,
            {
                "classes": 12,
                "activation": "softmax",
                "batch_norm": False,
                "dropout": 0.3,
                "up": "transpose",
                "up_kernel": 3,
            },
            34_514_060,
        ),
        (build_unet, {}, 31_396_609),
        (build_unet, {"width": 16, "classes": 2}, 1_967_058),
        (build_unet, {"width": 16, "encoder": "mobilenet_v2"}, 5_425_921),
        (build_unetpp, {}, 36_636_929),
        (build_unetpp, {"deep_supervision": True}, 36_637_124),
        (build_segnet, {"classes": 12, "activation": "softmax"}, 29_488_844),
        (build_mobilenet_unet, {}, 11_325_074),
        (build_mobilenet_unet, {"classes": 2, "alpha": 0.35, "decoder": (96, 64, 48, 32)}, 862_820),
    ],
)
def test_parameter_counts(build_network, arguments, count):
    assert build_network(**arguments).count_params() == count


def test_mixed_precision_ends_in_float32():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = randomized(NETWORKS["unet"]())
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("x_0_0").output.dtype == "bfloat16"
    assert forward(model, noise(1, 16, 16, 3)).dtype == np.float32


def test_registry_builds_by_name_and_explains_mistakes():
    assert build("segnet", width=2, convolutions=[1, 1]).name == "segnet"
    with pytest.raises(ModelError, match=", ".join(architectures())):
        build("unet3")
    with pytest.raises(ModelError, match="unet takes no argument 'widht'; it takes: bands, classes"):
        build("unet", widht=2)


def test_a_new_architecture_is_one_new_file(tmp_path, monkeypatch):
    source = "import keras\ndef build_tinynet(*, bands=3): return keras.Sequential(name=f'tiny{bands}')\n"
    (tmp_path / "tinynet.py").write_text(source)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    assert set(architectures()) == {"mobilenet_unet", "segnet", "tinynet", "unet", "unetpp"}
    assert build("tinynet", bands=4).name == "tiny4"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "relu"}, "unknown activation 'relu'; choose one of: sigmoid, softmax"),
        ({"activation": "softmax"}, "softmax needs at least 2 classes, got 1"),
        ({"bands": 0}, "at least one input band, got 0"),
        ({"up": "cubic"}, "unknown up-sampling 'cubic'"),
        ({"encoder": "vgg"}, "unknown encoder 'vgg'; choose one of: plain, mobilenet_v2"),
        ({"weights": "imagenet"}, "plain encoder has no pre-trained weights"),
        ({"encoder": "mobilenet_v2", "depth": 6}, "mobilenet_v2 encoder has no depth 6; use 1 to 5"),
        ({"depth": 0}, "plain encoder has no depth 0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ModelError, match=message):
        build_unet(**{"width": 2} | arguments)


def test_the_package_itself_imports_no_keras():
    check = "import geoseg.models, sys; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
