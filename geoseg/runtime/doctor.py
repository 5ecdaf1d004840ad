"""What this machine has, for bug reports and for the curious."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys

from geoseg.core.prefetch import cores
from geoseg.models.bundle import Bundle, shipped
from geoseg.runtime import available
from geoseg.runtime.choose import automatic, choose

PACKAGES = ("keras", "jax", "torch", "numpy", "scipy", "opencv-python-headless", "rasterio", "pyproj",
            "shapely", "geopandas", "pyogrio", "pyarrow", "onnx")  # fmt: skip


def diagnose() -> dict[str, str]:
    """Facts by topic, in reading order."""
    import rasterio

    name, reason = automatic()
    return {
        "geoseg": _version("geoseg"),
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
        "processor": f"{cores()} cores",
        "gdal": rasterio.__gdal_version__,
        **{package: _version(package) for package in PACKAGES},
        "keras backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        **{f"engine {engine}": _engine(engine) for engine in available.ENGINES},
        "engine auto": f"{name}: {reason}",
        **{f"model {bundle.card.name}": _run_with(bundle) for bundle in shipped()},
    }


def _engine(name: str) -> str:
    """Its version, device and precisions, or what to install."""
    if not available.installed(name):
        return f"not installed: {available.install(name)}"
    version, precisions = available.version(name) or "installed", ", ".join(available.precisions(name))
    return f"{version} on {_device(name)}: {precisions}"


def _device(name: str) -> str:
    if name == "tensorflow":
        return "GPU" if available.gpu() else "CPU"
    if name == "openvino":
        return "CPU"
    from geoseg.runtime.onnx_engine import providers

    return providers()[0].removesuffix("ExecutionProvider")


def _run_with(bundle: Bundle) -> str:
    choice = choose(bundle)
    return f"auto is {choice.engine} in {choice.precision}: {choice.reason}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
