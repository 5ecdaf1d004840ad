"""From what the user asks to a plan, and what the plan will cost."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.bulk.choices import choose
from geoseg.bulk.plan import Plan, make_plan
from geoseg.bulk.sources import expand
from geoseg.bulk.work import load_once
from geoseg.core.patches import ArraySource
from geoseg.core.window import Window
from geoseg.geo.tile_search import TileChoices, bounds_left
from geoseg.pipeline import segment
from geoseg.runtime.engine import Engine
from geoseg.runtime.tta import augmented
from geoseg.settings import Settings

BATCHES = 2  # for each stream of the engine, to time it


def prepare(
    sources: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    model: str | Path,
    polygons: Any = None,
    layout: Any = "whole",
    bidx: Sequence[int] | None = None,
    cutline: str | Path | None = None,
    batch_size: int | None = None,
    precision: str | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    zoom: int | None = None,
    tms: bool = False,
    tile_cache: str | Path | None = None,
    allow_remote: bool = False,
    **options: Any,
) -> Plan:
    """Plan a batch.

    Args:
        sources: see `sources.expand`.
        folder: of the outputs.
        model: a bundle's name or folder.
        polygons: their format; True for the usual one.
        layout: see `Choices`.
        bidx: see `Choices`.
        cutline: see `Choices`.
        batch_size: see `load_engine`.
        precision: see `load_engine`.
        bounds: see `Choices`; in degrees for map tiles.
        zoom: of map tiles; for this and what follows see `TileChoices`.
        tms: see there.
        tile_cache: see there.
        allow_remote: see `sources.expand` and `Choices`.
        **options: those of `choices.choose` and `Choices`.
    """
    given = [sources] if isinstance(sources, (str, Path)) else list(sources)
    area, cache = (Path(path) if path else None for path in (cutline, tile_cache))
    tiles = TileChoices(zoom, bounds, area, tms, cache)
    scenes = expand(given, without=Path(folder), tiles=tiles, allow_remote=allow_remote)
    if polygons is True:
        polygons = "parquet" if layout == "chunks" else "gpkg"
    choices = choose(
        model, scenes[0].dataset, polygons=polygons or None, layout=layout,
        bidx=tuple(bidx) if bidx else None, cutline=cutline and str(Path(cutline).absolute()),
        engine_options={"batch_size": batch_size, "precision": precision},
        bounds=bounds_left([scene.dataset for scene in scenes], tiles), allow_remote=allow_remote, **options,
    )  # fmt: skip
    return make_plan(scenes, choices)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a batch will take (`--dry-run`).

    Attributes:
        scenes: how many.
        jobs: how many.
        pixels: to compute, where known.
        unknown: scenes whose size is not known: they could not be opened.
        read_bytes: of the local files.
        write_bytes: of the rasters before compression, at most.
        hours: on this machine, if every pixel has data.
        engine: with which that was measured.
        stitch: see `Settings`.
        patch_size: pixels.
        halo: pixels cropped from every side of a patch; 0 when blending.
    """

    scenes: int
    jobs: int
    pixels: int
    unknown: int
    read_bytes: int
    write_bytes: int
    hours: float
    engine: str
    stitch: str
    patch_size: int
    halo: int


def estimate(plan: Plan) -> Estimate:
    """Time the network on noise, and say what the plan will take."""
    choices, classes = plan.choices, len(plan.choices.model.bundle().card.classes)
    options = tuple(choices.engine_options.items())
    engine = load_once(choices.model, choices.engine, options, choices.settings.patch_size)
    bands = len(choices.model.bundle().card.bands)
    per_patch = seconds_per_patch(augmented(engine, choices.settings.tta), choices.settings, bands)
    pixels = sum(scene.pixels for scene in plan.scenes)
    width = {"uint8": 1, "float32": 4}[choices.probability_dtype]
    written = 1 + classes * width * choices.probabilities
    settings = choices.settings
    patches = pixels / settings.step**2
    return Estimate(
        len(plan.scenes), plan.count, pixels, sum(not scene.pixels for scene in plan.scenes),
        plan.read_bytes, pixels * written, patches * per_patch / 3600, engine.name,
        settings.stitch, settings.patch_size, settings.lead,
    )  # fmt: skip


def seconds_per_patch(engine: Engine, settings: Settings, bands: int) -> float:
    """How long a patch takes in the whole flow, with all streams of the engine at work."""
    wanted = BATCHES * engine.streams * engine.batch_size
    side = settings.step * math.ceil(math.sqrt(wanted))
    noise = np.random.default_rng(0).integers(0, 256, (side, side, bands), np.uint8)
    grid = settings.grid((side, side))

    def run(area: Window | None) -> None:
        for _ in segment(ArraySource(noise), engine, grid, filter_=settings.filter, area=area):
            pass

    run(Window(0, 0, 1, 1))  # compiles
    start = time.perf_counter()
    run(None)
    return (time.perf_counter() - start) / len(grid)
