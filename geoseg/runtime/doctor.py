"""What this machine has, for bug reports and for the curious."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from geoseg.core.prefetch import cores
from geoseg.models.bundle import shipped
from geoseg.runtime import keras_engine

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "scipy", "opencv-python-headless", "rasterio", "pyproj",
            "shapely", "geopandas", "pyogrio", "pyarrow")  # fmt: skip


def diagnose() -> dict[str, str]:
    """Facts by topic, in reading order."""
    import rasterio

    backend = keras_engine.import_keras().backend.backend()
    where = keras_engine.device(backend)
    reason = "it sees a GPU" if where == "GPU" else "it is the only engine installed; no GPU was found"
    return {
        "geoseg": _version("geoseg"),
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
        "processor": f"{cores()} cores",
        "gdal": rasterio.__gdal_version__,
        **{name: _version(name) for name in PACKAGES},
        "models": ", ".join(bundle.card.name for bundle in shipped()) or "none",
        "engines": backend,
        "engine auto": f"{backend} on {where}: {reason}",
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
