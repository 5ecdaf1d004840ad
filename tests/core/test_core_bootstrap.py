"""Percentile bootstrap by tile."""

import numpy as np
import pytest

from geoseg.core.bootstrap import bootstrap_interval
from geoseg.core.metrics import Confusion, ratio


def share(sums):
    return ratio(sums[..., 0], sums.sum(-1))


def test_the_interval_of_a_mean_is_that_of_the_normal_law():
    rng = np.random.default_rng(3)
    hits = rng.binomial(100, 0.3, size=400)
    low, high = bootstrap_interval(np.stack([hits, 100 - hits], 1), share, rounds=4000)
    spread = 1.96 * hits.std() / 100 / np.sqrt(400)
    assert low == pytest.approx(hits.mean() / 100 - spread, abs=spread / 10)
    assert high == pytest.approx(hits.mean() / 100 + spread, abs=spread / 10)


def test_tiles_are_the_units_not_pixels():
    same = np.tile([[30, 70]], (10, 1))
    assert bootstrap_interval(same, share) == (0.3, 0.3)
    low, high = bootstrap_interval(np.array([[100, 0], [0, 100]] * 5), share)
    assert low < 0.25
    assert high > 0.75


def test_a_seed_repeats_and_a_wider_level_contains():
    counts = np.random.default_rng(0).integers(1, 50, (12, 2))
    assert bootstrap_interval(counts, share, seed=5) == bootstrap_interval(counts, share, seed=5)
    narrow, wide = (bootstrap_interval(counts, share, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_several_scores_at_once_and_classes_that_some_resamples_lack():
    counts = np.zeros((6, 3, 3), int)
    counts[:, 0, 0] = 50
    counts[0, 1, 1] = counts[0, 1, 0] = 10  # class 1 is in one tile only, class 2 nowhere
    low, high = bootstrap_interval(counts, lambda sums: Confusion(3, sums).iou)
    assert low.shape == high.shape == (3,)
    assert low[1] == high[1] == 0.5
    assert np.isnan([low[2], high[2]]).all()
    assert 0.8 < low[0] < high[0] == 1


@pytest.mark.parametrize("tiles", [0, 1])
def test_fewer_than_two_tiles_say_nothing(tiles):
    assert np.isnan(bootstrap_interval(np.ones((tiles, 2), int), share)).all()
