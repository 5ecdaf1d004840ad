"""Who runs the jobs: this process, worker processes of its own, or a Dask cluster."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal

from geoseg.bulk.dispatch import Crew
from geoseg.bulk.processes import Processes
from geoseg.bulk.share import keep_freed_memory, pin, share_of_cores, usual_workers
from geoseg.bulk.work import Job, Report, run_job
from geoseg.errors import BatchError, in_a_line

Executor = Literal["serial", "processes", "dask"]

CONNECT = 30.0  # seconds to reach a scheduler


@contextmanager
def open_crew(
    executor: Executor,
    workers: int | None = None,
    scheduler: str | None = None,
    resources: Mapping[str, float] | None = None,
) -> Iterator[Crew]:
    """Workers, until the `with` block ends.

    Args:
        executor: `serial` for this process, `processes` for some of its own, `dask` for a cluster.
        workers: processes on this machine, each on its share of the cores; a few when None.
        scheduler: address of a Dask scheduler; None for a cluster of its own on this machine.
        resources: what a worker must declare to be given networks to run, e.g. GPU: 1.

    Raises:
        BatchError: when the scheduler is out of reach.
    """
    if executor == "serial":
        yield Serial()
    elif executor == "processes":
        with Processes(workers or usual_workers()) as crew:
            yield crew
    elif executor == "dask":
        with _cluster(workers or usual_workers(), scheduler, resources or {}) as cluster:
            yield cluster
    else:
        raise BatchError(f"there is no executor {executor}; choose serial, processes or dask")


class Serial:
    """One job after the other, in this process."""

    room = 1

    def start(self, job: Job) -> Future[Report]:
        """See `Crew`."""
        future = Future[Report]()
        future.set_result(run_job(job))
        return future


@contextmanager
def _cluster(workers: int, scheduler: str | None, resources: Mapping[str, float]) -> Iterator[Crew]:
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.ERROR)  # the account tells what was lost
    with ExitStack() as stack:
        address = scheduler or stack.enter_context(_local(workers))
        try:
            client = stack.enter_context(Client(address, timeout=CONNECT))
        except (OSError, ValueError) as error:
            raise BatchError(
                f"no Dask scheduler answers at {address}: {in_a_line(error)}; start one"
            ) from error
        client.register_plugin(_prepared(workers if scheduler is None else None))
        yield Cluster(client, resources)


def _local(workers: int) -> Any:
    """A cluster on this machine, whose workers have no limit of memory but --max-memory."""
    import dask
    from distributed import LocalCluster

    with dask.config.set({"distributed.worker.profile.enabled": False}):  # nobody looks at it
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, memory_limit=0, dashboard_address=None, processes=True
        )


def _prepared(own: int | None) -> Any:
    """What prepares each worker, also those that follow a dead one; `own` local ones share out the cores."""
    from distributed import WorkerPlugin

    class Prepared(WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:
            keep_freed_memory()
            if own is not None:
                pin(share_of_cores(int(worker.name), own))

    return Prepared()


class Cluster:
    """A Dask cluster. Its scheduler gets everything at once: clusters that grow look at what waits."""

    room = sys.maxsize

    def __init__(self, client: Any, resources: Mapping[str, float]) -> None:
        self._client, self._resources = client, dict(resources)
        self._avoid = dict[str, str]()  # by job, the worker on which it failed

    def start(self, job: Job) -> Future[Report]:
        """See `Crew`."""
        if self._client.status != "running":
            raise BatchError("the Dask scheduler is gone; start it again and add --resume")
        future = Future[Report]()
        remote = self._client.submit(
            _on_worker, job, pure=False, priority=int(job.kind == "merge"), retries=0,
            resources=self._resources if job.kind != "merge" else None, **self._elsewhere(job),
        )  # fmt: skip
        remote.add_done_callback(partial(self._deliver, job, future))
        return future

    def _elsewhere(self, job: Job) -> dict[str, Any]:
        """Where a job is to be tried again: not where it failed, if there is any other worker."""
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        others = [address for address in known if address != self._avoid.get(job.id)]
        if job.id not in self._avoid or not others:
            return {}
        return {"workers": others, "allow_other_workers": True}

    def _deliver(self, job: Job, future: Future[Report], remote: Any) -> None:
        try:
            address, report = remote.result()
        except (Exception, CancelledError) as error:
            future.set_exception(error)
            return
        if report.failed:
            self._avoid[job.id] = address
        remote.release()
        future.set_result(report)


def _on_worker(job: Job) -> tuple[str, Report]:
    """A job's report, and the worker's address."""
    from distributed import get_worker

    return get_worker().address, run_job(job)
