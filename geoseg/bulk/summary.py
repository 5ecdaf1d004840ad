"""The account of a run, in numbers and as a map."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from geoseg.bulk.footprint import footprint
from geoseg.bulk.work import Job, Report
from geoseg.errors import BatchError
from geoseg.staging import staged


@dataclass(frozen=True, slots=True)
class Summary:
    """What a batch has done, with what earlier runs in its folder did.

    Attributes:
        path: where it was written; the outputs lie beside it.
        planned: jobs; a scene is one, or as many as it has chunks.
        processed: jobs that went through the network.
        skipped: jobs without a valid pixel, which cost nothing.
        failed: jobs that failed.
        earlier: how many of all these an earlier run had done.
        scenes: how many of them are `done`, `failed`, or `open`: left to be joined by a run of all shards.
        pixels: pixels by class name, with `background` and `nodata`.
        patches: patches that went through the network.
        seconds: wall time of this run.
        job_seconds: of all jobs together.
        engines: jobs by what ran the network.
        failures: job and reason.

    Raises:
        BatchError: when the numbers do not add up.
    """

    path: str
    planned: int
    processed: int
    skipped: int
    failed: int
    earlier: int
    scenes: Mapping[str, int]
    pixels: Mapping[str, int]
    patches: int
    seconds: float
    job_seconds: float
    engines: Mapping[str, int]
    failures: Sequence[Mapping[str, str]]

    def __post_init__(self) -> None:
        if self.processed + self.skipped + self.failed != self.planned:
            raise BatchError(
                f"{self.processed} processed + {self.skipped} skipped + {self.failed} failed are not the "
                f"{self.planned} jobs planned for {self.path}; report this as a bug"
            )

    @property
    def complete(self) -> bool:
        """Whether nothing failed."""
        return not self.failures


def summarize(
    path: Path, reports: Sequence[Report], merges: Iterable[Report], names: Iterable[str], *,
    earlier: int, seconds: float,
) -> Summary:  # fmt: skip
    """Add up a run.

    Args:
        path: where it will be written.
        reports: one for each job, but the merging.
        merges: of those scenes whose chunks were joined, or could not be.
        names: of scenes that have chunks.
        earlier: jobs that were done before it began.
        seconds: wall time.
    """
    status = Counter(report.status for report in reports)
    merges, pixels, engines = list(merges), Counter[str](), Counter[str]()
    for report in reports:
        pixels.update(report.pixels)
        engines.update([report.engine] if report.engine else [])
    failures = [{"job": report.id, "error": report.error} for report in (*reports, *merges) if report.failed]
    return Summary(
        str(path), len(reports), status["done"], status["empty"], status["failed"], earlier,
        _scenes(reports, merges, set(names)), dict(pixels), sum(report.patches for report in reports),
        round(seconds, 3), round(sum(report.seconds for report in (*reports, *merges)), 3), dict(engines),
        failures,
    )  # fmt: skip


def _scenes(reports: Iterable[Report], merges: Iterable[Report], chunked: set[str]) -> dict[str, int]:
    everything = [*reports, *merges]
    failed = {report.scene for report in everything if report.failed}
    joined = {report.scene for report in merges} | {report.scene for report in reports} - chunked
    names = {report.scene for report in everything}
    return {
        "planned": len(names), "done": len(joined - failed), "failed": len(failed),
        "open": len(names - joined - failed),
    }  # fmt: skip


def write_summary(summary: Summary) -> None:
    """As JSON."""
    _write(Path(summary.path), json.dumps(asdict(summary), indent=1) + "\n")


def write_coverage(jobs: Sequence[Job], reports: Sequence[Report], path: Path) -> None:
    """As GeoJSON: a rectangle for each job and what became of it; without one where its place is unknown.

    Args:
        jobs: the jobs.
        reports: of each.
        path: the file.
    """
    features = [
        {
            "type": "Feature",
            "properties": {"job": job.id, "scene": job.scene, "status": report.status, "error": report.error},
            "geometry": _rectangle(job, report),
        }
        for job, report in zip(jobs, reports, strict=True)
    ]
    _write(path, json.dumps({"type": "FeatureCollection", "features": features}) + "\n")


def _rectangle(job: Job, report: Report) -> dict[str, Any] | None:
    """Its footprint; of a job that failed, that of the whole scene."""
    ring = report.footprint or (footprint(job.work.scene) if report.failed else None)
    return {"type": "Polygon", "coordinates": [ring]} if ring else None


def _write(path: Path, text: str) -> None:
    with staged(path, overwrite=True) as (draft,):
        draft.write_text(text, encoding="utf-8")
