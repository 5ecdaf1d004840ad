"""SIGKILL at random moments: nothing half-made is ever seen, and going on gives the bytes of a quiet run.

    python tests/hard/kill_anywhere.py                        # predict, vectorize and batch, 100 moments each
    python tests/hard/kill_anywhere.py train                  # the same of trainings
    python tests/hard/kill_anywhere.py batch --moments 8 --seed 3

A moment counts when the process was alive to be killed. While it lives, its folder is watched: whatever has a
name that is not hidden must hold, to the byte, what the undisturbed run left under this name. The journal and
the plan of a batch, which grow, must be readable to the last whole line.

Predict, vectorize and batch run in processes forked from this one, with a network of arithmetic in place of a
trained one (`hard_scenes.Waves`); training runs for real, on one thread, so that its weights are repeatable.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from hard_scenes import batch, begin, hidden, outcome, predict, sums, write_bundle, write_scene

from geoseg.polygons import vectorize

GROWING = ("plan.json", "journal.jsonl", "summary.json", "coverage.geojson")  # of a batch: they name times
LOOK = 0.004  # seconds between two looks at the folder


@dataclass(frozen=True, slots=True)
class Victim:
    """Something to be killed.

    Attributes:
        start: begins it in a folder, and returns the process (of `multiprocessing` or `subprocess`).
        again: does it in a folder where it was killed, to the end.
        growing: names of files and folders that are no results.
        read: what of a file must be the same.
    """

    start: Callable[[Path], Any]
    again: Callable[[Path], None]
    growing: tuple[str, ...] = ()
    read: Callable[[Path], bytes] = Path.read_bytes

    def sums(self, folder: Path) -> dict[str, str]:
        """The sums of its results in a folder."""
        return sums(folder, self.growing, self.read)


def kill_anywhere(victim: Victim, home: Path, moments: int, rng: random.Random) -> dict[str, int]:
    """Kill it at so many moments, and check what it promises at each.

    Raises:
        AssertionError: when something half-made is seen, or the outcome is another.
    """
    quiet = home / "quiet"
    quiet.mkdir()
    start = time.monotonic()
    assert ended(victim.start(quiet)) == 0, "it fails undisturbed"
    longest, wanted = time.monotonic() - start, victim.sums(quiet)
    assert wanted
    tally = {"killed": 0, "too late": 0, "with drafts": 0, "with some results": 0}
    while tally["killed"] < moments:
        folder = home / "killed"
        folder.mkdir()
        process = victim.start(folder)
        end = time.monotonic() + rng.uniform(0, longest)
        while time.monotonic() < end:
            check_seen(folder, wanted, victim)
            time.sleep(LOOK)
        process.kill()
        code = ended(process)
        check_seen(folder, wanted, victim)
        tally["killed" if code == -signal.SIGKILL else "too late"] += 1
        tally["with drafts"] += bool(hidden(folder))
        tally["with some results"] += bool(victim.sums(folder))
        if code != -signal.SIGKILL:
            longest *= 0.9
        victim.again(folder)
        found = victim.sums(folder)
        assert found == wanted, {name for name in found | wanted if found.get(name) != wanted.get(name)}
        shutil.rmtree(folder)
    return tally


def ended(process: Any) -> int:
    """The exit code of a process, negative for the signal that ended it."""
    if isinstance(process, subprocess.Popen):
        return process.wait()
    process.join()
    return int(process.exitcode)


def check_seen(folder: Path, wanted: dict[str, str], victim: Victim) -> None:
    """Whatever can be seen is what it will be in the end."""
    for name, found in sums_seen(folder, victim).items():
        assert found == wanted.get(name), f"{name} is seen half-made"
    for path in (folder / name for name in victim.growing):
        check_growing(path)


def sums_seen(folder: Path, victim: Victim) -> dict[str, str]:
    """Its sums, while files may be renamed and removed."""
    try:
        return victim.sums(folder)
    except FileNotFoundError:
        return {}


def check_growing(path: Path) -> None:
    """The records of a batch: JSON that is whole, and lines of which the last one may be torn."""
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        for line in text.split("\n")[:-1]:
            assert not line or json.loads(line)
    else:
        assert json.loads(text)


def victims(home: Path) -> dict[str, Victim]:
    """Predict, vectorize and batch, on scenes made in `home`."""
    model = write_bundle(home / "model")
    scenes = home / "scenes"
    scenes.mkdir()
    scene = write_scene(scenes / "large.tif")
    write_scene(scenes / "small.tif", (50, 70), seed=2)
    once = home / "once"
    once.mkdir()
    assert ended(begin(predict, model, scene, once)) == 0
    pixels = once / "probabilities.tif"
    return {
        "predict": Victim(
            lambda folder: begin(predict, model, scene, folder),
            lambda folder: done(predict, model, scene, folder, overwrite=True),
        ),
        "vectorize": Victim(
            lambda folder: begin(vectorize, pixels, folder / "polygons.geojson"),
            lambda folder: done(vectorize, pixels, folder / "polygons.geojson", overwrite=True),
        ),
        "batch": Victim(
            lambda folder: begin(batch, scenes, folder, model),
            lambda folder: done(batch, scenes, folder, model, resume=True),
            GROWING,
        ),
    }


def done(work: Callable[..., Any], *given: Any, **named: Any) -> None:
    """Do something in a process of its own, to the end."""
    found = outcome(work, *given, **named)
    assert not isinstance(found, tuple), found


def training(home: Path) -> Victim:
    """`geoseg train` on pictures made here, in processes of their own, on one thread."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
    from tiny_recipes import write_recipe

    recipe = write_recipe(home, fit={"epochs": 2})
    quiet = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="", TF_NUM_INTRAOP_THREADS="1",
                 TF_NUM_INTEROP_THREADS="1", OMP_NUM_THREADS="1", TF_DETERMINISTIC_OPS="1")  # fmt: skip

    def begun(folder: Path, *options: str) -> subprocess.Popen[bytes]:
        geoseg = [sys.executable, "-c", "from geoseg.cli import main; main(prog_name='geoseg')", "-q"]
        command = [*geoseg, "train", str(recipe), "-o", str(folder / "bundle"), *options]
        return subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def again(folder: Path) -> None:
        done = (folder / "bundle").exists() and not (folder / "bundle.training").exists()
        assert begun(folder, "--resume" if not done else "--overwrite").wait() == 0, "it cannot go on"

    return Victim(begun, again, ("bundle.training", "tensorboard"), lasting)


def lasting(path: Path) -> bytes:
    """What a training repeats to the byte: the weights of a `.keras` file, all but seconds of the others."""
    if path.suffix == ".keras":
        with ZipFile(path) as file:
            return file.read("model.weights.h5")
    if path.suffix not in (".toml", ".json", ".csv"):
        return path.read_bytes()
    text = path.read_text(encoding="utf-8")
    for seconds in (
        r'"seconds": [\d.]+',
        r"(?<=,)[\d.]+$",
        r'"model.keras" = "\w+"',
    ):  # the last names the file
        text = re.sub(seconds, "", text, flags=re.MULTILINE)
    return text.encode()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", nargs="*", default=["predict", "vectorize", "batch"])
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=8)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="killed-") as name:
        known = victims(Path(name))
        for which in wanted.which:
            home = Path(name) / which
            home.mkdir()
            victim = training(home) if which == "train" else known[which]
            start = time.monotonic()
            tally = kill_anywhere(victim, home, wanted.moments, random.Random(wanted.seed))
            print(f"{which:10} {tally} in {time.monotonic() - start:.0f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
