"""The law of batches on real scenes: the same bytes whoever computes them, and whoever is killed meanwhile.

    python benchmarks/batch_equal.py SOURCE... [--chunk 2048] [--model NAME] [--runs RUN...] [--whole]

Runs `geoseg batch` serially, with two processes, on a Dask scheduler with two workers that are started as
commands of their own; then with a process, a Dask worker and the client killed (SIGKILL) in the middle, and
resumed. Prints the seconds of each and which outputs differ from those of the first run; with --whole also
whether those equal what `geoseg predict` makes. --runs takes some, of which the first kills nobody.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

GEOSEG = [sys.executable, "-c", "from geoseg.cli import main; main(prog_name='geoseg')", "-q"]
ENVIRONMENT = dict(os.environ, OGR_CURRENT_DATE="2026-01-01T00:00:00.000Z", TF_CPP_MIN_LOG_LEVEL="2")
PROCESSES = ("--executor", "processes", "--workers", "2")
RUNS = ("serial", "processes", "dask", "killed process", "killed worker", "killed client")
MIDDLE = 0.4  # of the jobs, when somebody is killed
Kill = Callable[[int], None]


def digests(folder: Path) -> dict[str, str]:
    """The sums of all outputs, by name."""
    paths = [
        path
        for kind in ("mask.tif", "probabilities.tif", "polygons.gpkg")
        for path in folder.rglob(f"*_{kind}")
    ]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def count(folder: Path) -> int:
    """Jobs that ended."""
    journal = folder / "journal.jsonl"
    return len(journal.read_bytes().splitlines()) if journal.exists() else 0


def run(words: list[str], folder: Path, jobs: int, kill: Kill | None = None) -> tuple[int, int]:
    """Run a batch, kill somebody in its middle; its exit code, and how many jobs were done when that was."""
    client = subprocess.Popen([*words, "-o", str(folder)], env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    while kill and client.poll() is None:
        if (done := count(folder)) >= MIDDLE * jobs:
            kill(client.pid)
            return client.wait(), done
        time.sleep(0.05)
    return client.wait(), 0


def kill_process(client: int) -> None:
    """Kill the first worker process of a client."""
    workers = [p for p in psutil.Process(client).children() if "spawn_main" in " ".join(p.cmdline())]
    workers[0].kill()


def kill_client(client: int) -> None:
    """Kill the client itself."""
    os.kill(client, signal.SIGKILL)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, Kill]]:
    """A scheduler and two workers; its address, and how to kill a worker."""
    told, share = folder / "scheduler.json", len(os.sched_getaffinity(0)) // 2 or 1
    dask = [sys.executable, "-m"]
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT, cwd=folder)
    scheduler = [
        *dask,
        "distributed.cli.dask_scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    ]
    started = [subprocess.Popen([*scheduler, "--scheduler-file", str(told)], **quiet)]
    while not told.exists():
        time.sleep(0.1)
    cores = sorted(os.sched_getaffinity(0))
    for number in range(2):
        mine = cores[number * share : (number + 1) * share] or cores[:1]
        worker = [*dask, "distributed.cli.dask_worker", "--scheduler-file", str(told), "--nthreads", "1"]
        command = [
            "taskset",
            "-c",
            ",".join(map(str, mine)),
            *worker,
            "--memory-limit",
            "0",
            "--no-dashboard",
        ]
        started.append(subprocess.Popen(command, **quiet))

    def kill_worker(client: int) -> None:
        for child in psutil.Process(started[1].pid).children():
            child.kill()

    try:
        yield json.loads(told.read_text())["address"], kill_worker
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def predicted(sources: list[str], folder: Path, model: str) -> None:
    """The same by `geoseg predict`, scene by scene."""
    from geoseg.bulk.sources import expand

    for scene in expand(sources):
        base = folder / scene.name
        base.parent.mkdir(parents=True, exist_ok=True)
        files = ["-o", f"{base}_mask.tif", "--probabilities", f"{base}_probabilities.tif"]
        command = [
            *GEOSEG,
            "predict",
            scene.dataset,
            "-m",
            model,
            *files,
            "--polygons",
            f"{base}_polygons.gpkg",
        ]
        subprocess.run(command, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def verdict(code: int, killed: int, kill: Kill | None, differ: list[str]) -> str:
    """What is wrong with a run; `none` if nothing."""
    ended = [f"exit {code}"] if code else []
    spared = ["nobody was killed"] if kill and not killed else []
    return ", ".join([*ended, *spared, *differ]) or "none"


def main() -> None:
    """Run all variants and print a table."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # takes the cluster along
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--chunk", default="2048")
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    sources = [str(Path(source).absolute()) for source in options.sources]
    wanted = ["--probabilities", "--polygons", "-m", options.model, "--chunk", options.chunk]
    batch, wrong = [*GEOSEG, "batch", *sources, *wanted], set[str]()
    with tempfile.TemporaryDirectory() as name, cluster(Path(name)) as (address, kill_worker):
        folder, dask = Path(name), ("--executor", "dask", "--scheduler", address)
        words = dict(zip(RUNS, [(), PROCESSES, dask, PROCESSES, dask, PROCESSES], strict=True))
        kills = dict(zip(RUNS, [None, None, None, kill_process, kill_worker, kill_client], strict=True))
        expected, jobs = dict[str, str](), 0
        print(
            "| run | s | jobs | done at the kill | outputs | differ |\n|---|---|---|---|---|---|", flush=True
        )
        for title in options.runs:
            out, kill, start = folder / title.replace(" ", "_"), kills[title], time.perf_counter()
            code, killed = run([*batch, *words[title]], out, jobs, kill)
            if kill is kill_client:
                code, _ = run([*batch, *words[title], "--resume"], out, jobs)
            seconds, found = time.perf_counter() - start, digests(out)
            expected, jobs = expected or found, jobs or count(out)
            names = sorted(expected.keys() | found.keys())
            said = verdict(code, killed, kill, [n for n in names if expected.get(n) != found.get(n)])
            wrong.add(said)
            cells = (title, f"{seconds:.1f}", str(count(out)), str(killed or ""), str(len(found)), said)
            print(f"| {' | '.join(cells)} |", flush=True)
        if options.whole:
            predicted(sources, folder / "whole", options.model)
            same = digests(folder / "whole") == expected
            wrong.add("none" if same else "predict")
            print(f"\nequal to geoseg predict: {same}")
    sys.exit(wrong != {"none"})


if __name__ == "__main__":
    main()
