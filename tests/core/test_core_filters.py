import numpy as np
import pytest
from core_scenes import SEEDS, random_mask, random_pixels, windows
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geoseg.core.filters import FILL_REACH, MedianBlur, NoFilter, fill_invalid, median_blur
from geoseg.core.patches import ArraySource, read_clean
from geoseg.errors import FilterError

DTYPES = ["uint8", "uint16", "int16", "int32", "float32", "float64"]
COUNT = settings(deadline=None, max_examples=30)


def oracle(pixels, kernel):
    """The blur of the whole scene, band by band."""
    bands = [
        ndimage.median_filter(pixels[..., b], size=kernel, mode="nearest") for b in range(pixels.shape[-1])
    ]
    return np.stack(bands, -1)


def chamfer(rows, cols):
    """Length of a path of unit, diagonal (1.4) and knight's (2.1969) steps, in closed form."""
    long, short = np.maximum(abs(rows), abs(cols)), np.minimum(abs(rows), abs(cols))
    flat = 2.1969 * short + (long - 2 * short)
    steep = 2.1969 * (long - short) + 1.4 * (2 * short - long)
    return np.where(2 * short <= long, flat, steep)


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=12)
@given(st.data(), SEEDS, st.tuples(st.integers(1, 40), st.integers(1, 40)), st.integers(1, 4))
def test_blur_then_cut_equals_cut_then_blur(dtype, kernel, data, seed, shape, bands):
    pixels = random_pixels(np.random.default_rng(seed), shape, bands, dtype)
    window = data.draw(windows(shape))
    cut, valid = read_clean(ArraySource(pixels), window, median_blur(kernel))
    rows, cols = slice(window.row, window.stop_row), slice(window.col, window.stop_col)
    assert cut.dtype == pixels.dtype
    assert valid.all()
    assert np.array_equal(cut, oracle(pixels, kernel)[rows, cols])


def test_a_kernel_of_nine_is_blurred_too():
    pixels = random_pixels(np.random.default_rng(3), (30, 20), 2, "uint16")
    assert np.array_equal(median_blur(9)(pixels, np.ones((30, 20), bool)), oracle(pixels, 9))


@pytest.mark.parametrize("kernel", [0, 1])
def test_no_kernel_means_no_filter(kernel):
    pixels = random_pixels(np.random.default_rng(3), (5, 6))
    assert median_blur(kernel) == NoFilter()
    assert np.array_equal(median_blur(kernel)(pixels, np.ones((5, 6), bool)), pixels)


@pytest.mark.parametrize("kernel", [2, 4, 6, 100])
def test_an_even_kernel_is_refused(kernel):
    with pytest.raises(FilterError, match=f"odd number from 3 up, or 0 for none; got {kernel}"):
        median_blur(kernel)


@pytest.mark.parametrize("kernel", [1, -3])
def test_a_median_smaller_than_three_is_refused(kernel):
    with pytest.raises(FilterError, match=f"got {kernel}"):
        MedianBlur(kernel)


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_margin_is_half_the_kernel(kernel):
    assert median_blur(kernel).margin == kernel // 2


@settings(deadline=None, max_examples=60)
@given(SEEDS, st.tuples(st.integers(1, 60), st.integers(1, 60)))
def test_fill_mirrors_at_a_nearest_valid_pixel_and_is_neutral_past_its_reach(seed, shape):
    rng = np.random.default_rng(seed)
    mask = rng.random(shape) < rng.choice([0.001, 0.02, 0.6])
    pixels = 1 + np.arange(mask.size, dtype=np.int32).reshape(*shape, 1)  # all differ, so values tell places
    filled = fill_invalid(pixels, mask, neutral=-7)[..., 0]
    places = np.argwhere(mask)
    for row, col in np.argwhere(~mask):
        distances = chamfer(places[:, 0] - row, places[:, 1] - col)
        least = distances.min(initial=np.inf)
        if least > FILL_REACH + 1e-3:
            assert filled[row, col] == -7
        else:
            nearest = places[distances < least + 1e-3]
            assert filled[row, col] in {mirrored(mask, (row, col), place) for place in nearest}


def mirrored(mask, here, place):
    """The number of the pixel as far behind `place` as `here` is before it, or of `place` itself."""
    row, col = 2 * place - here
    inside = 0 <= row < mask.shape[0] and 0 <= col < mask.shape[1]
    row, col = (row, col) if inside and mask[row, col] else place
    return 1 + row * mask.shape[1] + col


@COUNT
@given(SEEDS, st.tuples(st.integers(1, 80), st.integers(1, 80)), st.sampled_from(DTYPES))
def test_fill_leaves_valid_pixels_as_they_are_and_the_input_untouched(seed, shape, dtype):
    rng = np.random.default_rng(seed)
    pixels, mask = random_pixels(rng, shape, 3, dtype), random_mask(rng, shape)
    before = pixels.copy()
    filled = fill_invalid(pixels, mask)
    assert np.array_equal(filled[mask], pixels[mask])
    assert np.array_equal(pixels, before)
    assert (filled.dtype, filled.shape) == (pixels.dtype, pixels.shape)


def test_fill_costs_nothing_when_all_pixels_are_valid():
    pixels = random_pixels(np.random.default_rng(0), (4, 4))
    assert fill_invalid(pixels, np.ones((4, 4), bool)) is pixels


@pytest.mark.parametrize("value", [np.nan, 65535, -9999])
def test_a_scene_without_a_valid_pixel_is_filled_with_zeros(value):
    filled = fill_invalid(np.full((40, 50, 2), value, np.float64), np.zeros((40, 50), bool))
    assert filled.shape == (40, 50, 2)
    assert not filled.any()
