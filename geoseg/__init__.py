"""geoseg: GeoTIFFs of any size in, seam-free masks and clean georeferenced polygons out.

The names below load what they need when they are first used, so that `import geoseg` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from geoseg.api import batch, predict, tile, train, web
    from geoseg.errors import GeosegError
    from geoseg.evaluation.run import evaluate
    from geoseg.polygons import vectorize
    from geoseg.report.page import write_report

__version__ = "0.1.0"
__all__ = ["GeosegError", "batch", "evaluate", "predict", "tile", "train", "vectorize", "web", "write_report"]

_HOMES = {
    "GeosegError": "geoseg.errors",
    "batch": "geoseg.api",
    "evaluate": "geoseg.evaluation.run",
    "predict": "geoseg.api",
    "tile": "geoseg.api",
    "train": "geoseg.api",
    "vectorize": "geoseg.polygons",
    "web": "geoseg.api",
    "write_report": "geoseg.report.page",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'geoseg' has no attribute {name!r}")
