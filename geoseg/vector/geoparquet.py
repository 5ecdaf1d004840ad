"""GeoParquet 1.1, which the GDAL of the Python wheels cannot write.

https://geoparquet.org/releases/v1.1.0/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

from geoseg.vector.attributes import Column, FeatureBatch
from geoseg.vector.files_feed import GEOMETRY, arrow_schema, rebatched, to_arrow

HELD = 40_000  # features that are sorted together: a file of no more is sorted as a whole
ROW_GROUP = 10_000  # features; a reader skips the groups outside its window
SIDES = ("xmin", "ymin", "xmax", "ymax")
BBOX = pa.field("bbox", pa.struct([(side, pa.float64()) for side in SIDES]))


def write_geoparquet(
    path: Path, batches: Iterable[FeatureBatch], columns: Sequence[Column], wkt: str | None, kind: str
) -> None:
    """Write features along a Hilbert curve, `HELD` at a time, each with its bounding box.

    Args:
        path: the file.
        batches: features of one geometry type, shells counter-clockwise.
        columns: names and Arrow types.
        wkt: the CRS; None is written as unknown (null), not as the default of WGS 84.
        kind: the geometry type.
    """
    schema = arrow_schema(columns)
    bounds = [np.full(4, np.nan)]
    with pq.ParquetWriter(path, schema.append(BBOX), compression="zstd") as writer:
        for batch in rebatched(batches, HELD):
            boxes = shapely.bounds(batch.geometry)
            order = _hilbert(batch.geometry)
            table = pa.Table.from_batches([to_arrow(batch.take(order), schema)])
            table = table.append_column(BBOX, _boxes(boxes[order]))
            writer.write_table(table, row_group_size=ROW_GROUP)
            bounds.append(np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)]))
        writer.add_key_value_metadata({"geo": json.dumps(_metadata(np.stack(bounds), wkt, kind))})


def _hilbert(geometry: NDArray[Any]) -> NDArray[np.int64]:
    """The order of features along a Hilbert curve over their extent."""
    if len(geometry) == 1:
        return np.zeros(1, np.int64)
    distances = geopandas.GeoSeries(geometry).hilbert_distance().to_numpy()
    return np.argsort(distances, kind="stable")


def _boxes(bounds: NDArray[np.float64]) -> Any:
    return pa.StructArray.from_arrays([pa.array(side) for side in bounds.T], fields=list(BBOX.type))


def _metadata(bounds: NDArray[np.float64], wkt: str | None, kind: str) -> dict[str, Any]:
    """The text of key `geo`: what the geometry column holds, and which column covers it."""
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": [kind],
        "crs": None if wkt is None else pyproj.CRS.from_user_input(wkt).to_json_dict(),
        "orientation": "counterclockwise",
        "edges": "planar",
        "covering": {"bbox": {side: [BBOX.name, side] for side in SIDES}},
    }
    if len(bounds) > 1:
        low, high = np.nanmin(bounds[:, :2], 0), np.nanmax(bounds[:, 2:], 0)
        column["bbox"] = [*low.tolist(), *high.tolist()]
    return {"version": "1.1.0", "primary_column": GEOMETRY.name, "columns": {GEOMETRY.name: column}}
