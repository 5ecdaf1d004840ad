import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from geoseg.core import blocks
from geoseg.core.bands import with_margin
from geoseg.core.blocks import BlockCounts, chi_square_test, ks_test
from geoseg.core.metrics import Confusion

CLASSES = 3
COUNT = settings(deadline=None, max_examples=60)
SIDES = hnp.arrays(np.uint8, (2, 23, 17), elements=st.sampled_from([0, 1, 2, 255]))
SHARES = hnp.arrays(np.float64, st.integers(2, 25), elements=st.integers(0, 64).map(lambda n: n / 64))


@COUNT
@given(SIDES, st.integers(1, 30), st.lists(st.integers(0, 23), max_size=4))
def test_blocks_counted_strip_by_strip_equal_blocks_counted_alone(sides, block, cuts):
    counts = BlockCounts(sides.shape[1:], CLASSES, block)
    edges = [0, *sorted(cuts), 23]
    for start, stop in pairwise(edges):
        counts.add(start, *sides[:, start:stop])
    for i, j in np.ndindex(*counts.counts.shape[:2]):
        alone = Confusion(CLASSES)
        alone.add(*sides[:, i * block : (i + 1) * block, j * block : (j + 1) * block])
        assert np.array_equal(counts.counts[i, j], alone.counts)
    whole = Confusion(CLASSES)
    whole.add(*sides)
    assert np.array_equal(counts.total.counts, whole.counts)


def test_shares_are_of_compared_pixels_in_blocks_at_least_half_compared():
    truth, predicted = np.zeros((2, 8, 12), np.uint8)
    truth[:4, :4], truth[:, 8:], predicted[:2, :4] = 1, 255, 1
    truth[4:, 4:8] = [255, 255, 1, 0]  # just half
    truth[0, 8:11] = 1  # too few
    counts = BlockCounts((8, 12), 2, 4)
    counts.add(0, truth, predicted)
    true, found = counts.shares(1)
    assert true.tolist() == [1, 0, 0, 0.5]
    assert found.tolist() == [0.5, 0, 0, 0]


@pytest.mark.parametrize("shape", [(3, 4), (200, 90)])
def test_tiles_hold_every_count_and_are_not_many(shape):
    counts = BlockCounts(shape, 2, 1)
    counts.add(0, *np.random.default_rng(0).integers(0, 2, (2, *shape), np.uint8))
    assert len(counts.tiles()) <= 4300
    assert np.array_equal(counts.tiles().sum(0), counts.total.counts)


def test_a_tile_of_a_very_large_scene_is_a_square_of_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "TILES", 10)
    counts = BlockCounts((12, 9), 2, 1)
    truth = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9) % 7 // 4
    counts.add(0, truth, truth)
    side = 4  # the least square of which 10 or fewer fill 12 × 9, rounded up: √(108 / 10) = 3.3
    wanted = [truth[i : i + side, j : j + side].sum() for i in range(0, 12, side) for j in range(0, 9, side)]
    assert counts.tiles()[:, 1, 1].tolist() == wanted


@settings(deadline=None, max_examples=25)
@given(SHARES, st.integers(0, 99))
def test_tests_equal_a_direct_call_of_scipy(true, seed):
    predicted = np.random.default_rng(seed).integers(0, 64, len(true)) / 64
    wanted = stats.ks_2samp(true, predicted)
    got = ks_test(true, predicted)
    assert (got.statistic, got.p, got.blocks) == (wanted.statistic, wanted.pvalue, len(true))
    table = np.stack([np.histogram(side, 10, (0, 1))[0] for side in (true, predicted)])
    table = table[:, table.sum(0) > 0]
    got = chi_square_test(true, predicted)
    if table.shape[1] < 2:
        assert math.isnan(got.p) and "one of the ten bins" in got.reason
    else:
        assert (got.statistic, got.p) == pytest.approx(stats.chi2_contingency(table)[:2])


@pytest.mark.parametrize("test", [ks_test, chi_square_test])
def test_one_block_is_too_few(test):
    got = test(np.array([0.5]), np.array([0.4]))
    assert math.isnan(got.statistic) and math.isnan(got.p)
    assert "got 1" in got.reason


@COUNT
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 12))
def test_every_row_comes_once_with_its_context(heights, margin):
    rows = np.arange(sum(heights))[:, None] * np.ones((1, 2), int)
    strips = [np.stack([strip, strip]) for strip in np.split(rows, np.cumsum(heights)[:-1])]  # of two masks
    seen = []
    for both, core in with_margin(strips, margin):
        held = both[1]
        assert len(held) <= max(heights) + 2 * margin
        first, last = held[core][0, 0], held[core][-1, 0]
        seen += held[core][:, 0].tolist()
        assert held[0, 0] <= max(0, first - margin)
        assert held[-1, 0] >= min(len(rows) - 1, last + margin)
    assert seen == rows[:, 0].tolist()


def test_shares_that_fall_into_one_bin_cannot_be_tested():
    got = chi_square_test(np.array([0.51, 0.52, 0.53]), np.array([0.54, 0.55, 0.56]))
    assert math.isnan(got.p) and "one of the ten bins" in got.reason
