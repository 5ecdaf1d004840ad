from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.core.pyramid import halve

COUNT = settings(deadline=None, max_examples=100)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 2))
FEW = hnp.arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 1, 2, 3, 254, 255]))
FLOATS = hnp.arrays(np.float32, SHAPES, elements=st.sampled_from([0, 0.25, 0.5, 1, np.nan]))


def most_frequent(values):
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def mean(values):
    return sum(map(float, values)) / len(values)


def rounded_mean(values):
    return int(Fraction(sum(map(int, values)), len(values)) + Fraction(1, 2))


def slow_halve(rows, reduce, nodata):
    """Two by two pixels, one after the other; a pixel past the edge is the last one again."""
    height, width, bands = rows.shape
    half = np.zeros((-(-height // 2), -(-width // 2), bands), rows.dtype)
    for row, col, band in np.ndindex(half.shape):
        places = [(min(2 * row + i, height - 1), min(2 * col + j, width - 1)) for i in (0, 1) for j in (0, 1)]
        values = [rows[r, c, band] for r, c in places]
        data = [value for value in values if value != nodata and not np.isnan(value)]
        half[row, col, band] = reduce(data) if data else nodata
    return half


@COUNT
@given(FEW)
def test_mode_takes_the_most_frequent_value_and_the_lowest_of_a_tie(rows):
    half = halve(rows, "mode", 255)
    assert half.dtype == np.uint8
    assert np.array_equal(half, slow_halve(rows, most_frequent, 255))


@COUNT
@given(FEW)
def test_average_of_bytes_is_the_mean_of_those_with_data_rounded_half_up(rows):
    half = halve(rows, "average", 255)
    assert half.dtype == np.uint8
    assert np.array_equal(half, slow_halve(rows, rounded_mean, 255))


@COUNT
@given(FLOATS)
def test_average_of_floats_is_the_mean_of_those_with_data(rows):
    half = halve(rows, "average", np.nan)
    assert half.dtype == np.float32
    assert np.allclose(half, slow_halve(rows, mean, np.nan), atol=1e-7, equal_nan=True)


@pytest.mark.parametrize("reduction", ["mode", "average"])
@settings(deadline=None, max_examples=40)
@given(FEW, st.integers(0, 4))
def test_halving_part_by_part_equals_halving_at_once(reduction, rows, pairs):
    parts = [part for part in (rows[: 2 * pairs], rows[2 * pairs :]) if len(part)]
    joined = np.concatenate([halve(part, reduction, 255) for part in parts])
    assert np.array_equal(joined, halve(rows, reduction, 255))


def test_the_rows_are_left_as_they_are():
    rows = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)[::-1]
    before = rows.copy()
    halve(rows, "mode", 255)
    assert np.array_equal(rows, before)


@pytest.mark.parametrize("reduction", ["mode", "average"])
@COUNT
@given(FEW)
def test_the_order_of_rows_in_memory_does_not_matter(reduction, rows):
    banded = np.moveaxis(np.ascontiguousarray(np.moveaxis(rows, -1, 0)), 0, -1)
    assert np.array_equal(halve(banded, reduction, 255), halve(rows, reduction, 255))
