"""What can be known of a run by a look at its scene: what it will take."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from geoseg.core.batching import batches
from geoseg.core.patches import read_patches
from geoseg.geo.gdal import session
from geoseg.jobs import SceneJob, open_job, planned
from geoseg.memory import share
from geoseg.models.bundle import Bundle
from geoseg.runtime.engine import Engine
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
        stitch: see `Settings`.
        patch_size: pixels.
        halo: pixels cropped from every side of a patch; 0 when blending.
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
    stitch: str
    patch_size: int
    halo: int
    patches: int
    skipped: int
    read_bytes: int
    memory_bytes: int
    seconds: float


def survey_scene(job: SceneJob, bundle: Bundle, settings: Settings, engine: Engine) -> Survey:
    """Say what `predict_scene` would do, by reading the scene once and timing one batch."""
    with session(), open_job(job, bundle, settings) as (scene, area):
        grid, scaling, start = settings.grid(scene.shape), scene.scaling(), time.perf_counter()
        given = share(area, settings, engine, bundle, job.max_memory)
        patches, batch = 0, None
        for stripe in given.stripes:
            found = read_patches(scene, grid, stripe, settings.filter, scaling.neutral)
            for batch in batches(found, engine.batch_size, scaling):
                patches += len(batch.patches)
        reading = time.perf_counter() - start
        skipped = planned(grid, given.stripes) - patches
    rate = _seconds_per_patch(augmented(engine, settings.tta), batch.pixels) if batch is not None else 0.0
    size = np.dtype(scene.dtype).itemsize * scene.bands * grid.size**2
    return Survey(
        job.scene, area.height, area.width, scene.geobox.side_m(), settings.stitch, grid.size, grid.lead,
        patches, skipped, patches * size, given.bytes, max(reading, patches * rate),
    )  # fmt: skip


def _seconds_per_patch(engine: Engine, pixels: np.ndarray) -> float:
    engine(pixels)  # compiles
    start = time.perf_counter()
    engine(pixels)
    return (time.perf_counter() - start) / len(pixels)
