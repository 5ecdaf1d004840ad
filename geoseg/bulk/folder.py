"""The folder of a run: its plan, its journals, what it has made so far.

file                what it holds

plan.json           what is to be done; a run that goes on must have the same
journal.jsonl       what is done; of shard 3 of 10: journal-3-of-10.jsonl
summary.json        the account: processed + skipped + failed = planned; of a shard likewise
coverage.geojson    the same as a map
.chunks/            chunks that wait to be joined
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from geoseg.bulk.journal import Journal, open_journal, read_journals
from geoseg.bulk.plan import CHUNKS, Plan, cut_as_before, differences, save_plan
from geoseg.bulk.work import Job, Report
from geoseg.errors import BatchError, OutputError

PLAN = "plan.json"
SHOWN = 5  # differences that an error names


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several runs that share a plan without knowing of each other.

    Attributes:
        number: 1 … count.
        count: how many there are.
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise BatchError(f"a shard is I/N with I from 1 to N, got {self.number}/{self.count}; e.g. 1/10")

    @classmethod
    def parse(cls, text: str | None) -> Shard:
        """The shard that `3/10` means; all there is when None."""
        if text is None:
            return cls()
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal()):
            raise BatchError(f"a shard is I/N, got {text}; e.g. 1/10")
        return cls(int(number), int(count))

    def of(self, jobs: Iterable[Job]) -> list[Job]:
        """Its own: every N-th, so that all shards take about as long."""
        return list(jobs)[self.number - 1 :: self.count]

    @property
    def whole(self) -> bool:
        """Whether it is all there is."""
        return self.count == 1

    def named(self, stem: str, ending: str) -> str:
        """The name of the shard's own file."""
        return f"{stem}{ending}" if self.whole else f"{stem}-{self.number}-of-{self.count}{ending}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps its files.

    Attributes:
        path: the folder, absolute.
        shard: the part of the plan that is done here.
    """

    path: Path
    shard: Shard

    @property
    def journal(self) -> Path:
        """Where this run writes what it has done."""
        return self.path / self.shard.named("journal", ".jsonl")

    @property
    def summary(self) -> Path:
        """Where this run writes its account."""
        return self.path / self.shard.named("summary", ".json")

    @property
    def coverage(self) -> Path:
        """Where this run draws its account."""
        return self.path / self.shard.named("coverage", ".geojson")

    @property
    def journals(self) -> list[Path]:
        """Those of all runs in this folder."""
        return sorted(self.path.glob("journal*.jsonl"))

    def reports(self) -> dict[str, Report]:
        """What was done in this folder, by anybody, by the keys of the jobs."""
        return read_journals(self.journals)

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Work in the folder; a run of all that is planned first removes what killed ones left.

        Raises:
            BatchError: when another run is at work, on the same or, for a run of all, on any part of it.
        """
        with open_journal(self.journal, self.journals if self.shard.whole else ()) as journal:
            if self.shard.whole:
                self.sweep()
            yield journal

    def drop_chunks(self, scene: str) -> None:
        """Remove the chunks of a scene that are joined, and the folder of chunks after the last."""
        here = self.path / CHUNKS / scene
        shutil.rmtree(here, ignore_errors=True)
        for above in here.relative_to(self.path).parents[:-1]:
            try:
                (self.path / above).rmdir()
            except OSError:  # other scenes' chunks are in it, or it is gone
                return

    def sweep(self) -> None:
        """Remove the hidden drafts that killed processes left."""
        for draft in self.path.rglob(".geoseg-*"):
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink(missing_ok=True)


def open_folder(
    path: Path, plan: Plan, shard: Shard, *, resume: bool, overwrite: bool
) -> tuple[RunFolder, Plan]:
    """Make the folder of a run, or find out whether a run can go on in it.

    Shards share a folder, and a shard that is started again goes on.

    Args:
        path: the folder.
        plan: of the run.
        shard: the part of it that is done here.
        resume: go on with the run that is there, if there is one.
        overwrite: forget that run and replace its outputs.

    Returns:
        The folder, and the plan as it was when the run began.

    Raises:
        OutputError: when there is a run, or outputs, and neither is allowed.
        BatchError: when the run that is there has another plan.
    """
    folder = RunFolder(path.absolute(), shard)
    saved = folder.path / PLAN
    if overwrite and not resume:
        _forget(folder)
    if saved.exists():
        if not (resume or not shard.whole):
            raise OutputError(f"{path} holds a run already; add --resume to go on, or give another folder")
        return folder, _same(plan, saved)
    if not overwrite:
        _check_free(plan, folder.path)
    folder.path.mkdir(parents=True, exist_ok=True)
    save_plan(plan, saved)
    return folder, plan


def _same(plan: Plan, saved: Path) -> Plan:
    """The plan that was saved, which must be the same but for its chunks."""
    try:
        before = json.loads(saved.read_text(encoding="utf-8"))
        found = differences(before, plan.to_json())
        if not found:
            return cut_as_before(plan, before)
    except (ValueError, KeyError, TypeError) as error:
        raise BatchError(f"{saved} is damaged ({error}); start again with --overwrite") from error
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise BatchError(
        f"the run in {saved.parent} was planned otherwise: {'; '.join(found[:SHOWN])}{more}; "
        "give the same again, or another folder"
    )


def _check_free(plan: Plan, path: Path) -> None:
    """Refuse outputs that are there already, of no run that is known."""
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(f"{path} is a file; give a folder")
    whole = chain(plan.jobs(path), (plan.merge(scene, path) for scene in plan.scenes if scene.chunks))
    for job in whole:
        for output in job.work.outputs:
            if output.exists():
                raise OutputError(f"{output} exists already; give another folder or add --overwrite")


def _forget(folder: RunFolder) -> None:
    with open_journal(folder.journal, folder.journals) if folder.journals else nullcontext():
        for pattern in ("journal*.jsonl", "summary*.json", "coverage*.geojson", PLAN):
            for path in folder.path.glob(pattern):
                path.unlink()
        shutil.rmtree(folder.path / CHUNKS, ignore_errors=True)
        if folder.path.is_dir():
            folder.sweep()
