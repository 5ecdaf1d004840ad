"""Workers of their own: the same bytes, also when one is killed, or the client."""

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest
from bulk_scenes import digests, hidden, network, scenes  # noqa: F401

import geoseg
from geoseg.bulk.share import share_of_cores, usual_workers
from geoseg.core.prefetch import cores

GEOSEG = [sys.executable, "-c", "from geoseg.cli import main; main(prog_name='geoseg')"]
QUICK = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="")


def command(scenes, folder, network, *options):  # noqa: F811
    wanted = ["--chunk", "96", "--probabilities", "--polygons"]
    return [*GEOSEG, "batch", str(scenes), "-o", str(folder), "-m", str(network), *wanted, *options]


def run(*words):
    return subprocess.run(command(*words), capture_output=True, text=True, env=QUICK, check=False)


@pytest.fixture(scope="module")
def serial_folder(scenes, network, tmp_path_factory):  # noqa: F811
    """A serial run in a fresh process, where TensorFlow computes as in workers."""
    folder = tmp_path_factory.mktemp("serial") / "out"
    done = run(scenes, folder, network)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{folder / 'summary.json'}\n"
    return folder


@pytest.fixture(scope="module")
def serial(serial_folder):
    """The sums of its outputs."""
    return digests(serial_folder)


def test_geopackages_have_a_spatial_index(serial_folder):
    """TensorFlow's own SQLite makes none, and takes the place of GDAL's when it is loaded first."""
    with closing(sqlite3.connect(serial_folder / "large_polygons.gpkg")) as file:
        found = file.execute("select name from sqlite_master where name like 'rtree%'").fetchall()
    assert ("rtree_polygons_geom",) in found


def lines(folder):
    journal = folder / "journal.jsonl"
    return journal.read_text().splitlines() if journal.exists() else []


def test_a_worker_that_is_killed_changes_nothing(scenes, network, serial, tmp_path):  # noqa: F811
    killed = []

    def kill_one(done, total):
        if not killed:
            worker = multiprocessing.active_children()[0]
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    done = geoseg.batch(
        scenes, tmp_path / "out", model=network, executor="processes", workers=2, chunk=96,
        probabilities=True, polygons=True, progress=kill_one,
    )  # fmt: skip
    assert killed
    assert done.complete
    assert digests(tmp_path / "out") == serial
    assert not multiprocessing.active_children()
    workers = {json.loads(line)["worker"].split(":")[1] for line in lines(tmp_path / "out")}
    assert len(workers) >= 2
    assert str(os.getpid()) not in workers


@pytest.mark.parametrize("executor", ["serial", pytest.param("processes", marks=pytest.mark.slow)])
def test_a_client_that_is_killed_takes_its_workers_along_and_goes_on(
    scenes, network, serial, tmp_path, executor  # noqa: F811
):  # fmt: skip
    out = tmp_path / "out"
    client = subprocess.Popen(
        command(scenes, out, network, "--executor", executor, "--workers", "2"), env=QUICK,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: len(lines(out)) >= 3, client)
    workers = psutil.Process(client.pid).children(recursive=True)
    assert (len(workers) >= 2) == (executor == "processes")
    client.kill()
    client.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    assert len(lines(out)) < 17, "it was too late to be killed"
    done = run(scenes, out, network, "--resume", "--json")
    assert done.returncode == 0, done.stderr
    account = json.loads(done.stdout)
    assert account["planned"] == account["processed"] == 15
    assert account["earlier"] >= 1
    assert digests(out) == serial
    assert hidden(out) == []


def wait_until(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < end, "it never got so far"
        time.sleep(0.02)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_workers_share_the_cores(count, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 3, 5, 8})
    shares = [share_of_cores(number, count) for number in range(count)]
    assert all(shares)
    assert {core for share in shares for core in share} == {1, 3, 5, 8}
    assert sum(map(len, shares)) == max(4, count)


def test_the_usual_workers_are_no_more_than_cores():
    assert 1 <= usual_workers() <= cores()
