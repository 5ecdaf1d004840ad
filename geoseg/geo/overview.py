"""Which of a raster's overviews can stand for it when it is seen through larger pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from geoseg.errors import SceneError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.raster import Raster

LEAST = 2  # pixels of an overview a side for one to be averaged; so it matters little how they were made


@contextmanager
def fine_enough(raster: Raster, shape: tuple[int, int]) -> Iterator[Raster]:
    """The coarsest overview with at least twice the pixels of `shape` a side, or the raster itself.

    It is read and decoded in a fraction of the time. Only overviews of a Cloud-Optimized GeoTIFF will do:
    they were made together with its pixels, mask and code for no data, and GDAL takes that name away from a
    file that was changed since. Files beside it may add a mask, and the user a code, that overviews do not
    know and may be mixtures with, so then none will.

    Args:
        raster: a dataset on its own pixel plane.
        shape: (height, width) of the larger pixels on the same ground.

    Raises:
        SceneError: when an overview cannot be opened.
    """
    dataset = raster.dataset
    own = tuple(dataset.nodatavals[index - 1] for index in raster.indexes)
    whole = dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG" and len(dataset.files) == 1
    most = min(fine / coarse for fine, coarse in zip(raster.shape, shape, strict=True)) / LEAST
    levels = [level for level, factor in enumerate(dataset.overviews(raster.indexes[0])) if factor <= most]
    if not (whole and levels) or any(code != own for code in raster.nodata):
        yield raster
        return
    with translated(SceneError, f"{raster.name}: cannot open its overviews", "make the file again as a COG"):
        overview = open_raster(dataset.name, overview_level=levels[-1])
    with overview:
        yield replace(raster, dataset=overview)
