"""Polygons of vector files as a stream of Arrow batches, many files as one table; nothing is held."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
from shapely.errors import ShapelyError

from geoseg.errors import SceneError, in_a_line
from geoseg.geo.reach_vectors import check_vector
from geoseg.vector.files_feed import BATCH
from geoseg.vector.geoparquet import BBOX
from geoseg.vector.ogr import pyogrio

PARQUET = ".parquet"
READ_ERRORS = (RuntimeError, ValueError, OSError, KeyError, ShapelyError)  # GDAL's are RuntimeErrors

Opened = tuple[Any, str, Any, Iterator[Any]]


def vector_files(paths: Iterable[Path]) -> list[Path]:
    """The files of paths: those of a folder are its GeoParquet, such as partitions by chunk."""
    found = [
        file for path in paths for file in (sorted(path.rglob(f"*{PARQUET}")) if path.is_dir() else [path])
    ]
    if not found:
        raise SceneError("there is no GeoParquet in the folders given; give vector files of polygons")
    return found


@contextmanager
def open_polygons(path: Path) -> Iterator[Opened]:
    """Open a vector file.

    Args:
        path: a file that GDAL reads, or GeoParquet, which the GDAL of the wheels does not.

    Yields:
        The Arrow schema of its attributes, the name of its column of geometries, its CRS as
        `pyproj.CRS`, and its `pyarrow.RecordBatch`es, geometries as WKB.

    Raises:
        SceneError: when it cannot be read, or has no CRS.
    """
    check_vector(path)
    try:
        if path.suffix.lower() == PARQUET:
            yield _parquet(path)
        else:
            with pyogrio.raw.open_arrow(path, use_pyarrow=True, batch_size=BATCH) as (meta, reader):
                name = meta["geometry_name"] or "wkb_geometry"
                yield _attributes(reader.schema, name), name, _crs(path, meta["crs"]), iter(reader)
    except SceneError:
        raise
    except READ_ERRORS as error:
        reason = in_a_line(error)
        raise SceneError(f"cannot read the polygons of {path}: {reason}; give a vector file") from error


def _parquet(path: Path) -> Opened:
    file = pq.ParquetFile(path)
    about = json.loads((file.metadata.metadata or {})[b"geo"])
    name = about["primary_column"]
    crs = about["columns"][name].get("crs", "OGC:CRS84")
    schema = _attributes(file.schema_arrow, name)
    batches = file.iter_batches(BATCH, columns=[*schema.names, name])
    return schema, name, _crs(path, crs), batches


def _attributes(schema: Any, geometry: str) -> Any:
    return pa.schema([field.remove_metadata() for field in schema if field.name not in (geometry, BBOX.name)])


def _crs(path: Path, given: Any) -> pyproj.CRS:
    if not given:
        raise SceneError(f"the polygons of {path} have no CRS, so that their place on the Earth is unknown")
    return pyproj.CRS.from_user_input(given)
