"""Which engines this machine has, found out as cheaply as can be: importing TensorFlow takes seconds."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path

from geoseg.errors import EngineError

ENGINES = ("tensorflow", "openvino", "onnx")
PACKAGES = {"tensorflow": "tensorflow", "openvino": "openvino", "onnx": "onnxruntime"}
INSTALL = {
    "tensorflow": "pip install tensorflow",
    "openvino": "pip install openvino",
    "onnx": "pip install onnxruntime, or onnxruntime-gpu",
}
DEVICES = Path("/dev")
GPU_FILES = ("nvidia[0-9]*", "kfd", "dxg")  # NVIDIA, AMD, and either one inside WSL


def installed(engine: str) -> bool:
    """Whether the engine's package can be imported; it is not imported for that."""
    return importlib.util.find_spec(PACKAGES[engine]) is not None


def version(engine: str) -> str | None:
    """The version of the engine's package; None when it is unknown."""
    try:
        return importlib.metadata.version(PACKAGES[engine])
    except importlib.metadata.PackageNotFoundError:
        return None  # e.g. from onnxruntime-gpu or tensorflow-cpu


def check_installed(engine: str) -> None:
    """Refuse an engine that is not there.

    Raises:
        EngineError: with what to install.
    """
    if not installed(engine):
        raise EngineError(f"the engine {engine} is not installed; {INSTALL[engine]}, or choose --engine auto")


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
    if engine != "openvino":
        return ("float32",)
    from geoseg.runtime import openvino_engine

    return openvino_engine.precisions()
