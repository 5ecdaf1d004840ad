"""Does a run take time in proportion to the area, and the same memory whatever it is?

    python benchmarks/linear.py SCENE.tif [--nodata 255] [--grow both|down] [--part HEIGHTxWIDTH] [--rounds 1]

The scene is repeated to 1, 4 and 16 times its area, as files compressed like it: `both` repeats it down and
across alike, `down` only down. Memory grows with the width, up to `--max-memory`, and never with the height.
Every run is a process of its own that loads the model and writes the mask. What a run over a single patch
takes is the fixed start-up; the ratios are given with it and without.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Run, alone, median_run, mib, sides, table, write_scene

AREAS = (1, 4, 16)
GROWTH = {"both": {1: (1, 1), 4: (2, 2), 16: (4, 4)}, "down": {area: (area, 1) for area in AREAS}}


def predict_once(scene: Path, options: argparse.Namespace) -> dict[str, Any]:
    """`geoseg.predict` as a user's script calls it."""
    import geoseg

    done = geoseg.predict(
        scene, scene.with_suffix(".mask.tif"), nodata=options.nodata, overwrite=True,
        max_memory=round(options.max_memory * 2**30), model=options.model, engine=options.engine,
        precision=options.precision, res="native", patch_size=options.patch_size, overlap=options.overlap,
    )  # fmt: skip
    return {"pixels": done.height * done.width, "patches": done.patches, "engine": done.engine}


def measured(options: argparse.Namespace, folder: Path) -> dict[int, Run]:
    """The median run over every area; 0 is a single patch."""
    small = (options.patch_size, options.patch_size)
    scenes = {area: folder / f"{area}.tif" for area in (0, *AREAS)}
    alone(write_scene, options.scene, scenes[0], small)
    for area in AREAS:
        alone(write_scene, options.scene, scenes[area], options.part, GROWTH[options.grow][area])
    rounds = [
        {area: alone(predict_once, scene, options) for area, scene in scenes.items()}
        for _ in range(options.rounds)
    ]
    return {area: median_run(each[area] for each in rounds) for area in scenes}


def rows(runs: dict[int, Run]) -> Iterator[tuple[str, ...]]:
    """The table: every area against the first."""
    start, one = runs[0].wall, runs[1].wall
    for area in AREAS:
        run, net = runs[area], runs[area].wall - start
        ratio = net / (one - start)
        yield (f"{area} ×", f"{run.answer['pixels'] / 1e6:,.0f}", f"{run.answer['patches']:,}",
               f"{run.wall:.1f}", f"{run.wall / one:.2f}", f"{net:.1f}", f"{ratio:.2f}",
               f"{100 * (ratio / area - 1):+.1f} %", mib(run.peak))  # fmt: skip


def main() -> None:
    """Print the table and the verdict."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene")
    parser.add_argument("--nodata", type=float)
    parser.add_argument("--grow", choices=list(GROWTH), default="both")
    parser.add_argument("--part", type=sides, help="HEIGHTxWIDTH in the middle, the first area")
    parser.add_argument("--rounds", type=int, default=1, help="of all areas in turn; the median run counts")
    parser.add_argument("--max-memory", type=float, default=2.0, metavar="GIB")
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--patch-size", type=int, default=256)
    parser.add_argument("--overlap", type=int, default=64)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = measured(options, Path(folder))
    found = list(rows(runs))
    worst = max((abs(float(row[7].split()[0])) for row in found), default=0.0)
    peaks = [runs[area].peak for area in AREAS]
    print(f"{runs[1].answer['engine']}, grown {options.grow}; start-up {runs[0].wall:.1f} s\n")
    print(f"largest deviation from 1 : 4 : 16 without start-up {worst:.1f} % (wanted: 5 or less)")
    print(f"peak memory of 16 × ÷ 1 ×: {peaks[-1] / peaks[0]:.2f} (wanted: about 1)\n")
    print(table(("area", "Mpx", "patches", "wall s", "×", "without start-up", "×", "off", "peak MiB"), found))


if __name__ == "__main__":
    main()
