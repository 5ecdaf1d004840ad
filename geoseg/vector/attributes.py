"""Polygons in map coordinates with their table of attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import shapely
from affine import Affine
from numpy.typing import NDArray

from geoseg.core.mask import TOP
from geoseg.geo.geobox import GeoBox
from geoseg.vector.ground import has_ground, measure

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: its name and Arrow type. NaN and None are written as null."""

    name: str
    type: Any


METRIC = (
    Column("class", pa.string()),
    Column("area_m2", pa.float64()),
    Column("perimeter_m", pa.float64()),
    Column("confidence", pa.float64()),  # mean probability over the pixels that were traced
    Column("orientation_deg", pa.float64()),  # buildings: azimuth of the longer side, 0 … 180
    Column("regularized", pa.string()),  # buildings: the form that they were given
    Column("touches_edge", pa.bool_()),  # cut by the raster's edge
    Column("scene", pa.string()),
    Column("model", pa.string()),
)
PLAIN_NAMES = {"area_m2": "area_px", "perimeter_m": "perimeter_px"}
PLAIN = tuple(Column(PLAIN_NAMES.get(column.name, column.name), column.type) for column in METRIC)


def columns_for(crs: Any) -> tuple[Column, ...]:
    """The table's columns: sizes are in metres where `crs` has a place on Earth, else in pixels."""
    return METRIC if has_ground(crs) else PLAIN


@dataclass(frozen=True, slots=True, eq=False)
class FeatureBatch:
    """Features on their way to a file.

    Attributes:
        geometry: (n,) shapely geometries in map coordinates.
        columns: (n,) values by column name.
    """

    geometry: Array
    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.geometry)

    def take(self, which: Any) -> FeatureBatch:
        """The features that a mask, a slice or an array of indices picks."""
        return FeatureBatch(self.geometry[which], {k: values[which] for k, values in self.columns.items()})


def to_map(polygons: Array, transform: Affine) -> Array:
    """Polygons from pixel (col, row) to map (x, y) coordinates, shells counter-clockwise there.

    Every corner goes through the same three operations wherever it occurs, so corners that polygons
    share stay equal to the last bit.

    Args:
        polygons: (n,) shapely Polygons or MultiPolygons in pixel coordinates.
        transform: pixel to map, of any orientation.
    """
    a, b, c, d, e, f = tuple(transform)[:6]

    def place(points: Array) -> Array:
        cols, rows = points[:, 0], points[:, 1]
        return np.stack([a * cols + b * rows + c, d * cols + e * rows + f], -1)

    placed: Array = shapely.orient_polygons(shapely.transform(polygons, place))
    return placed


def feature_batch(
    polygons: Array,
    box: GeoBox,
    *,
    class_name: str,
    scene: str,
    model: str | None = None,
    pixels: Array | None = None,
    sums: Array | None = None,
    touches_edge: Array | bool = False,
    regularized: Array | None = None,
) -> FeatureBatch:
    """Place the polygons of one class on the map and describe them.

    Args:
        polygons: (n,) shapely Polygons or MultiPolygons in pixel coordinates, not empty.
        box: the raster's pixel plane.
        class_name: of all of them.
        scene: name of the raster.
        model: name of the model, None when unknown.
        pixels: (n,) numbers of pixels that were traced.
        sums: (n,) sums of probability codes (0 … 254) over them; None when there are no probabilities.
        touches_edge: (n,) bool, True = cut by the raster's edge.
        regularized: (n,) text, the form that each was given; None for classes without walls, which then
            have no orientation either. Nothing is oriented without a CRS.

    Returns:
        The batch, with the columns of `columns_for(box.crs)`.

    Raises:
        SceneError: when polygons lie outside the domain of the CRS.
    """
    count = len(polygons)
    ground = has_ground(box.crs)
    placed = to_map(polygons, box.transform)
    sizes = measure(placed if ground else polygons, box.crs)
    unknown = np.full(count, np.nan)
    oriented = ground and regularized is not None
    confident = sums is not None and pixels is not None
    values = (
        np.full(count, class_name, object),
        sizes.area.round(3),
        sizes.perimeter.round(3),
        np.round(sums / (TOP * pixels), 4) if confident else unknown,  # type: ignore[operator]
        sizes.orientation.round(2) % 180 if oriented else unknown,
        np.full(count, None, object) if regularized is None else regularized,
        np.broadcast_to(touches_edge, count),
        np.full(count, scene, object),
        np.full(count, model, object),
    )
    names = (column.name for column in columns_for(box.crs))
    return FeatureBatch(placed, dict(zip(names, values, strict=True)))
