"""What cropping by too small a halo costs, against slices taken one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.core.halo import halo_errors


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 3), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_each_halo_has_the_errors_of_what_it_leaves(step, rings, classes, share, seed):
    rng, size = np.random.default_rng(seed), 2 * step * rings
    patch, exact = rng.random((2, size, size, classes), np.float32)
    valid, flipped = rng.random((size, size)) < share, rng.random((size, size)) < 0.3
    found = halo_errors(patch, exact, valid, flipped, step)
    assert len(found.largest) == len(found.flipped) == len(found.pixels) == rings
    for k in range(rings):
        left = np.s_[k * step : size - k * step, k * step : size - k * step]
        difference = np.abs(patch - exact)[left][valid[left]]
        assert found.largest[k] == (difference.max() if difference.size else 0)
        assert found.flipped[k] == (flipped & valid)[left].sum()
        assert found.pixels[k] == valid[left].sum()


def test_errors_of_two_patches_are_those_of_their_pixels_together():
    rng, everywhere = np.random.default_rng(0), np.ones((12, 12), bool)
    near, far = rng.random((2, 12, 12, 1), np.float32)
    one = halo_errors(near, far, everywhere, everywhere, 3)
    other = halo_errors(near, near, everywhere, ~everywhere, 3)
    both = one + other
    assert np.array_equal(both.largest, one.largest)
    assert np.array_equal(both.flipped, [144, 36])
    assert np.array_equal(both.pixels, [288, 72])
