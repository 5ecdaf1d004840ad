"""How many small changes of `geoseg/core` do its tests notice?

    pip install cosmic-ray coverage
    python tests/hard/mutate.py                      # a mutant of every place and kind: hours
    python tests/hard/mutate.py --sample 400         # so many of them, drawn with a fixed seed
    python tests/hard/mutate.py --only grid taper    # of some modules

Cosmic Ray makes the mutants: another operator, another number, another comparison, a loop that never runs, a
decorator that is gone. Where it knows ten replacements for one `+`, one is drawn. Each mutant is tried in a
process forked from one that has everything but geoseg imported, by those tests of `tests/core` that run the
changed line, the quickest first, until one fails. What survives is listed.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import cosmic_ray.plugins
import coverage
import cv2  # noqa: F401 - these are imported once for all mutants
import hypothesis
import numpy as np  # noqa: F401
import pytest
import rasterio  # noqa: F401
import scipy.ndimage
import scipy.special
import scipy.stats  # noqa: F401
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from hypothesis import HealthCheck, Phase

ROOT = Path(__file__).resolve().parents[2]
SEED = 8
PATIENCE = 4  # times the processor time of the tests on the right code, and 10 s, until a mutant hangs
DEADLOCK = 300  # seconds after which it hangs whatever it has used
MEMORY = 2**32  # bytes that a mutant may ask for beyond what is in use
QUIET = ["-q", "-x", "-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=", "--no-header"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one place of a module.

    Attributes:
        module: its file's name without the ending.
        operator: of Cosmic Ray.
        occurrence: which of the places in the module where it applies.
        line: where.
        text: the module, changed.
    """

    module: str
    operator: str
    occurrence: int
    line: int
    text: str

    @property
    def name(self) -> str:
        """A name that stays while the module does."""
        return f"{self.module}:{self.line}:{self.operator.removeprefix('core/')}:{self.occurrence}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the tests do on the right code.

    Attributes:
        seconds: processor time of each test.
        lines: by module and line, the tests that run it.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that may notice it, the quickest first.

        For a line run on import these are all of the module's, and those that run no line of the core but
        look at what was imported.
        """
        found = set(self.lines.get(mutant.module, {}).get(mutant.line, ()))
        if not found:
            others = [module for module in self.lines if module != mutant.module]
            found = set(self.seconds) - {test for module in others for test in self._of(module)}
            found |= self._of(mutant.module)
        return sorted(found, key=lambda test: self.seconds[test])

    def _of(self, module: str) -> set[str]:
        return {test for tests in self.lines.get(module, {}).values() for test in tests}


def mutants(path: Path, rng: random.Random) -> Iterator[Mutant]:
    """One of each place and kind of change, without those that Python does not see."""
    source = path.read_text(encoding="utf-8")
    right, tree, groups = _meaning(source), get_ast(source), defaultdict(list)
    for name in cosmic_ray.plugins.operator_names():
        kind = cosmic_ray.plugins.get_operator(name)
        if kind.arguments():  # of variables, which have to be named
            continue
        places = (place for node in ast_nodes(tree) for place in kind().mutation_positions(node))
        for occurrence, (start, _) in enumerate(places):
            groups[start, "_".join(name.split("_")[:2])].append((name, occurrence))
    for (start, _), choices in sorted(groups.items()):
        name, occurrence = rng.choice(choices)
        text = mutate_code(source, cosmic_ray.plugins.get_operator(name)(), occurrence)
        if text is not None and _meaning(text) != right:
            yield Mutant(path.stem, name, occurrence, start[0], text)


def _meaning(source: str) -> str:
    """A module's syntax without annotations, which are not evaluated, and slots, which cannot be seen."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            node.keywords = [word for word in node.keywords if word.arg != "slots"]
        for name in ("annotation", "returns"):
            if getattr(node, name, None) is not None:
                setattr(node, name, ast.Constant(None))
    return ast.dump(tree)


class Watch:
    """A pytest plugin: the processor time of each test, and the lines that it runs."""

    def __init__(self, found: coverage.Coverage) -> None:
        self.coverage, self.seconds = found, dict[str, float]()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> object:
        self.coverage.switch_context(item.nodeid)
        start = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - start
        self.coverage.switch_context("")
        return result


def measure(tree: Path, target: Path) -> int:
    """Run the tests on the right code and write a `Baseline` to `target`."""
    found = coverage.Coverage(data_file=None, include=[f"{tree}/geoseg/core/*"])
    watch = Watch(found)
    found.start()
    code = pytest.main([*QUIET, "tests/core"], plugins=[watch])
    found.stop()
    assert code == 0, "the tests fail on the right code"
    lines = {
        Path(name).stem: {
            line: sorted(test for test in tests if test)
            for line, tests in found.get_data().contexts_by_lineno(name).items()
        }
        for name in found.get_data().measured_files()
    }
    target.write_text(json.dumps({"seconds": watch.seconds, "lines": lines}))
    return 0


def forked(work: Callable[[], int], seconds: float) -> int | None:
    """What a function returns in a child that says nothing; None when it takes too long."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.setpgrp()
            silent = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(silent, number)
            code = work()
        finally:
            os._exit(code)
    end, done, status = time.monotonic() + seconds, 0, 0
    try:
        while not done and time.monotonic() < end:
            time.sleep(0.02)
            done, status = os.waitpid(pid, os.WNOHANG)
    finally:
        if not done:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if done else None


def attempt(tests: list[str], seconds: int) -> int:
    """Run tests in a bounded process."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    return int(pytest.main([*QUIET, "--tb=no", *tests]))


def judged(mutant: Mutant, tree: Path, baseline: Baseline) -> str:
    """`killed`, `hung`, `survived`, or `untested` when no test runs it."""
    tests = baseline.tests(mutant)
    if not tests:
        return "untested"
    path = tree / "geoseg" / "core" / f"{mutant.module}.py"
    right = path.read_text(encoding="utf-8")
    limit = 10 + math.ceil(PATIENCE * sum(baseline.seconds[test] for test in tests))
    path.write_text(mutant.text, encoding="utf-8")
    try:
        code = forked(lambda: attempt(tests, limit), DEADLOCK)
    finally:
        path.write_text(right, encoding="utf-8")
    return {0: "survived", None: "hung", -signal.SIGKILL: "hung", -signal.SIGXCPU: "hung"}.get(code, "killed")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, help="how many mutants; all when absent")
    parser.add_argument("--only", nargs="*", default=[], help="modules of the core, e.g. grid")
    parser.add_argument("--output", type=Path, default=Path("mutants.jsonl"), help="of the verdicts")
    wanted = parser.parse_args()
    output = wanted.output.resolve()
    paths = sorted((ROOT / "geoseg" / "core").glob("*.py"))
    drawn = [mutant for path in paths for mutant in mutants(path, random.Random(f"{SEED} {path.stem}"))]
    if wanted.sample and wanted.sample < len(drawn):
        drawn = random.Random(SEED).sample(drawn, wanted.sample)
    drawn = [mutant for mutant in drawn if not wanted.only or mutant.module in wanted.only]
    hypothesis.settings.register_profile(
        "mutation", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    hypothesis.settings.load_profile("mutation")
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        tree = copied(Path(name))
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        code = forked(lambda: measure(tree, tree / "baseline.json"), 3600)
        assert code == 0, "see `pytest tests/core`"
        known = json.loads((tree / "baseline.json").read_text())
        lines = {
            module: {int(line): tests for line, tests in found.items()}
            for module, found in known["lines"].items()
        }
        judge_all(drawn, tree, Baseline(known["seconds"], lines), output)


def copied(tree: Path) -> Path:
    """What the tests of the core need, to be changed without harm."""
    for name in ("geoseg", "tests/core"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "bundles"))
    shutil.copy(ROOT / "tests" / "conftest.py", tree / "tests")
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def judge_all(drawn: list[Mutant], tree: Path, baseline: Baseline, output: Path) -> None:
    """Try the mutants that have no verdict yet, and print the account."""
    verdicts = {}
    if output.exists():
        verdicts = {line["name"]: line for line in map(json.loads, output.read_text().splitlines())}
    for count, mutant in enumerate(drawn, 1):
        if mutant.name not in verdicts:
            right = (tree / "geoseg" / "core" / f"{mutant.module}.py").read_text(encoding="utf-8")
            change = [
                line for line in unified_diff(right.splitlines(), mutant.text.splitlines(), n=0, lineterm="")
                if line[0] in "+-" and line[:3] not in ("+++", "---")
            ]  # fmt: skip
            line = {"name": mutant.name, "verdict": judged(mutant, tree, baseline), "change": change}
            verdicts[mutant.name] = line
            with output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        print(f"\r{count} of {len(drawn)}", end="", file=sys.stderr)  # noqa: T201
    print(file=sys.stderr)  # noqa: T201
    account([verdicts[mutant.name] for mutant in drawn])


def account(verdicts: list[dict[str, object]]) -> None:
    """Print what survived, and a line for each module."""
    modules = defaultdict(Counter)
    for line in verdicts:
        modules[str(line["name"]).partition(":")[0]][line["verdict"]] += 1
        if line["verdict"] in ("survived", "untested"):
            print(line["verdict"], line["name"], *line["change"], sep="\n  ")  # noqa: T201
    total = sum(modules.values(), Counter())
    for name, counts in [*sorted(modules.items()), ("all", total)]:
        dead = counts["killed"] + counts["hung"]
        print(f"{name:12} {dead:4} of {counts.total():4} noticed, {dead / counts.total():6.1%}", dict(counts))  # noqa: T201


if __name__ == "__main__":
    main()
