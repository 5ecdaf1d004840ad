"""From a model bundle to a running engine."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.errors import EngineError
from geoseg.models.bundle import INT8_FILE, ONNX_FILE, Bundle
from geoseg.models.card import PRECISIONS
from geoseg.runtime import available
from geoseg.runtime.engine import Engine

BATCH_PIXELS = 2**18  # per call: more is no faster on a CPU, and takes memory
GPU_BATCH_PIXELS = 2**23
GPU_STREAMS = 2  # one batch is copied to the GPU or back while the other is computed


@dataclass(frozen=True, slots=True)
class Choice:
    """What a model is run with.

    Attributes:
        engine: `tensorflow`, `openvino` or `onnx`.
        precision: `float32` or faster.
        reason: why, in a few words.
    """

    engine: str
    precision: str
    reason: str


def choose(bundle: Bundle, name: str = "auto", precision: str = "auto") -> Choice:
    """Choose engine and precision for a bundle on this machine, without loading anything.

    `auto` is the engine of a GPU that TensorFlow sees, else OpenVINO, else ONNX Runtime, else TensorFlow;
    and the fastest precision that processor and engine have and the model's card allows.

    Raises:
        EngineError: what was asked for does not exist, is not installed, or does not suit the model.
    """
    engine, reason = _automatic(bundle) if name == "auto" else (_checked(bundle, name), "as asked for")
    return Choice(engine, _precision(bundle, engine, precision), reason)


def load_engine(
    bundle: Bundle,
    name: str = "auto",
    *,
    precision: str = "auto",
    patch_size: int | None = None,
    batch_size: int | None = None,
) -> Engine:
    """Load the bundle's network into an engine.

    Args:
        bundle: the model.
        name: `auto`, `tensorflow`, `openvino` or `onnx`.
        precision: `auto` or one of `models.card.PRECISIONS`.
        patch_size: height and width of the patches to come; the card's when None.
        batch_size: patches per call; chosen for the device when None.

    Raises:
        EngineError: see `choose`.
        BundleError: when the bundle's files are not what its card says.
    """
    choice = choose(bundle, name, precision)
    pixels = (patch_size or bundle.card.patch_size) ** 2
    if choice.engine == "tensorflow":
        return _load_keras(bundle, pixels, batch_size, choice.precision)
    card, file = bundle.card, bundle.file(INT8_FILE if choice.precision == "int8" else ONNX_FILE)
    numbers = dict(classes=len(card.classes), stride=card.stride, halo=card.halo,
                   batch_size=batch_size or max(1, BATCH_PIXELS // pixels))  # fmt: skip
    if choice.engine == "onnx":
        from geoseg.runtime.onnx_engine import OnnxEngine

        return OnnxEngine(file, **numbers, precision=choice.precision)
    from geoseg.runtime.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(file, **numbers, precision=choice.precision)


def _load_keras(bundle: Bundle, pixels: int, batch_size: int | None, precision: str) -> Engine:
    from geoseg.runtime import keras_engine

    backend = keras_engine.import_keras().backend.backend()
    device = keras_engine.device(backend)
    streams = GPU_STREAMS if device == "GPU" else 1
    if (backend, device) == ("tensorflow", "CPU"):
        streams = keras_engine.one_core_a_call()
    card = bundle.card
    return keras_engine.KerasEngine(
        bundle.load_keras(),
        classes=len(card.classes),
        stride=card.stride,
        halo=card.halo,
        streams=streams,
        precision=precision,
        batch_size=batch_size or max(1, (GPU_BATCH_PIXELS if device == "GPU" else BATCH_PIXELS) // pixels),
    )


def automatic() -> tuple[str, str]:
    """The engine for a model that has files for all of them, and why."""
    if available.gpu():
        return "tensorflow", "it sees a GPU"
    if available.installed("openvino"):
        return "openvino", "the fastest one on a processor; no GPU was found"
    if available.installed("onnx"):
        return "onnx", "no GPU was found and OpenVINO is not installed"
    return "tensorflow", "neither OpenVINO nor ONNX Runtime is installed"


def _automatic(bundle: Bundle) -> tuple[str, str]:
    if reason := _keras_only(bundle):
        return "tensorflow", reason
    return automatic()


def _keras_only(bundle: Bundle) -> str:
    """Why only Keras can run a bundle; empty when the other engines can."""
    if bundle.level is not None:
        return f"a network cut off at L{bundle.level} runs on tensorflow only"
    if ONNX_FILE not in bundle.card.files:
        return f"model {bundle.card.name} has no {ONNX_FILE}"
    return ""


def _checked(bundle: Bundle, name: str) -> str:
    if name not in available.ENGINES:
        known = ", ".join(available.ENGINES)
        raise EngineError(f"there is no engine {name}; choose auto or one of: {known}")
    available.check_installed(name)
    if name != "tensorflow" and (reason := _keras_only(bundle)):
        mend = "" if bundle.level is not None else f"run geoseg model add-onnx {bundle.folder} or "
        raise EngineError(f"{reason}; {mend}choose --engine tensorflow")
    return name


def _precision(bundle: Bundle, engine: str, wanted: str) -> str:
    card = bundle.card
    if wanted not in ("auto", *PRECISIONS):
        raise EngineError(f"there is no precision {wanted}; choose auto or one of: {', '.join(PRECISIONS)}")
    if wanted != "auto" and wanted not in card.precisions:
        mend = f"run geoseg model quantize {bundle.folder}, " if wanted == "int8" else ""
        raise EngineError(f"model {card.name} is proved in {_list(card.precisions)} only, not in {wanted}; "
                          f"{mend}choose one of these or auto")  # fmt: skip
    if wanted == "auto" and card.precisions == ("float32",):
        return "float32"
    here = available.precisions(engine)
    if wanted == "int8" and engine != "tensorflow" and available.multiplies_bytes():
        return wanted  # a file of its own, held to a wider limit than auto may promise
    if wanted == "auto":
        return next(each for each in reversed(PRECISIONS) if each in here and each in card.precisions)
    if wanted not in here:
        raise EngineError(f"{engine} computes in {_list(here)} on this machine, not in {wanted}; "
                          "choose one of these or another --engine")  # fmt: skip
    return wanted


def _list(names: tuple[str, ...]) -> str:
    return " and ".join(names)
