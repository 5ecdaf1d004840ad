"""Segmentation networks in Keras 3, and what their graphs say about tiling them.

Names are imported on first use, so that reading a model bundle for another engine never imports Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.models.blocks import check_input_size as check_input_size
    from geoseg.models.layers import MaxPoolingWithIndices as MaxPoolingWithIndices
    from geoseg.models.layers import MaxUnpooling as MaxUnpooling
    from geoseg.models.mobilenet_unet import build_mobilenet_unet as build_mobilenet_unet
    from geoseg.models.registry import architectures as architectures
    from geoseg.models.registry import build as build
    from geoseg.models.segnet import build_segnet as build_segnet
    from geoseg.models.unet import build_unet as build_unet
    from geoseg.models.unetpp import build_unetpp as build_unetpp
    from geoseg.models.unetpp import prune as prune

_HOMES = {
    "MaxPoolingWithIndices": "layers",
    "MaxUnpooling": "layers",
    "architectures": "registry",
    "build": "registry",
    "build_mobilenet_unet": "mobilenet_unet",
    "build_segnet": "segnet",
    "build_unet": "unet",
    "build_unetpp": "unetpp",
    "check_input_size": "blocks",
    "prune": "unetpp",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
