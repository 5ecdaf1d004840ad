"""What every user of GDAL through rasterio needs: its errors, its cache, its silence."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from geoseg.errors import GeosegError

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError, MemoryError, ValueError, RuntimeError)
CACHE_BYTES = 192 * 2**20  # two rows of blocks of a wide scene; GDAL's own default is 5 % of the machine


def session() -> Any:
    """A rasterio environment with a bounded block cache, to run a job in."""
    return rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES)


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
    return " ".join(str(error).split()) or type(error).__name__
