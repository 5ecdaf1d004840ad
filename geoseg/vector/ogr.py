"""pyogrio with the SQLite that it brings.

TensorFlow shows its own SQLite, which knows no R-trees, to every library that is loaded after it: GeoPackages
would have no spatial index. Where it is there already, pyogrio is told to look among its own libraries first.
"""

from __future__ import annotations

import os
import sys

# not without need: the flag does not get on with allocators that are preloaded
ALONE = getattr(os, "RTLD_DEEPBIND", 0) if "tensorflow" in sys.modules else 0

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
