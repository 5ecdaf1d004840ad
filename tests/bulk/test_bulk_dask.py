"""A Dask cluster: one of its own, and one that was started by hand."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from bulk_scenes import digests, network, scenes  # noqa: F401
from test_bulk_processes import QUICK, run, serial, serial_folder  # noqa: F401

import geoseg
from geoseg import bulk
from geoseg.errors import BatchError

ALL = dict(executor="dask", chunk=96, probabilities=True, polygons=True)


def test_only_the_executors_know_dask():
    found = [
        path.name for path in Path(bulk.__file__).parent.glob("*.py") if "distributed" in path.read_text()
    ]
    assert found == ["executors.py"]


@pytest.mark.slow
def test_a_cluster_of_its_own_gives_the_same_bytes(scenes, network, serial, tmp_path):  # noqa: F811
    done = run(scenes, tmp_path / "out", network, "--executor", "dask", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert digests(tmp_path / "out") == serial


FAULTS = """
import resource, sys
import numpy as np
from geoseg.bulk.share import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(3):
    np.ones(2**20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    np.ones(2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked")
def test_workers_keep_what_they_free_although_dask_forbids_it():
    """Arrays of 8 MiB, 2048 pages each, made and freed under what Dask's nanny sets."""
    nanny = dict(os.environ, MALLOC_TRIM_THRESHOLD_="65536")
    pages = {
        how: int(subprocess.check_output([sys.executable, "-c", FAULTS, how], env=nanny, text=True))
        for how in ("given back", "kept")
    }
    if pages["given back"] < 10_000:
        pytest.skip("this C library knows nothing of MALLOC_TRIM_THRESHOLD_, or pages are large")
    assert pages["kept"] < pages["given back"] / 10, pages


def test_a_scheduler_that_is_not_there_is_an_error(scenes, network, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("geoseg.bulk.executors.CONNECT", 0.5)
    with pytest.raises(BatchError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9"):
        geoseg.batch(scenes, tmp_path / "out", model=network, scheduler="tcp://127.0.0.1:9", **ALL)


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, and its two workers, as they are started on a cluster."""
    told, started = tmp_path / "scheduler.json", []

    def start(*words):
        command = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
        started.append(
            subprocess.Popen(command, env=QUICK, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             start_new_session=True, cwd=tmp_path)
        )  # fmt: skip
        return started[-1]

    start(
        "dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
        "--scheduler-file",
        str(told),
    )
    limit = time.monotonic() + 60
    while not told.exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    workers = [
        start("dask_worker", "--scheduler-file", str(told), "--nthreads", "1", "--no-dashboard",
              "--resources", "GPU=1", "--name", name)
        for name in ("one", "two")
    ]  # fmt: skip
    try:
        yield told, workers
    finally:
        for process in started:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True], ids=["in peace", "one worker killed"])
def test_a_scheduler_and_two_workers_give_the_same_bytes(scenes, network, serial, tmp_path, cluster, kill):  # noqa: F811
    from distributed import Client

    told, workers = cluster
    seen, killed = [], []

    def kill_one(done, total):
        seen.append(done)
        if kill and len(seen) == 2:
            killed.extend(psutil.Process(workers[0].pid).children())
            for child in killed:
                os.kill(child.pid, signal.SIGKILL)

    with Client(scheduler_file=str(told)) as client:
        client.wait_for_workers(2, timeout=60)
        address = client.scheduler.address
    done = geoseg.batch(
        scenes, tmp_path / "out", model=network, scheduler=address, resources={"GPU": 1}, progress=kill_one,
        **ALL,
    )  # fmt: skip
    assert done.complete
    assert bool(killed) == kill
    assert len(seen) == 17
    assert digests(tmp_path / "out") == serial
