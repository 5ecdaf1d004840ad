"""A job: plain data that any process on any machine can run, and what comes back of it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import rasterio

import geoseg
from geoseg.bulk.choices import Model
from geoseg.bulk.footprint import footprint
from geoseg.bulk.merge import merge_chunks
from geoseg.bulk.sources import RETRIES
from geoseg.errors import BatchError, GeosegError, SceneError, in_a_line
from geoseg.geo.fingerprint import fingerprint
from geoseg.jobs import SceneJob
from geoseg.prediction import predict_scene
from geoseg.runtime.choose import load_engine
from geoseg.runtime.engine import Engine
from geoseg.settings import Settings

Kind = Literal["scene", "chunk", "merge"]
Status = Literal["done", "empty", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do.

    Attributes:
        id: the scene's name, for a chunk with its place: `town@4032,0`.
        key: a hash of all that decides its outputs: input, model, options, window.
        kind: a whole `scene`, a `chunk` of one, or to `merge` the chunks of one.
        scene: the scene's name.
        work: input and outputs.
        model: the model.
        settings: how it is run.
        engine: what runs it.
        engine_options: further arguments of `load_engine`.
        parts: the chunks to merge.
        partitioned: whether merging leaves the chunks as they are.
        pixels: to compute; 0 when unknown, and for a merge.
        fingerprint: of the scene when it was planned; "" of what has none.
        version: of the geoseg that planned it.
    """

    id: str
    key: str
    kind: Kind
    scene: str
    work: SceneJob
    model: Model
    settings: Settings
    engine: str = "auto"
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[SceneJob, ...] = ()
    partitioned: bool = False
    pixels: int = 0
    fingerprint: str = ""
    version: str = geoseg.__version__


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a job: a line of the journal.

    Attributes:
        id: of the job.
        key: of the job.
        kind: of the job.
        scene: its name.
        status: `done`, `empty` when no pixel had data, or `failed`.
        error: why it failed, in a line.
        pixels: pixels by class name, with `background` and `nodata`.
        patches: patches that went through the network.
        seconds: wall time of the job.
        engine: what ran the network.
        worker: machine and process.
        footprint: (longitude, latitude) of the corners of its window; None when unknown.
    """

    id: str
    key: str
    kind: Kind
    scene: str
    status: Status
    error: str = ""
    pixels: Mapping[str, int] = field(default_factory=dict)
    patches: int = 0
    seconds: float = 0.0
    engine: str = ""
    worker: str = ""
    footprint: list[list[float]] | None = None

    @property
    def failed(self) -> bool:
        """Whether there is nothing to show for it."""
        return self.status == "failed"

    def line(self) -> dict[str, Any]:
        """Its values for JSON."""
        return asdict(self)


def failure(job: Job, error: str) -> Report:
    """The report of a job that failed."""
    return Report(job.id, job.key, job.kind, job.scene, "failed", error, worker=_here())


def run_job(job: Job) -> Report:
    """Do a job, in whatever process; what goes wrong with it is told, not raised."""
    start = time.perf_counter()
    try:
        if job.version != geoseg.__version__:
            raise BatchError(
                f"this worker has geoseg {geoseg.__version__}, the plan was made by {job.version}; "
                "install the same version everywhere"
            )
        _check_scene(job)
        job.work.mask.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.Env(**RETRIES):
            report = RUN[job.kind](job)
    except GeosegError as error:
        return failure(job, " ".join(str(error).split()))
    except Exception as error:  # a bug or a broken machine: one job's, not the batch's
        return failure(job, f"{type(error).__name__}: {in_a_line(error)}")
    return replace(report, seconds=round(time.perf_counter() - start, 3), worker=_here())


def _check_scene(job: Job) -> None:
    """The key says which state of the scene the outputs are of."""
    if job.fingerprint and fingerprint(job.work.scene) != job.fingerprint:
        raise SceneError(f"{job.work.scene} is gone or was changed after the batch was planned; "
                         "put it back and resume, or begin again with --overwrite")  # fmt: skip


def _predict(job: Job) -> Report:
    bundle = job.model.bundle()
    engine = load_once(job.model, job.engine, tuple(job.engine_options.items()), job.settings.patch_size)
    done = predict_scene(job.work, bundle, job.settings, engine)
    status: Status = "done" if done.patches else "empty"
    return Report(
        job.id, job.key, job.kind, job.scene, status, pixels=done.pixels, patches=done.patches,
        engine=done.engine, footprint=footprint(job.work.mask),
    )  # fmt: skip


@lru_cache(maxsize=2)
def load_once(model: Model, name: str, options: tuple[tuple[str, Any], ...], patch_size: int) -> Engine:
    """The network, loaded once in the life of a process."""
    return load_engine(model.bundle(), name, patch_size=patch_size, **dict(options))


def _merge(job: Job) -> Report:
    merge_chunks(job.work, job.parts, job.model.bundle(), job.settings, job.partitioned)
    return Report(job.id, job.key, job.kind, job.scene, "done")


RUN: Mapping[Kind, Callable[[Job], Report]] = {"scene": _predict, "chunk": _predict, "merge": _merge}


def outputs_exist(job: Job) -> bool:
    """Whether all files of a job are there."""
    return all(Path(path).exists() for path in job.work.outputs)


def _here() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
