"""What only a process of its own can show: stopping, and what a terminal would see."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from cli_runs import names
from conftest import write_raster

GEOSEG = [sys.executable, "-c", "from geoseg.cli import main; main(prog_name='geoseg')"]
QUICK = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="2", CUDA_VISIBLE_DEVICES="")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A scene that takes many seconds."""
    noise = np.random.default_rng(0).integers(1, 255, (6000, 6000, 3), np.uint8)
    return write_raster(tmp_path_factory.mktemp("large") / "large.tif", noise, tiled=True)


def started(scene, folder, *options):
    command = [*GEOSEG, "predict", str(scene), "-o", str(folder / "m.tif"), *options]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=QUICK, start_new_session=True
    )


def wait_until(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it never got so far"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopping_in_the_middle_leaves_nothing_and_is_quick(large, tmp_path, number):
    process = started(large, tmp_path, "--probabilities", str(tmp_path / "p.tif"))
    try:
        wait_until(lambda: sum(p.stat().st_size for p in tmp_path.iterdir()) > 100_000, process)
        asked = time.monotonic()
        process.send_signal(number)
        said, complaint = process.communicate(timeout=30)
    finally:
        process.kill()
    assert time.monotonic() - asked < 8
    assert process.returncode == 130, complaint
    assert said == ""
    assert complaint.splitlines() == ["geoseg: interrupted; no unfinished output was left"]
    assert names(tmp_path) == []


def test_stopping_while_the_model_loads_is_quick_too(large, tmp_path):
    process = started(large, tmp_path)
    try:
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, said) == (130, "")
    assert "Traceback" not in complaint
    assert names(tmp_path) == []


def test_errors_and_warnings_go_to_stderr_and_nothing_else_does(tmp_path):
    pixels = np.random.default_rng(0).integers(1, 255, (64, 64, 5), np.uint8)
    scene = write_raster(tmp_path / "a.tif", pixels, photometric="minisblack", crs=None, transform=None)
    done = subprocess.run(
        [*GEOSEG, "predict", str(scene), "-o", "m.tif"], cwd=tmp_path, capture_output=True, text=True,
        env=QUICK, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "m.tif\n"), done.stderr
    warnings, table = done.stderr.splitlines()[:2], done.stderr.splitlines()[2:]
    assert all(line.startswith("geoseg: warning: ") for line in warnings)
    assert table[0] == "    scene  a.tif"
    assert not any(line.startswith("geoseg: ") for line in table)
    again = subprocess.run(
        [*GEOSEG, "-q", "predict", "m.tif", "-o", "n.tif"], cwd=tmp_path, capture_output=True, text=True,
        env=QUICK, check=False,
    )  # fmt: skip
    assert (again.returncode, again.stdout) == (1, "")
    assert len(again.stderr.splitlines()) == 1
    assert "gdal_translate -expand rgb" in again.stderr
