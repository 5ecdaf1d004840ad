"""OpenVINO and ONNX Runtime behind the same protocol as Keras: any batch, any thread, any patch size."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from geoseg.core.prefetch import cores
from geoseg.errors import EngineError
from geoseg.models.bundle import find_bundle, save_bundle, shipped
from geoseg.runtime import agreement as agreements
from geoseg.runtime.agreement import Agreement, agreement, prove
from geoseg.runtime.choose import load_engine
from geoseg.runtime.openvino_engine import OpenVinoEngine, precisions

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

SAMPLE = Path(__file__).parents[2] / "sample_data" / "suburb.tif"
every_engine = pytest.mark.parametrize("name", ["openvino", "onnx"])
has_bfloat16 = pytest.mark.skipif(
    "bfloat16" not in precisions(), reason="this processor emulates bfloat16 at best: nothing to measure"
)


def images(count, side=64, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype(dtype)


@pytest.fixture(scope="module")
def saved(tiny_bundle, tmp_path_factory):
    """A small U-Net with a MobileNetV2 encoder as a bundle, and the model."""
    from networks import ready

    model = ready("unet-mobilenet")
    card = replace(tiny_bundle.card, name="small", precisions=("float32", "bfloat16"))
    return save_bundle(model, card, tmp_path_factory.mktemp("models") / "small"), model


def expected(model, batch):
    from networks import forward

    return forward(model, batch)


@every_engine
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_any_number_of_patches_gets_keras_answer(saved, name, count, dtype):
    bundle, model = saved
    engine = load_engine(bundle, name, precision="float32", patch_size=64, batch_size=4)
    batch = images(count, dtype=dtype)
    answer = engine(batch)
    assert (answer.shape, answer.dtype) == ((count, 64, 64, 2), np.float32)
    np.testing.assert_allclose(answer, expected(model, batch), atol=1e-4)


@every_engine
def test_one_engine_takes_patches_of_any_size(saved, name):
    bundle, model = saved
    engine = load_engine(bundle, name, precision="float32", batch_size=2)
    for side in (32, 96, 64):
        batch = images(2, side)
        np.testing.assert_allclose(engine(batch), expected(model, batch), atol=1e-4)


@every_engine
def test_what_the_pipeline_asks_of_an_engine(tiny_bundle, saved, name):
    engine = load_engine(saved[0], name, patch_size=128)
    card = saved[0].card
    assert (engine.classes, engine.stride, engine.halo) == (2, card.stride, card.halo)
    assert engine.streams == cores()
    assert engine.batch_size == 16
    assert engine.name.startswith(name)
    assert load_engine(tiny_bundle, name, patch_size=4096).batch_size == 1


@every_engine
def test_threads_that_call_at_once_get_the_answers_of_calls_in_turn(saved, name):
    bundle, _ = saved
    batches = [images(1 + k % 3, 64 if k % 2 else 32, seed=k) for k in range(12)]
    serial = load_engine(bundle, name, precision="float32", batch_size=2)
    alone = [serial(batch) for batch in batches]
    shared = load_engine(bundle, name, precision="float32", batch_size=2)
    with ThreadPoolExecutor(6) as pool:  # more than there are streams, from the very first call
        together = list(pool.map(shared, batches))
    for ours, theirs in zip(alone, together, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=has_bfloat16)])
def test_fewer_calls_at_once_use_all_cores_and_give_the_same(saved, precision):
    usual, fewer = (load_engine(saved[0], "openvino", precision=precision, batch_size=2) for _ in range(2))
    fewer.streams = 1  # as where memory is short
    batch = images(2, 64)
    np.testing.assert_array_equal(usual(batch), fewer(batch))
    request = fewer._pools[batch.shape].get()
    assert request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == cores()


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("onnx", "float32"),
        ("openvino", "float32"),
        pytest.param("openvino", "bfloat16", marks=has_bfloat16),
    ],
)
def test_a_patch_has_the_same_bits_wherever_it_is_and_whatever_is_beside_it(saved, name, precision):
    engine = load_engine(saved[0], name, precision=precision, batch_size=4)
    batch = images(4)
    together = engine(batch)
    for place in range(4):
        np.testing.assert_array_equal(engine(np.roll(batch, place, axis=0)[: place + 1])[place], together[0])


@every_engine
def test_an_answer_is_not_written_over_by_the_next_call(saved, name):
    engine = load_engine(saved[0], name, batch_size=2)
    first = engine(images(2))
    kept = first.copy()
    engine(images(2, seed=1))
    np.testing.assert_array_equal(first, kept)


@every_engine
def test_views_of_other_arrays_are_read_as_they_look(saved, name):
    engine = load_engine(saved[0], name, precision="float32", batch_size=2)
    batch = images(2)
    turned = np.rot90(batch, axes=(1, 2))[:, ::-1]
    assert not turned.flags.c_contiguous
    np.testing.assert_array_equal(engine(turned), engine(np.ascontiguousarray(turned)))


def test_a_patch_size_that_does_not_suit_the_network_is_an_engine_error(saved):
    with pytest.raises(EngineError, match="--patch-size") as error:
        load_engine(saved[0], "openvino", batch_size=1)(images(1, 40))
    assert "\n" not in str(error.value)


def kinds(engine, batch):
    """How many convolutions run in which type."""
    compiled = engine._compiled(batch.shape)
    facts = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    text = lambda fact, key: fact[key] if isinstance(fact[key], str) else fact[key].astype(str)  # noqa: E731
    return [text(fact, "runtimePrecision") for fact in facts if text(fact, "layerType") == "Convolution"]


@has_bfloat16
def test_delicate_layers_stay_in_float32_and_the_others_do_not(saved):
    bundle, model = saved
    batch = images(4)
    numbers = dict(classes=2, stride=1, halo=0, batch_size=4)
    mixed = OpenVinoEngine(bundle.file("model.onnx"), **numbers, precision="bfloat16")
    found = kinds(mixed, batch)
    assert found.count("f32") > 18  # MobileNetV2 to block 6, three convolutions each
    assert found.count("bf16") > 40  # all others but the last two
    full = kinds(OpenVinoEngine(bundle.file("model.onnx"), **numbers), batch)
    assert set(full) == {"f32"}
    assert 0 < np.abs(mixed(batch) - expected(model, batch)).max() < 0.2


@has_bfloat16
def test_a_plain_network_runs_in_bfloat16_throughout(tiny_bundle, tmp_path):
    from networks import ready

    bundle = save_bundle(ready("unet"), tiny_bundle.card, tmp_path / "b")
    engine = OpenVinoEngine(
        bundle.file("model.onnx"), classes=2, stride=1, halo=0, batch_size=4, precision="bfloat16"
    )
    assert "f32" not in kinds(engine, images(4))[:-1]


@every_engine
def test_float32_agrees_with_keras(saved, name):
    found = agreement(saved[0], images(2), name, "float32")
    assert found.largest < 1e-4
    assert found.flipped < 1e-3


@pytest.mark.parametrize("bundle", list(shipped()), ids=lambda bundle: bundle.card.name)
def test_the_bundles_of_the_package_say_the_same_in_every_engine(bundle):
    with rasterio.open(SAMPLE) as scene:
        patch = scene.read(window=((400, 656), (400, 656))).transpose(1, 2, 0)[None]
    keras, *others = (
        load_engine(bundle, name, precision="float32", patch_size=256)(patch)
        for name in ("tensorflow", "openvino", "onnx")
    )
    for answer in others:
        np.testing.assert_allclose(answer, keras, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("flipped", "kept"), [(0.0005, ("float32", "bfloat16")), (0.002, ("float32",))])
def test_the_card_says_what_was_proved(saved, tmp_path, monkeypatch, flipped, kept):
    bundle = save_bundle(saved[1], saved[0].card, tmp_path / "b")
    monkeypatch.setattr(agreements.available, "precisions", lambda name: ("float32", "bfloat16"))
    monkeypatch.setattr(agreements, "agreement", lambda *words: Agreement(0.01, flipped))
    assert prove(bundle, images(1)).card.precisions == kept
    assert find_bundle(tmp_path / "b").card.precisions == kept
    assert find_bundle(tmp_path / "b").card.files == bundle.card.files


def test_first_calls_of_openvino_are_made_one_at_a_time(saved, monkeypatch):
    from geoseg.runtime import openvino_engine

    running, most = [], []

    class Watched:
        def __enter__(self):
            lock.acquire()
            running.append(1)
            most.append(len(running))

        def __exit__(self, *_):
            running.pop()
            lock.release()

    lock = threading.Lock()
    monkeypatch.setattr(openvino_engine, "ALONE", Watched())
    engine = load_engine(saved[0], "openvino", precision="float32", batch_size=1)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(engine, [images(1)] * 9))
    assert most and max(most) == 1
    assert len(most) < 9, "later calls run side by side"
