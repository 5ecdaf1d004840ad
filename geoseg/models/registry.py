"""The architectures by name, for recipes and model cards."""

import inspect
from collections.abc import Callable

import keras

from geoseg.errors import ModelError
from geoseg.models.mobilenet_unet import build_mobilenet_unet
from geoseg.models.segnet import build_segnet
from geoseg.models.unet import build_unet
from geoseg.models.unetpp import build_unetpp

ARCHITECTURES: dict[str, Callable[..., keras.Model]] = {
    "unet": build_unet,
    "unetpp": build_unetpp,
    "segnet": build_segnet,
    "mobilenet_unet": build_mobilenet_unet,
}


def build(architecture: str, **arguments: object) -> keras.Model:
    """Build a network by the name of its architecture.

    Args:
        architecture: a key of `ARCHITECTURES`.
        arguments: keyword arguments of that architecture's `build_…` function.

    Raises:
        ModelError: no such architecture, or an argument that it does not take or cannot use.
    """
    if architecture not in ARCHITECTURES:
        names = ", ".join(ARCHITECTURES)
        raise ModelError(f"unknown architecture {architecture!r}; choose one of: {names}")
    builder = ARCHITECTURES[architecture]
    known = inspect.signature(builder).parameters
    if unknown := sorted(set(arguments) - set(known)):
        raise ModelError(f"{architecture} takes no argument {unknown[0]!r}; it takes: {', '.join(known)}")
    return builder(**arguments)
