"""Keep workers busy, try again what fails, hand on what is settled."""

from __future__ import annotations

import heapq
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from typing import Protocol

from geoseg.bulk.work import Job, Report, failure

ATTEMPTS = 3
BACK_OFF = 1.0  # seconds before a job is tried again; four times as many before the next time
POLL = 0.5  # seconds, so that an interrupt is not kept waiting


class Crew(Protocol):
    """Workers, wherever they are.

    Attributes:
        room: jobs that may be under way at once.
    """

    room: int

    def start(self, job: Job) -> Future[Report]:
        """Begin a job; the future may raise when its worker is lost."""


@dataclass(slots=True)
class _State:
    """What `dispatch` keeps in mind."""

    inbox: SimpleQueue[tuple[Job, Report]] = field(default_factory=SimpleQueue)
    tries: Counter[str] = field(default_factory=Counter)
    delayed: list[tuple[float, int, Job]] = field(default_factory=list)
    running: int = 0


def dispatch(
    waiting: deque[Job], crew: Crew, attempts: int = ATTEMPTS, back_off: float = BACK_OFF
) -> Iterator[Report]:
    """Run jobs and yield what became of each, as they end.

    Args:
        waiting: the jobs; the consumer may add more while it iterates.
        crew: who runs them.
        attempts: how often a job is tried before it counts as failed.
        back_off: seconds before the second time.
    """
    state, order = _State(), count()
    while waiting or state.delayed or state.running:
        while state.delayed and state.delayed[0][0] <= time.monotonic():
            waiting.append(heapq.heappop(state.delayed)[2])
        while waiting and state.running < crew.room:
            _start(waiting.popleft(), crew, state)
        try:
            job, report = state.inbox.get(timeout=POLL)
        except Empty:
            continue
        state.running -= 1
        tried = state.tries[job.key]
        if not report.failed or tried >= attempts:
            yield report
        else:
            again = time.monotonic() + back_off * 4 ** (tried - 1)
            heapq.heappush(state.delayed, (again, next(order), job))


def _start(job: Job, crew: Crew, state: _State) -> None:
    state.tries[job.key] += 1
    state.running += 1
    crew.start(job).add_done_callback(partial(_deliver, job, state))


def _deliver(job: Job, state: _State, future: Future[Report]) -> None:
    error = future.exception()
    lost = f"its worker was lost: {' '.join(str(error).split()) or type(error).__name__}"
    state.inbox.put((job, failure(job, lost) if error is not None else future.result()))
