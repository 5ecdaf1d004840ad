"""Scenes behind a web server that stumbles."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from conftest import coded, write_raster

import geoseg
from geoseg.bulk.sources import RETRIES

SERVER = Path(__file__).with_name("stumbling_server.py")


@contextmanager
def served(folder, stumbles=0):
    """The address of a server of a folder; GDAL keeps Python waiting, so that it is another process."""
    command = [sys.executable, str(SERVER), str(folder), str(stumbles)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def test_a_scene_behind_a_server_that_stumbles_is_done(make_raster, tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setitem(RETRIES, "GDAL_HTTP_RETRY_DELAY", "0.05")
    path = make_raster("a.tif", (100, 150))
    with served(tmp_path, stumbles=3) as address:
        done = geoseg.batch(
            f"{address}/a.tif", tmp_path / "out", model=tiny_bundle.folder, chunk=96, attempts=1
        )
    assert (done.failures, done.planned) == ([], 4)
    geoseg.predict(path, tmp_path / "a_mask.tif", model=tiny_bundle.folder)
    assert (tmp_path / "out" / "a_mask.tif").read_bytes() == (tmp_path / "a_mask.tif").read_bytes()


def test_what_is_not_there_yet_may_be_there_when_it_is_tried_again(make_raster, tiny_bundle, tmp_path):
    def appear(done, total):
        write_raster(tmp_path / "late.tif", coded((20, 24)))

    near = make_raster("a.tif", (20, 24))
    with served(tmp_path) as address:
        done = geoseg.batch(
            [f"{address}/late.tif", near], tmp_path / "out", model=tiny_bundle.folder, attempts=2,
            progress=appear,
        )  # fmt: skip
    assert done.failures == []
    assert done.scenes["done"] == 2


def test_what_is_never_there_is_named(make_raster, tiny_bundle, tmp_path):
    near = make_raster("a.tif", (20, 24))
    with served(tmp_path) as address:
        done = geoseg.batch(
            [f"{address}/never.tif", near], tmp_path / "out", model=tiny_bundle.folder, attempts=1
        )
    assert [failed["job"] for failed in done.failures] == ["never"]
    assert "404" in done.failures[0]["error"]
    assert done.scenes == {"planned": 2, "done": 1, "failed": 1, "open": 0}
