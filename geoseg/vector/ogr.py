"""pyogrio with the SQLite that it brings.

TensorFlow shows its own SQLite, which knows no R-trees, to every library that is loaded after it: GeoPackages
would have no spatial index. Where it is there already, pyogrio is told to look among its own libraries first.
So every module of ours that reads or writes with it, or has geopandas do so, imports this one.
"""

from __future__ import annotations

import os
import sys

# not without need: the flag does not get on with allocators that are preloaded
ALONE = getattr(os, "RTLD_DEEPBIND", 0) if "tensorflow" in sys.modules else 0
LATE = "tensorflow" in sys.modules and "pyogrio._io" in sys.modules  # both there, maybe in the wrong order

if ALONE:
    usual = sys.getdlopenflags()
    sys.setdlopenflags(usual | ALONE)
    try:
        import pyogrio.raw
    finally:
        sys.setdlopenflags(usual)
else:
    import pyogrio.raw

__all__ = ["pyogrio"]
