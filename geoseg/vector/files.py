"""Stream polygons into one file: GeoJSON, GeoPackage, FlatGeobuf or GeoParquet, by its extension.

GDAL takes a stream of Arrow batches in one open data set: appending batch by batch would cost time that
grows with the square of their number. Nothing but one batch is held, so memory does not grow with it.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa

from geoseg.errors import GeosegError, OutputError, in_a_line
from geoseg.geo.geobox import GeoBox
from geoseg.staging import check_absent, staged
from geoseg.vector.attributes import METRIC, Column, FeatureBatch
from geoseg.vector.files_feed import Feed, GeometryType
from geoseg.vector.files_wrap import in_degrees
from geoseg.vector.geoparquet import write_geoparquet
from geoseg.vector.ground import has_ground
from geoseg.vector.ogr import LATE, pyogrio

log = logging.getLogger(__name__)

STDOUT = "-"
LAYER = "polygons"  # a fixed name: GeoPackage refuses some that files may have
TAIL = 5  # bytes at the end of a GeoJSON file, behind its last feature
FINE_M = 0.2  # pixel size below which the 5 mm of a seventh decimal would bend right angles
WRITE_ERRORS = (RuntimeError, ValueError, OSError)  # GDAL's are RuntimeErrors


@dataclass(frozen=True, slots=True)
class Format:
    """A vector format.

    Attributes:
        driver: its GDAL name; None for GeoParquet, which GDAL's wheels lack.
        degrees: whether it holds WGS 84 degrees only.
    """

    driver: str | None
    degrees: bool = False


LINES = Format("GeoJSONSeq", degrees=True)
FORMATS = {
    ".geojson": Format("GeoJSON", degrees=True), ".geojsonl": LINES, ".geojsons": LINES, ".ndjson": LINES,
    ".gpkg": Format("GPKG"), ".fgb": Format("FlatGeobuf"), ".parquet": Format(None),
}  # fmt: skip


def check_output(path: Path | str, crs: Any, overwrite: bool = False) -> Format:
    """Find out, before any work is done for it, whether polygons can go to `path`, and their format.

    Args:
        path: a file name, or `-` for lines of GeoJSON on the standard output.
        crs: of the polygons, None when unknown.
        overwrite: replace what is there.

    Raises:
        OutputError: when the extension is unknown, the file exists, or the format needs a CRS.
    """
    format_ = LINES if str(path) == STDOUT else FORMATS.get(Path(path).suffix.lower())
    if format_ is None:
        raise OutputError(f"{path}: no known vector format; end the name with one of {', '.join(FORMATS)}")
    if format_.degrees and not has_ground(crs):
        raise OutputError(
            "GeoJSON holds WGS 84 degrees and the raster has no CRS on Earth; write .gpkg, .fgb or .parquet, "
            "or give the raster a CRS with gdal_edit.py -a_srs"
        )
    if str(path) != STDOUT:
        check_absent([Path(path)], overwrite)
    return format_


def decimals_for(box: GeoBox) -> int:
    """Decimals of GeoJSON degrees: 7, a place within 6 mm, and 8 for pixels below 0.2 m."""
    size = box.pixel_size_m()
    return 8 if size is not None and min(size) < FINE_M else 7


def write_features(
    path: Path | str,
    batches: Iterable[FeatureBatch],
    *,
    crs: Any,
    columns: Sequence[Column] = METRIC,
    geometry_type: GeometryType = "Polygon",
    decimals: int = 7,
    overwrite: bool = False,
) -> int:
    """Write features as they come; the file appears when all of them are in it.

    GeoJSON is RFC 7946: WGS 84 without a `crs` member, shells counter-clockwise, cut at the
    antimeridian. The other formats keep the raster's CRS and its coordinates as they are.

    Args:
        path: a file name, whose extension says the format, or `-` for lines of GeoJSON on the standard
            output.
        batches: of any lengths, with the same columns.
        crs: rasterio's, pyproj's or WKT; None when unknown.
        columns: names and Arrow types; they make the schema of an empty file too.
        geometry_type: of all features; Polygons are written as MultiPolygons when that is asked.
        decimals: of GeoJSON degrees; see `decimals_for`.
        overwrite: replace what is there.

    Returns:
        How many features were written.

    Raises:
        OutputError: when the file cannot be written; see also `check_output`.
    """
    format_ = check_output(path, crs, overwrite)
    wkt = crs if crs is None or isinstance(crs, str) else crs.to_wkt()
    feed = Feed(batches, columns, geometry_type, wrap=format_.degrees and in_degrees(wkt))
    options = dict(
        layer=LAYER, driver=format_.driver, geometry_name="geometry", geometry_type=geometry_type, crs=wkt,
        layer_options=_layer_options(format_, decimals),
    )  # fmt: skip
    if str(path) == STDOUT:
        return _print(feed, options)
    with staged(Path(path), overwrite=overwrite) as (draft,), _translated(Path(path).name, feed):
        if format_.driver is None:
            write_geoparquet(draft, feed.sized(), columns, wkt, geometry_type)
        else:
            _write(feed.stream(), draft, options)
            if not _complete(draft, format_, feed.count):
                raise OSError("its end is missing")
    return feed.count


def _complete(path: Path, format_: Format, count: int) -> bool:
    """Whether what GDAL writes last is there: it says nothing when a disk has no room for it."""
    if format_ is LINES:
        with path.open("rb") as file:
            return sum(line.endswith(b"\n") for line in file) == count
    if format_.degrees:
        with path.open("rb") as file:
            file.seek(-min(TAIL, path.stat().st_size), os.SEEK_END)
            return file.read().split() == [b"]", b"}"]
    if format_.driver == "GPKG":
        with closing(sqlite3.connect(path)) as file:
            index = file.execute("select count(*) from sqlite_master where name like 'rtree_%'").fetchone()
        if index[0] or not (count and LATE):
            return bool(index[0]) or not count
        log.warning("no spatial index: TensorFlow was imported before pyogrio; import geoseg before both")
    return not count or len(pyogrio.raw.read(path, columns=[], skip_features=count - 1)[2]) == 1


def _layer_options(format_: Format, decimals: int) -> dict[str, str]:
    if not format_.degrees:
        return {}
    options = {"COORDINATE_PRECISION": str(decimals)}
    return options | {"RFC7946": "YES"} if format_.driver == "GeoJSON" else options


def _write(stream: Any, target: Any, options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'crs' was not provided")
        pyogrio.raw.write_arrow(stream, target, **options)


def _print(feed: Feed, options: dict[str, Any]) -> int:
    """Lines of GeoJSON, a batch at a time, through Python's own standard output."""
    for batch in feed.arrow():
        lines = BytesIO()
        with _translated("the standard output", feed):
            _write(pa.Table.from_batches([batch]), lines, options)
        sys.stdout.buffer.write(lines.getvalue())
    sys.stdout.buffer.flush()
    return feed.count


@contextmanager
def _translated(name: str, feed: Feed) -> Iterator[None]:
    """Turn a writer's errors into `OutputError`, but raise what ended the feed as it was."""
    try:
        yield
    except GeosegError:
        raise
    except WRITE_ERRORS as error:
        if feed.error is not None:
            raise feed.error from None
        raise OutputError(f"cannot write {name}: {in_a_line(error)}; is the disk full?") from error
