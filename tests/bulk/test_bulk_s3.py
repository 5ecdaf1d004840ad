"""Scenes in S3, against moto's server."""

import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
import urllib3

import geoseg

pytest.importorskip("moto.server")


@pytest.fixture
def bucket(monkeypatch):
    """The address of a bucket `scenes` that GDAL finds as s3://scenes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name, value in {
        "AWS_S3_ENDPOINT": f"127.0.0.1:{port}", "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            address = f"http://127.0.0.1:{port}/scenes"
            put(address)
            yield address
        finally:
            server.kill()


def put(address, body=b"", patience=30):
    """Send something to the server, which takes a while to start."""
    end = time.monotonic() + patience
    while True:
        try:
            answer = urllib3.request("PUT", address, body=body, retries=False)
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < end, "moto's server does not start"
            time.sleep(0.1)
        else:
            assert answer.status == 200
            return


def test_a_scene_in_s3_has_the_mask_of_the_same_file_on_disk(bucket, make_raster, tmp_path, tiny_bundle):
    path = make_raster("town.tif", (100, 150), tiled=True, blockxsize=64, blockysize=64)
    put(f"{bucket}/north/town.tif", path.read_bytes())
    done = geoseg.batch("s3://scenes/north/town.tif", tmp_path / "out", model=tiny_bundle.folder, chunk=96)
    assert done.complete
    assert done.planned > 1
    geoseg.predict(path, tmp_path / "expected.tif", model=tiny_bundle.folder)
    with (
        rasterio.open(tmp_path / "out" / "town_mask.tif") as found,
        rasterio.open(tmp_path / "expected.tif") as same,
    ):
        assert np.array_equal(found.read(1), same.read(1))


def test_what_is_not_in_s3_is_named(bucket, tmp_path, tiny_bundle):
    done = geoseg.batch("s3://scenes/none.tif", tmp_path / "out", model=tiny_bundle.folder, attempts=1)
    assert [failed["job"] for failed in done.failures] == ["none"]
