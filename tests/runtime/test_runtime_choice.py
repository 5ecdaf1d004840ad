"""Which engine runs a model, and in what precision: a table; and one clear line where none can."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from geoseg.api import predict
from geoseg.errors import EngineError
from geoseg.models.bundle import find_bundle
from geoseg.models.card import PRECISIONS
from geoseg.runtime import available
from geoseg.runtime.choose import choose, load_engine
from geoseg.runtime.doctor import diagnose

BOTH = ("float32", "bfloat16")


@pytest.fixture
def machine(monkeypatch):
    """A function that pretends which engines, GPU and precisions there are."""

    def pretend(engines, gpu=False, openvino=BOTH):
        monkeypatch.setattr(available, "installed", lambda name: name in engines.split())
        monkeypatch.setattr(available, "gpu", lambda: gpu)
        monkeypatch.setattr(
            available, "precisions", lambda name: openvino if name == "openvino" else ("float32",)
        )

    return pretend


def card_of(bundle, **changes):
    return replace(bundle, card=replace(bundle.card, **changes))


def without_onnx(bundle):
    return card_of(bundle, files={"model.keras": bundle.card.files["model.keras"]})


ALL = "tensorflow openvino onnx"


@pytest.mark.parametrize(
    ("engines", "gpu", "asked", "chosen"),
    [
        (ALL, False, "auto", "openvino"),
        (ALL, True, "auto", "tensorflow"),
        (ALL, True, "openvino", "openvino"),
        (ALL, False, "tensorflow", "tensorflow"),
        (ALL, False, "onnx", "onnx"),
        ("tensorflow onnx", False, "auto", "onnx"),
        ("tensorflow", False, "auto", "tensorflow"),
        ("onnx", False, "auto", "onnx"),
    ],
)
def test_the_engine(machine, tiny_bundle, engines, gpu, asked, chosen):
    machine(engines, gpu)
    choice = choose(tiny_bundle, asked)
    assert choice.engine == chosen
    assert choice.reason


@pytest.mark.parametrize("gpu", [False, True])
def test_without_onnx_only_keras_can(machine, tiny_bundle, gpu):
    machine(ALL, gpu)
    bundle = without_onnx(tiny_bundle)
    assert choose(bundle).engine == "tensorflow"
    assert choose(replace(tiny_bundle, level=1)).engine == "tensorflow"
    with pytest.raises(EngineError, match=r"no model\.onnx; run geoseg model add-onnx .*tiny or choose"):
        choose(bundle, "openvino")
    with pytest.raises(EngineError, match=r"cut off at L1 .*; choose --engine tensorflow"):
        choose(replace(tiny_bundle, level=1), "onnx")


@pytest.mark.parametrize(
    ("card", "here", "engine", "asked", "chosen"),
    [
        (("float32",), BOTH, "openvino", "auto", "float32"),
        (BOTH, BOTH, "openvino", "auto", "bfloat16"),
        (BOTH, BOTH, "openvino", "float32", "float32"),
        (BOTH, BOTH, "openvino", "bfloat16", "bfloat16"),
        (BOTH, ("float32",), "openvino", "auto", "float32"),
        (BOTH, BOTH, "onnx", "auto", "float32"),
        (BOTH, BOTH, "tensorflow", "auto", "float32"),
        (("float32", "int8"), BOTH, "openvino", "auto", "float32"),
    ],
)
def test_the_precision(machine, tiny_bundle, card, here, engine, asked, chosen):
    machine(ALL, openvino=here)
    assert choose(card_of(tiny_bundle, precisions=card), engine, asked).precision == chosen


@pytest.mark.parametrize(
    ("engines", "words", "message"),
    [
        (ALL, ("abacus",), "no engine abacus; choose auto or one of: tensorflow, openvino, onnx"),
        ("tensorflow", ("openvino",), "openvino is not installed; pip install openvino"),
        ("openvino", ("tensorflow",), "tensorflow is not installed; pip install tensorflow"),
        ("tensorflow", ("onnx",), "onnx is not installed; pip install onnxruntime"),
        (ALL, ("auto", "half"), "no precision half; choose auto or one of: float32"),
        (ALL, ("auto", "int8"), "proved in float32 and bfloat16 only, not in int8"),
        (ALL, ("onnx", "bfloat16"), "onnx computes in float32 on this machine, not in bfloat16"),
    ],
)
def test_what_cannot_be_had_is_refused_in_one_line(machine, tiny_bundle, engines, words, message):
    machine(engines)
    with pytest.raises(EngineError, match=message) as error:
        choose(card_of(tiny_bundle, precisions=BOTH), *words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("fast", "chosen"), [("bfloat16", "bfloat16"), ("float16", "float32")])
def test_keras_computes_in_what_the_gpu_does_fast(monkeypatch, tiny_bundle, fast, chosen):
    from geoseg.runtime import machine

    bundle = card_of(tiny_bundle, precisions=BOTH)
    assert choose(bundle, "tensorflow").precision == "float32"  # on the processor
    monkeypatch.setattr(available, "gpu", lambda: True)
    monkeypatch.setattr(machine, "fast_precision", lambda backend: fast)
    assert choose(bundle, "tensorflow").precision == chosen
    assert choose(tiny_bundle, "tensorflow").precision == "float32"  # its card allows nothing else


@pytest.mark.parametrize(
    ("backend", "package"), [("jax", "jax"), ("torch", "torch"), ("tensorflow", "tensorflow")]
)
def test_keras_needs_the_backend_that_was_asked_for(monkeypatch, backend, package):
    monkeypatch.setenv("KERAS_BACKEND", backend)
    asked = []
    monkeypatch.setattr(available.importlib.util, "find_spec", asked.append)  # finds nothing
    with pytest.raises(EngineError, match=f"the engine tensorflow is not installed; pip install {package}"):
        available.check_installed("tensorflow")
    assert asked == [package]


def test_a_processor_without_bfloat16_says_so(machine, tiny_bundle):
    machine(ALL, openvino=("float32",))
    with pytest.raises(EngineError, match="openvino computes in float32 on this machine"):
        choose(card_of(tiny_bundle, precisions=BOTH), "openvino", "bfloat16")


@pytest.mark.parametrize("files", [[], ["nvidiactl"], ["null", "nvidia-uvm"]])
def test_no_framework_is_asked_for_a_gpu_where_no_device_is(monkeypatch, tmp_path, files):
    for name in files:
        (tmp_path / name).touch()
    monkeypatch.setattr(available, "DEVICES", tmp_path)
    monkeypatch.setitem(sys.modules, "geoseg.runtime.keras_engine", None)  # importing it is an error
    assert not available.gpu()
    (tmp_path / "nvidia0").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not available.gpu()


@pytest.mark.parametrize("seen", ["CPU", "GPU"])
def test_where_a_device_is_the_framework_decides(monkeypatch, tmp_path, seen):
    from geoseg.runtime import keras_engine

    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(available, "DEVICES", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(keras_engine, "device", lambda backend: seen)
    assert available.gpu() == (seen == "GPU")


def test_doctor_tells_engines_choice_and_reason(machine):
    machine("tensorflow openvino")
    facts = diagnose()
    assert facts["engine auto"].startswith("openvino: ")
    assert facts["engine openvino"].endswith("float32, bfloat16")
    assert facts["engine onnx"] == "not installed: pip install onnxruntime, or onnxruntime-gpu"
    assert "auto is openvino in " in facts["model buildings-trees"]
    machine("tensorflow", gpu=True)
    assert diagnose()["engine auto"] == "tensorflow: it sees a GPU"


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_a_damaged_file_is_refused_in_one_line(tiny_bundle, tmp_path, engine):
    from geoseg.models.bundle import sha256

    folder = shutil.copytree(tiny_bundle.folder, tmp_path / "broken")
    (folder / "model.onnx").write_bytes(b"no network")
    files = {**tiny_bundle.card.files, "model.onnx": sha256(folder / "model.onnx")}
    (folder / "card.toml").write_text(replace(tiny_bundle.card, files=files).to_toml())
    with pytest.raises(EngineError, match=r"cannot load .*model\.onnx.*add-onnx") as error:
        load_engine(find_bundle(folder), engine)
    assert "\n" not in str(error.value)


PREDICT = """
import json, sys
from geoseg.cli import main
main(["predict", *sys.argv[1:]], standalone_mode=False)
engines = {"tensorflow", "keras", "jax", "torch", "openvino", "onnxruntime"}
print(json.dumps(sorted(engines & set(sys.modules))))
"""


@pytest.mark.parametrize(("engine", "library"), [("openvino", "openvino"), ("onnx", "onnxruntime")])
def test_predicting_without_tensorflow_never_imports_it(tiny_bundle, make_raster, tmp_path, engine, library):
    words = [make_raster(), "-m", tiny_bundle.folder, "-o", tmp_path / "mask.tif", "--engine", engine,
             "--polygons", tmp_path / "p.gpkg"]  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", PREDICT, *map(str, words)], capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout.splitlines()[-1]) == [library]


@pytest.mark.parametrize("backend", available.KERAS)
def test_keras_runs_on_others_without_tensorflow(tiny_bundle, make_raster, tmp_path, backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed: Keras cannot be tried on it")
    masks = [tmp_path / "other.tif", tmp_path / "here.tif"]
    words = [make_raster(), "-m", tiny_bundle.folder, "--engine", "tensorflow", "-o", masks[0]]
    run = subprocess.run([sys.executable, "-c", PREDICT, *map(str, words)], capture_output=True, text=True,
                         check=True, env=dict(os.environ, KERAS_BACKEND=backend))  # fmt: skip
    found = set(json.loads(run.stdout.splitlines()[-1]))
    assert backend in found
    assert found | {"jax"} == {backend, "jax", "keras"}  # Keras itself imports JAX where it is
    predict(words[0], masks[1], model=tiny_bundle.folder, engine="openvino")
    pixels = []
    for mask in masks:
        with rasterio.open(mask) as file:
            pixels.append(file.read(1))
    np.testing.assert_array_equal(*pixels)


def test_the_command_line_offers_what_there_is():
    from geoseg.cli import options, predict

    assert options.ENGINES == available.ENGINES
    assert set(predict.PRECISIONS) == set(PRECISIONS)


def test_auto_is_an_engine_that_agrees_with_keras(tiny_bundle):
    batch = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
    answers = [load_engine(tiny_bundle, name)(batch) for name in ("auto", "tensorflow")]
    np.testing.assert_allclose(*answers, atol=1e-5)
