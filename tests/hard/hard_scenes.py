"""A network that costs nothing and needs no engine, small scenes for it, and processes that use them.

The processes are forked from one that has everything imported already: they begin to work at once, so that
hundreds of them can be killed, starved and stopped in minutes.
"""

import hashlib
import multiprocessing
import os
import sys
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # so that scripts find what tests find
os.environ.setdefault("OGR_CURRENT_DATE", "2026-01-01T00:00:00.000Z")  # GeoPackage notes the time otherwise

from conftest import NORTH_UP, UTM, write_raster  # noqa: F401 - for scripts too

import geoseg.bulk.work
from geoseg.api import Loaded
from geoseg.bulk.executors import open_crew
from geoseg.bulk.folder import Shard, open_folder
from geoseg.bulk.request import prepare
from geoseg.bulk.run import run
from geoseg.jobs import SceneJob
from geoseg.models.bundle import CARD_FILE, find_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.models.halo_curve import HaloCurve
from geoseg.prediction import predict_scene
from geoseg.settings import resolve

PATCH, OVERLAP = 64, 16
# A server forks them that has imported all and done nothing: threads of libraries do not survive a fork
PROCESSES = multiprocessing.get_context("forkserver")


class Waves:
    """Bright and dark hills, with an answer that depends on the place in the patch: a wrong grid shows."""

    name, precision, stride, halo, classes, batch_size, streams = "waves", "float32", 1, 0, 2, 4, 1

    def __call__(self, batch):
        """(n, h, w, 2) float32 probabilities."""
        rows, cols = np.indices(batch.shape[1:3], np.float32)
        level = batch.astype(np.float32).mean(-1) / 255 + 0.1 * np.sin(0.3 * rows + 0.7 * cols)
        return np.clip(np.stack([2 * level - 0.5, 1.4 - 2 * level], -1), 0, 1)


def write_bundle(folder):
    """The card of `Waves`, without a file of weights."""
    card = Card(
        name="waves", summary="Hills.", licence="MIT", attribution=("nobody",), architecture="none",
        parameters=1, activation="sigmoid", bands=("red", "green", "blue"), pixel_sizes_m=(0.1, 1.0),
        patch_size=PATCH, overlap=OVERLAP, median_kernel=3, stride=1, halo=0, halo_curve=HaloCurve(),
        classes=(
            ClassSpec("building", "#ff0000", profile="building"),
            ClassSpec("tree", "#00ff00", profile="tree"),
        ),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).write_text(card.to_toml(), encoding="utf-8")
    return folder


def loaded(folder, engine=None):
    """The bundle as `api.load` would give it."""
    bundle = find_bundle(folder)
    return Loaded(bundle, resolve(bundle.card, patch_size=PATCH, overlap=OVERLAP), engine or Waves())


def hills(shape, seed):
    """(h, w, 3) uint8 hills of about 12 px, so that masks have shapes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (shape[0] // 12 + 2, shape[1] // 12 + 2, 3), np.uint8)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def write_scene(path, shape=(220, 300), seed=1, **options):
    """Hills with a hole without data."""
    mask = np.ones(shape, bool)
    mask[shape[0] // 4 : shape[0] // 2, shape[1] // 3 : shape[1] // 2] = False
    return write_raster(path, hills(shape, seed), mask=mask, **options)


def predict(model, scene, folder, **options):
    """Mask, probabilities and polygons of a scene."""
    ready = loaded(model)
    job = SceneJob(
        str(scene), folder / "mask.tif", folder / "probabilities.tif", folder / "polygons.gpkg", **options
    )
    return predict_scene(job, ready.bundle, ready.settings, ready.engine)


def batch(scenes, folder, model, executor="serial", **options):
    """What `api.batch` does, with `Waves` for the engine."""
    geoseg.bulk.work.load_once = lambda model, name, options, patch_size: Waves()
    mode = {name: options.pop(name, False) for name in ("resume", "overwrite")}
    how = {name: options.pop(name) for name in ("attempts", "progress") if name in options}
    plan = prepare(scenes, folder, model=model, probabilities=True, polygons=True, chunk=128, **options)
    place, plan = open_folder(Path(folder), plan, Shard(), **mode)
    return run(plan, place, lambda: open_crew(executor), **how)


@cache
def serve():
    """Start the server, which looks for modules where its environment says (Python 3.11 forgets our path)."""
    PROCESSES.set_forkserver_preload(["hard_scenes"])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), before)))
    forkserver.ensure_running()
    del os.environ["PYTHONPATH"]
    if before is not None:
        os.environ["PYTHONPATH"] = before


def begin(work, *given, **named):
    """A process that does something and says nothing."""
    serve()
    process = PROCESSES.Process(target=_silent, args=(None, work, given, named), daemon=True)
    process.start()
    return process


class DeathError(AssertionError):
    """A process ended without a word; `code` is its exit code, negative for the signal that ended it."""

    def __init__(self, code):
        super().__init__(f"the process ended with {code}")
        self.code = code


def outcome(work, *given, **named):
    """The kind of error and the message that something ends with in a process of its own, or what it returns.

    Raises:
        DeathError: when it does.
    """
    serve()
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_silent, args=(theirs, work, given, named), daemon=True)
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        process.join()
        raise DeathError(process.exitcode) from None
    finally:
        process.join()


def _silent(pipe, work, given, named):
    """What a process does: something, without a word but to its pipe."""
    silent = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(silent, number)
    try:
        result = work(*given, **named)
    except SystemExit as stop:
        os._exit(stop.code or 0)
    except BaseException as error:
        result = type(error).__name__, str(error)
        if pipe is None:
            os._exit(1)
    if pipe is not None:
        pipe.send(result)
    os._exit(0)


def sums(folder, without=(), read=Path.read_bytes):
    """The SHA-256 of each file below a folder to which no hidden name leads, and none of the given ones."""
    files = (path.relative_to(folder) for path in sorted(Path(folder).rglob("*")) if path.is_file())
    return {
        str(file): hashlib.sha256(read(folder / file)).hexdigest()
        for file in files
        if not any(name.startswith(".") or name in without for name in file.parts)
    }


def hidden(folder):
    """What is there under a hidden name."""
    return sorted(path.name for path in Path(folder).rglob(".*"))
