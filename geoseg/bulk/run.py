"""A plan carried out: jobs to workers, reports to the journal, chunks to scenes, all accounted for."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from geoseg.bulk.dispatch import ATTEMPTS, Crew, dispatch
from geoseg.bulk.folder import RunFolder
from geoseg.bulk.plan import Plan
from geoseg.bulk.summary import Summary, summarize, write_coverage, write_summary
from geoseg.bulk.work import Job, Report, outputs_exist

log = logging.getLogger(__name__)

Progress = Callable[[int, int], object]


@dataclass(slots=True)
class _Account:
    """Who is done and who is not.

    Attributes:
        jobs: of this run, but the merging, in order.
        merges: by scene; empty for a shard, which leaves the joining to a run of all.
        reports: by key of the job.
        missing: by scene, how many of its chunks are to come.
    """

    jobs: list[Job]
    merges: dict[str, Job]
    reports: dict[str, Report]
    missing: dict[str, int] = field(default_factory=dict)

    def settled(self, job: Job) -> bool:
        """Whether a job is done, and what it made is there or has been joined."""
        report = self.reports.get(job.key)
        if report is None or report.failed:
            return False
        whole = self.merges.get(job.scene)
        return outputs_exist(job) or (whole is not None and whole is not job and self.settled(whole))

    def settle(self, report: Report) -> Job | None:
        """Take a report; the merging that can begin with it."""
        self.reports[report.key] = report
        if report.kind != "chunk" or report.failed or report.scene not in self.missing:
            return None
        self.missing[report.scene] -= 1
        return None if self.missing[report.scene] else self.merges[report.scene]


def run(
    plan: Plan,
    folder: RunFolder,
    crew: Callable[[], AbstractContextManager[Crew]],
    *,
    attempts: int = ATTEMPTS,
    progress: Progress = lambda done, total: None,
) -> Summary:
    """Do what of a plan is not done yet.

    Args:
        plan: what is to be done.
        folder: of the outputs; its shard says which part of the plan.
        crew: makes the workers, when there is anything to do.
        attempts: how often a job is tried.
        progress: called with the numbers of pixels finished since the last call and of all that are to do;
            those of jobs without data, or that failed, are taken from the latter.

    Raises:
        GeosegError: when nothing can be done at all; what fails in single jobs is in the summary.
    """
    start = time.perf_counter()
    with folder.opened() as journal:
        account = _opened(plan, folder)
        waiting = _waiting(account)
        earlier = len(account.jobs) - sum(job.kind != "merge" for job in waiting)
        pixels = {job.key: job.pixels for job in waiting}
        total = sum(pixels.values())
        if waiting:
            with crew() as workers:
                for report in dispatch(waiting, workers, attempts):
                    journal.append(report)
                    waiting.extendleft(filter(None, [account.settle(report)]))
                    _tell(report)
                    done = pixels.get(report.key, 0)
                    if report.status != "done":  # took no time to speak of, and tells nothing of the others'
                        done, total = 0, total - done
                    progress(done, total)
                    _tidy(report, account, folder)
        _tidy_all(account, folder)
    return _finished(account, folder, plan, earlier, time.perf_counter() - start)


def _opened(plan: Plan, folder: RunFolder) -> _Account:
    jobs = folder.shard.of(plan.jobs(folder.path))
    chunked = [scene for scene in plan.scenes if scene.chunks] if folder.shard.whole else []
    merges = {scene.name: plan.merge(scene, folder.path) for scene in chunked}
    return _Account(jobs, merges, folder.reports())


def _waiting(account: _Account) -> deque[Job]:
    """The jobs that are not settled, and the merging for which no chunk is missing."""
    todo = deque(job for job in account.jobs if not account.settled(job))
    account.missing = dict.fromkeys(account.merges, 0)
    for job in todo:
        if job.kind == "chunk" and job.scene in account.missing:
            account.missing[job.scene] += 1
    todo.extend(
        merge for name, merge in account.merges.items()
        if not account.missing[name] and not account.settled(merge)
    )  # fmt: skip
    return todo


def _tell(report: Report) -> None:
    if report.failed:
        log.warning("%s failed: %s", report.id, report.error)
    else:
        log.info("%s: %s in %.1f s by %s", report.id, report.status, report.seconds, report.worker)


def _tidy(report: Report, account: _Account, folder: RunFolder) -> None:
    """Remove chunks that have been joined."""
    if report.kind == "merge" and not report.failed and not account.merges[report.scene].partitioned:
        folder.drop_chunks(report.scene)


def _tidy_all(account: _Account, folder: RunFolder) -> None:
    """Remove what a run left that was killed between joining and tidying."""
    for merge in account.merges.values():
        report = account.reports.get(merge.key)
        if report is not None:
            _tidy(report, account, folder)


def _finished(account: _Account, folder: RunFolder, plan: Plan, earlier: int, seconds: float) -> Summary:
    """Write the account of everything, whichever run did it."""
    reports = [account.reports[job.key] for job in account.jobs]
    merged = (account.reports[job.key] for job in account.merges.values() if job.key in account.reports)
    chunked = (scene.name for scene in plan.scenes if scene.chunks)
    summary = summarize(folder.summary, reports, merged, chunked, earlier=earlier, seconds=seconds)
    write_summary(summary)
    write_coverage(account.jobs, reports, folder.coverage)
    if len(summary.engines) > 1:
        log.warning("jobs ran on different engines (%s): results differ in the last digits, name one with "
                    "--engine", ", ".join(summary.engines))  # fmt: skip
    return summary
