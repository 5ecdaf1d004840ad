"""Join the pipeline to files: one scene in, a class mask and probabilities out."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from geoseg.core.batching import batches
from geoseg.core.mask import NODATA
from geoseg.core.patches import read_patches, read_reflected
from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import session
from geoseg.geo.geobox import GeoBox
from geoseg.geo.scene import Scene, open_scene
from geoseg.memory import DEFAULT_LIMIT, estimate, stripes
from geoseg.models.bundle import Bundle
from geoseg.outputs import Output, mask_output, probability_output, rasters
from geoseg.pipeline import Stages, segment
from geoseg.runtime.engine import Engine
from geoseg.runtime.keras_engine import import_keras
from geoseg.runtime.tta import augmented
from geoseg.settings import Settings
from geoseg.staging import staged

log = logging.getLogger(__name__)

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class SceneJob:
    """One scene, what to read of it, and where the results go.

    Attributes:
        scene: anything GDAL opens.
        mask: the class mask to write.
        probabilities: the probabilities to write, None for none.
        polygons: the vector file to write, None for none.
        probability_dtype: `uint8` for round(254·p), or `float32`.
        bidx: band numbers to use; None to find them by name.
        nodata: a value that means no data, beside the file's own.
        bounds: left, bottom, right, top in the scene's CRS; None for the whole scene.
        cutline: a vector file outside whose polygons nothing is predicted.
        options: COG creation options.
        max_memory: bytes to stay within.
        overwrite: replace outputs that exist.
    """

    scene: str
    mask: Path
    probabilities: Path | None = None
    polygons: Path | None = None
    probability_dtype: Literal["uint8", "float32"] = "uint8"
    bidx: tuple[int, ...] | None = None
    nodata: float | None = None
    bounds: tuple[float, float, float, float] | None = None
    cutline: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    max_memory: int = DEFAULT_LIMIT
    overwrite: bool = False

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that the job writes."""
        return tuple(path for path in (self.mask, self.probabilities, self.polygons) if path is not None)


@dataclass(frozen=True, slots=True)
class Result:
    """What was done with a scene.

    Attributes:
        scene: its name.
        outputs: the files written.
        height: rows of the outputs.
        width: columns of the outputs.
        pixel_size_m: ground size of their pixels, None when unknown.
        pixels: pixels by class name, with `background` and `nodata`.
        patches: patches that went through the network.
        skipped: patches without a valid pixel, which cost nothing.
        seconds: wall time.
        engine: what ran the network.
        stages: seconds that each stage was at work; they overlap.
    """

    scene: str
    outputs: tuple[str, ...]
    height: int
    width: int
    pixel_size_m: float | None
    pixels: Mapping[str, int]
    patches: int
    skipped: int
    seconds: float
    engine: str
    stages: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Survey:
    """What a run would do (`--dry-run`).

    Attributes:
        scene: its name.
        height: rows of the outputs.
        width: columns of the outputs.
        pixel_size_m: ground size of their pixels, None when unknown.
        patches: patches that would go through the network.
        skipped: patches without a valid pixel.
        read_bytes: bytes of pixels in those patches.
        memory_bytes: expected peak.
        seconds: expected time, from one timed batch and the time it took to read the scene.
    """

    scene: str
    height: int
    width: int
    pixel_size_m: float | None
    patches: int
    skipped: int
    read_bytes: int
    memory_bytes: int
    seconds: float


@contextmanager
def open_job(job: SceneJob, bundle: Bundle, settings: Settings) -> Iterator[tuple[Scene, Window]]:
    """Open a job's scene as its model wants it, with the window to work on."""
    with open_scene(
        job.scene,
        bundle.card.bands,
        bidx=job.bidx,
        nodata=job.nodata,
        sizes_m=settings.pixel_sizes_m,
        cutline=job.cutline,
    ) as scene:
        box = scene.geobox
        yield scene, box.window_of(job.bounds) if job.bounds else box.whole()


def predict_scene(
    job: SceneJob,
    bundle: Bundle,
    settings: Settings,
    engine: Engine,
    progress: Progress = lambda done, total: None,
) -> Result:
    """Segment a scene into a class mask (and probabilities) on its own ground, in bounded memory.

    Args:
        job: the scene and its outputs.
        bundle: the model, for its classes and name.
        settings: how to run it.
        engine: the model, loaded.
        progress: called with the numbers of pixels finished since the last call and of all.

    Raises:
        GeosegError: when the scene cannot be used or an output not written; no output is left then.
    """
    _check(job)
    start = time.perf_counter()
    stages, counts = Stages(), Counter[int]()
    with (
        session(),
        staged(*job.outputs, overwrite=job.overwrite) as drafts,
        open_job(job, bundle, settings) as (scene, area),
    ):
        files = _Files(job, dict(zip(job.outputs, drafts, strict=True)))
        files.check(scene.geobox.crs)
        grid, scaling = settings.grid(scene.shape), scene.scaling()
        values = (*range(engine.classes + 1), NODATA)
        columns = stripes(area, settings, engine.classes, job.max_memory)
        looks = _looks(job, bundle, settings, scene.geobox.window(area))
        with rasters(files.rasters, looks[: len(files.rasters)]) as stripe_writer:
            for stripe in columns:
                append = stripe_writer(Window(0, stripe.col - area.col, stripe.height, stripe.width))
                flow = segment(
                    scene, augmented(engine, settings.tta), grid,
                    filter_=settings.filter, scaling=scaling, area=stripe, stages=stages,
                )  # fmt: skip
                with closing(flow) as strips:
                    for strip in strips:
                        mask = append(strip)[0]
                        counts.update({value: int(np.count_nonzero(mask == value)) for value in values})
                        progress(strip.valid.size, area.height * area.width)
        files.trace()
    planned = sum(math.prod(map(len, grid.touching(stripe))) for stripe in columns)
    spent = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.seconds.items())
    log.info("%s: %d patches, %d skipped; %s", job.scene, stages.patches, planned - stages.patches, spent)
    return Result(
        job.scene, tuple(map(str, job.outputs)), area.height, area.width, pixel_size(scene),
        _named(counts, bundle), stages.patches, planned - stages.patches,
        time.perf_counter() - start, engine.name, dict(stages.seconds),
    )  # fmt: skip


def survey_scene(job: SceneJob, bundle: Bundle, settings: Settings, engine: Engine) -> Survey:
    """Say what `predict_scene` would do, by reading the scene once and timing one batch."""
    with session(), open_job(job, bundle, settings) as (scene, area):
        grid, scaling, start = settings.grid(scene.shape), scene.scaling(), time.perf_counter()
        columns = stripes(area, settings, engine.classes, job.max_memory)
        patches, batch = 0, None
        for stripe in columns:
            found = read_patches(scene, grid, stripe, settings.filter, scaling.neutral)
            for batch in batches(found, engine.batch_size, scaling):
                patches += len(batch.patches)
        reading = time.perf_counter() - start
        planned = sum(math.prod(map(len, grid.touching(stripe))) for stripe in columns)
    rate = _seconds_per_patch(augmented(engine, settings.tta), batch.pixels) if batch is not None else 0.0
    size = np.dtype(scene.dtype).itemsize * scene.bands * grid.size**2
    memory = estimate(area, settings, engine.classes, job.max_memory)
    return Survey(
        job.scene, area.height, area.width, pixel_size(scene), patches, planned - patches,
        patches * size, memory, max(reading, patches * rate),
    )  # fmt: skip


def pixel_size(scene: Scene) -> float | None:
    """The ground size of a scene's pixels in metres (geometric mean of both sides), None when unknown."""
    size = scene.geobox.pixel_size_m()
    return None if size is None else math.sqrt(size[0] * size[1])


def _check(job: SceneJob) -> None:
    """Never write over the scene."""
    for output in job.outputs:
        if output.exists() and Path(job.scene).exists() and output.samefile(job.scene):
            raise OutputError(f"{output} is the scene itself; give the output another name")


def _looks(job: SceneJob, bundle: Bundle, settings: Settings, box: GeoBox) -> list[Output]:
    """What the mask and the probabilities look like."""
    return [
        mask_output(box, bundle, settings, job.options),
        probability_output(box, bundle, settings, job.options, job.probability_dtype),
    ]


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of a job under their temporary names."""

    job: SceneJob
    drafts: Mapping[Path, Path]

    @property
    def rasters(self) -> list[Path]:
        """The mask, and the probabilities if they or polygons are wanted."""
        mask = self.drafts[self.job.mask]
        if self.job.probabilities is not None:
            return [mask, self.drafts[self.job.probabilities]]
        return [mask, mask.with_name(mask.name + ".p.tif")] if self.job.polygons else [mask]

    def check(self, crs: Any) -> None:
        """Find out whether polygons can be written before an hour is spent on them."""
        if self.job.polygons is not None:
            from geoseg.vector.files import check_output

            check_output(self.drafts[self.job.polygons], crs)

    def trace(self) -> None:
        """Make polygons of the probabilities that were just written."""
        if self.job.polygons is not None:
            from geoseg.polygons import vectorize

            vectorize(self.rasters[1], self.drafts[self.job.polygons], scene=Path(self.job.scene).name)


def _named(counts: Counter[int], bundle: Bundle) -> dict[str, int]:
    names = ["background", *(spec.name for spec in bundle.card.classes)]
    return {name: counts[value] for value, name in enumerate(names)} | {"nodata": counts[NODATA]}


def _seconds_per_patch(engine: Engine, pixels: np.ndarray) -> float:
    engine(pixels)  # compiles
    start = time.perf_counter()
    engine(pixels)
    return (time.perf_counter() - start) / len(pixels)


def measured(settings: Settings, job: SceneJob, bundle: Bundle, tolerance: float) -> Settings:
    """Settings whose halo is the smallest that keeps `tolerance` in the middle of a job's scene."""
    if bundle.card.halo == 0:
        return settings
    import_keras()
    from geoseg.models.measured import measured_halo

    side = settings.patch_size + 2 * bundle.card.halo
    with open_job(job, bundle, settings) as (scene, area):
        row, col = area.row + (area.height - side) // 2, area.col + (area.width - side) // 2
        scaling, window = scene.scaling(), Window(row, col, side, side)
        pixels, _ = read_reflected(scene, window, settings.filter, scaling.neutral)
        images = scaling(pixels)[None]
    halo = measured_halo(
        bundle.load_keras(), tolerance=tolerance, patch_size=settings.patch_size, images=images
    )
    return replace(settings, halo=halo)
