"""A network in int8: kept only within limits that the test measures again; otherwise not a byte changes."""

import importlib.util
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import jaccard_score

from geoseg.errors import EngineError, ModelError
from geoseg.models.bundle import find_bundle, save_bundle, sha256
from geoseg.models.onnx_parts import classifier, delicate_nodes, encoder, kept_choices, widened
from geoseg.runtime import available, quantize
from geoseg.runtime.choose import choose, load_engine
from geoseg.runtime.mask_change import Samples, class_masks, mask_change

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

needs_nncf = pytest.mark.skipif(
    importlib.util.find_spec("nncf") is None, reason="NNCF is not installed: pip install geoseg[quantize]"
)
needs_int8 = pytest.mark.skipif(
    not available.multiplies_bytes(), reason="this processor is not known to have instructions for int8"
)

TWO = SimpleNamespace(classes=("a", "b"))  # all that is asked of a card here
every_engine = pytest.mark.parametrize("name", ["openvino", "onnx"])


def made(name, card, folder, half=False):
    import keras
    from networks import NETWORKS, randomized

    keras.utils.set_random_seed(0)
    return save_bundle(randomized(NETWORKS[name](classes=2)), replace(card, name=name), folder, half=half)


@pytest.fixture(scope="module")
def plain(tiny_bundle, tmp_path_factory):
    """A small U-Net."""
    return made("unet", tiny_bundle.card, tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture(scope="module")
def delicate(tiny_bundle, tmp_path_factory):
    """A small UNet++ with a MobileNetV2 encoder, weights stored as float16."""
    return made("unetpp-mobilenet", tiny_bundle.card, tmp_path_factory.mktemp("models") / "d", half=True)


def samples(count, seed=0, side=64, classes=2):
    """Blurred noise: neighbouring pixels alike, as in pictures; truth that agrees with no network."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, side // 8, side // 8, 3))
    pixels = np.kron(coarse, np.ones((1, 8, 8, 1))) + rng.normal(0, 5, (count, side, side, 3))
    valid = rng.random((count, side, side)) < 0.9
    targets = rng.choice([0, 1, 255], (count, side, side, classes)).astype(np.uint8)
    return Samples(pixels.clip(0, 255).astype(np.uint8), valid, targets)


@pytest.fixture(scope="module")
def small(plain, tmp_path_factory):
    """The U-Net quantized with no limit, the trials, and the patches that were checked."""
    bundle = find_bundle(shutil.copytree(plain.folder, tmp_path_factory.mktemp("models") / "small"))
    held = samples(6, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantize, "LEAST_AGREEMENT", 0.0)
        patch.setattr(quantize, "MOST_IOU_LOSS", 1.0)
        return (*quantize.quantize(bundle, samples(4), held), held)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def masks_by_hand(answers, valid):
    """Classes 1 and 2 of a sigmoid at 0.5, as the card says; 255 where not valid."""
    best = np.where(answers[..., 1] > answers[..., 0], 2, 1)
    return np.where(valid, np.where(answers.max(-1) >= 0.5, best, 0), 255)


@needs_nncf
@needs_int8
def test_the_figures_are_those_of_the_engines_masks(small):
    bundle, trials, held = small
    assert [trial.engine for trial in trials] == ["openvino", "onnx"]
    for trial in trials:
        engines = [load_engine(bundle, trial.engine, precision=kind) for kind in ("float32", "int8")]
        pair = [masks_by_hand(engine(held.pixels), held.valid) for engine in engines]
        same = (pair[0] == pair[1])[held.valid].mean()
        assert same < 1
        assert trial.change.agreement == pytest.approx(same, abs=1e-12)
        for masks, found in zip(pair, (trial.change.iou_before, trial.change.iou_after), strict=True):
            for number, iou in enumerate(found):
                known = held.valid & (held.targets[..., number] != 255)
                expected = jaccard_score(held.targets[..., number][known], masks[known] == number + 1)
                assert iou == pytest.approx(expected)


@needs_nncf
@needs_int8
def test_the_bundle_says_what_was_added(small, plain):
    bundle, _, _ = small
    again = find_bundle(bundle.folder)
    assert again.card == bundle.card
    assert again.card.precisions == ("float32", "int8")
    assert again.card.files == {
        **plain.card.files, "model.int8.onnx": sha256(bundle.folder / "model.int8.onnx")
    }  # fmt: skip


@needs_nncf
@needs_int8
@every_engine
def test_an_engine_reads_it_and_stays_close(small, name):
    bundle, _, held = small
    engine = load_engine(bundle, name, precision="int8", patch_size=64)
    assert engine.precision == "int8"
    error = np.abs(engine(held.pixels) - load_engine(bundle, name, precision="float32")(held.pixels))
    assert 0 < error.mean() < 0.02


@needs_nncf
@needs_int8
def test_openvino_convolves_bytes(small):
    bundle, _, held = small
    engine = load_engine(bundle, "openvino", precision="int8", patch_size=64)
    facts = [node.get_rt_info() for node in engine._compiled(held.pixels.shape).get_runtime_model().get_ops()]
    text = lambda fact, key: fact[key] if isinstance(fact[key], str) else fact[key].astype(str)  # noqa: E731
    kinds = [text(fact, "runtimePrecision") for fact in facts if text(fact, "layerType") == "Convolution"]
    assert sum(kind in ("u8", "i8") for kind in kinds) > len(kinds) / 2


@needs_nncf
@needs_int8
@pytest.mark.parametrize(("limit", "value"), [("LEAST_AGREEMENT", 1.01), ("MOST_IOU_LOSS", -2.0)])
def test_beyond_a_limit_nothing_is_written(plain, tmp_path, monkeypatch, limit, value):
    folder = shutil.copytree(plain.folder, tmp_path / "b")
    before = contents(folder)
    monkeypatch.setattr(quantize, "LEAST_AGREEMENT", 0.0)
    monkeypatch.setattr(quantize, "MOST_IOU_LOSS", 1.0)
    monkeypatch.setattr(quantize, limit, value)
    with pytest.raises(ModelError, match=r"agrees on [\d.]+ % .* loses .*; the bundle was left") as error:
        quantize.quantize(find_bundle(folder), samples(2), samples(2, seed=1))
    assert "\n" not in str(error.value)
    assert contents(folder) == before


@needs_nncf
@needs_int8
def test_delicate_layers_stay_as_they_are(delicate):
    wide = widened(onnx.load(delicate.file("model.onnx")))
    _, kept = next(iter(kept_choices(wide)))
    found = quantize.quantized(wide, samples(2), kept)
    makers = {node.output[0]: node.op_type for node in found.graph.node}
    for node in found.graph.node:
        if node.op_type == "Conv":
            assert (makers.get(node.input[1]) == "DequantizeLinear") == (node.name not in kept), node.name


def test_without_nncf_the_message_says_what_to_install(plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(EngineError, match=r"pip install geoseg\[quantize\]") as error:
        quantize.quantize(plain, samples(1), samples(1))
    assert "\n" not in str(error.value)


@needs_nncf
def test_a_processor_without_int8_is_not_asked_to_prove_it(plain, monkeypatch):
    monkeypatch.setattr(available, "multiplies_bytes", lambda: False)
    with pytest.raises(EngineError, match="no instructions for int8"):
        quantize.quantize(plain, samples(1), samples(1))


def allowing(bundle, *precisions):
    return replace(bundle, card=replace(bundle.card, precisions=precisions))


@pytest.mark.parametrize(
    ("allowed", "here", "engine", "words"),
    [
        (False, True, "openvino", "proved in float32 only, not in int8; run geoseg model quantize .*plain"),
        (True, False, "openvino", "not in int8"),
        (True, False, "onnx", "onnx computes in float32 on this machine, not in int8"),
        (True, True, "tensorflow", "tensorflow computes in float32 on this machine, not in int8"),
    ],
)
def test_int8_that_cannot_be_had_is_refused_in_one_line(plain, monkeypatch, allowed, here, engine, words):
    monkeypatch.setattr(available, "multiplies_bytes", lambda: here)
    bundle = allowing(plain, "float32", "int8") if allowed else plain
    with pytest.raises(EngineError, match=words) as error:
        choose(bundle, engine, "int8")
    assert "\n" not in str(error.value)


@every_engine
def test_int8_is_chosen_when_asked_for_and_never_by_itself(plain, monkeypatch, name):
    monkeypatch.setattr(available, "multiplies_bytes", lambda: True)
    bundle = allowing(plain, "float32", "int8")
    assert choose(bundle, name, "int8").precision == "int8"
    assert choose(bundle, name).precision == "float32"


def test_float16_weights_are_widened_to_the_same_network(delicate):
    path = delicate.file("model.onnx")
    wide = widened(onnx.load(path))
    stored = {tensor.data_type for tensor in wide.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in {tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.FLOAT16 not in stored
    batch = {"pixels": samples(1).pixels.astype(np.float32)}
    answers = [onnxruntime.InferenceSession(each, providers=["CPUExecutionProvider"]).run(None, batch)[0]
               for each in (str(path), wide.SerializeToString())]  # fmt: skip
    np.testing.assert_array_equal(*answers)


def test_encoder_decoder_and_last_layer_are_told_apart(delicate):
    wide = widened(onnx.load(delicate.file("model.onnx")))
    scopes = lambda nodes: {name.split("/")[0] for name in nodes}  # noqa: E731
    layers = scopes(node.name for node in wide.graph.node)
    front = scopes(encoder(wide))
    assert {layer for layer in layers if layer.startswith(("block_", "Conv1", "expanded"))} <= front
    assert not {layer for layer in layers if layer.startswith(("x_", "probabilities"))} & front
    last = scopes(classifier(wide))
    assert any(layer.startswith("probabilities") for layer in last)
    assert not last & (front - {"output"})
    first, second = kept_choices(wide)
    assert delicate_nodes(wide) <= first[1] < second[1]


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_masks_are_compared_where_there_is_data(seed, labelled):
    rng = np.random.default_rng(seed)
    shape = (2, 3, 4)
    valid = rng.random(shape) < 0.8
    before, after = (np.where(valid, rng.integers(0, 3, shape), 255).astype(np.uint8) for _ in range(2))
    truth = rng.choice([0, 1, 255], (*shape, 2)).astype(np.uint8)
    found = mask_change(before, after, Samples(np.zeros(shape), valid, truth if labelled else None), TWO)
    pairs = [a == b for a, b, v in zip(before.flat, after.flat, valid.flat, strict=True) if v]
    assert found.agreement == pytest.approx(np.mean(pairs) if pairs else np.nan, nan_ok=True)
    assert labelled or np.isnan([*found.iou_before, *found.iou_after, found.iou_loss]).all()
    for number, iou in enumerate(found.iou_after if labelled else ()):
        known = valid & (truth[..., number] != 255)
        sets = [set(np.flatnonzero(part & known)) for part in (after == number + 1, truth[..., number] == 1)]
        union = sets[0] | sets[1]
        assert iou == pytest.approx(len(sets[0] & sets[1]) / len(union) if union else np.nan, nan_ok=True)


def test_masks_do_not_depend_on_the_batch(tiny_bundle):
    held = samples(7)
    ones, threes = (load_engine(tiny_bundle, "onnx", patch_size=64, batch_size=size) for size in (1, 3))
    masks = class_masks(threes, held, tiny_bundle.card)
    np.testing.assert_array_equal(masks, class_masks(ones, held, tiny_bundle.card))
    np.testing.assert_array_equal(masks == 255, ~held.valid)
    bright, dark = held.pixels[..., 0] >= 128, held.pixels[..., 1] <= 127
    np.testing.assert_array_equal(np.isin(masks, (1, 2)), (bright | dark) & held.valid)


@needs_nncf
@needs_int8
@pytest.mark.parametrize("least", [0.0, 1.01])
def test_the_command_writes_or_refuses(plain, make_raster, tmp_path, monkeypatch, least):
    from geoseg.cli import main

    folder = shutil.copytree(plain.folder, tmp_path / "b")
    before = contents(folder)
    scene = make_raster(pixels=np.concatenate(list(samples(4, side=128).pixels)))
    monkeypatch.setattr(quantize, "LEAST_AGREEMENT", least)
    words = ["model", "quantize", str(folder), str(scene), "--patches", "2", "--json"]
    run = CliRunner().invoke(main, words)
    if least > 1:
        assert run.exit_code == 1
        assert contents(folder) == before
        return
    assert run.exit_code == 0, run.output
    rows = json.loads(run.stdout)
    assert [row["engine"] for row in rows] == ["openvino", "onnx"]
    assert all(0.5 < row["agreement"] <= 1 and row["iou_int8"] == [None, None] for row in rows)
    words = ["predict", str(scene), "-m", str(folder), "-o", str(tmp_path / "m.tif"), "--precision", "int8"]
    assert CliRunner().invoke(main, words).exit_code == 0
