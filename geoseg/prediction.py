"""Join the pipeline to files: one scene in; a class mask, probabilities and polygons out."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoseg.beside import quicklook, write_styles
from geoseg.core.mask import NODATA
from geoseg.core.patches import PixelSource
from geoseg.core.scaling import Scaling
from geoseg.core.stitch import Strip
from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import session
from geoseg.jobs import SceneJob, open_job, planned
from geoseg.memory import peak, share
from geoseg.models.bundle import Bundle
from geoseg.outputs import Files
from geoseg.pipeline import Stages, segment
from geoseg.provenance import engine_tags, grid_tags
from geoseg.runtime.engine import Engine
from geoseg.runtime.tta import augmented
from geoseg.settings import Settings
from geoseg.staging import staged

log = logging.getLogger(__name__)

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class Result:
    """What was done with a scene.

    Attributes:
        scene: its name.
        outputs: the files written.
        beside: what was written beside them, to look at: a quicklook, and styles for QGIS.
        height: rows of the outputs.
        width: columns of the outputs.
        pixel_size_m: ground size of their pixels, None when unknown.
        pixels: pixels by class name, with `background` and `nodata`.
        patches: patches that went through the network.
        skipped: patches without a valid pixel, which cost nothing.
        seconds: wall time.
        peak_bytes: the most memory that the process had so far.
        engine: what ran the network.
        stages: seconds that each stage was at work; they overlap.
    """

    scene: str
    outputs: tuple[str, ...]
    beside: tuple[str, ...]
    height: int
    width: int
    pixel_size_m: float | None
    pixels: Mapping[str, int]
    patches: int
    skipped: int
    seconds: float
    peak_bytes: int
    engine: str
    stages: Mapping[str, float]

    @property
    def shares(self) -> dict[str, float]:
        """Share of each class in the pixels with data, 0 … 1; empty when there are none."""
        known = sum(self.pixels.values()) - self.pixels["nodata"]
        classes = [name for name in self.pixels if name not in ("background", "nodata")]
        return {name: self.pixels[name] / known for name in classes} if known else {}

    @property
    def megapixels_per_second(self) -> float:
        """Millions of pixels of the outputs a second."""
        return self.height * self.width / self.seconds / 1e6


def predict_scene(
    job: SceneJob,
    bundle: Bundle,
    settings: Settings,
    engine: Engine,
    progress: Progress = lambda done, total: None,
    stage: Callable[[str], object] = lambda name: None,
) -> Result:
    """Segment a scene into a class mask (probabilities, polygons) on its own ground, in bounded memory.

    Args:
        job: the scene and its outputs.
        bundle: the model, for its classes and name.
        settings: how to run it.
        engine: the model, loaded.
        progress: called with the numbers of pixels finished since the last call and of all.
        stage: called with the name of each stage as it begins.

    Raises:
        GeosegError: when the scene cannot be used or an output not written; no output is left then.
    """
    _check(job)
    start = time.perf_counter()
    stages, counts = Stages(), Counter[int]()
    with (
        session(),
        staged(*job.outputs, *job.beside, overwrite=job.overwrite) as staged_paths,
        open_job(job, bundle, settings) as (scene, area),
    ):
        given = share(area, settings, engine, bundle, job.max_memory)
        engine, columns = given.engine, given.stripes
        drafts = dict(zip((*job.outputs, *job.beside), staged_paths, strict=True))
        made_by = engine_tags(engine) | grid_tags(settings, scene.shape, area)
        files = Files(
            job, drafts, bundle, settings, made_by, scene.geobox.window(area), whole=len(columns) == 1
        )
        stage("segmenting")
        with (
            files.polygons() as trace,  # these are drawn while the others end
            then(stage, "drawing polygons"),
            quicklook(job, drafts, scene, area, bundle.card) as (source, glance),
            then(stage, "drawing the quicklook"),
            files.rasters() as stripe_writer,
            then(stage, "writing rasters"),
        ):
            for stripe in columns:
                append = stripe_writer(Window(0, stripe.col - area.col, stripe.height, stripe.width))
                scaling = scene.scaling()
                with closing(_strips(source, scaling, engine, settings, stripe, stages)) as strips:
                    for strip in strips:
                        pixels = append(strip)
                        counts.update(_counted(pixels[0], engine.classes))
                        trace(pixels[-1])
                        glance(strip.window, pixels[0])
                        progress(strip.valid.size, area.height * area.width)
        write_styles(job, drafts, bundle.card)
    skipped = planned(settings.grid(scene.shape), columns) - stages.patches
    spent = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.seconds.items())
    log.info("%s: %d patches, %d skipped; %s", job.scene, stages.patches, skipped, spent)
    return Result(
        job.scene, tuple(map(str, job.outputs)), tuple(map(str, job.beside)),
        area.height, area.width, scene.geobox.side_m(), _named(counts, bundle), stages.patches, skipped,
        time.perf_counter() - start, peak(), engine.name, dict(stages.seconds),
    )  # fmt: skip


@contextmanager
def then(stage: Callable[[str], object], name: str) -> Iterator[None]:
    """Name the stage that begins when the `with` block ends well."""
    yield
    stage(name)


def _strips(
    source: PixelSource, scaling: Scaling, engine: Engine, settings: Settings, stripe: Window, stages: Stages
) -> Generator[Strip]:
    """The finished rows of a stripe of columns."""
    return segment(
        source, augmented(engine, settings.tta), settings.grid(source.shape),
        filter_=settings.filter, scaling=scaling, area=stripe, stages=stages,
    )  # fmt: skip


def _counted(mask: np.ndarray, classes: int) -> dict[int, int]:
    """Pixels by value of a class mask."""
    return {value: int(np.count_nonzero(mask == value)) for value in (*range(classes + 1), NODATA)}


def _check(job: SceneJob) -> None:
    """Never write over the scene."""
    for output in (*job.outputs, *job.beside):
        if _same(output, job.scene):
            raise OutputError(f"{output} is the scene itself; give the output another name")


def _same(output: Path, scene: str) -> bool:
    try:
        return output.samefile(scene)
    except OSError:  # one is not there, or the scene's name is an address too long for a file's
        return False


def _named(counts: Counter[int], bundle: Bundle) -> dict[str, int]:
    names = ["background", *(spec.name for spec in bundle.card.classes)]
    return {name: counts[value] for value, name in enumerate(names)} | {"nodata": counts[NODATA]}
