"""How much of a run is the network: patches × time of a bare forward pass ÷ wall time.

    python benchmarks/efficiency.py SCENE.tif [--nodata 255] [--model NAME] [--engine NAME] [--res model]

The forward pass is timed alone, in the same process, on a batch of the scene's own patches, before and after
the run; their mean counts. 1 would mean that reading, filling, blending, thresholding, compressing and
overviews cost nothing beside the network. The same quotient of processor times is printed beside it: it says
less, as it does not see a core that waits, but hardly changes when other work is on the machine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from geoseg.api import Loaded, load
from geoseg.core.batching import Batch, batches
from geoseg.core.patches import read_patches
from geoseg.geo.gdal import session
from geoseg.jobs import SceneJob, open_job
from geoseg.memory import peak
from geoseg.prediction import predict_scene
from geoseg.runtime.engine import Engine

TIMED_SECONDS = 8


def first_batch(job: SceneJob, ready: Loaded) -> Batch:
    """A full batch from the middle of the scene."""
    with session(), open_job(job, ready.bundle, ready.settings) as (scene, area):
        grid = ready.settings.grid(scene.shape)
        middle = area.expand(-min(area.shape) // 4)
        patches = read_patches(scene, grid, middle, ready.settings.filter, scene.scaling().neutral)
        return next(batches(patches, ready.engine.batch_size, scene.scaling()))


def clocks() -> np.ndarray:
    """Wall and processor time, seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def seconds_per_patch(engine: Engine, batch: Batch) -> np.ndarray:
    """Bare forward passes, as many at once as the engine is run with, and nothing else; by both clocks."""
    engine(batch.pixels)
    start = clocks()
    until = start[0] + TIMED_SECONDS
    with ThreadPoolExecutor(engine.streams) as pool:
        calls = sum(pool.map(lambda _: calls_until(engine, batch, until), range(engine.streams)))
    return (clocks() - start) / calls / len(batch.pixels)


def calls_until(engine: Engine, batch: Batch, until: float) -> int:
    """How often a batch goes through the network before a time."""
    calls = 0
    while time.perf_counter() < until:
        engine(batch.pixels)
        calls += 1
    return calls


def seconds_to_read(job: SceneJob, ready: Loaded) -> float:
    """Time to make all batches of a scene, as the run makes them."""
    start = time.perf_counter()
    with session(), open_job(job, ready.bundle, ready.settings) as (scene, area):
        grid = ready.settings.grid(scene.shape)
        patches = read_patches(scene, grid, area, ready.settings.filter, scene.scaling().neutral)
        for _ in batches(patches, ready.engine.batch_size, scene.scaling()):
            pass
    return time.perf_counter() - start


def a_scene(about: str) -> argparse.ArgumentParser:
    """The options of a script that runs a model over a scene."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("scene")
    parser.add_argument("--nodata", type=float)
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--res", default="native", help="native (the whole scene) or model")
    parser.add_argument("--patch-size", type=int)
    parser.add_argument("--overlap", type=int)
    return parser


def main() -> None:
    """Print the efficiency and the split by stage."""
    parser = a_scene(__doc__)
    parser.add_argument("--precision", default="auto")
    options = parser.parse_args()
    ready = load(
        options.model, engine=options.engine, precision=options.precision, res=options.res,
        patch_size=options.patch_size, overlap=options.overlap,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        job = SceneJob(options.scene, Path(folder, "mask.tif"), Path(folder, "p.tif"), nodata=options.nodata)
        batch = first_batch(job, ready)
        before = seconds_per_patch(ready.engine, batch)
        start = clocks()
        result = predict_scene(job, ready.bundle, ready.settings, ready.engine)
        _, processor = clocks() - start
        after = seconds_per_patch(ready.engine, batch)
    forward, bare = (before + after) / 2
    pixels = result.height * result.width
    print(
        f"scene        {result.height} × {result.width}, {result.patches} patches, {result.skipped} skipped"
    )
    print(f"engine       {result.engine}, {ready.engine.streams} × {ready.engine.batch_size} patches at once")
    print(f"forward      {forward * 1e3:.2f} ms a patch ({before[0] * 1e3:.2f} and {after[0] * 1e3:.2f})")
    print(f"wall         {result.seconds:.1f} s, {pixels / result.seconds / 1e6:.2f} Mpx/s of scene")
    for stage, seconds in result.stages.items():
        print(f"  {stage:<10} {seconds:6.1f} s")
    network = result.patches * bare
    print(f"processor    {processor:.1f} s, bare network {network:.1f} s, {network / processor:.3f} of it")
    print(f"load         {os.getloadavg()[0]:.1f} in the last minute")
    print(f"peak memory  {peak() / 2**20:.0f} MiB")
    print(f"efficiency   {result.patches * forward / result.seconds:.3f}")


if __name__ == "__main__":
    main()
