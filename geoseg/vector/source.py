"""Rasters to vectorize: class masks and probabilities, geoseg's own or anybody's, as strips of rows.

What a raster holds follows from its tags; without them, from its pixels:

    pixels                          are read as
    integers                        a mask: 0 is background, every other number a class
    integers with a scale           probabilities, once scaled
    floats                          probabilities 0 … 1, one class per band
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.transform import from_gcps

from geoseg.errors import SceneError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import GeoBox
from geoseg.vector.source_classes import ClassBand, chosen
from geoseg.vector.source_kind import OWN, Kind, bands_of, kind_of, mask_bands, probability_bands
from geoseg.vector.source_pixels import ROWS, LabelStrip, Reader, code_cut, mask_strips, probability_strips

log = logging.getLogger(__name__)

RECTIFY = "rectify the raster with gdalwarp first"
CACHE = 2**26, 2**30  # bytes, least and most
STRAY = 0.5  # pixels that control points may be off a plane


@dataclass(frozen=True, slots=True, eq=False)
class RasterSource:
    """An open raster of classes. Use `open_raster_source`.

    Attributes:
        scene: name of the raster, for the polygons' table.
        model: name of the model that made it, None when unknown.
        kind: whether pixels hold class numbers or probabilities.
        geobox: its pixel plane, always with a transform: control points are fitted.
        bands: the classes that were chosen, and where they are.
        reader: of its pixels.
        coded: whether probabilities are bytes round(254·p).
    """

    scene: str
    model: str | None
    kind: Kind
    geobox: GeoBox
    bands: tuple[ClassBand, ...]
    reader: Reader
    coded: bool

    @property
    def classes(self) -> tuple[tuple[str, int], ...]:
        """(name, label) of the chosen classes."""
        return tuple((one.name, one.label) for one in self.bands)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Probability from which a pixel belongs to a class, one each; empty for masks."""
        return tuple(one.threshold for one in self.bands if one.threshold is not None)

    @property
    def cuts(self) -> tuple[float, ...]:
        """The level between two probability codes above which a pixel belongs to a class, one each."""
        return tuple(map(code_cut, self.thresholds))

    def strips(self, class_name: str | None = None, rows: int = ROWS) -> Iterator[LabelStrip]:
        """Read the raster from top to bottom.

        Args:
            class_name: the class to read. None reads all chosen classes of a mask at once; of a
                probability raster, where they may overlap, it reads the only one.
            rows: height of a strip; the last may be lower.

        Raises:
            SceneError: when the file is damaged, holds no probabilities where it should, has no such
                class or several to choose from.
        """
        bands = chosen(self.bands, class_name, self.scene)
        if self.kind == "mask":
            return mask_strips(self.reader, bands, rows)
        if len(bands) > 1:
            names = ", ".join(one.name for one in bands)
            raise SceneError(f"{self.scene}: its classes may overlap; read one at a time of {names}")
        return probability_strips(self.reader, bands[0], self.coded, rows)


@contextmanager
def open_raster_source(
    path: str | Path,
    *,
    class_name: str | None = None,
    band: int | str | None = None,
    threshold: float | None = None,
    nodata: float | None = None,
) -> Iterator[RasterSource]:
    """Open a raster to vectorize, and close it at the end of the `with` block.

    A mask that does not say which classes it holds is read once from end to end to find them.

    Args:
        path: anything GDAL opens.
        class_name: take only this class, by name or number. A mask of one class without a name takes any.
        band: take only this band, by description or number (from 1).
        threshold: probability from which a pixel belongs to a class, instead of the raster's own or 0.5.
        nodata: value of pixels without data, instead of the raster's own.

    Raises:
        SceneError: when it cannot be opened, or has no such class or band.
    """
    with ExitStack() as stack:
        with translated(SceneError, f"cannot open {path}", "give a raster that GDAL can read"):
            dataset = stack.enter_context(open_raster(path))
        tags, box = dataset.tags(), _geobox(dataset)
        bands = bands_of(dataset, band)
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_cache_bytes(dataset)))
        value = dataset.nodatavals[bands[0] - 1] if nodata is None else nodata
        reader = Reader(dataset, value, OWN in tags)
        kind = kind_of(dataset, bands)
        find = probability_bands if kind == "probability" else mask_bands
        yield RasterSource(
            scene=Path(path).name, model=tags.get("GEOSEG_MODEL"), kind=kind, geobox=box,
            bands=chosen(find(reader, bands, threshold), class_name, str(path)), reader=reader,
            coded=OWN in tags and dataset.dtypes[bands[0] - 1] == "uint8",
        )  # fmt: skip


def _cache_bytes(dataset: Any) -> int:
    """A row of blocks and a half: strips are lower than blocks, which are to be decoded only once."""
    together = dataset.count if dataset.interleaving and dataset.interleaving.name == "pixel" else 1
    size = together * np.dtype(dataset.dtypes[0]).itemsize
    row = size * dataset.width * max(height for height, _ in dataset.block_shapes)
    return int(np.clip(row * 3 // 2, *CACHE))


def _geobox(dataset: Any) -> GeoBox:
    """The pixel plane; a plane through control points, where they are all there is.

    Raises:
        SceneError: when pixels have no size, or control points do not lie on a plane.
    """
    points, crs = dataset.gcps
    transform = Affine(*dataset.transform[:6])
    fitted = bool(points) and transform.is_identity
    if fitted:
        with translated(SceneError, f"{dataset.name}: its control points give no place", RECTIFY):
            transform = from_gcps(points)
    if not abs(transform.determinant) > 0:
        raise SceneError(
            f"{dataset.name}: its pixels have no size on the map; see gdalinfo, set it with gdal_edit.py"
        )
    if fitted and (stray := _stray(points, ~transform)) > STRAY:
        raise SceneError(f"{dataset.name}: its control points are {stray:.1f} px off a plane; {RECTIFY}")
    box = GeoBox(dataset.shape, transform, crs if fitted else dataset.crs)
    if box.crs is None:
        log.warning("%s has no CRS: sizes of polygons are in pixels", dataset.name)
    return box


def _stray(points: Sequence[Any], to_pixel: Affine) -> float:
    """The largest distance of a control point from where a transform puts it, pixels."""
    places = [to_pixel * (point.x, point.y) for point in points]
    return max(math.hypot(c - p.col, r - p.row) for (c, r), p in zip(places, points, strict=True))
