"""The whole flow through its threads, with engines that need no framework."""

import threading
import time

import numpy as np
import pytest
from core_scenes import (
    SEEDS,
    IdentityEngine,
    LocalEngine,
    dense,
    grids,
    random_mask,
    random_pixels,
    run,
    windows,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg import pipeline
from geoseg.core.grid import Grid
from geoseg.core.patches import ArraySource
from geoseg.core.scaling import Scaling
from geoseg.core.window import whole
from geoseg.pipeline import Stages, segment

SIDES = st.tuples(st.integers(1, 110), st.integers(1, 110))
GRIDS = grids(shapes=SIDES).filter(lambda grid: len(grid) <= 200)  # for speed
COUNT = settings(deadline=None, max_examples=80)
KERNELS = st.sampled_from([0, 3, 5, 7])


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("geoseg")]


@pytest.mark.parametrize("shape", [(1, 1), (100, 100), (300, 300), (300, 2000), (2001, 1999)])
def test_an_identity_engine_reproduces_the_scene(shape):
    rng = np.random.default_rng(0)
    pixels, mask = random_pixels(rng, shape, 2), rng.random(shape) < 0.9
    probabilities, valid = run(ArraySource(pixels, mask), IdentityEngine(2), Grid(shape))
    assert np.array_equal(valid, mask)
    assert np.abs(probabilities - pixels / 255)[mask].max(initial=0) <= 1e-6


@COUNT
@given(st.data(), SEEDS)
def test_an_identity_engine_reproduces_any_scene_on_any_grid(data, seed):
    grid = data.draw(GRIDS)
    rng = np.random.default_rng(seed)
    pixels, mask = random_pixels(rng, grid.scene_shape), random_mask(rng, grid.scene_shape)
    probabilities, valid = run(ArraySource(pixels, mask), IdentityEngine(), grid)
    assert np.array_equal(valid, mask)
    assert np.abs(probabilities - pixels / 255)[mask].max(initial=0) <= 1e-6


@COUNT
@given(st.data(), SEEDS, st.integers(1, 9), st.integers(1, 3), KERNELS)
def test_the_pipeline_equals_dense_stitching_bit_for_bit(data, seed, batch_size, streams, kernel):
    grid = data.draw(GRIDS)
    rng, engine = np.random.default_rng(seed), LocalEngine(bands=2, batch_size=batch_size, streams=streams)
    pixels, mask = random_pixels(rng, grid.scene_shape, 2), random_mask(rng, grid.scene_shape)
    probabilities, valid = run(ArraySource(pixels, mask), engine, grid, kernel=kernel)
    assert np.array_equal(valid, mask)
    assert np.array_equal(probabilities, dense(pixels, mask, grid, engine, kernel, neutral=128))


@COUNT
@given(st.data(), SEEDS, st.integers(1, 9), st.integers(1, 3), KERNELS)
def test_any_area_equals_the_whole_scene_bit_for_bit(data, seed, batch_size, streams, kernel):
    grid = data.draw(GRIDS)
    rng, engine = np.random.default_rng(seed), LocalEngine(batch_size=batch_size, streams=streams)
    source = ArraySource(random_pixels(rng, grid.scene_shape), random_mask(rng, grid.scene_shape))
    scene, known = run(source, LocalEngine(), grid, kernel=kernel)
    area = data.draw(windows(grid.scene_shape))
    probabilities, valid = run(source, engine, grid, area, kernel)
    assert np.array_equal(valid, known[area.within(whole(grid.scene_shape))])
    assert np.array_equal(probabilities, scene[area.within(whole(grid.scene_shape))])


@pytest.mark.parametrize("side", [1, 50, 100, 1000])
def test_chunks_equal_the_whole_scene_bit_for_bit(side):
    rng, grid = np.random.default_rng(5), Grid((230, 170), 64, 24, 8)
    source = ArraySource(random_pixels(rng, (230, 170)), rng.random((230, 170)) < 0.5)
    scene, _ = run(source, LocalEngine(), grid, kernel=5)
    joined = np.full_like(scene, -1)
    for area in grid.chunks(side):
        joined[area.within(whole((230, 170)))], _ = run(source, LocalEngine(), grid, area, 5)
    assert np.array_equal(joined, scene)


def test_the_scaling_is_applied_once_and_before_the_engine():
    pixels = random_pixels(np.random.default_rng(0), (90, 80), 1, "uint16")
    grid = Grid((90, 80), 32, 8, 8)
    probabilities, _ = run(ArraySource(pixels), IdentityEngine(), grid, scaling=Scaling(0, 65535))
    assert np.abs(probabilities - pixels / 65535).max() <= 1e-6


def test_stages_count_the_patches_that_were_computed_and_dead_ones_cost_nothing():
    grid, mask = Grid((200, 200), 32, 8, 8), np.zeros((200, 200), bool)
    stages = Stages()
    run(ArraySource(np.zeros((200, 200, 1), np.uint8), mask), IdentityEngine(), grid, stages=stages)
    assert stages.patches == 0
    mask[100, 100] = True
    run(ArraySource(np.zeros((200, 200, 1), np.uint8), mask), IdentityEngine(), grid, stages=stages)
    assert stages.patches == 4
    assert {"read", "infer", "stitch"} <= set(stages.seconds)


class Broken(ArraySource):
    """A source whose lower half cannot be read."""

    def read(self, window):
        if window.stop_row > 300:
            raise OSError("tile 7 is damaged")
        return super().read(window)


class Failing(IdentityEngine):
    """An engine that gives up after some calls."""

    def __init__(self, calls, streams=1):
        super().__init__(streams=streams)
        self.calls = calls

    def __call__(self, batch):
        self.calls -= 1
        if self.calls < 0:
            raise RuntimeError("out of memory on the device")
        return super().__call__(batch)


SCENE = np.zeros((600, 300, 1), np.uint8)
GRID = Grid((600, 300), 32, 8, 8)

streams = pytest.mark.parametrize("streams", [1, 3])


@streams
@pytest.mark.parametrize("readers", [1, 3])
def test_an_error_of_the_source_reaches_the_consumer_and_ends_the_threads(streams, readers):
    with pytest.raises(OSError, match="tile 7 is damaged"):
        run(Broken(SCENE), IdentityEngine(streams=streams), GRID, readers=readers)
    assert not workers()


@streams
@pytest.mark.parametrize("calls", [0, 7])
def test_an_error_of_the_engine_reaches_the_consumer_and_ends_the_threads(calls, streams):
    with pytest.raises(RuntimeError, match="out of memory on the device"):
        run(ArraySource(SCENE), Failing(calls, streams), GRID)
    assert not workers()


@pytest.mark.parametrize(("cores", "readers"), [(1, 1), (4, 1), (8, 2), (16, 4)])
def test_every_four_cores_that_there_are_when_it_begins_have_a_reader(monkeypatch, cores, readers):
    seen, read_patches = [], pipeline.read_patches

    def noting(*given, threads):
        seen.append(threads)
        return read_patches(*given, threads=threads)

    monkeypatch.setattr(pipeline, "read_patches", noting)
    monkeypatch.setattr(pipeline, "cores", lambda: cores)
    run(ArraySource(SCENE), IdentityEngine(), GRID)
    assert seen == [readers]


def test_strips_before_an_error_are_whole():
    rows = 0
    with pytest.raises(OSError, match="damaged"):
        for strip in segment(Broken(SCENE), IdentityEngine(), GRID):
            assert strip.valid.all()
            rows = strip.window.stop_row
    assert 0 < rows <= 300


@streams
@pytest.mark.parametrize("readers", [1, 3])
def test_closing_early_ends_the_threads(streams, readers):
    flow = segment(ArraySource(SCENE), IdentityEngine(streams=streams), GRID, readers=readers)
    next(flow)
    assert len(workers()) >= 2
    flow.close()
    assert not workers()


@streams
def test_an_error_of_the_consumer_ends_the_threads(streams):
    flow = segment(ArraySource(SCENE), IdentityEngine(streams=streams), GRID)
    next(flow)
    with pytest.raises(KeyboardInterrupt):
        flow.throw(KeyboardInterrupt)
    assert not workers()


def test_a_consumer_that_waits_stops_the_reader():
    reads = []

    class Counted(ArraySource):
        def read(self, window):
            reads.append(window)
            return super().read(window)

    flow = segment(Counted(np.zeros((9000, 40, 1), np.uint8)), IdentityEngine(), Grid((9000, 40), 32, 8, 8))
    next(flow)
    time.sleep(0.3)
    assert len(reads) < 60
    flow.close()


def test_nothing_runs_before_the_first_strip_is_asked_for():
    flow = segment(Broken(SCENE), Failing(0), GRID)
    assert not workers()
    flow.close()
