"""One side of a comparison, whatever it is kept in: named classes, and strips of their labels on any grid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.errors import SceneError
from geoseg.geo.aligned import burn, on_plane, to_plane
from geoseg.geo.geobox import GeoBox
from geoseg.vector.source_classes import ClassBand
from geoseg.vector.source_pixels import Reader, probability_strips

UNKNOWN = 254  # in a table of labels: a number that was not named

Labels = NDArray[np.uint8]


class Side(Protocol):
    """What a side of a comparison has to offer.

    Attributes:
        path: its file.
        classes: their names; label 1 is the first.
        box: its pixel plane; None for vectors.
    """

    @property
    def path(self) -> Path: ...  # noqa: D102
    @property
    def classes(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def box(self) -> GeoBox | None: ...  # noqa: D102

    def strips(self, box: GeoBox, rows: int) -> Iterator[Labels]:
        """(rows, width) labels from top to bottom of a plane: 0 background, 255 without data."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class MaskSide:
    """A raster of class numbers.

    Attributes:
        path: its file.
        classes: their names.
        box: its pixel plane.
        reader: of its pixels.
        band: which holds the numbers.
        table: (65536,) uint8, from numbers to labels.
    """

    path: Path
    classes: tuple[str, ...]
    box: GeoBox
    reader: Reader
    band: int
    table: Labels

    def strips(self, box: GeoBox, rows: int) -> Iterator[Labels]:
        """Labels on a plane; see `Side`."""
        with _on(self.reader, box) as reader:
            for values, valid in reader.rows(self.band, rows):
                values[~valid] = 0
                labels = np.empty(values.shape, np.uint8)
                for numbers, out in zip(values, labels, strict=True):  # numpy makes eight bytes of each
                    np.take(self.table, numbers, out=out, mode="clip")
                self._refuse_unknown(values, labels)
                labels[~valid] = NODATA
                yield labels

    def _refuse_unknown(self, values: NDArray[Any], labels: Labels) -> None:
        unknown = (labels == UNKNOWN) | (values < 0)
        if unknown.any():
            raise SceneError(
                f"{self.path}: it holds the number {values[unknown][0]}, which no class was given; "
                "name it too, or say NUMBER=ignore"
            )


@dataclass(frozen=True, slots=True, eq=False)
class ProbabilitySide:
    """A raster of probabilities, a band for each class.

    Attributes:
        path: its file.
        box: its pixel plane.
        reader: of its pixels.
        bands: its classes, with their thresholds.
        coded: whether pixels are bytes round(254·p).
    """

    path: Path
    box: GeoBox
    reader: Reader
    bands: tuple[ClassBand, ...]
    coded: bool

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(one.name for one in self.bands)

    def strips(self, box: GeoBox, rows: int) -> Iterator[Labels]:
        """Labels on a plane: the class that clears its threshold by most, as in `core.mask.classify`."""
        with _on(self.reader, box) as reader:
            streams = [probability_strips(reader, one, self.coded, rows) for one in self.bands]
            for strips in zip(*streams, strict=True):
                labels = np.zeros(strips[0].valid.shape, np.uint8)
                best = np.full(labels.shape, -1, np.int16)
                for number, (strip, one) in enumerate(zip(strips, self.bands, strict=True), 1):
                    assert strip.lead is not None and one.cut is not None, "probabilities have a lead"
                    margin = strip.lead.astype(np.int16) - np.int16(one.cut + 0.5)
                    np.copyto(labels, np.uint8(number), where=margin > best)
                    np.maximum(best, margin, out=best)
                labels[~np.logical_and.reduce([strip.valid for strip in strips])] = NODATA
                yield labels


@dataclass(frozen=True, slots=True, eq=False)
class PolygonSide:
    """Polygons of a vector file, all in memory.

    Attributes:
        path: the file.
        classes: their names.
        frame: the features, a `geopandas.GeoDataFrame`.
        labels: (n,) uint8, one each; 255 for ground to be left out.
    """

    path: Path
    classes: tuple[str, ...]
    frame: Any
    labels: Labels
    box: None = None

    def strips(self, box: GeoBox, rows: int) -> Iterator[Labels]:
        """Labels on a plane. Where polygons overlap, the class that comes last is seen."""
        order = np.argsort(self.labels, kind="stable")
        yield from burn(to_plane(self.frame, box, self.path)[order], self.labels[order], box.shape, rows)

    def objects(self, box: GeoBox) -> tuple[NDArray[Any], Labels]:
        """Valid polygons in pixel coordinates whose middle is on the plane, and their labels."""
        shapes, labels = to_plane(self.frame, box, self.path), self.labels
        shapes = shapely.make_valid(shapes)
        middle = shapely.get_coordinates(shapely.point_on_surface(shapes))
        inside = ((middle >= 0) & (middle < box.shape[::-1])).all(1) & (labels > 0) & (labels != NODATA)
        return shapes[inside], labels[inside]


@contextmanager
def _on(reader: Reader, box: GeoBox) -> Iterator[Reader]:
    """A reader of the same bands on a plane."""
    with on_plane(reader.dataset, box, reader.nodata if reader.own else None) as view:
        yield replace(reader, dataset=view)
