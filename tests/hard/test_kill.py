"""Killed, stopped and raced: nothing half-made is seen, and going on gives the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time

import kill_anywhere
import psutil
import pytest
from hard_scenes import batch, begin, hidden, outcome, predict, sums, write_bundle, write_scene

import geoseg
from geoseg import api
from geoseg.cli import main

MOMENTS = 3  # of each; the long form is `python tests/hard/kill_anywhere.py`
GEOSEG = [sys.executable, "-c", "from geoseg.cli import main; main(prog_name='geoseg')"]
QUICK = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("model") / "waves")


@pytest.mark.parametrize("which", ["predict", "vectorize", "batch"])
def test_killed_at_any_moment_nothing_half_made_is_seen_and_going_on_gives_the_same(which, tmp_path):
    home = tmp_path / which
    home.mkdir()
    victim = kill_anywhere.victims(tmp_path)[which]
    tally = kill_anywhere.kill_anywhere(victim, home, MOMENTS, random.Random(3))
    assert tally["killed"] == MOMENTS


@pytest.mark.slow
def test_training_killed_at_any_moment_goes_on_to_the_same_weights(tmp_path):
    victim = kill_anywhere.training(tmp_path)
    home = tmp_path / "train"
    home.mkdir()
    assert kill_anywhere.kill_anywhere(victim, home, 3, random.Random(3))["killed"] == 3


class Stuck:
    """An engine that no signal reaches: it sleeps in a thread that leaving the `with` blocks waits for."""

    name, precision, stride, halo, classes, batch_size, streams = "stuck", "float32", 1, 0, 2, 4, 1

    def __init__(self, sign):
        self.sign = sign

    def __call__(self, pixels):
        self.sign.touch()
        time.sleep(60)


def stuck_command(model, scene, folder, said, sign):
    """`geoseg predict` with an engine that hangs; what it says goes to a file."""
    from hard_scenes import loaded

    ready = loaded(model, Stuck(sign))
    api.load = lambda *given, **named: ready
    with said.open("w") as file:
        os.dup2(file.fileno(), 2)
        main(["predict", str(scene), "-o", str(folder / "mask.tif")])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
@pytest.mark.parametrize("times", [1, 2])
def test_stopping_does_not_wait_for_what_hangs(number, times, model, tmp_path):
    folder, said, sign = tmp_path / "out", tmp_path / "said", tmp_path / "begun"
    folder.mkdir()
    process = begin(stuck_command, model, write_scene(tmp_path / "scene.tif"), folder, said, sign)
    wait_until(sign.exists, process.is_alive)
    assert hidden(folder)
    for _ in range(times):
        os.kill(process.pid, number)
    process.join(30)
    assert process.exitcode == 130
    assert said.read_text() == "geoseg: interrupted; no unfinished output was left\n"
    assert list(folder.iterdir()) == []


def wait_until(condition, alive, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert alive(), "it ended too early"
        assert time.monotonic() < end, "it never got so far"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_stopping_a_batch_ends_its_workers(executor, number, tmp_path):
    """With the bundled model: workers of other processes know no other."""
    scenes, out = tmp_path / "scenes", tmp_path / "out"
    scenes.mkdir()
    for seed in range(30):
        write_scene(scenes / f"{seed}.tif", (700, 700), seed)
    client = subprocess.Popen(
        [*GEOSEG, "batch", str(scenes), "-o", str(out), "--executor", executor, "--workers", "2"], env=QUICK,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    journal = out / "journal.jsonl"
    wait_until(lambda: journal.exists() and journal.read_text(), lambda: client.poll() is None)
    workers = psutil.Process(client.pid).children(recursive=True)
    assert len(workers) >= 2
    client.send_signal(number)
    said, complaint = client.communicate(timeout=60)
    if number == signal.SIGTERM:
        assert (client.returncode, said) == (130, "")
        assert complaint.splitlines()[-1] == "geoseg: interrupted; no unfinished output was left"
    assert "Traceback" not in complaint
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert not alive


def test_of_two_that_write_the_same_one_wins_whole_and_the_other_says_so(model, tmp_path):
    scene = write_scene(tmp_path / "scene.tif")
    for name in ("alone", "shared"):
        (tmp_path / name).mkdir()
    assert not isinstance(outcome(predict, model, scene, tmp_path / "alone"), tuple)
    done = tmp_path / "done"
    pair = [begin(racing, model, scene, tmp_path / "shared", done) for _ in range(2)]
    for process in pair:
        process.join()
    assert sorted(done.read_text().splitlines()) == ["done", "refused"]
    assert sums(tmp_path / "shared") == sums(tmp_path / "alone")
    assert hidden(tmp_path / "shared") == []


def racing(model, scene, folder, told):
    """Predict, and write down what came of it."""
    try:
        predict(model, scene, folder)
        word = "done\n"
    except geoseg.errors.OutputError as error:
        word = "refused\n" if "exists already" in str(error) else f"{error}\n"
    with told.open("a") as file:
        file.write(word)


def at_work(model, scenes, folder, signs):
    """A batch that waits after its first job until it is told to go on."""

    def wait(done, total):
        (signs / "begun").touch()
        while not (signs / "go").exists():
            time.sleep(0.02)

    return batch(scenes, folder, model, progress=wait)


@pytest.mark.parametrize(
    "options", [{"resume": True}, {"overwrite": True}], ids=lambda given: next(iter(given))
)
def test_a_second_run_in_the_folder_of_a_batch_at_work_is_refused_and_does_no_harm(options, model, tmp_path):
    scenes, out = tmp_path / "scenes", tmp_path / "out"
    scenes.mkdir()
    write_scene(scenes / "a.tif", (50, 60))
    write_scene(scenes / "b.tif", (50, 60), seed=4)
    process = begin(at_work, model, scenes, out, tmp_path)
    wait_until((tmp_path / "begun").exists, process.is_alive)
    draft = out / ".geoseg-0-draft-of-the-first"
    draft.touch()
    before = sums(out)
    kind, reason = outcome(batch, scenes, out, model, **options)
    assert kind == "BatchError" and "another run is at work" in reason
    assert draft.exists() and sums(out) == before
    (tmp_path / "go").touch()
    process.join()
    assert process.exitcode == 0
    assert (out / "summary.json").exists()
