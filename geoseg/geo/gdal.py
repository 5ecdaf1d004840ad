"""What every user of GDAL through rasterio needs: its errors, its cache, its silence."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.core.prefetch import cores
from geoseg.errors import GeosegError, in_a_line

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError, MemoryError, ValueError, RuntimeError)
CACHE_BYTES = 192 * 2**20  # two rows of blocks of a wide scene; GDAL's own default is 5 % of the machine
CACHE_RANGE = 2**26, 2**30  # bytes, where the blocks are known

# GDAL itself waits for ever for a server that says nothing more, and asks once. It looks these up in the
# environment when it has no other word of them, in whatever thread and process it opens a file.
NETWORK = {
    "GDAL_HTTP_CONNECTTIMEOUT": "10", "GDAL_HTTP_LOW_SPEED_TIME": "30", "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_MAX_RETRY": "4", "GDAL_HTTP_RETRY_DELAY": "1",
}  # fmt: skip
for _name, _value in NETWORK.items():
    os.environ.setdefault(_name, _value)


def session(raster: Any = None) -> Any:
    """A rasterio environment with a bounded block cache and all cores, to run a job in.

    It holds a row and a half of blocks: windows are lower than they, and each is to be decoded only once.
    Blocks of a window are decoded side by side, where GDAL knows how to.

    Args:
        raster: the dataset that is read from top to bottom; None for a usual one.
    """
    size = CACHE_BYTES if raster is None else int(np.clip(block_row_bytes(raster) * 3 // 2, *CACHE_RANGE))
    return rasterio.Env(GDAL_CACHEMAX=size, GDAL_NUM_THREADS=cores())


def block_row_bytes(raster: Any) -> int:
    """Bytes of a row of the blocks of an open raster, as GDAL decodes them."""
    together = raster.count if raster.interleaving and raster.interleaving.name == "pixel" else 1
    height = max(height for height, _ in raster.block_shapes)
    return int(together * np.dtype(raster.dtypes[0]).itemsize * raster.width * height)


def open_raster(path: Any, mode: str = "r", **profile: Any) -> Any:
    """`rasterio.open` without the warning about missing georeference, which geoseg words itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode, **profile)


@contextmanager
def translated(kind: type[GeosegError], what: str, remedy: str) -> Iterator[None]:
    """Turn GDAL's errors inside the `with` block into `kind`, as `what: reason; remedy`."""
    try:
        yield
    except GeosegError:
        raise
    except GDAL_ERRORS as error:
        raise kind(f"{what}: {_reason(error)}; {remedy}") from error


def _reason(error: BaseException) -> str:
    """The deepest message of a chain of errors, as one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return in_a_line(error)
