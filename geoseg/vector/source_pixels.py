"""Strips of rows of a raster to vectorize: labels, probability codes, validity."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RioWindow

from geoseg.core.filters import Valid
from geoseg.core.mask import NODATA, TOP
from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.vector.source_classes import MOST, ClassBand

ROWS = 128  # of a strip
SLACK = 1e-3  # by which the probabilities of other programs may leave 0 … 1


class LabelStrip(NamedTuple):
    """Rows of a raster.

    Attributes:
        labels: (h, w) uint8 or uint16, 0 background and elsewhere the number of a class.
        codes: (h, w) uint8 probabilities round(254·p), 255 where not valid; None for masks. A pixel is
            labelled exactly where it is valid and its code exceeds the `code_cut` of the threshold.
        valid: (h, w) bool, True = has data.
    """

    labels: NDArray[Any]
    codes: NDArray[np.uint8] | None
    valid: Valid


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
    """Strips of the probabilities of a class.

    Args:
        reader: of the raster.
        one: the class.
        coded: whether pixels are the codes already, or numbers that scale to 0 … 1.
        rows: height of a strip.

    Raises:
        SceneError: when a number is not from 0 to 1.
    """
    threshold = one.threshold or 0.0
    cut = code_cut(threshold)
    scale, offset = reader.dataset.scales[one.band - 1], reader.dataset.offsets[one.band - 1]
    for values, valid in reader.rows(one.band, rows):
        if not coded and (scale, offset) != (1, 0):
            values = (values * scale + offset).astype(np.float32)
        if not coded and not valid.all():
            values[~valid] = 0
        codes = values if coded else _encode(values, threshold, reader.dataset.name)
        valid &= codes != NODATA
        if not valid.all():
            codes[~valid] = NODATA
        labels = np.multiply(
            (codes > cut) & valid, one.label, dtype=np.uint8 if one.label < 256 else np.uint16
        )
        yield LabelStrip(labels, codes, valid)


def code_cut(threshold: float) -> float:
    """The level between two probability codes that a threshold comes to: 126.5 for 0.5."""
    return math.ceil(TOP * threshold - 1e-9) - 0.5


def _encode(values: NDArray[Any], threshold: float, path: str) -> NDArray[np.uint8]:
    """Codes round(254·p), moved by half a step at most to fall on the right side of the threshold."""
    low, high = float(values.min()), float(values.max())
    if low < -SLACK or high > 1 + SLACK:
        raise SceneError(
            f"{path}: probabilities are 0 to 1, got {low if low < -SLACK else high:g}; for a mask of class "
            "numbers convert it with gdal_translate -ot Byte"
        )
    codes: NDArray[np.uint8] = cv2.convertScaleAbs(values, alpha=TOP)
    cut, inside = code_cut(threshold), values >= values.dtype.type(threshold)
    wrong = inside != (codes > cut)
    codes[wrong] = np.where(inside[wrong], cut + 0.5, cut - 0.5)
    return codes
