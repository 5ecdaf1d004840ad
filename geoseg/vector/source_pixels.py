"""Pixels of a raster to vectorize, as strips of rows from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RioWindow

from geoseg.core.filters import Valid
from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.vector.source_classes import MOST, ClassBand
from geoseg.vector.source_codes import LabelStrip, class_strip

ROWS = 128  # of a strip


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """Reads the bands of an open raster from top to bottom.

    Attributes:
        dataset: the rasterio dataset.
        nodata: value of pixels without data, None when there is none.
        own: whether geoseg made the raster. Then its nodata value says everything, and GDAL's guess that
            the fourth of four byte bands is an alpha band is wrong.
    """

    dataset: Any
    nodata: float | None
    own: bool

    def rows(self, band: int, height: int) -> Iterator[tuple[NDArray[Any], Valid]]:
        """Pixels (h, w) and their validity, `height` rows at a time.

        Raises:
            SceneError: when the file is damaged.
        """
        file, nodata = self.dataset, self.nodata
        masked = not self.own and MaskFlags.per_dataset in file.mask_flag_enums[band - 1]
        for row in range(0, file.height, height):
            place = RioWindow(0, row, file.width, min(height, file.height - row))
            what = f"{file.name}: cannot read rows {row} to {row + place.height}"
            with translated(SceneError, what, "the file is damaged or incomplete, fetch it again"):
                values = file.read(band, window=place)
                valid = file.read_masks(band, window=place) > 0 if masked else np.ones(values.shape, bool)
            if values.dtype.kind == "f":
                valid &= np.isfinite(values)
            if nodata is not None and np.isfinite(nodata):
                valid &= values != nodata
            yield values, valid

    def numbers(self, band: int, height: int) -> Iterator[tuple[NDArray[Any], Valid]]:
        """`rows` of a mask, with 0 where there is no data. A nodata value of 0 is background."""
        for values, valid in replace(self, nodata=self.nodata or None).rows(band, height):
            if not valid.all():
                values[~valid] = 0
            yield values, valid


def mask_strips(reader: Reader, classes: Sequence[ClassBand], rows: int) -> Iterator[LabelStrip]:
    """Strips of a mask with the labels of `classes`, all of one band; other numbers become 0."""
    largest = max((one.label for one in classes), default=0)
    table = np.zeros(MOST + 1, np.uint8 if largest < 256 else np.uint16)
    for one in classes:
        table[one.value] = one.label
    band = classes[0].band if classes else 1
    for values, valid in reader.numbers(band, rows):
        labels = np.empty(values.shape, table.dtype)
        for numbers, out in zip(values, labels, strict=True):  # numpy makes eight bytes of every index
            np.take(table, numbers, out=out, mode="clip")
        yield LabelStrip(labels, None, valid)


def probability_strips(reader: Reader, one: ClassBand, coded: bool, rows: int) -> Iterator[LabelStrip]:
    """Strips of a class of a raster of probabilities.

    Args:
        reader: of the raster.
        one: the class.
        coded: whether pixels are the codes already, or numbers that scale to 0 … 1.
        rows: height of a strip.

    Raises:
        SceneError: when a number is not from 0 to 1.
    """
    file = reader.dataset
    bands = file.indexes if one.exclusive else [one.band]
    for parts in zip(*(reader.rows(band, rows) for band in bands), strict=True):
        planes, valid = zip(*parts, strict=True)
        if not coded:
            planes = tuple(
                _scaled(values, file.scales[band - 1], file.offsets[band - 1])
                for values, band in zip(planes, bands, strict=True)
            )
        yield class_strip(planes, np.logical_and.reduce(valid), one, coded, file.name)


def _scaled(values: NDArray[Any], scale: float, offset: float) -> NDArray[Any]:
    """Stored numbers as probabilities."""
    return values if (scale, offset) == (1, 0) else (values * scale + offset).astype(np.float32)
