"""GeoParquet partitioned by chunk: a folder of files that readers of Parquet take for one table.

Polygons are those of the whole scene, and whole: each lies in the partition that holds the middle of its
bounding box.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geoseg.core.window import Window
from geoseg.geo.geobox import GeoBox
from geoseg.jobs import SceneJob
from geoseg.models.bundle import Bundle
from geoseg.outputs import polygon_source
from geoseg.polygons import vectorized_stream
from geoseg.settings import Settings
from geoseg.staging import staged_folder
from geoseg.vector.geoparquet import BBOX, SIDES

Chunks = Sequence[tuple[Window, SceneJob]]


def write_partitions(
    job: SceneJob, box: GeoBox, chunks: Chunks, bundle: Bundle, settings: Settings, strips: Iterable[Any]
) -> None:
    """Trace a scene's probabilities and write its polygons to `FOLDER/chunk=ROW_COL/polygons.parquet`.

    Args:
        job: whose `polygons` is the folder.
        box: the pixel plane of the scene.
        chunks: windows of the partitions, in pixels of the scene.
        bundle: the model.
        settings: how it was run.
        strips: rows of the scene, each a list that ends with the probabilities.
    """
    assert job.polygons is not None, "asked for"
    source = polygon_source(Path(job.scene).name, box, bundle, settings, job.probability_dtype)
    with staged_folder(job.polygons, overwrite=True) as folder:
        whole = folder / "whole.parquet"
        with vectorized_stream(whole, source) as push:
            for rows in strips:
                push(rows[-1])
        _split(whole, folder, [window for window, _ in chunks], source.geobox)
        whole.unlink()


def _split(whole: Path, folder: Path, windows: Sequence[Window], box: GeoBox) -> None:
    """Deal the rows of a GeoParquet file out to one file for each window that has any."""
    file = pq.ParquetFile(whole)
    schema = file.schema_arrow.with_metadata(None)
    about = {"geo": _without_bbox(file.schema_arrow.metadata or file.metadata.metadata)}
    writers = dict[int, Any]()
    with ExitStack() as stack:
        for batch in file.iter_batches():
            table = pa.Table.from_batches([batch]).replace_schema_metadata(None)
            place = _places(table, windows, box)
            for number in np.unique(place):
                if number not in writers:
                    target = folder / f"chunk={windows[number].row}_{windows[number].col}"
                    target.mkdir()
                    writer = pq.ParquetWriter(target / "polygons.parquet", schema, compression="zstd")
                    writers[number] = stack.enter_context(writer)
                writers[number].write_table(table.filter(pa.array(place == number)))
        for writer in writers.values():
            writer.add_key_value_metadata(about)


def _places(table: Any, windows: Sequence[Window], box: GeoBox) -> NDArray[np.int64]:
    """The number of the window that holds the middle of each feature's bounding box."""
    boxes = table.column(BBOX.name).combine_chunks()
    left, bottom, right, top = (boxes.field(side).to_numpy(zero_copy_only=False) for side in SIDES)
    to_pixel = ~box.transform
    cols, rows = to_pixel * ((left + right) / 2, (bottom + top) / 2)
    row_starts = np.unique([window.row for window in windows])
    col_starts = np.unique([window.col for window in windows])
    down = np.searchsorted(row_starts, rows, "right") - 1
    across = np.searchsorted(col_starts, cols, "right") - 1
    places: NDArray[np.int64] = down.clip(0) * len(col_starts) + across.clip(0)
    return places


def _without_bbox(metadata: dict[bytes, bytes]) -> str:
    """GeoParquet's metadata without the extent of the whole, which is that of no part."""
    about = json.loads(metadata[b"geo"])
    for column in about["columns"].values():
        column.pop("bbox", None)
    return json.dumps(about)
