from pathlib import Path

import keras
import numpy as np
import pytest
from networks import forward

from geoseg.errors import ModelError
from geoseg.models import build_mobilenet_unet, build_unet, build_unetpp
from geoseg.models.backbones import PRETRAINED
from geoseg.models.encoders import plain
from geoseg.models.footprint import footprint
from geoseg.models.pretrained import adapt_bands, pretrained

SMALL = {"alpha": 0.35, "decoder": (4, 4, 4, 4)}
WEIGHTS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "encoder_weights"
LIGHT = WEIGHTS / "mobilenet_v2_0.35_224_no_top.weights.h5"

with_light_weights = pytest.mark.skipif(not LIGHT.is_file(), reason=f"needs {LIGHT.name} in shared data")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A weight file as Keras writes it, and the network that wrote it."""
    network = keras.applications.MobileNetV2((None, None, 3), alpha=0.35, include_top=False, weights=None)
    path = tmp_path_factory.mktemp("weights") / "encoder.weights.h5"
    network.save_weights(path)
    return path, network


@pytest.mark.parametrize("encoder", PRETRAINED)
def test_each_feature_has_the_stride_of_its_name(encoder):
    image = keras.Input((None, None, 3))
    features = pretrained(image, encoder, alpha=0.1)
    for stride, name in PRETRAINED[encoder].ends.items():
        feature = features[stride]
        assert feature._keras_history.operation.name == name
        assert footprint(keras.Model(image, feature)).stride == stride
        assert keras.Model(image, feature).compute_output_shape((1, 64, 96, 3))[1:3] == (
            64 // stride,
            96 // stride,
        )


def test_plain_features_by_stride():
    image = keras.Input((32, 64, 5))
    features = plain(image, width=3, depth=3)
    shapes = {stride: tensor.shape[1:] for stride, tensor in features.items()}
    assert shapes == {1: (32, 64, 3), 2: (16, 32, 6), 4: (8, 16, 12), 8: (4, 8, 24)}


def test_shallow_mobilenet_drops_the_layers_below():
    shallow = build_unet(encoder="mobilenet_v2", alpha=0.1, width=2, depth=3)
    assert footprint(shallow).stride == 8
    assert "block_13_expand" not in {layer.name for layer in shallow.layers}


@pytest.mark.parametrize("build", [build_unet, build_unetpp])
def test_lateral_connections_are_as_wide_as_the_decoder_at_most(build):
    network = {"encoder": "mobilenet_v2", "alpha": 0.35, "width": 5}
    wide, narrow = build(**network), build(**network, lateral=True)
    shapes = {n: narrow.get_layer(f"lateral_{n}").output.shape[-1] for n in (1, 2, 3, 4)}
    assert shapes == {1: 10, 2: 20, 3: 40, 4: 80}
    # the coarsest features, and those of the stem, are not wider
    assert {layer.name[8] for layer in narrow.layers if layer.name.startswith("lateral_")} == set("1234")
    assert narrow.count_params() < wide.count_params()
    assert footprint(narrow) == footprint(wide)


def test_lateral_connections_leave_a_plain_encoder_alone():
    assert build_unet(width=2, lateral=True).count_params() == build_unet(width=2).count_params()


def test_weights_from_a_file(learnt):
    path, network = learnt
    model = build_mobilenet_unet(**SMALL, weights=path)
    for name in ("Conv1", "block_6_depthwise", "block_16_project_BN"):
        for ours, theirs in zip(model.get_layer(name).weights, network.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("bands", [1, 5])
def test_other_bands_answer_to_grey_as_rgb_does(bands, learnt):
    path, network = learnt
    grey = np.random.default_rng(0).uniform(-1, 1, (1, 64, 64, 1))
    image = keras.Input((None, None, bands))
    ours = keras.Model(image, pretrained(image, alpha=0.35, weights=path)[4])
    rgb = keras.Model(network.input, network.get_layer(PRETRAINED["mobilenet_v2"].ends[4]).output)
    results = [forward(model, np.repeat(grey, n, axis=-1)) for model, n in ((ours, bands), (rgb, 3))]
    np.testing.assert_allclose(*results, atol=1e-4)


def test_extra_bands_keep_red_green_and_blue():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 4))
    adapted = adapt_bands(kernel, 6)
    np.testing.assert_allclose(adapted[:, :, :3], kernel / 2)
    np.testing.assert_allclose(adapted[:, :, 5], kernel.mean(axis=2) / 2)


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_batch_norm_stays_as_it_is_in_training(freeze, learnt, tmp_path):
    model = build_mobilenet_unet(**SMALL, weights=learnt[0], freeze_batch_norm=freeze)
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    norm, kernel = model.get_layer("block_3_expand_BN"), model.get_layer("block_3_expand").kernel
    norm_before, kernel_before = norm.get_weights(), np.array(kernel)
    model.compile("sgd", "binary_crossentropy", run_eagerly=True)
    model.train_on_batch(np.full((1, 32, 32, 3), 200.0), np.ones((1, 32, 32, 1)))
    changed = [not np.array_equal(a, b) for a, b in zip(norm.get_weights(), norm_before, strict=True)]
    assert any(changed) is not freeze
    assert not np.array_equal(kernel, kernel_before)
    assert norm.momentum < 0.99


def test_random_batch_norm_is_never_frozen():
    assert build_mobilenet_unet(**SMALL).get_layer("bn_Conv1").trainable


def test_frozen_encoder_leaves_only_the_decoder_trainable(learnt):
    model = build_mobilenet_unet(**SMALL, weights=learnt[0], freeze_encoder=True)
    trainable = {layer.name for layer in model.layers if layer.trainable_weights}
    assert all(name.startswith(("x_", "probabilities")) for name in trainable)
    assert "x_1_4_conv" in trainable


@with_light_weights
def test_published_weights_load_and_tell_images_apart():
    model = build_mobilenet_unet(**SMALL, weights=LIGHT)
    feature = keras.Model(model.input, model.get_layer("block_16_project_BN").output)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3))
    images[1] = 128
    noise, flat = forward(feature, images)
    assert np.abs(noise - flat).mean() > 0.1


@with_light_weights
def test_full_width_weights_load():
    (path,) = WEIGHTS.glob("mobilenet_v2_1.0_*.weights.h5")
    model = build_unet(encoder="mobilenet_v2", width=4, weights=path)
    assert np.isfinite(forward(model, np.zeros((1, 32, 32, 3)))).all()


def test_missing_and_unfitting_files_are_named(learnt, tmp_path):
    with pytest.raises(ModelError, match=r"no encoder weights at .*none\.h5; pass an existing \.h5 file"):
        build_mobilenet_unet(weights=tmp_path / "none.h5")
    with pytest.raises(ModelError, match=r"does not fit mobilenet.* of alpha 0\.5 without top") as caught:
        build_mobilenet_unet(alpha=0.5, weights=learnt[0])
    assert "\n" not in str(caught.value)


def test_imagenet_offline_says_where_it_looked(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("URL fetch failure:\n no network")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", offline)
    monkeypatch.setenv("KERAS_HOME", "/cache")
    with pytest.raises(
        ModelError, match=r"alpha 0\.35 in /cache/models .*no network.*pass weights=PATH"
    ) as caught:
        build_mobilenet_unet(**SMALL, weights="imagenet")
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=r"no ImageNet weights for alpha 0\.1;"):
        build_mobilenet_unet(alpha=0.1, weights="imagenet")


def test_keras_has_no_weights_of_efficientnet():
    with pytest.raises(ModelError, match=r"of MobileNetV2 only; pass weights=PATH .*encoder_weights\.py"):
        build_unet(encoder="efficientnet_lite0", alpha=0.1, width=2, weights="imagenet")
