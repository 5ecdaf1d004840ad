"""Trying again, giving up, and never losing sight of a job; with workers of straw."""

from collections import Counter, deque
from concurrent.futures import Future
from dataclasses import dataclass

import pytest

from geoseg.bulk.dispatch import dispatch
from geoseg.bulk.work import Report


@dataclass(frozen=True)
class Straw:
    """As much of a job as `dispatch` looks at."""

    id: str
    kind: str = "scene"
    scene: str = ""

    @property
    def key(self):
        return self.id


class StrawCrew:
    """Fails each job as often as it is told to; `lost` jobs take their worker with them."""

    def __init__(self, failing=None, room=2, lost=()):
        self.failing, self.room, self.lost = Counter(failing), room, lost
        self.started, self.held, self.most = [], [], 0

    def start(self, job):
        self.started.append(job.id)
        future = Future()
        self.held.append((future, job))
        self.most = max(self.most, len(self.held))
        if len(self.held) >= self.room or len(self.held) == 1:
            self.finish()
        return future

    def finish(self):
        for future, job in self.held:
            fails = self.failing[job.id] > 0
            self.failing[job.id] -= 1
            if fails and job.id in self.lost:
                future.set_exception(EOFError())
            else:
                future.set_result(Report(job.id, job.key, job.kind, "", "failed" if fails else "done", "bad"))
        self.held = []


def run(names, crew, **options):
    jobs = deque(Straw(name) for name in names)
    return {report.id: report for report in dispatch(jobs, crew, back_off=0.0, **options)}


def test_every_job_is_done_once():
    crew = StrawCrew()
    assert {r.status for r in run("abcde", crew).values()} == {"done"}
    assert sorted(crew.started) == list("abcde")


def test_a_job_that_fails_is_tried_again_and_the_others_are_not():
    crew = StrawCrew({"b": 2})
    assert run("abc", crew)["b"].status == "done"
    assert Counter(crew.started) == {"a": 1, "b": 3, "c": 1}


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_job_that_always_fails_is_given_up(attempts):
    crew = StrawCrew({"b": 99})
    reports = run("abc", crew, attempts=attempts)
    assert (reports["b"].status, reports["b"].error) == ("failed", "bad")
    assert (reports["a"].status, reports["c"].status) == ("done", "done")
    assert crew.started.count("b") == attempts


def test_a_lost_worker_is_a_failure_of_its_job():
    crew = StrawCrew({"a": 1, "b": 99}, lost=("a", "b"))
    reports = run("abc", crew)
    assert reports["a"].status == "done"
    assert reports["b"].error == "its worker was lost: EOFError"


def test_jobs_added_meanwhile_are_done_and_no_more_than_there_is_room_for():
    crew, waiting = StrawCrew(room=1), deque([Straw("a"), Straw("b")])
    seen = []
    for report in dispatch(waiting, crew):
        seen.append(report.id)
        if report.id == "b":
            waiting.append(Straw("after"))
    assert (seen, crew.most) == (["a", "b", "after"], 1)


def test_a_delayed_job_does_not_hold_up_the_others():
    crew = StrawCrew({"a": 1}, room=1)
    reports = dispatch(deque(Straw(name) for name in "abc"), crew, back_off=0.2)
    assert [report.id for report in reports] == ["b", "c", "a"]
