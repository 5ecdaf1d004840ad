"""From the chunks of a scene to its files, which equal those of `predict_scene` byte for byte.

The chunks hold the very pixels that the whole run would have written: each was computed on the scene's own
grid, with the patches of its neighbours that reach into it. They are handed, row by row, to the same writer
and the same tracer, so that overviews are made of the same pixels and polygons cross chunks as if there were
none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RioWindow

from geoseg.beside import write_styles
from geoseg.bulk.mosaic_view import write_view
from geoseg.bulk.partition import write_partitions
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.gdal import open_raster, session, translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.mosaic import cog
from geoseg.geo.strip_writer import BLOCK
from geoseg.jobs import SceneJob, open_job
from geoseg.models.bundle import Bundle
from geoseg.outputs import Files, mask_output, probability_output
from geoseg.provenance import Tags, grid_tags
from geoseg.settings import Settings
from geoseg.staging import staged

Rows = list[NDArray[Any]]


def merge_chunks(
    job: SceneJob, parts: Sequence[SceneJob], bundle: Bundle, settings: Settings, partitioned: bool = False
) -> None:
    """Join the chunks of a scene.

    Args:
        job: the scene and its outputs.
        parts: its chunks, row by row, without gaps.
        bundle: the model they were computed with.
        settings: how it was run.
        partitioned: leave the chunks, write a VRT over them, and GeoParquet by chunk.

    Raises:
        GeosegError: when a chunk is damaged or an output cannot be written.
    """
    with session(), open_job(job, bundle, settings) as (scene, area):
        box, shape = scene.geobox.window(area), scene.shape
    chunks = [(_within(part.window or area, area), part) for part in parts]
    if partitioned:
        write_view(job.mask, box, [(window, part.mask) for window, part in chunks])
        if job.probabilities is not None:
            write_view(job.probabilities, box, [(w, _probabilities(part)) for w, part in chunks])
        if job.polygons is not None:
            write_partitions(job, box, chunks, bundle, settings, _strips(chunks))
        with staged(*job.styles, overwrite=True) as paths:
            write_styles(job, dict(zip(job.styles, paths, strict=True)), bundle.card)
        return
    with session(), staged(*job.outputs, *job.beside, overwrite=job.overwrite) as paths:
        drafts = dict(zip((*job.outputs, *job.beside), paths, strict=True))
        made_by = _made_by(parts) | grid_tags(settings, shape, area)
        files = Files(job, drafts, bundle, settings, made_by, box, whole=True)
        with files.polygons() as trace, ExitStack() as stack:
            append = [write(stack, files) for write in (_mask_writer, _probability_writer)]
            for rows in _strips(chunks):
                for take, pixels in zip(append, rows, strict=False):
                    take(pixels)
                trace(rows[-1])
        write_styles(job, drafts, bundle.card)


def _within(window: Window, area: Window) -> Window:
    """A chunk's place in the outputs."""
    return Window(window.row - area.row, window.col - area.col, window.height, window.width)


def _made_by(parts: Sequence[SceneJob]) -> dict[str, str]:
    """What the chunks' tags say of engine and precision; all of them, where workers differed."""
    tags = [_tags(part.mask) for part in parts]
    names = ("GEOSEG_ENGINE", "GEOSEG_PRECISION")
    return {name: "; ".join(sorted({each[name] for each in tags if name in each})) for name in names}


def _tags(path: Path) -> Tags:
    with _opened(path) as file:
        tags: Tags = file.tags()
    return tags


def _mask_writer(stack: ExitStack, files: Files) -> Callable[[NDArray[Any]], None]:
    spec, _ = mask_output(files.box, files.bundle, files.settings, files.job.options, files.made_by)
    return _writer(stack, files.drafts[files.job.mask], spec, files.box)


def _probability_writer(stack: ExitStack, files: Files) -> Callable[[NDArray[Any]], None]:
    job = files.job
    if job.probabilities is None:
        return lambda pixels: None
    spec, _ = probability_output(
        files.box, files.bundle, files.settings, job.options, files.made_by, job.probability_dtype
    )
    return _writer(stack, files.drafts[job.probabilities], spec, files.box)


def _writer(stack: ExitStack, path: Path, spec: Any, box: GeoBox) -> Callable[[NDArray[Any]], None]:
    columns = stack.enter_context(cog(path, spec))
    writer: Callable[[NDArray[Any]], None] = columns(Window(0, 0, *box.shape)).append
    return writer


def _probabilities(part: SceneJob) -> Path:
    assert part.probabilities is not None, "planned with the scene's"
    return part.probabilities


def _strips(chunks: Sequence[tuple[Window, SceneJob]]) -> Iterator[Rows]:
    """The scene's rows of masks, and of probabilities if the chunks have any, from top to bottom."""
    for _, across in groupby(chunks, key=lambda chunk: chunk[0].row):
        yield from _band(list(across))


def _band(across: list[tuple[Window, SceneJob]]) -> Iterator[Rows]:
    """The rows of chunks that lie side by side, as high as a row of their blocks."""
    with ExitStack() as stack:
        layers = [
            [stack.enter_context(_opened(path)) for path in paths]
            for paths in zip(*(_rasters(part) for _, part in across), strict=True)
        ]
        for row in range(0, across[0][0].height, BLOCK):
            planes = (np.concatenate([_rows(file, row) for file in layer], axis=2) for layer in layers)
            yield [np.moveaxis(bands, 0, -1) for bands in planes]


def _rasters(part: SceneJob) -> list[Path]:
    return [path for path in (part.mask, part.probabilities) if path is not None]


def _opened(path: Path) -> Any:
    with translated(SceneError, f"cannot open the chunk {path}", "remove it and resume"):
        return open_raster(path)


def _rows(file: Any, row: int) -> NDArray[Any]:
    """(bands, h, width) pixels."""
    place = RioWindow(0, row, file.width, min(BLOCK, file.height - row))
    with translated(SceneError, f"cannot read the chunk {file.name}", "remove it and resume"):
        planes: NDArray[Any] = file.read(window=place)
    return planes
