"""How long it takes to plan thousands of small scenes.

    python benchmarks/plan.py [--scenes 10000] [--side 512 2048] [--polygons]

Makes GeoTIFFs of each side in a temporary folder (UTM, 0.5 m, 100 a sub-folder, empty, for only their headers
are read) and plans them as `geoseg batch` does, in a process of its own. `plan` is to find them, look at each
and write plan.json; `jobs` is to make every job and see what is done of it, as the run does next; `command`
is the whole of `geoseg batch --dry-run`, with the start of Python and some seconds in which the network is
timed. Scenes of up to 1024 px are one job whatever their pixel size, and only Pillow looks at their headers;
larger ones are opened. Seconds of the processor, with those of the clock in brackets.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rasterio
from affine import Affine

GEOSEG = [sys.executable, "-c", "from geoseg.cli import main; main(prog_name='geoseg')", "-q"]
ROW = 100  # scenes in a sub-folder
PLAN = """
import json, sys, time
from pathlib import Path
from geoseg.bulk.folder import Shard, open_folder
from geoseg.bulk.request import prepare
from geoseg.bulk.run import _opened, _waiting
scenes, run, model, *polygons = sys.argv[1:]

def told(start, wall):
    print(time.process_time() - start, time.perf_counter() - wall)

started = time.process_time(), time.perf_counter()
plan = prepare(scenes, run, model=model, polygons=bool(polygons))
folder, plan = open_folder(Path(run), plan, Shard(), resume=False, overwrite=False)
told(*started)
started = time.process_time(), time.perf_counter()
assert len(_waiting(_opened(plan, folder))) == plan.count
told(*started)
"""


def write_scenes(folder: Path, count: int, side: int) -> None:
    """Empty GeoTIFFs of three bands: a row of 100, and copies of it in other sub-folders."""
    profile = dict(driver="GTiff", width=side, height=side, count=3, dtype="uint8", crs="EPSG:32645",
                   tiled=True, compress="deflate", photometric="rgb", sparse_ok=True)  # fmt: skip
    for number in range(count):
        path = folder / f"{number // ROW:03d}" / f"{number % ROW:02d}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        if number >= ROW:
            shutil.copyfile(folder / "000" / path.name, path)
            continue
        place = Affine.translation(3e5 + number * side / 2, 3e6)
        with rasterio.open(path, "w", transform=place * Affine.scale(0.5, -0.5), **profile):
            pass


def timed(command: list[str]) -> tuple[float, float]:
    """Processor and clock seconds of a command."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[-1]} failed")
    return used.ru_utime + used.ru_stime, time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scenes", type=int, default=10_000)
    parser.add_argument("--side", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--polygons", action="store_true")
    options = parser.parse_args()
    print("| scenes | side, px | plan, s | jobs, s | command, s |\n|---|---|---|---|---|")
    for side in options.side:
        with tempfile.TemporaryDirectory() as name:
            scenes, run = Path(name, "scenes"), Path(name, "run")
            write_scenes(scenes, options.scenes, side)
            wanted = ["polygons"] * options.polygons
            words = [sys.executable, "-c", PLAN, str(scenes), str(run), options.model, *wanted]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            phases = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
            dry = ["batch", str(scenes), "-o", f"{name}/other", "-m", options.model, "--dry-run"]
            phases.append(timed([*GEOSEG, *dry, *(f"--{word}" for word in wanted)]))
        cells = " | ".join(f"{cpu:.1f} ({wall:.1f})" for cpu, wall in phases)
        print(f"| {options.scenes:,} | {side} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
