"""From a model bundle to a running engine."""

from __future__ import annotations

from geoseg.errors import EngineError
from geoseg.models.bundle import Bundle
from geoseg.runtime.engine import Engine

BATCH_PIXELS = 2**18  # per call: more is no faster on a CPU, and takes memory
GPU_BATCH_PIXELS = 2**23


def load_engine(
    bundle: Bundle, name: str = "auto", *, patch_size: int | None = None, batch_size: int | None = None
) -> Engine:
    """Load the bundle's network into the engine called `name`.

    Args:
        bundle: the model.
        name: `auto` or `tensorflow`.
        patch_size: height and width of the patches to come; the card's when None.
        batch_size: patches per call; chosen for the device when None.

    Raises:
        EngineError: when there is no such engine.
        BundleError: when the bundle's files are not what its card says.
    """
    if name not in ("auto", "tensorflow"):
        raise EngineError(f"there is no engine {name}; choose auto or tensorflow")
    from geoseg.runtime import keras_engine

    backend = keras_engine.import_keras().backend.backend()
    device = keras_engine.device(backend)
    streams = keras_engine.one_core_a_call() if (backend, device) == ("tensorflow", "CPU") else 1
    pixels = (patch_size or bundle.card.patch_size) ** 2
    card = bundle.card
    return keras_engine.KerasEngine(
        bundle.load_keras(),
        classes=len(card.classes),
        stride=card.stride,
        halo=card.halo,
        streams=streams,
        batch_size=batch_size or max(1, (GPU_BATCH_PIXELS if device == "GPU" else BATCH_PIXELS) // pixels),
    )
