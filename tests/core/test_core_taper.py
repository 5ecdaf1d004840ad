from itertools import pairwise

import numpy as np
import pytest
from core_scenes import grids
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.core.grid import Axis, Grid
from geoseg.core.taper import axis_weights, ramp

COUNT = settings(deadline=None, max_examples=200)


def total(axis):
    """The sum of all weights at each pixel of the scene, pixel by pixel."""
    sums = np.zeros(axis.length)
    for i, row in enumerate(axis_weights(axis)):
        for k, weight in enumerate(row):
            pixel = axis.origin(i) + k
            if 0 <= pixel < axis.length:
                sums[pixel] += weight
    return sums


@COUNT
@given(grids())
def test_weights_sum_to_one_at_every_pixel(grid):
    rows, cols = total(grid.rows), total(grid.cols)
    assert np.abs(np.outer(rows, cols) - 1).max() <= 1e-6


@pytest.mark.parametrize("shape", [(1, 1), (100, 100), (300, 300), (300, 2000), (2001, 1999)])
@pytest.mark.parametrize(
    "numbers", [(256, 64, 16), (256, 0, 16), (256, 192, 16), (1024, 224, 16), (64, 63, 1)]
)
def test_weights_sum_to_one_for_the_scenes_of_the_first_law(shape, numbers):
    grid = Grid(shape, *numbers)
    assert np.abs(np.outer(total(grid.rows), total(grid.cols)) - 1).max() <= 1e-6


@COUNT
@given(grids())
def test_weights_are_positive_on_the_support_and_a_halo_weighs_nothing(grid):
    for axis in (grid.rows, grid.cols):
        for i, row in enumerate(axis_weights(axis)):
            start, stop = (pixel - axis.origin(i) for pixel in axis.support(i))
            assert row[start:stop].min() > 0
            assert not row[: axis.lead].any()
            assert not row[axis.size - axis.lead :].any()


def test_blended_weights_are_a_hann_slope_sampled_at_half_pixels():
    axis = Axis(length=600, size=256, step=192)
    first, second, _ = axis_weights(axis)
    slope = [(1 - np.cos(np.pi * (k + 0.5) / 64)) / 2 for k in range(64)]
    assert np.allclose(second[:64], slope, atol=1e-7)
    assert np.allclose(first[192:], slope[::-1], atol=1e-7)
    assert (first[:192] == 1).all()
    assert (second[64:192] == 1).all()


def test_cropped_weights_are_one_in_the_core():
    weights = axis_weights(Grid.cropped((100, 100), 32, 8, 4).rows)
    assert weights.shape == (7, 32)
    assert (weights[:, 8:24] == 1).all()


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300))
def test_a_ramp_and_its_mirror_sum_to_one_and_it_rises(overlap):
    rising = ramp(overlap)
    assert np.allclose(rising + rising[::-1], 1, atol=1e-15)
    assert (np.diff(rising) > 0).all()
    assert 0 < rising[0] <= rising[-1] < 1


@pytest.mark.parametrize(("length", "size", "overlap"), [(100, 16, 4), (70, 32, 16), (33, 16, 1)])
def test_neighbours_fade_into_each_other_along_the_whole_ramp(length, size, overlap):
    axis = Grid((length, size), size, overlap, 1).rows
    weights = axis_weights(axis)
    assert axis.count > 2
    for before, after in pairwise(weights):
        np.testing.assert_allclose(after[:overlap], ramp(overlap), atol=1e-6)
        np.testing.assert_allclose(before[-overlap:], ramp(overlap)[::-1], atol=1e-6)
    assert (weights[0, :-overlap] == 1).all() and (weights[-1, overlap:] == 1).all()
