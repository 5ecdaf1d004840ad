"""`geoseg model export` and `add-onnx`: files that other programs open."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from geoseg.models.bundle import find_bundle
from geoseg.runtime.choose import load_engine

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
from cli_runs import assert_refused, names, run

TARGETS = {"onnx": "net.onnx", "openvino": "net.xml", "saved_model": "net"}


def images(side=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (2, side, side, 3)).astype(np.float32)


def on_onnx(path, batch):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {"pixels": batch.transpose(0, 3, 1, 2) / 255})[0].transpose(0, 2, 3, 1)[..., 1:]


def on_openvino(path, batch):
    import openvino

    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(batch)[0]


def on_saved_model(path, batch):
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    return model.serve(tf.constant(batch)).numpy()


RUN = {"onnx": on_onnx, "openvino": on_openvino, "saved_model": on_saved_model}


@pytest.mark.parametrize("kind", TARGETS)
def test_another_program_gets_the_same_answer(tiny_bundle, tmp_path, kind):
    target = tmp_path / TARGETS[kind]
    result = run("model", "export", tiny_bundle.folder, "--to", kind, "-o", target)
    assert result.exit_code == 0, result.stderr
    written = [Path(line) for line in result.stdout.splitlines()]
    assert written[0] == target
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written}
    expected = load_engine(tiny_bundle, "tensorflow")(images())
    np.testing.assert_allclose(RUN[kind](target, images()), expected, atol=1e-5)


@pytest.mark.parametrize("kind", TARGETS)
def test_nothing_is_overwritten_unasked(tiny_bundle, tmp_path, kind):
    target = tmp_path / TARGETS[kind]
    if kind == "saved_model":
        target.mkdir()
        (target / "mine").write_text("mine")
    else:
        target.write_text("mine")
    words = ["model", "export", tiny_bundle.folder, "--to", kind, "-o", target]
    before = sorted(tmp_path.rglob("*"))
    assert_refused(run(*words), "overwrite")
    assert sorted(tmp_path.rglob("*")) == before
    assert run(*words, "--overwrite").exit_code == 0
    assert not target.is_file() or target.read_bytes() != b"mine"


@pytest.mark.parametrize(("kind", "name"), [("onnx", "net.xml"), ("openvino", "net.onnx"), ("onnx", "net")])
def test_the_ending_must_suit_the_format(tiny_bundle, tmp_path, kind, name):
    result = run("model", "export", tiny_bundle.folder, "--to", kind, "-o", tmp_path / name)
    assert_refused(result, "ends on", name)
    assert names(tmp_path) == []


def test_what_cannot_be_written_leaves_nothing(tiny_bundle, tmp_path):
    words = ["model", "export", tiny_bundle.folder, "--to", "onnx", "-o"]
    assert_refused(run(*words, tmp_path / "none" / "net.onnx"), "no folder")
    assert_refused(run("model", "export", "cars", "--to", "onnx", "-o", tmp_path / "net.onnx"), "cars")
    assert names(tmp_path) == []


def test_a_bundle_without_onnx_gets_it_in_one_call(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle.folder, tmp_path / "old")
    text = (folder / "card.toml").read_text().splitlines(keepends=True)
    (folder / "card.toml").write_text("".join(line for line in text if "onnx" not in line))
    (folder / "model.onnx").unlink()
    assert "openvino" not in load_engine(find_bundle(folder)).name
    export = run("model", "export", folder, "--to", "openvino", "-o", tmp_path / "net.xml")
    assert export.exit_code == 0, export.stderr
    result = run("model", "add-onnx", folder)
    assert result.stdout.splitlines() == [str(folder / "model.onnx")]
    assert names(folder) == ["card.toml", "model.keras", "model.onnx"]
    assert find_bundle(folder).card == tiny_bundle.card
    assert "openvino" in load_engine(find_bundle(folder), "openvino").name
