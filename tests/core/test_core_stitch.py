from itertools import pairwise

import numpy as np
import pytest
from core_scenes import SEEDS, LocalEngine, assembled, dense, grids, random_mask, random_pixels, windows
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geoseg.core.batching import batches
from geoseg.core.filters import median_blur
from geoseg.core.grid import Grid
from geoseg.core.patches import ArraySource, read_patches
from geoseg.core.stitch import Prediction, stitch
from geoseg.core.window import whole

COUNT = settings(deadline=None, max_examples=100)
SIDES = st.tuples(st.integers(1, 110), st.integers(1, 110))
GRIDS = grids(shapes=SIDES).filter(lambda grid: len(grid) <= 200)  # for speed
LAW_ONE = [(1, 1), (100, 100), (300, 300), (300, 2000), (2001, 1999)]


def predictions(source, grid, engine, area=None, kernel=0):
    for patch in read_patches(source, grid, area, median_blur(kernel)):
        yield Prediction(patch.index, engine.answer(patch.pixels), patch.valid)


def stitched(source, grid, engine, area=None, kernel=0):
    found = predictions(source, grid, engine, area, kernel)
    return assembled(stitch(found, grid, engine.classes, area), area or whole(grid.scene_shape))


def ones(grid):
    valid = np.ones((grid.size, grid.size), bool)
    blank = np.ones((grid.size, grid.size, 1), np.float32)
    return (Prediction(index, blank, valid) for index in np.ndindex(grid.shape))


@pytest.mark.parametrize("grid", [
    *(Grid(shape) for shape in LAW_ONE),
    *(Grid(shape, 256, 192, 16) for shape in LAW_ONE),
    *(Grid.cropped(shape, 256, 48, 16) for shape in LAW_ONE),
], ids=str)  # fmt: skip
def test_every_pixel_has_a_value_whatever_the_shape_of_the_scene(grid):
    probabilities, valid = assembled(stitch(ones(grid), grid, 1), whole(grid.scene_shape))
    assert valid.all()
    assert np.abs(probabilities - 1).max() <= 1e-6


@COUNT
@given(st.data(), SEEDS, st.sampled_from([0, 3, 5, 7]))
def test_streaming_equals_dense_stitching_bit_for_bit(data, seed, kernel):
    grid = data.draw(GRIDS)
    rng, engine = np.random.default_rng(seed), LocalEngine()
    pixels, mask = random_pixels(rng, grid.scene_shape), random_mask(rng, grid.scene_shape)
    probabilities, valid = stitched(ArraySource(pixels, mask), grid, engine, kernel=kernel)
    assert np.array_equal(valid, mask)
    assert np.array_equal(probabilities, dense(pixels, mask, grid, engine, kernel))


@COUNT
@given(st.data(), SEEDS, st.sampled_from([0, 3, 5, 7]))
def test_any_area_equals_the_whole_scene_bit_for_bit(data, seed, kernel):
    grid = data.draw(GRIDS)
    rng, engine = np.random.default_rng(seed), LocalEngine()
    source = ArraySource(random_pixels(rng, grid.scene_shape), random_mask(rng, grid.scene_shape))
    scene, known = stitched(source, grid, engine, kernel=kernel)
    for area in (data.draw(windows(grid.scene_shape)), data.draw(windows(grid.scene_shape))):
        place = area.within(whole(grid.scene_shape))
        probabilities, valid = stitched(source, grid, engine, area, kernel)
        assert np.array_equal(valid, known[place])
        assert np.array_equal(probabilities, scene[place])


@settings(deadline=None, max_examples=60)
@given(st.data(), SEEDS, st.integers(20, 120), st.sampled_from([0, 3, 5, 7]))
def test_chunks_equal_the_whole_scene_bit_for_bit(data, seed, side, kernel):
    grid = data.draw(GRIDS)
    rng, engine = np.random.default_rng(seed), LocalEngine()
    source = ArraySource(random_pixels(rng, grid.scene_shape), random_mask(rng, grid.scene_shape))
    scene, known = stitched(source, grid, engine, kernel=kernel)
    joined, joined_valid = np.full_like(scene, -1), ~known
    for area in grid.chunks(side):
        place = area.within(whole(grid.scene_shape))
        joined[place], joined_valid[place] = stitched(source, grid, engine, area, kernel)
    assert np.array_equal(joined, scene)
    assert np.array_equal(joined_valid, known)


def test_missing_patches_are_invalid():
    grid = Grid((60, 60), 32, 8, 8)
    kept = [p for p in ones(grid) if p.index[0] != 1]
    probabilities, valid = assembled(stitch(kept, grid, 1), whole((60, 60)))
    assert valid[:32].all()
    assert not valid[32:48].any()
    assert valid[48:].all()
    assert (
        probabilities[48].max() < 0.1
    )  # the share of the patch above is missing, and nothing is in its place


def test_nothing_predicted_is_a_scene_without_data():
    probabilities, valid = assembled(stitch([], Grid((50, 70), 32, 8, 8), 3), whole((50, 70)))
    assert probabilities.shape == (50, 70, 3)
    assert not valid.any()
    assert not probabilities.any()


def test_a_strip_is_handed_out_as_soon_as_its_rows_are_finished():
    grid, taken = Grid((400, 50), 32, 8, 8), []

    def watched():
        for prediction in ones(grid):
            taken.append(prediction.index[0])
            yield prediction

    for strip in stitch(watched(), grid, 1):
        assert taken[-1] <= strip.window.row // grid.step + 1


def test_a_strip_is_not_changed_by_those_that_follow():
    strips = list(stitch(ones(Grid((300, 50), 32, 24, 8)), Grid((300, 50), 32, 24, 8), 1))
    assert all((strip.probabilities > 0.99).all() for strip in strips)
    assert not any(np.shares_memory(a.probabilities, b.probabilities) for a, b in pairwise(strips))


class Pooled(LocalEngine):
    """Convolve, average 4 × 4 blocks, convolve, enlarge again: finite context, stride 4."""

    stride, halo = 4, 20

    def answer(self, patch):
        fine = super().answer(patch)
        height, width, classes = fine.shape
        blocks = fine.reshape(height // 4, 4, width // 4, 4, classes).mean((1, 3), dtype=np.float64)
        kernel = np.random.default_rng(3).normal(size=(9, 9, 1)) / 5
        coarse = ndimage.correlate(blocks, kernel, mode="constant")
        return (coarse.repeat(4, 0).repeat(4, 1) + fine).astype(np.float32)


ENGINES = [LocalEngine(wave=0.0), Pooled(wave=0.0)]


def untiled(pixels, halo, engine):
    """One pass over the whole scene, reflected by one halo on every side and up to the stride."""
    after = [halo + -(length + 2 * halo) % engine.stride for length in pixels.shape[:2]]
    padded = np.pad(pixels, [(halo, after[0]), (halo, after[1]), (0, 0)], mode="reflect")
    return engine.answer(padded)[halo:, halo:][: pixels.shape[0], : pixels.shape[1]]


@pytest.mark.parametrize("engine", ENGINES, ids=["stride 1", "stride 4"])
@settings(deadline=None, max_examples=40)
@given(SEEDS, SIDES, st.integers(0, 5), st.integers(3, 20))
def test_exact_mode_equals_one_pass_over_the_whole_scene(engine, seed, shape, extra, cores):
    halo = engine.halo + extra * engine.stride
    pixels = random_pixels(np.random.default_rng(seed), shape)
    grid = Grid.cropped(shape, 2 * halo + cores * engine.stride, halo, engine.stride)
    probabilities, _ = stitched(ArraySource(pixels), grid, engine)
    wanted = untiled(pixels, halo, engine)
    assert np.abs(probabilities - wanted).max() <= 1e-6


@pytest.mark.parametrize("engine", ENGINES, ids=["stride 1", "stride 4"])
def test_less_than_the_halo_is_not_exact(engine):
    halo = engine.halo - engine.stride
    pixels = random_pixels(np.random.default_rng(0), (90, 90))
    grid = Grid.cropped((90, 90), 2 * halo + 4 * engine.stride, halo, engine.stride)
    probabilities, _ = stitched(ArraySource(pixels), grid, engine)
    assert np.abs(probabilities - untiled(pixels, halo, engine)).max() > 1e-6


def test_patches_keep_their_places_in_a_batch():
    grid = Grid((60, 70), 32, 8, 8)
    source = ArraySource(random_pixels(np.random.default_rng(0), (60, 70), 2))
    for size in (1, 2, 5, 100):
        for batch in batches(read_patches(source, grid), size):
            assert batch.pixels.shape == (size, 32, 32, 2)
            assert all(np.array_equal(p.pixels, x) for p, x in zip(batch.patches, batch.pixels, strict=False))
