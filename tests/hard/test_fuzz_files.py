"""A few hundred damaged files; thousands with `python tests/hard/fuzz_files.py`."""

import ctypes
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import fuzz_files
import pytest
from fuzz_files import Place, damaged, damaged_keras, fuzz, outputs, try_network
from thresholds import thresholds_for_networks

KNOWN = {  # tracebacks, warnings and endless lines, once
    "tiff": (176, 746, 2537, 2729, 2788, 2889, 3500),
    "geojson": (110, 201, 732),
    "gpkg": (134, 663),
}


def fuzzed(*words):
    """What the script says. It forks, which a process with the threads of other tests would not survive."""
    script = Path(fuzz_files.__file__)
    done = subprocess.run(
        [sys.executable, script, *map(str, words)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stdout


def test_a_damaged_file_gives_a_result_or_one_line():
    words = fuzzed("--only", "tiff", "geojson", "gpkg", "card", "--first", 100_000, "--cases", 240)
    assert words.splitlines()[-1].endswith(" 0 findings")
    assert int(words.splitlines()[-1].split()[0]) >= 230


@pytest.mark.parametrize("kind", KNOWN)
def test_what_went_wrong_once_does_not_again(kind):
    words = fuzzed("--only", kind, "--case", *KNOWN[kind])
    assert words.splitlines() == [f"{kind} {case}: as it must be" for case in KNOWN[kind]]


@pytest.mark.parametrize("name", ["model.keras", "model.onnx"])
def test_a_damaged_network_is_refused_or_runs(tiny_bundle, tmp_path, name):
    """In this process, where the frameworks are started already."""
    seed, place = tiny_bundle.folder / name, Place(tiny_bundle.folder, tmp_path)
    for case in range(60):
        rng = random.Random(f"{name} {case}")
        data = damaged_keras(seed, rng) if name.endswith("keras") else damaged(seed.read_bytes(), rng)
        assert try_network(place, seed, data, rng) is None, case


def test_the_fuzzer_sees_crashes_hangs_and_greed(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_files, "SECONDS", 2)
    deeds = [
        lambda: ctypes.string_at(0),
        lambda: time.sleep(60),
        lambda: bytearray(2**36),
        lambda: 1 / 0,
        lambda: None,
        lambda: "words",
    ]
    monkeypatch.setattr(fuzz_files, "try_case", lambda kind, case, place: deeds[case]())
    found = dict(fuzz("card", range(len(deeds)), tmp_path))
    assert found[0] == f"crash: {signal.SIGSEGV.name}"
    assert found[1].startswith("hang")
    assert found[2].startswith("raised MemoryError")
    assert found[3].startswith("raised ZeroDivisionError")
    assert (found[4], found[5]) == (None, "words")


def test_the_fuzzer_sees_what_is_no_refusal(tmp_path):
    place = Place(tmp_path, tmp_path)
    with thresholds_for_networks():
        assert outputs("vectorize", place, tmp_path / "nothing.tif", "-o", "OUT/x.gpkg") is None
        assert "exit 2" in outputs("vectorize", place, "--no-such-option")
