"""What it costs to hand jobs to workers: Dask beside processes, and two workers beside one on one core.

    python benchmarks/batch.py [SCENE] [--chunk 400] [--rounds 3]

Without a scene the sample is repeated to one of about 100 chunks. Every round runs all variants one by one,
each in a process of its own, so that a machine that is slower for a while is slower for all; ratios are
of the sums. `all` counts the start of the workers too, `jobs` what passes from the first chunk to the last.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data" / "suburb.tif"
RUN = """
import json, sys, time
from geoseg.api import batch
if __name__ == "__main__":
    scene, folder, chunk, model, executor, workers = sys.argv[1:]
    times, start = [], time.perf_counter()
    done = batch(scene, folder, model=model, chunk=int(chunk), executor=executor, workers=int(workers),
                 progress=lambda done, total: times.append(time.perf_counter()))
    whole = time.perf_counter() - start
    chunks = times[:-1]
    print(json.dumps({"chunks": done.planned, "whole": whole, "jobs": chunks[-1] - chunks[0]}))
"""
VARIANTS = {
    "serial": ("serial", 1, None),
    "one worker on one core": ("processes", 1, 1),
    "processes, 2 workers on two cores": ("processes", 2, 2),
    "dask, 2 workers on two cores": ("dask", 2, 2),
}


def repeated(target: Path, times: int) -> None:
    """The sample scene `times` times across and down, as one file."""
    import numpy as np
    import rasterio

    with rasterio.open(SAMPLE) as file:
        pixels, profile = np.tile(file.read(), (1, times, times)), file.profile
    profile.update(height=pixels.shape[1], width=pixels.shape[2], tiled=True, blockxsize=512, blockysize=512)
    with rasterio.open(target, "w", **profile) as file:
        file.write(pixels)


def measure(script: Path, scene: Path, chunk: int, model: str, variant: str) -> dict[str, float]:
    """One variant in a process of its own, on as many cores as it is to have."""
    executor, workers, cores = VARIANTS[variant]
    own = sorted(os.sched_getaffinity(0))[:cores]
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            str(script),
            str(scene),
            f"{folder}/run",
            str(chunk),
            model,
            executor,
            str(workers),
        ]
        done = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, own),
        )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print a table of sums and ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", nargs="?", type=Path)
    parser.add_argument("--chunk", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--times", type=int, default=4, help="how often the sample scene is repeated each way"
    )
    parser.add_argument("--model", default="buildings-trees")
    options = parser.parse_args()
    sums = defaultdict(lambda: defaultdict(float))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "run.py")
        script.write_text(RUN)
        scene = options.scene or Path(folder, "scene.tif")
        if options.scene is None:
            repeated(scene, options.times)
        for _ in range(options.rounds):
            for variant in VARIANTS:
                for key, value in measure(script, scene, options.chunk, options.model, variant).items():
                    sums[variant][key] += value
    print("| variant | chunks | s in all | s of jobs |\n|---|---|---|---|")
    for variant, row in sums.items():
        print(
            f"| {variant} | {row['chunks'] / options.rounds:.0f} | {row['whole']:.1f} | {row['jobs']:.1f} |"
        )
    one, two, dask = (sums[name]["jobs"] for name in list(VARIANTS)[1:])
    print(f"\ndask / processes: {dask / two:.3f} (wanted: 1.10 or less)")
    print(f"one worker / two: {one / two:.2f} (wanted: 1.8 or more)")


if __name__ == "__main__":
    main()
