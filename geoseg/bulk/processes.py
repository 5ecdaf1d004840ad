"""Worker processes of this process, each on its share of the cores."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from geoseg.bulk.share import pin, share_of_cores
from geoseg.bulk.work import Job, Report, run_job
from geoseg.errors import BatchError
from geoseg.staging import discard
from geoseg.stopping import stoppable

SPAWN = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
SOON = 0.3  # seconds that a worker has to clean up; the parent has little more
GRACE = 10.0  # seconds after which one that does not end is killed


class Processes:
    """Worker processes, each with a pipe of its own: one that is killed takes no job but its own with it."""

    def __init__(self, count: int) -> None:
        self.room = count
        self._seats = [_Seat(number, count) for number in range(count)]
        self._free = SimpleQueue[_Seat]()
        self._threads = ThreadPoolExecutor(count, "geoseg-worker")
        for seat in self._seats:
            self._free.put(seat)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *error: object) -> None:
        for end in (_Seat.stop, _Seat.bury):
            for seat in self._seats:
                end(seat)
        self._threads.shutdown()

    def start(self, job: Job) -> Future[Report]:
        """See `Crew`."""
        return self._threads.submit(self._run, job)

    def _run(self, job: Job) -> Report:
        seat = self._free.get()
        try:
            return seat.ask(job)
        finally:
            self._free.put(seat)


class _Seat:
    """A worker process, and the one that takes its place when it dies."""

    def __init__(self, number: int, count: int) -> None:
        self._share = partial(share_of_cores, number, count)
        self._process: Any = None
        self._pipe: Any = None
        self._stopped = False

    def ask(self, job: Job) -> Report:
        """Have a job done.

        Raises:
            BatchError: when the process ends meanwhile.
        """
        if self._stopped:
            raise BatchError("the batch was stopped")
        if self._process is None:
            self._pipe, theirs = SPAWN.Pipe()
            self._process = SPAWN.Process(target=_serve, args=(theirs, self._share()), daemon=True)
            self._process.start()
            theirs.close()  # so that the pipe breaks when the process ends
        try:
            self._pipe.send(job)
            report: Report = self._pipe.recv()
        except (EOFError, OSError) as error:
            code = self.bury()
            raise BatchError(f"the process ended with {code} (killed, or out of memory?)") from error
        return report

    def stop(self) -> None:
        """Tell the process to end, and start no other."""
        self._stopped = True
        if self._process is not None:
            self._process.terminate()

    def bury(self) -> int | None:
        """Wait until the process, which is ending, has removed what is unfinished; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.join(GRACE)
        process.kill()
        process.join()
        code: int | None = process.exitcode
        return code


def _serve(pipe: Connection, share: list[int]) -> None:
    """What a worker process does: jobs, until its pipe breaks."""
    pin(share)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    logging.getLogger("geoseg").setLevel(logging.ERROR)  # planning has said the rest
    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt), stoppable(SOON, lambda: os._exit(1)):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's; the parent says when to stop
        while True:
            pipe.send(run_job(pipe.recv()))


def _die_with_parent() -> None:
    """A parent that was killed cannot tell its workers, who would go on for nobody."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        discard()
        os._exit(1)
