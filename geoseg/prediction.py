"""Join the pipeline to files: one scene in; a class mask, probabilities and polygons out."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoseg.core.mask import NODATA
from geoseg.core.stitch import Strip
from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import session
from geoseg.geo.scene import Scene
from geoseg.jobs import SceneJob, open_job, planned
from geoseg.memory import stripes
from geoseg.models.bundle import Bundle
from geoseg.outputs import Files, engine_tags
from geoseg.pipeline import Stages, segment
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


def predict_scene(
    job: SceneJob,
    bundle: Bundle,
    settings: Settings,
    engine: Engine,
    progress: Progress = lambda done, total: None,
) -> Result:
    """Segment a scene into a class mask (probabilities, polygons) on its own ground, in bounded memory.

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
        columns = stripes(area, settings, engine.classes, job.max_memory)
        files = Files(
            job, dict(zip(job.outputs, drafts, strict=True)), bundle, settings, engine_tags(engine),
            scene.geobox.window(area), whole=len(columns) == 1,
        )  # fmt: skip
        with files.polygons() as trace, files.rasters() as stripe_writer:
            for stripe in columns:
                append = stripe_writer(Window(0, stripe.col - area.col, stripe.height, stripe.width))
                with closing(_strips(scene, engine, settings, stripe, stages)) as strips:
                    for strip in strips:
                        pixels = append(strip)
                        counts.update(_counted(pixels[0], engine.classes))
                        trace(pixels[-1])
                        progress(strip.valid.size, area.height * area.width)
    skipped = planned(settings.grid(scene.shape), columns) - stages.patches
    spent = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.seconds.items())
    log.info("%s: %d patches, %d skipped; %s", job.scene, stages.patches, skipped, spent)
    return Result(
        job.scene, tuple(map(str, job.outputs)), area.height, area.width, scene.geobox.side_m(),
        _named(counts, bundle), stages.patches, skipped,
        time.perf_counter() - start, engine.name, dict(stages.seconds),
    )  # fmt: skip


def _strips(
    scene: Scene, engine: Engine, settings: Settings, stripe: Window, stages: Stages
) -> Generator[Strip]:
    """The finished rows of a stripe of columns."""
    return segment(
        scene, augmented(engine, settings.tta), settings.grid(scene.shape),
        filter_=settings.filter, scaling=scene.scaling(), area=stripe, stages=stages,
    )  # fmt: skip


def _counted(mask: np.ndarray, classes: int) -> dict[int, int]:
    """Pixels by value of a class mask."""
    return {value: int(np.count_nonzero(mask == value)) for value in (*range(classes + 1), NODATA)}


def _check(job: SceneJob) -> None:
    """Never write over the scene."""
    for output in job.outputs:
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
