"""Disks without room, too little memory, inputs that change, servers that fall silent: one line, and soon."""

import ctypes
import errno
import os
import resource
import shutil
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from hard_scenes import (
    DeathError,
    Waves,
    batch,
    hidden,
    hills,
    loaded,
    outcome,
    predict,
    sums,
    write_bundle,
    write_scene,
)

from geoseg import api, polygons
from geoseg.cli import main
from geoseg.errors import SceneError
from geoseg.geo.gdal import NETWORK
from geoseg.jobs import SceneJob
from geoseg.polygons import vectorize

CLONE_NEWNS, MS_RDONLY, MS_REC, MS_PRIVATE = 0x20000, 1, 0x4000, 1 << 18
HASTE = {"GDAL_HTTP_LOW_SPEED_TIME": "1", "GDAL_HTTP_MAX_RETRY": "0"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("model") / "waves")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("scene") / "scene.tif")


@pytest.fixture(scope="module")
def wanted(model, scene, tmp_path_factory):
    """The sums of what is written where there is room."""
    folder = tmp_path_factory.mktemp("wanted")
    assert not isinstance(outcome(predict, model, scene, folder), tuple)
    return sums(folder)


def limited(kind, bytes_, work, *given, **named):
    """Do something under a limit of the system's."""
    if kind == resource.RLIMIT_AS:
        bytes_ += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(kind, (bytes_, bytes_))
    signal.alarm(30)
    return work(*given, **named)


@pytest.mark.parametrize("size", [1, 4_000, 100_000, 250_000, 400_000])
def test_a_file_that_may_not_grow_is_an_error_in_a_line_and_leaves_nothing(
    size, model, scene, wanted, tmp_path
):
    found = outcome(limited, resource.RLIMIT_FSIZE, size, predict, model, scene, tmp_path)
    if isinstance(found, tuple):
        assert found[0] == "OutputError" and "disk full" in found[1], found
        assert sums(tmp_path) == {}
    else:
        assert sums(tmp_path) == wanted
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("ending", [".geojson", ".geojsonl", ".gpkg", ".fgb", ".parquet"])
def test_polygons_of_which_the_last_bytes_do_not_fit_leave_nothing(ending, model, scene, tmp_path):
    """GDAL says nothing of the last bytes of text files that are lost."""
    assert not isinstance(outcome(predict, model, scene, tmp_path), tuple)
    probabilities, target = tmp_path / "probabilities.tif", tmp_path / "out" / f"v{ending}"
    target.parent.mkdir()
    assert not isinstance(outcome(vectorize, probabilities, target), tuple)
    size = target.stat().st_size
    target.unlink()
    for less in (1, 500):
        found = outcome(limited, resource.RLIMIT_FSIZE, size - less, vectorize, probabilities, target)
        assert found[0] == "OutputError" and f"v{ending}" in found[1], found
        assert list(target.parent.iterdir()) == []


def on_a_disk(place, size, flags, work, *given, **named):
    """Do something where a file system of so many bytes is mounted for this process alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return "skipped", os.strerror(ctypes.get_errno())
    options = f"size={size}".encode()
    if libc.mount(b"none", os.fsencode(place), b"tmpfs", flags, options):
        return "skipped", os.strerror(ctypes.get_errno())
    try:
        result = work(*given, **named)
        word = type(result).__name__, ""
    except Exception as error:
        word = type(error).__name__, str(error)
    return *word, sums(place), hidden(place)


def mounted(*given, **named):
    found = outcome(on_a_disk, *given, **named)
    if found[0] == "skipped":
        pytest.skip(f"no file system can be mounted here: {found[1]}")
    return found


@pytest.mark.parametrize("kilobytes", [64, 400, 700, 780, 800, 815, 1400])
def test_on_a_disk_of_any_size_outputs_are_whole_or_absent(kilobytes, model, scene, wanted, tmp_path):
    kind, reason, found, left = mounted(tmp_path, kilobytes * 1024, 0, predict, model, scene, tmp_path)
    assert left == []
    if kind == "Result":
        assert found == wanted
    else:
        assert kind == "OutputError" and "\n" not in reason, (kind, reason)
        assert found == {}


def test_a_disk_that_is_full_of_results_keeps_them(model, tmp_path):
    """A batch on a disk with room for some of its scenes."""
    scenes, out = tmp_path / "scenes", tmp_path / "out"
    for folder in (scenes, out):
        folder.mkdir()
    for seed in range(6):
        write_scene(scenes / f"{seed}.tif", (120, 120), seed)
    assert not isinstance(outcome(batch, scenes, tmp_path / "roomy", model), tuple)
    whole = sums(tmp_path / "roomy")
    size = sum(path.stat().st_size for path in (tmp_path / "roomy").rglob("*") if path.is_file())
    drafts = 512 * 512 * 3  # bytes, before they are packed
    kind, reason, found, left = mounted(out, drafts + size // 2, 0, batch, scenes, out, model, attempts=1)
    results = {name: each for name, each in found.items() if name.endswith((".tif", ".gpkg"))}
    assert 0 < len(results) < len([name for name in whole if name.endswith((".tif", ".gpkg"))])
    assert all(whole[name] == each for name, each in results.items())
    assert left == []
    assert kind == "Summary" or (kind == "OutputError" and "No space left" in reason), (kind, reason)


def test_a_folder_that_cannot_be_written_to_is_named(model, scene, tmp_path):
    kind, reason, found, _ = mounted(tmp_path, 2**20, MS_RDONLY, predict, model, scene, tmp_path)
    assert (kind, found) == ("OutputError", {})
    assert f"{tmp_path} cannot be written to; choose another" in reason


def told(model, said, *words, engine=None):
    """The exit code of the command line with `Waves`, or another engine; what it says goes to a file."""
    ready = loaded(model, engine)
    api.load = lambda *given, **named: ready
    with said.open("w") as file:
        os.dup2(file.fileno(), 2)
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            return stop.code


@pytest.mark.parametrize("megabytes", [8, 32, 96, 192])
def test_too_little_memory_is_an_error_in_a_line_and_leaves_nothing(megabytes, model, tmp_path):
    """Where a native library dies of it instead, which we cannot prevent, nothing half-made is seen.

    Nor can we where a thread dies of it before it runs: Python waits for it until the alarm.
    """
    scene, out, said = tmp_path / "wide.tif", tmp_path / "out", tmp_path / "said"
    write_scene(scene, (400, 3000))
    (tmp_path / "whole").mkdir()
    assert not isinstance(
        outcome(told, model, said, "predict", scene, "-o", tmp_path / "whole" / "m.tif"), tuple
    )
    out.mkdir()
    given = (megabytes * 2**20, told, model, said, "predict", scene, "-o", out / "m.tif")
    try:
        code = outcome(limited, resource.RLIMIT_AS, *given)
    except DeathError as death:
        assert -death.code in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGALRM), death
        whole = sums(tmp_path / "whole")
        assert all(whole[name] == found for name, found in sums(out).items())
        return
    # GDAL itself says so, once a window, where a thread does not start, and goes on without
    words = "\n".join(line for line in said.read_text().splitlines() if not line.startswith("CPLCreateJoin"))
    if code == 0:
        assert (out / "m.tif").exists()
    else:
        assert code == 1, (code, words)
        assert len(words.splitlines()) == 1 and words.startswith("geoseg: error: "), words
        assert list(out.iterdir()) == []


class Starved(Waves):
    """A network for which there is not enough memory."""

    def __init__(self, error):
        self.error = error

    def __call__(self, pixels):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("libx.so: failed to map segment from shared object"),
        cv2.error(
            "OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 516000 bytes"
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_however_a_library_says_that_memory_is_short_it_is_our_line(error, model, scene, tmp_path):
    said, out = tmp_path / "said", tmp_path / "out"
    out.mkdir()
    assert outcome(told, model, said, "predict", scene, "-o", out / "m.tif", engine=Starved(error)) == 1
    assert said.read_text().startswith(
        "geoseg: error: there is not enough memory; give a smaller --max-memory"
    )
    assert list(out.iterdir()) == []


def test_a_system_error_is_a_line_too(model, scene, tmp_path):
    """A cutline that cannot be read is not met by any code of ours."""
    code = outcome(told, model, tmp_path / "said", "predict", scene, "-o", tmp_path / ("x" * 300) / "m.tif")
    words = (tmp_path / "said").read_text()
    assert code == 1
    assert len(words.splitlines()) == 1 and os.strerror(errno.ENAMETOOLONG) in words, words


@pytest.mark.parametrize("what", ["grows", "is replaced", "goes"])
def test_a_scene_that_does_not_stay_what_it_is_gives_no_output(what, model, tmp_path):
    scene, out = write_scene(tmp_path / "scene.tif"), tmp_path / "out"
    out.mkdir()
    kind, reason = outcome(predict_while, what, model, scene, out)
    assert kind == "SceneError" and f"{scene} was changed while it was read" in reason
    assert list(out.iterdir()) == []


def predict_while(what, model, scene, folder):
    """Predict a scene that is not left alone."""

    def change(done, total):
        if what == "grows" and scene.exists():
            with scene.open("ab") as file:
                file.write(b" ")
        elif what == "is replaced":
            shutil.copy(scene, scene.with_name("other.tif"))
            scene.with_name("other.tif").replace(scene)
        else:
            scene.unlink(missing_ok=True)

    from hard_scenes import predict_scene

    ready = loaded(model)
    predict_scene(SceneJob(str(scene), folder / "m.tif"), ready.bundle, ready.settings, ready.engine, change)


def test_a_raster_that_changes_while_it_is_traced_gives_no_polygons(model, scene, tmp_path, monkeypatch):
    assert not isinstance(outcome(predict, model, scene, tmp_path), tuple)
    raster, trace = tmp_path / "mask.tif", polygons.trace_class

    def traced(*given):
        os.utime(raster, ns=(1, 1))
        return trace(*given)

    monkeypatch.setattr(polygons, "trace_class", traced)
    with pytest.raises(SceneError, match=r"mask\.tif was changed while it was read"):
        vectorize(raster, tmp_path / "v.gpkg")
    assert not (tmp_path / "v.gpkg").exists()


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_a_scene_of_a_batch_that_is_not_what_was_planned_fails_alone(what, model, tmp_path):
    scenes, out = tmp_path / "scenes", tmp_path / "out"
    scenes.mkdir()
    for seed, name in enumerate("abc"):
        write_scene(scenes / f"{name}.tif", (60, 70), seed)
    done = outcome(batch_while, what, model, scenes, out)
    assert (done.planned, done.processed, done.failed) == (3, 2, 1)
    (failed,) = done.failures
    assert failed["job"] == "b" and "is gone or was changed after the batch was planned" in failed["error"]
    assert {path.name for path in out.glob("*_mask.tif")} == {"a_mask.tif", "c_mask.tif"}


def batch_while(what, model, scenes, folder):
    def change(done, total):
        if what == "gone":
            (scenes / "b.tif").unlink(missing_ok=True)
        elif "changed" not in seen:
            write_scene(scenes / "b.tif", (64, 70), seed=9)
        seen.add(what)

    seen = set()
    return batch(scenes, folder, model, attempts=1, progress=change)


class Failing(BaseHTTPRequestHandler):
    """A server of one file that stops speaking, or says less than it promised, after some bytes."""

    def do_GET(self):
        data, how = self.server.data, self.path.split("/")[1]
        start, _, stop = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = data[int(start) : int(stop or len(data)) + 1]
        if how == "silent":
            self.server.over.wait(60)
            return
        late = int(start) > 0 or self.command == "HEAD"
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(data)}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(part if not late else part[: len(part) // 2])
            if late and how == "stalls":
                self.wfile.flush()
                self.server.over.wait(60)
        self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - as the library calls it

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server whose file is larger than what GDAL asks for first."""
    path = tmp_path_factory.mktemp("served") / "scene.tif"
    write_scene(path, (300, 300), tiled=True, blockxsize=64, blockysize=64)
    web = ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    web.data, web.over, web.daemon_threads = path.read_bytes(), threading.Event(), True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.over.set()
    web.shutdown()


def hasty(work, *given, **named):
    """Do something with less patience for servers."""
    with rasterio.Env(**HASTE):
        return work(*given, **named)


@pytest.mark.parametrize("how", ["silent", "stalls", "short"])
def test_a_server_that_falls_silent_or_says_less_is_an_error_in_time(how, server, model, tmp_path):
    start = time.monotonic()
    kind, reason = outcome(hasty, predict, model, f"/vsicurl/{server}/{how}/scene.tif", tmp_path)
    assert kind == "SceneError" and "\n" not in reason, (kind, reason)
    assert time.monotonic() - start < 60, "it waited for the server to end"
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_falls_silent_costs_a_batch_one_scene(server, model, tmp_path):
    local = write_scene(tmp_path / "local.tif", (60, 70))
    sources = [f"/vsicurl/{server}/stalls/scene.tif", str(local)]
    done = outcome(hasty, batch, sources, tmp_path / "out", model, attempts=1)
    assert (done.processed, done.failed) == (1, 1)
    assert (tmp_path / "out" / "local_mask.tif").exists()


def test_gdal_has_time_outs_that_the_environment_may_change():
    assert NETWORK.keys() <= os.environ.keys()
    assert int(NETWORK["GDAL_HTTP_LOW_SPEED_TIME"]) > 0


def test_hills_have_pixels_of_every_kind():
    """What the rest of this module is made of is no empty scene."""
    assert len(np.unique(hills((200, 200), 1))) > 200
