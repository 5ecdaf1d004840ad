"""Which engines this machine has, found out as cheaply as can be: importing TensorFlow takes seconds."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path

from geoseg.errors import EngineError

ENGINES = ("tensorflow", "openvino", "onnx")
PACKAGES = {"tensorflow": "tensorflow", "openvino": "openvino", "onnx": "onnxruntime"}
KERAS = ("jax", "torch")  # what Keras runs on besides TensorFlow
INSTALL = {
    "tensorflow": "pip install tensorflow",
    "jax": "pip install jax, or unset KERAS_BACKEND",
    "torch": "pip install torch, or unset KERAS_BACKEND",
    "openvino": "pip install openvino",
    "onnxruntime": "pip install onnxruntime, or onnxruntime-gpu",
}
DEVICES = Path("/dev")
GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")  # NVIDIA, AMD, and either one inside WSL


def package(engine: str) -> str:
    """What an engine needs; `tensorflow` runs Keras models, on what `KERAS_BACKEND` says."""
    backend = os.environ.get("KERAS_BACKEND", "") if engine == "tensorflow" else ""
    return backend if backend in KERAS else PACKAGES[engine]


def installed(engine: str) -> bool:
    """Whether the engine's package can be imported; it is not imported for that."""
    return importlib.util.find_spec(package(engine)) is not None


def version(engine: str) -> str | None:
    """The version of the engine's package; None when it is unknown."""
    try:
        return importlib.metadata.version(package(engine))
    except importlib.metadata.PackageNotFoundError:
        return None  # e.g. from onnxruntime-gpu or tensorflow-cpu


def install(engine: str) -> str:
    """How to install what an engine needs."""
    return INSTALL[package(engine)]


def check_installed(engine: str) -> None:
    """Refuse an engine that is not there.

    Raises:
        EngineError: with what to install.
    """
    if not installed(engine):
        raise EngineError(f"the engine {engine} is not installed; {install(engine)}, or choose --engine auto")


def gpu() -> bool:
    """Whether Keras' backend sees a GPU; it is asked only where there is a device that could be one."""
    if not (_gpu_file() and installed("tensorflow")):
        return False
    from geoseg.runtime import keras_engine

    return keras_engine.device(keras_engine.import_keras().backend.backend()) == "GPU"


def _gpu_file() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(list(DEVICES.glob(name)) for name in GPU_FILES)


def precisions(engine: str) -> tuple[str, ...]:
    """What an installed engine computes in at full speed here, slowest first."""
    if engine == "openvino":
        from geoseg.runtime import openvino_engine

        return openvino_engine.precisions()
    return _keras_precisions() if engine == "tensorflow" and gpu() else ("float32",)


def multiplies_bytes() -> bool:
    """Whether the processor is known to have instructions for int8 that never saturate on the way.

    Those before them add products in 16 bits, which may overflow: other masks than those that were proved.
    """
    from geoseg.runtime.machine import has_int8

    return has_int8()


def _keras_precisions() -> tuple[str, ...]:
    from geoseg.runtime.keras_engine import import_keras
    from geoseg.runtime.machine import fast_precision

    fast = fast_precision(import_keras().backend.backend())
    return ("float32", fast) if fast == "bfloat16" else ("float32",)
