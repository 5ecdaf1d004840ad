import numpy as np
import pytest
from core_scenes import SEEDS, SHAPES, grids, random_mask, random_pixels, reflected, windows
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geoseg.core.filters import FILL_REACH, NoFilter, median_blur
from geoseg.core.grid import Grid
from geoseg.core.patches import RUN, ArraySource, read_clean, read_patches, read_reflected, reflect
from geoseg.core.window import Window, whole

KERNELS = st.sampled_from([0, 3, 5, 7])
SIDE = st.integers(1, 300)
NODATA = [("uint8", 0), ("uint8", 255), ("uint16", 65535), ("int16", -9999), ("float32", -9999)]
NODATA += [("float32", np.nan), ("float64", np.nan), ("float32", np.inf), ("float32", 3.4e38)]


def clean(pixels, mask, kernel=0):
    """The whole scene read at once."""
    return read_clean(ArraySource(pixels, mask), whole(mask.shape), median_blur(kernel))


def check_window(pixels, mask, window, kernel=0):
    """A window read alone is cut from the whole scene as it was read at once."""
    scene, known = clean(pixels, mask, kernel)
    cut, valid = read_clean(ArraySource(pixels, mask), window, median_blur(kernel))
    place = window.within(whole(mask.shape))
    assert np.array_equal(valid, known[place])
    assert np.array_equal(cut, scene[place])


@settings(deadline=None, max_examples=800)
@given(st.data(), SEEDS, st.tuples(SIDE, SIDE), KERNELS)
def test_any_window_reads_the_same_pixels_as_the_whole_scene(data, seed, shape, kernel):
    rng = np.random.default_rng(seed)
    pixels, mask = random_pixels(rng, shape, 2), random_mask(rng, shape)
    window = data.draw(windows(shape))
    if mask[window.within(whole(shape))].any():
        check_window(pixels, mask, window, kernel)


@settings(deadline=None, max_examples=60)
@given(st.data(), SEEDS, st.tuples(st.integers(1, 120), st.integers(1, 120)), KERNELS)
def test_a_window_without_valid_pixels_reads_as_zero(data, seed, shape, kernel):
    rng = np.random.default_rng(seed)
    pixels, mask = random_pixels(rng, shape), random_mask(rng, shape)
    window = data.draw(windows(shape))
    mask[window.within(whole(shape))] = False
    read, valid = read_clean(ArraySource(pixels, mask), window, median_blur(kernel))
    assert read.shape[:2] == window.shape
    assert not read.any()
    assert not valid.any()


@pytest.mark.parametrize("kernel", [0, 7])
@pytest.mark.parametrize(
    "gap", [2 * FILL_REACH - 3, 2 * FILL_REACH - 2, 2 * FILL_REACH, 2 * FILL_REACH + 1, 90]
)
def test_a_wide_gap_is_filled_alike_from_wherever_it_is_read(gap, kernel):
    width = gap + 10
    pixels = random_pixels(np.random.default_rng(1), (30, width))
    mask = np.ones((30, width), bool)
    mask[:, 1 : gap + 1] = False
    for start in range(gap + 2):
        window = Window(3, start, 20, gap + 2 - start)
        mirrored = Window(3, width - window.stop_col, *window.shape)
        turned = Window(window.col, window.row, window.width, window.height)
        check_window(pixels, mask, window, kernel)
        check_window(pixels[:, ::-1], mask[:, ::-1], mirrored, kernel)
        check_window(pixels.swapaxes(0, 1), mask.T, turned, kernel)


@settings(deadline=None, max_examples=80)
@given(st.data(), st.sampled_from([2, 3, 4, 6, 10, 16, 40]), KERNELS)
def test_ties_between_equally_near_pixels_are_decided_alike_in_every_window(data, pitch, kernel):
    shape = (150, 130)
    mask = np.zeros(shape, bool)
    mask[::pitch, ::pitch] = True
    window = data.draw(windows(shape))
    if mask[window.within(whole(shape))].any():
        check_window(random_pixels(np.random.default_rng(pitch), shape), mask, window, kernel)


@pytest.mark.parametrize(("dtype", "nodata"), NODATA)
@settings(deadline=None, max_examples=8)
@given(st.data(), SEEDS, SHAPES, KERNELS)
def test_the_nodata_value_never_leaks(dtype, nodata, data, seed, shape, kernel):
    rng = np.random.default_rng(seed)
    mask, window = random_mask(rng, shape), data.draw(windows(shape))
    pixels = rng.integers(1, 200, (*shape, 2)).astype(dtype)
    allowed = np.append(np.unique(pixels[mask]), 0)
    pixels[~mask] = nodata
    read, valid = read_clean(ArraySource(pixels, mask), window, median_blur(kernel))
    if valid.any():
        assert np.isin(read, allowed).all()


@pytest.mark.parametrize(("dtype", "nodata"), NODATA)
def test_the_nodata_value_never_leaks_from_a_window_without_data(dtype, nodata):
    mask = np.zeros((100, 100), bool)
    mask[:, :10] = True
    pixels = np.where(mask, 7, nodata)[..., None].astype(dtype)
    read, valid = read_clean(ArraySource(pixels, mask), Window(0, 50, 20, 20), NoFilter())
    assert not valid.any()
    assert np.isin(read, [0, 7]).all()


@settings(deadline=None, max_examples=80)
@given(st.data(), SEEDS, SHAPES, KERNELS)
def test_patches_do_not_depend_on_what_lies_under_invalid_pixels(data, seed, shape, kernel):
    rng = np.random.default_rng(seed)
    mask = random_mask(rng, shape)
    pixels = rng.uniform(0, 255, (*shape, 1)).astype("float32")
    other = np.where(mask[..., None], pixels, np.float32(data.draw(st.sampled_from([np.nan, -9999, 65535]))))
    grid, filter_ = data.draw(grids(shapes=st.just(shape))), median_blur(kernel)
    pairs = [read_patches(ArraySource(each, mask), grid, filter_=filter_) for each in (pixels, other)]
    for a, b in zip(*pairs, strict=True):
        assert a.index == b.index
        assert np.array_equal(a.pixels, b.pixels)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 40), st.integers(-130, 130), st.integers(1, 130))
@example(1, -3, 9)
@example(2, -7, 20)
@example(3, -7, 20)
def test_reflection_is_that_of_numpy_pad(length, start, count):
    padded = np.pad(np.arange(length), (130, 260), mode="reflect")
    assert np.array_equal(reflect(start, start + count, length), padded[start + 130 : start + 130 + count])


@settings(deadline=None, max_examples=60)
@given(st.data(), SEEDS, st.tuples(st.integers(1, 12), st.integers(1, 12)), st.sampled_from([0, 3, 5]))
def test_a_window_outside_the_scene_reads_the_padded_scene(data, seed, shape, kernel):
    rng = np.random.default_rng(seed)
    pixels, mask = random_pixels(rng, shape), rng.random(shape) < 0.7
    place, side = st.integers(-30, 30), st.integers(1, 30)
    window = Window(*(data.draw(each) for each in (place, place, side, side)))
    scene, known = clean(pixels, mask, kernel)
    moved = np.s_[window.row + 30 : window.stop_row + 30, window.col + 30 : window.stop_col + 30]
    wanted = np.pad(known, ((30, 60), (30, 60)), mode="reflect")[moved]
    read, valid = read_reflected(ArraySource(pixels, mask), window, median_blur(kernel))
    assert np.array_equal(valid, wanted)
    if valid.any():
        assert np.array_equal(read, np.pad(scene, ((30, 60), (30, 60), (0, 0)), mode="reflect")[moved])


@settings(deadline=None, max_examples=60)
@given(st.data(), SEEDS, KERNELS)
def test_patches_are_cut_from_the_padded_scene_and_dead_ones_left_out(data, seed, kernel):
    grid = data.draw(grids())
    rng = np.random.default_rng(seed)
    pixels, mask = random_pixels(rng, grid.scene_shape), random_mask(rng, grid.scene_shape)
    scene, known = (reflected(each, grid) for each in clean(pixels, mask, kernel))
    patches = list(read_patches(ArraySource(pixels, mask), grid, filter_=median_blur(kernel)))
    alive = [i for i in np.ndindex(grid.shape) if mask[grid.support(i).within(whole(mask.shape))].any()]
    assert [patch.index for patch in patches] == alive
    for patch in patches:
        rows, cols = (slice(k * grid.step, k * grid.step + grid.size) for k in patch.index)
        assert np.array_equal(patch.pixels, scene[rows, cols])
        assert np.array_equal(patch.valid, known[rows, cols])


def test_a_scene_wider_than_a_run_is_cut_alike():
    pixels = random_pixels(np.random.default_rng(2), (40, 9000))
    grid = Grid((40, 9000), 64, 16, 16)
    padded = reflected(pixels, grid)
    patches = list(read_patches(ArraySource(pixels), grid))
    assert len(patches) == len(grid) > 4096 // grid.step
    for patch in patches:
        left = patch.index[1] * grid.step
        assert np.array_equal(patch.pixels, padded[:64, left : left + 64])


class Watched:
    """A scene that notes what is read of it."""

    def __init__(self, pixels):
        self.scene, self.windows = ArraySource(pixels), []
        self.shape, self.bands, self.complete = self.scene.shape, self.scene.bands, True

    def read(self, window):
        self.windows.append(window)
        return self.scene.read(window)


def test_patches_are_read_in_runs_that_hold_no_more_than_they_need():
    source = Watched(np.ones((40, 9000, 1), np.uint8))
    grid = Grid((40, 9000), 64, 16, 16)
    assert len(list(read_patches(source, grid))) == len(grid)
    runs = source.windows
    assert 1 < len(runs) < 5
    assert all(run.width <= RUN for run in runs)
    assert sum(run.width for run in runs) == 9000 + (len(runs) - 1) * grid.overlap


def test_threads_cut_the_same_patches_in_the_same_order():
    rng = np.random.default_rng(3)
    source = ArraySource(random_pixels(rng, (400, 9000)), random_mask(rng, (400, 9000)))
    grid = Grid((400, 9000), 64, 16, 16)
    alone, together = (list(read_patches(source, grid, None, median_blur(3), threads=n)) for n in (1, 4))
    assert [patch.index for patch in alone] == [patch.index for patch in together]
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.pixels, other.pixels) and np.array_equal(one.valid, other.valid)


def test_far_from_data_a_patch_is_nought_unless_it_is_told_otherwise():
    pixels, mask = np.full((300, 300, 1), 7, np.uint8), np.zeros((300, 300), bool)
    mask[:4, :4] = True
    source, grid = ArraySource(pixels, mask), Grid((300, 300), 304, 0, 16)
    (patch,) = read_patches(source, grid)
    (grey,) = read_patches(source, grid, neutral=128)
    assert (patch.pixels[0, 0, 0], patch.pixels[290, 290, 0], grey.pixels[290, 290, 0]) == (7, 0, 128)
    read, _ = read_reflected(source, Window(-5, -5, 310, 310), NoFilter())
    assert (read[5, 5, 0], read[295, 295, 0]) == (7, 0)


def test_an_array_source_hands_out_copies():
    pixels, mask = np.ones((5, 5, 1), np.uint8), np.ones((5, 5), bool)
    source = ArraySource(pixels, mask)
    assert (source.shape, source.bands) == ((5, 5), 1)
    read, valid = source.read(Window(1, 1, 2, 3))
    read[:], valid[:] = 9, False
    assert (pixels == 1).all()
    assert mask.all()
