"""What a batch is going to do, decided before any of it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoseg.bulk.choices import Choices
from geoseg.bulk.look import areas, size_on_disk
from geoseg.bulk.sources import Source
from geoseg.bulk.work import Job, Kind
from geoseg.core.window import Window
from geoseg.errors import BatchError
from geoseg.geo.fingerprint import fingerprint
from geoseg.jobs import SceneJob
from geoseg.staging import staged

FORMAT = 1  # of plan.json
CHUNKS = ".chunks"  # in the run folder, while they wait to be joined


@dataclass(frozen=True, slots=True)
class PlannedScene:
    """A scene and the jobs it takes.

    Attributes:
        name: of its outputs.
        dataset: what GDAL opens.
        fingerprint: changes when the file does.
        pixels: to compute; 0 when unknown.
        chunks: windows in pixels of the scene as its model sees it; none when it is one job.
    """

    name: str
    dataset: str
    fingerprint: str
    pixels: int
    chunks: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All scenes of a batch and what is wanted of them.

    Attributes:
        choices: what is wanted.
        scenes: of names that differ.
    """

    choices: Choices
    scenes: tuple[PlannedScene, ...]

    @property
    def count(self) -> int:
        """How many jobs it takes, without the merging."""
        return sum(len(scene.chunks) or 1 for scene in self.scenes)

    @property
    def read_bytes(self) -> int:
        """Size of the local files that will be read."""
        return sum(size_on_disk(scene.fingerprint) for scene in self.scenes)

    def jobs(self, folder: Path) -> Iterator[Job]:
        """Every job but the merging, in the order of the scenes.

        Args:
            folder: of the outputs.
        """
        digest = self.choices.digest
        for scene in self.scenes:
            whole = _whole(self.choices, scene, folder)
            if not scene.chunks:
                yield _job(self.choices, scene, digest, "scene", whole, pixels=scene.pixels)
            for window in scene.chunks:
                part = _part(self.choices, scene, window, folder)
                pixels = window.height * window.width
                yield _job(self.choices, scene, digest, "chunk", part, window, pixels=pixels)

    def merge(self, scene: PlannedScene, folder: Path) -> Job:
        """The job that joins the chunks of a scene."""
        parts = tuple(_part(self.choices, scene, window, folder) for window in scene.chunks)
        whole = _whole(self.choices, scene, folder)
        return _job(
            self.choices, scene, self.choices.digest, "merge", whole, parts=parts,
            partitioned=self.choices.layout == "chunks",
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """The contents of plan.json: equal for equal plans."""
        scenes = [
            {"name": scene.name, "dataset": scene.dataset, "fingerprint": scene.fingerprint,
             "pixels": scene.pixels, "chunks": [[w.row, w.col, w.height, w.width] for w in scene.chunks]}
            for scene in self.scenes
        ]  # fmt: skip
        options = self.choices.identity()
        if self.choices.cutline is not None:
            options["cutline's state"] = fingerprint(self.choices.cutline)
        return {"format": FORMAT, "options": options, "scenes": scenes}


def make_plan(sources: Sequence[Source], choices: Choices) -> Plan:
    """Look at every scene and cut the large ones into chunks.

    Raises:
        BatchError: when the cutline is not there.
    """
    if choices.cutline is not None and not Path(choices.cutline).exists():
        raise BatchError(f"there is no cutline {choices.cutline}; give a vector file")
    looked = areas(list(sources), choices)
    return Plan(choices, tuple(
        PlannedScene(source.name, source.dataset, fingerprint(source.dataset), pixels, chunks)
        for source, (pixels, chunks) in zip(sources, looked, strict=True)
    ))  # fmt: skip


def cut_as_before(plan: Plan, before: dict[str, Any]) -> Plan:
    """A plan with the chunks of an equal one, whose scenes may have been out of reach, or are now."""
    known = {scene["name"]: scene for scene in before["scenes"]}
    return replace(plan, scenes=tuple(
        replace(scene, pixels=known[scene.name]["pixels"],
                chunks=tuple(Window(*numbers) for numbers in known[scene.name]["chunks"]))
        for scene in plan.scenes
    ))  # fmt: skip


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """In words, what differs between the scenes and choices of two plans as JSON, but for the chunks."""
    options = [
        f"{name} was {before['options'].get(name)!r} and is {now['options'].get(name)!r}"
        for name in sorted(before["options"].keys() | now["options"].keys())
        if before["options"].get(name) != now["options"].get(name)
    ]
    old, new = ({scene["name"]: scene for scene in plan["scenes"]} for plan in (before, now))
    gone = [f"scene {name} is gone" for name in old if name not in new]
    added = [f"scene {name} is new" for name in new if name not in old]
    changed = [
        f"scene {name} has changed" for name in new
        if name in old and any(new[name][key] != old[name][key] for key in ("dataset", "fingerprint"))
    ]  # fmt: skip
    return options + gone + added + changed


def _whole(choices: Choices, scene: PlannedScene, folder: Path) -> SceneJob:
    """The outputs of a scene, beside each other in the run folder."""
    base = folder / scene.name
    view = choices.layout == "chunks" and scene.chunks
    raster = ".vrt" if view else ".tif"
    polygons = "" if view else f".{choices.polygons}"
    work = choices.work(
        scene.dataset,
        base.with_name(f"{base.name}_mask{raster}"),
        base.with_name(f"{base.name}_probabilities{raster}") if choices.probabilities else None,
        base.with_name(f"{base.name}_polygons{polygons}") if choices.polygons else None,
    )
    return replace(work, styled=True)


def _part(choices: Choices, scene: PlannedScene, window: Window, folder: Path) -> SceneJob:
    """The outputs of a chunk: what its scene needs to be joined, and to have polygons."""
    kept = choices.layout == "chunks"
    home = folder / f"{scene.name}_chunks" if kept else folder / CHUNKS / scene.name
    place = f"{window.row}_{window.col}"
    needed = choices.probabilities or choices.polygons
    probabilities = home / f"{place}_probabilities.tif" if needed else None
    work = choices.work(scene.dataset, home / f"{place}_mask.tif", probabilities, None)
    return replace(work, window=window, bounds=None)


def _job(
    choices: Choices, scene: PlannedScene, digest: str, kind: Kind, work: SceneJob,
    window: Window | None = None, **more: Any,
) -> Job:  # fmt: skip
    place = f"@{window.row},{window.col}" if window else ""
    size = f"{window.height},{window.width}" if window else ""
    text = "\n".join((kind, scene.dataset, scene.fingerprint, digest, place, size))
    key = hashlib.sha256(text.encode()).hexdigest()[:20]
    return Job(
        scene.name + place, key, kind, scene.name, work, choices.model, choices.settings, choices.engine,
        choices.engine_options, fingerprint=scene.fingerprint, **more,
    )  # fmt: skip


def save_plan(plan: Plan, path: Path) -> None:
    """Write plan.json, whole or not at all."""
    with staged(path, overwrite=True) as (draft,):
        draft.write_text(json.dumps(plan.to_json(), indent=1) + "\n", encoding="utf-8")
