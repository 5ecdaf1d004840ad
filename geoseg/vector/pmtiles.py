"""Polygons as PMTiles: vector tiles for web maps in one file, which any server of files can serve.

GDAL's driver clips the polygons to tiles and rounds them to the steps of a tile; meanwhile it keeps them in a
temporary file beside the output, not in memory. https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from geoseg.errors import GeosegError, OutputError, in_a_line
from geoseg.staging import staged
from geoseg.vector.files import LAYER, WRITE_ERRORS
from geoseg.vector.files_feed import GEOMETRY
from geoseg.vector.files_read import open_polygons, vector_files
from geoseg.vector.files_wrap import wrapped
from geoseg.vector.ogr import pyogrio

CRS = "EPSG:3857"
DEGREES = "EPSG:4326"
ZOOMS = 13, 15  # farther out buildings are specks; at 15 a step of a tile is 0.3 m at most
DEEPEST = 22  # zoom that the driver writes
# of a tile, beyond which the driver makes it coarser and small polygons vanish: its own 500 kB are too few
# for a town with its trees
MOST_BYTES = 5_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PolygonMap:
    """A map that was made.

    Attributes:
        zooms: the lowest and the deepest.
        polygons: how many went into it.
    """

    zooms: tuple[int, int]
    polygons: int


def write_pmtiles(
    files: Sequence[Path], output: Path, *, min_zoom: int | None = None, max_zoom: int | None = None,
    overwrite: bool = False,
) -> PolygonMap:  # fmt: skip
    """Write polygons as one layer of vector tiles, called `polygons`, with all their attributes.

    Args:
        files: vector files in any CRS, or folders of GeoParquet.
        output: a name that ends in .pmtiles.
        min_zoom: the lowest zoom; 13 by default, or the deepest if that is lower.
        max_zoom: the deepest; 15 by default, or the lowest if that is deeper. Maps enlarge it beyond.
        overwrite: replace what is there.

    Raises:
        SceneError: when a file cannot be read, or has no CRS.
        OutputError: when the zooms are in the wrong order, there is no polygon, or it cannot be written.
    """
    zooms = _zooms(min_zoom, max_zoom)
    options = {"NAME": output.stem, "MINZOOM": zooms[0], "MAXZOOM": zooms[1], "MAX_SIZE": MOST_BYTES}
    with staged(output, overwrite=overwrite) as (draft,):
        source = _Source(vector_files(files))
        with _translated(draft, output, source):
            pyogrio.raw.write_arrow(
                source.reader(), draft, layer=LAYER, driver="PMTiles", crs=CRS, geometry_type="Unknown",
                geometry_name=GEOMETRY.name, dataset_options=options,
            )  # fmt: skip
            pyogrio.read_info(draft)  # the tiles are written when the file is closed: are they there?
    return PolygonMap(zooms, source.count)


@contextmanager
def _translated(draft: Path, output: Path, source: _Source) -> Iterator[None]:
    """Turn GDAL's errors into `OutputError`, what ended the stream into itself, and warnings into ours."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            yield
    except GeosegError:
        raise
    except WRITE_ERRORS as error:
        if source.error is not None:
            raise source.error from None
        if not source.count:
            raise OutputError(f"there is no polygon to write to {output.name}; give other files") from error
        reason = in_a_line(error).replace(str(draft), output.name)
        raise OutputError(f"cannot write {output.name}: {reason}; is the disk full?") from error
    for warning in said:
        log.warning("%s: %s", output.name, warning.message)


def _zooms(lowest: int | None, deepest: int | None) -> tuple[int, int]:
    first = min(ZOOMS[0], DEEPEST if deepest is None else deepest) if lowest is None else lowest
    last = max(ZOOMS[1], first) if deepest is None else deepest
    if not 0 <= first <= last <= DEEPEST:
        raise OutputError(
            f"zooms of polygons go from a lower to a deeper one, up to {DEEPEST}, got {first} to {last}; "
            "change one of them"
        )
    return first, last


class _Source:
    """Many files as one stream; keeps count, and the error that ended it, of which GDAL hands on the text."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files, self.count = files, 0
        self.error: GeosegError | None = None

    def reader(self) -> Any:
        """What GDAL pulls from: attributes of all files, geometries in metres of EPSG:3857."""
        schema = _joined([self._schema(path) for path in self._files]).append(GEOMETRY)
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema))

    def _schema(self, path: Path) -> Any:
        with open_polygons(path) as (attributes, *_):
            return attributes

    def _batches(self, schema: Any) -> Iterator[Any]:
        try:
            for path in self._files:
                with open_polygons(path) as (_, name, crs, batches):
                    for batch in batches:
                        self.count += len(batch)
                        yield _placed(batch, schema, name, crs)
        except GeosegError as error:
            self.error = error
            raise


def _joined(schemas: Sequence[Any]) -> Any:
    """The columns of any, in types that hold those of all."""
    try:
        return pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise OutputError(f"attributes of the files do not agree: {error}; make a map of each") from error


def _placed(batch: Any, schema: Any, name: str, crs: pyproj.CRS) -> Any:
    """A batch with the columns of `schema`, its geometries on the map."""
    shapes = shapely.from_wkb(batch.column(name).to_numpy(zero_copy_only=False))
    there = batch.schema.names
    columns = [
        batch.column(field.name).cast(field.type) if field.name in there else pa.nulls(len(batch), field.type)
        for field in list(schema)[:-1]
    ]
    geometry = pa.array(shapely.to_wkb(_on_map(shapes, crs), flavor="iso"), GEOMETRY.type)
    return pa.RecordBatch.from_arrays([*columns, geometry], schema=schema)


def _on_map(shapes: NDArray[Any], crs: pyproj.CRS) -> NDArray[Any]:
    """Polygons in metres of EPSG:3857, cut where they pass over the antimeridian."""
    if crs == pyproj.CRS(CRS):
        return shapes
    shapes = _moved(shapes, crs, DEGREES)
    left, _, right, _ = shapely.bounds(shapes).reshape(-1, 4).T
    around = np.flatnonzero(right - left > 180)
    shapes[around] = shapely.transform(shapes[around], _unrolled)
    return _moved(wrapped(shapes), DEGREES, CRS)


def _moved(shapes: NDArray[Any], source: Any, target: str) -> NDArray[Any]:
    transform = pyproj.Transformer.from_crs(source, target, always_xy=True).transform
    moved: NDArray[Any] = shapely.transform(shapes, transform, interleaved=False)
    return moved


def _unrolled(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitudes of (n, 2) degrees from 0 to 360, where polygons lie astride 180."""
    return np.stack([places[:, 0] % 360, places[:, 1]], 1)
