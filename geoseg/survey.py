"""What can be known of a run by a look at its scene: what it will take, and how much context it needs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from geoseg.core.batching import batches
from geoseg.core.patches import read_patches, read_reflected
from geoseg.core.window import Window
from geoseg.geo.gdal import session
from geoseg.jobs import SceneJob, open_job, planned
from geoseg.memory import estimate, stripes
from geoseg.models.bundle import Bundle
from geoseg.runtime.engine import Engine
from geoseg.runtime.keras_engine import import_keras
from geoseg.runtime.tta import augmented
from geoseg.settings import Settings


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
        skipped = planned(grid, columns) - patches
    rate = _seconds_per_patch(augmented(engine, settings.tta), batch.pixels) if batch is not None else 0.0
    size = np.dtype(scene.dtype).itemsize * scene.bands * grid.size**2
    memory = estimate(area, settings, engine.classes, job.max_memory)
    return Survey(
        job.scene, area.height, area.width, scene.geobox.side_m(), patches, skipped,
        patches * size, memory, max(reading, patches * rate),
    )  # fmt: skip


def _seconds_per_patch(engine: Engine, pixels: np.ndarray) -> float:
    engine(pixels)  # compiles
    start = time.perf_counter()
    engine(pixels)
    return (time.perf_counter() - start) / len(pixels)


def with_measured_halo(settings: Settings, job: SceneJob, bundle: Bundle, tolerance: float) -> Settings:
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
