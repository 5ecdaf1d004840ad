"""Exact mode against blending, for networks of plain convolutions.

    python benchmarks/exact.py SCENE.tif [--nodata 255] [--part HEIGHTxWIDTH] [--width 16] [--rounds 3]
        [--exact-size 1024]

U-Net and UNet++ with random weights predict the scene's own pixels: blended from patches of 256 px that
overlap by 64, and exact from large patches cropped by the network's halo. Every run is a process of its
own, the two modes in turn; the median run counts. Work is from the loaded network to the written mask.
`forward` is how often a pixel goes through the network.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Run, alone, mib, sides, table, write_scene

NETWORKS = ("unet", "unetpp")
MODES = ("blend", "exact")


def settings(mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """How patches are cut and joined in a mode."""
    if mode == "blend":
        return dict(stitch="blend", patch_size=256, overlap=64)
    return dict(stitch="exact", patch_size=options.exact_size)


def make_bundle(folder: Path, architecture: str, width: int) -> int:
    """A bundle of two classes with random weights."""
    from networks import random_bundle

    return random_bundle(folder, architecture, ("building", "tree"), "sigmoid", width=width)


def predict_once(scene: str, folder: Path, mode: str, options: argparse.Namespace) -> dict[str, Any]:
    """A scene with a bundle in one of the modes."""
    import geoseg
    from geoseg.api import load

    how = settings(mode, options)
    ready = load(folder, engine=options.engine, precision=options.precision, res="native", **how)
    start = time.perf_counter()
    done = geoseg.predict(scene, folder / "mask.tif", model=ready, nodata=options.nodata, overwrite=True)
    size = ready.settings.grid((done.height, done.width)).size
    return {
        "work": time.perf_counter() - start, "patches": done.patches, "engine": done.engine,
        "forward": done.patches * size**2 / (done.height * done.width),
        "pixels": done.height * done.width,
    }  # fmt: skip


def measured(scene: str, folder: Path, options: argparse.Namespace) -> dict[str, Run]:
    """The run of median work in each mode."""
    runs: dict[str, list[Run]] = {mode: [] for mode in MODES}
    for _ in range(options.rounds):
        for mode, found in runs.items():
            found.append(alone(predict_once, scene, folder, mode, options))
    return {
        mode: sorted(found, key=lambda run: run.answer["work"])[len(found) // 2]
        for mode, found in runs.items()
    }


def rows(network: str, weights: int, runs: dict[str, Run]) -> Iterator[tuple[str, ...]]:
    """Lines of the table."""
    for mode, run in runs.items():
        got = run.answer
        yield (f"{network}, {weights:,}", mode, f"{got['patches']:,}", f"{got['forward']:.2f}",
               f"{got['work']:.1f}", f"{got['pixels'] / got['work'] / 1e6:.2f}",
               f"{runs['blend'].answer['work'] / got['work']:.2f}", mib(run.peak))  # fmt: skip


def main() -> None:
    """Print the ratios and the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene")
    parser.add_argument("--nodata", type=float)
    parser.add_argument("--part", type=sides, help="HEIGHTxWIDTH in the middle; all by default")
    parser.add_argument("--width", type=int, default=16, help="filters at full resolution")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--exact-size", type=int, default=1024, help="patches of exact mode, pixels")
    options = parser.parse_args()
    lines: list[tuple[str, ...]] = []
    with tempfile.TemporaryDirectory() as name:
        scene = options.scene
        if options.part:
            scene = str(Path(name, "part.tif"))
            alone(write_scene, options.scene, Path(scene), options.part)
        for network in NETWORKS:
            folder = Path(name, network)
            weights = alone(make_bundle, folder, network, options.width).answer
            runs = measured(scene, folder, options)
            lines += rows(network, weights, runs)
            ratio = runs["blend"].answer["work"] / runs["exact"].answer["work"]
            print(f"{network}: exact is {ratio:.2f} times as fast as blending (wanted: more than 1), "
                  f"{runs['exact'].answer['engine']}", flush=True)  # fmt: skip
    head = ("network", "mode", "patches", "forward", "work s", "Mpx/s", "× blending", "peak MiB")
    print("\n" + table(head, lines))


if __name__ == "__main__":
    main()
