"""What can be known of thousands of scenes in seconds: their state on disk, and the size in their header."""

from __future__ import annotations

import logging
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rasterio

from geoseg.bulk.choices import Choices
from geoseg.bulk.sources import RETRIES, Source
from geoseg.core.grid import Grid
from geoseg.core.window import Window
from geoseg.errors import GeosegError
from geoseg.geo.geobox import COARSEST
from geoseg.jobs import open_job
from geoseg.models.bundle import Bundle
from geoseg.vector.files import check_output
from geoseg.vector.source_place import placed

log = logging.getLogger(__name__)

OPENERS = 16  # threads: opening a remote file is mostly waiting
EXAMPLES = 50  # small scenes that are opened, at least; or all, and less than twice as many


def size_on_disk(fingerprint: str) -> int:
    """Bytes of a local file, from its fingerprint; 0 of others."""
    return int(fingerprint.partition("-")[0] or 0)


def areas(sources: list[Source], choices: Choices) -> list[tuple[int, tuple[Window, ...]]]:
    """How many pixels each scene has to be computed at, and its chunks.

    A scene that is one job whatever its georeference says is opened only if there are few of them, or to know
    how many pixels resampling leaves of all: 10,000 take a second or two. One that cannot be opened, or have
    polygons, is one job too, which will fail at once and say why.

    Returns:
        For each scene its pixels (0 when unknown) and the chunks it is cut into; none for one job.
    """
    bundle = choices.model.bundle()
    small = {n: pixels for n, source in enumerate(sources) if (pixels := _small(source.dataset, choices))}
    examples = list(small)[:: len(small) // EXAMPLES or 1]
    wanted = sorted(set(range(len(sources))) - small.keys() | set(examples))
    with rasterio.Env(**RETRIES), ThreadPoolExecutor(OPENERS) as pool:
        found = pool.map(lambda n: _opened(sources[n], choices, bundle), wanted)
        opened = dict(zip(wanted, found, strict=True))
    known = [n for n in examples if opened[n][0]]
    scale = sum(opened[n][0] for n in known) / sum(small[n] for n in known) if known else 1.0
    return [opened[n] if n in opened else (round(small[n] * scale), ()) for n in range(len(sources))]


def _small(dataset: str, choices: Choices) -> int:
    """Pixels of a file that no resampling makes larger than a chunk; 0 of one that has to be opened."""
    if choices.bounds is not None or ":" in dataset or dataset.startswith("/vsi"):
        return 0
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a picture of many megapixels is none to Pillow's taste
            with Image.open(dataset) as header:
                width, height = header.size
    except Exception:  # Pillow raises all sorts of errors; GDAL has the last word
        return 0
    factor = 1 if choices.settings.pixel_sizes_m is None else COARSEST
    return width * height if factor * max(width, height) <= choices.chunk else 0


def _opened(source: Source, choices: Choices, bundle: Bundle) -> tuple[int, tuple[Window, ...]]:
    work = choices.work(source.dataset, Path("none"), None, None)
    try:
        with open_job(work, bundle, choices.settings) as (scene, area):
            chunks = cut(choices.settings.grid(scene.shape), area, choices.chunk)
            if choices.polygons:  # they come last, and would tell only then that they cannot be written
                check_output(f"name.{choices.polygons}", placed(scene.geobox, source.name).crs)
    except GeosegError as error:
        log.info("%s: %s", source.name, error)
        return 0, ()
    return area.height * area.width, chunks if len(chunks) > 1 else ()


def cut(grid: Grid, area: Window, side: int) -> tuple[Window, ...]:
    """The chunks of about `side` pixels that `area` is cut into, row by row, on whole steps of the grid."""
    met = (chunk.intersect(area) for chunk in grid.chunks(side))
    return tuple(chunk for chunk in met if not chunk.empty)
