"""Features on their way into a file: batches of one length, as Arrow tables with WKB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import shapely

from geoseg.errors import OutputError
from geoseg.vector.attributes import Column, FeatureBatch
from geoseg.vector.files_wrap import wrapped

GeometryType = Literal["Polygon", "MultiPolygon"]

BATCH = 20_000  # features
GEOMETRY = pa.field("geometry", pa.binary(), metadata={"ARROW:extension:name": "geoarrow.wkb"})


class Feed:
    """Batches of one length on their way to a writer; keeps count, and the error that ended them."""

    def __init__(
        self,
        batches: Iterable[FeatureBatch],
        columns: Sequence[Column],
        geometry_type: GeometryType,
        wrap: bool,
    ) -> None:
        self._batches, self._type, self._wrap = batches, geometry_type, wrap
        self._schema = arrow_schema(columns)
        self.count = 0
        self.error: BaseException | None = None

    def sized(self) -> Iterator[FeatureBatch]:
        """The features in batches of `BATCH`, so that a file does not depend on how they came."""
        with self._noting():
            for batch in rebatched(self._batches, BATCH):
                self.count += len(batch)
                geometry = _typed(batch.geometry, self._type)
                yield FeatureBatch(wrapped(geometry) if self._wrap else geometry, batch.columns)

    def arrow(self) -> Iterator[Any]:
        """The features as `pyarrow.RecordBatch`es."""
        with self._noting():
            for batch in self.sized():
                yield to_arrow(batch, self._schema)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Keep the error that ends the feed: GDAL would hand on no more than its text."""
        try:
            yield
        except (Exception, KeyboardInterrupt) as error:
            self.error = error
            raise

    def stream(self) -> Any:
        """The features as a stream that GDAL pulls from."""
        return pa.RecordBatchReader.from_batches(self._schema, self.arrow())


def rebatched(batches: Iterable[FeatureBatch], size: int) -> Iterator[FeatureBatch]:
    """The same features in batches of exactly `size`, the last one smaller."""
    held: list[FeatureBatch] = []
    for batch in batches:
        held.append(batch)
        while sum(map(len, held)) >= size:
            joined = _joined(held)
            yield joined.take(slice(size))
            held = [joined.take(slice(size, None))]
    if sum(map(len, held)):
        yield _joined(held)


def arrow_schema(columns: Sequence[Column]) -> Any:
    """The `pyarrow.Schema` of a table with its geometry as WKB in the last column."""
    return pa.schema([*(pa.field(column.name, column.type) for column in columns), GEOMETRY])


def to_arrow(batch: FeatureBatch, schema: Any) -> Any:
    """A `pyarrow.RecordBatch` of an `arrow_schema`."""
    fields = list(schema)[:-1]
    arrays = [pa.array(batch.columns[field.name], field.type, from_pandas=True) for field in fields]
    arrays.append(pa.array(shapely.to_wkb(batch.geometry, flavor="iso"), GEOMETRY.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _joined(held: list[FeatureBatch]) -> FeatureBatch:
    if len(held) == 1:
        return held[0]
    columns = {name: np.concatenate([batch.columns[name] for batch in held]) for name in held[0].columns}
    return FeatureBatch(np.concatenate([batch.geometry for batch in held]), columns)


def _typed(geometry: Any, geometry_type: GeometryType) -> Any:
    """Geometries of one type, which GeoPackage and FlatGeobuf demand of a layer."""
    multi = shapely.get_type_id(geometry) == shapely.GeometryType.MULTIPOLYGON
    if geometry_type == "MultiPolygon" and not multi.all():
        geometry = geometry.copy()
        geometry[~multi] = shapely.multipolygons(geometry[~multi, None])
    elif geometry_type == "Polygon" and multi.any():
        raise OutputError("a feature has several parts; write them with geometry_type='MultiPolygon'")
    return geometry
