"""Hundreds of scenes through one batch process while things go wrong: none lost, none wrong, memory flat.

    python tests/hard/soak.py                          # 500 scenes
    python tests/hard/soak.py --scenes 60 --every 10   # a look

The scenes are a mixture: uint8, uint16 and float32; with nodata, with a mask, with alpha, with nothing; in a
projected CRS, in degrees, turned, and without any; rasters in one piece, some large enough to be cut into
chunks, and map tiles in folders. One of ten is harmed: a file is cut off or its blocks are damaged, tiles
of a set are missing (which is no fault: they are no data) or unreadable, or the network fails once or twice,
which a batch must get over by itself.

Every result is compared, byte for byte, with what `predict` alone makes of the same scene in another process,
and every scene with what was done to it: none may fail but those that were harmed for good. The memory in use
is noted after each job; its means over the first hundred after the warm-up and the last hundred are printed.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from affine import Affine
from hard_scenes import NORTH_UP, UTM, Waves, hills, outcome, predict, sums, write_bundle, write_raster
from PIL import Image

import geoseg.bulk.work
from geoseg.bulk.executors import open_crew
from geoseg.bulk.folder import Shard, open_folder
from geoseg.bulk.request import prepare
from geoseg.bulk.run import run
from geoseg.bulk.sources import expand

WARM_UP = 50  # jobs, in which libraries fill their caches
SPAN = 100  # jobs at either end whose memory is compared
TURNED = NORTH_UP * Affine.rotation(20)
DEGREES = Affine(3e-6, 0, 11.5, 0, -3e-6, 48.1)
PLACES = [(NORTH_UP, UTM), (TURNED, UTM), (DEGREES, "EPSG:4326"), (None, None)]
HARMS = ["cut off", "damaged blocks", "missing tiles", "broken tile", "fails once", "fails twice"]
FATAL = ("cut off", "damaged blocks", "broken tile")


@dataclass(slots=True)
class Faulty(Waves):
    """`Waves` that raise when they are told to."""

    left: list[str] = field(default_factory=list)

    def __call__(self, batch: Any) -> Any:
        if self.left:
            raise RuntimeError(self.left.pop())
        return Waves.__call__(self, batch)


def write_scenes(folder: Path, count: int, rng: random.Random) -> dict[str, str]:
    """Scenes in a folder; what was done to each, by its name."""
    harms = {}
    for k in range(count):
        harm = rng.choice(HARMS) if k % 10 == 7 else ""
        tiles = "tile" in harm or k % 25 == 3
        name = f"{'tiles' if tiles else 'scene'}-{k:04}"
        (write_tiles if tiles else write_one)(folder / name, k, harm, rng)
        harms[name] = harm
    return harms


def write_one(base: Path, seed: int, harm: str, rng: random.Random) -> None:
    """A GeoTIFF of some kind."""
    shape = (rng.randint(150, 300), rng.randint(150, 300)) if seed % 20 == 5 else (rng.randint(20, 120),) * 2
    pixels = hills(shape, seed)
    dtype = rng.choice(["uint8", "uint8", "uint16", "float32"])
    if dtype != "uint8":
        pixels = (pixels.astype(np.float64) * (1 if dtype == "float32" else 100)).astype(dtype)
    transform, crs = rng.choice(PLACES)
    known: dict[str, Any] = {"transform": transform, "crs": crs}
    mask = np.ones(shape, bool)
    mask[: shape[0] // 3, : shape[1] // 2] = False
    kind = rng.choice(["nodata", "internal", "alpha", "none"])
    if kind == "nodata":
        pixels[~mask], known["nodata"] = 0, 0
    elif kind != "none" and dtype != "float32":
        known |= {"mask": mask, "mask_kind": kind}
    path = write_raster(base.with_suffix(".tif"), pixels, compress="deflate", **known)
    if harm == "cut off":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif harm == "damaged blocks":
        data = bytearray(path.read_bytes())
        middle = len(data) // 3
        data[middle : middle + len(data) // 2] = bytes(len(data) // 2)
        path.write_bytes(data)


def write_tiles(base: Path, seed: int, harm: str, rng: random.Random) -> None:
    """A folder of 3 × 3 map tiles."""
    pixels = hills((192, 192), seed)
    for i, j in np.ndindex(3, 3):
        if harm == "missing tiles" and rng.random() < 0.4 and (i, j) not in ((0, 0), (2, 2)):
            continue
        path = base / f"19/{280000 + 3 * seed + j}/{180000 + i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[64 * i : 64 * i + 64, 64 * j : 64 * j + 64]).save(path)
        if harm == "broken tile" and (i, j) == (1, 1):
            path.write_bytes(path.read_bytes()[:200])


def sources(folder: Path, harms: dict[str, str]) -> list[str]:
    """What the user would name: files, and folders of tiles."""
    return [str(folder / (name if name.startswith("tiles") else f"{name}.tif")) for name in harms]


def soak(home: Path, harms: dict[str, str], every: int) -> None:
    """Run the batch, and compare everything.

    Raises:
        AssertionError: when a scene is lost or wrong.
    """
    model, engine, memory, start = write_bundle(home / "model"), Faulty(), list[int](), time.monotonic()
    geoseg.bulk.work.load_once = lambda *given: engine
    transient = {name: int(harm == "fails once") or 2 for name, harm in harms.items() if "fails" in harm}
    begin_job = geoseg.bulk.work.predict_scene

    def predicted(job: Any, *given: Any) -> Any:
        name = Path(job.mask).name.removesuffix("_mask.tif")
        if transient.get(name, 0) > 0:
            transient[name] -= 1
            engine.left.append("the network stumbled")
        return begin_job(job, *given)

    geoseg.bulk.work.predict_scene = predicted
    process = psutil.Process()
    given = dict(model=model, probabilities=True, polygons=True, chunk=128)
    plan = prepare(sources(home / "scenes", harms), home / "out", **given)  # type: ignore[arg-type]
    folder, plan = open_folder(home / "out", plan, Shard(), resume=False, overwrite=False)
    done = run(plan, folder, lambda: open_crew("serial"), attempts=3,
               progress=lambda done, total: memory.append(process.memory_info().rss))  # fmt: skip
    seconds = time.monotonic() - start
    failed = {one["job"].partition("@")[0] for one in done.failures}
    fatal = {name for name, harm in harms.items() if harm in FATAL}
    assert failed <= fatal, f"failed without a cause: {sorted(failed - fatal)}"
    assert done.scenes["planned"] == len(harms) == done.scenes["done"] + done.scenes["failed"]
    lost = [name for name in harms if name not in failed and not (home / "out" / f"{name}_mask.tif").exists()]
    half = [name for name in failed if (home / "out" / f"{name}_mask.tif").exists()]
    checked, wrong = compare(home, model, [name for name in harms if name not in failed][::every])
    first, last = memory[WARM_UP : WARM_UP + SPAN], memory[-SPAN:]
    print(json.dumps({  # noqa: T201
        "scenes": len(harms), "jobs": len(memory), "seconds": round(seconds),
        "harms": Counter(harms.values()),
        "failed": len(failed), "damaged but readable": len(fatal - failed), "lost": lost, "half made": half,
        "compared": checked, "wrong": wrong,
        "MiB at first": round(np.mean(first) / 2**20, 1), "MiB at last": round(np.mean(last) / 2**20, 1),
        "MiB of each hundred": [round(np.mean(some) / 2**20, 1) for some in _spans(memory[WARM_UP:])],
        "growth": f"{np.mean(last) / np.mean(first) - 1:+.2%}",
    }, indent=1))  # fmt: skip
    assert not (lost or half or wrong)


def _spans(memory: list[int]) -> list[list[int]]:
    return [memory[k : k + SPAN] for k in range(0, len(memory), SPAN)]


def compare(home: Path, model: Path, names: list[str]) -> tuple[int, list[str]]:
    """How many results were compared with those of `predict` alone, and which differ."""
    return len(names), [name for name in names if outcome(differs, home, model, name)]


def differs(home: Path, model: Path, name: str) -> bool:
    """Whether `predict` makes other rasters of a scene; polygons bear the scene's name and are left out."""
    alone = home / "alone" / name
    alone.mkdir(parents=True)
    (source,) = sources(home / "scenes", {name: ""})
    predict(model, expand([source])[0].dataset, alone)
    mine = sums(alone)
    theirs = {kind: sums(home / "out")[f"{name}_{kind}"] for kind in ("mask.tif", "probabilities.tif")}
    shutil.rmtree(alone)
    return any(mine[kind] != theirs[kind] for kind in theirs)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--every", type=int, default=1, help="compare every so-manieth result")
    parser.add_argument("--seed", type=int, default=8)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        home = Path(name)
        (home / "scenes").mkdir()
        harms = write_scenes(home / "scenes", wanted.scenes, random.Random(wanted.seed))
        soak(home, harms, wanted.every)


if __name__ == "__main__":
    main()
