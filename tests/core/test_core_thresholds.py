"""Thresholds by histogram equal a search pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.core.thresholds import BINS, best_thresholds, confusions, histogram, thresholds_of
from geoseg.errors import GridError

COUNT = settings(deadline=None, max_examples=40)
CLASSES = 2
TARGETS = hnp.arrays(np.uint8, (9, 5, CLASSES), elements=st.sampled_from([0, 1, 255]))
PROBABILITIES = hnp.arrays(np.float32, (9, 5, CLASSES), elements=st.integers(0, 64).map(lambda n: n / 64))
NAMES, OWN = ("building", "tree"), (0.4, 0.3)


@COUNT
@given(TARGETS, PROBABILITIES)
def test_every_known_pixel_counts_once_in_its_bin(targets, probabilities):
    counts = np.zeros((CLASSES, 2, BINS), int)
    for place in np.ndindex(targets.shape):
        if targets[place] != 255:
            counts[place[-1], targets[place], min(int(probabilities[place] * BINS), BINS - 1)] += 1
    assert np.array_equal(histogram(targets, probabilities), counts)


@COUNT
@given(TARGETS, PROBABILITIES, st.tuples(*[st.integers(0, 64).map(lambda n: n / 64)] * CLASSES))
def test_confusions_are_those_of_the_pixels(targets, probabilities, thresholds):
    found = confusions(histogram(targets, probabilities), thresholds)
    for k, threshold in enumerate(thresholds):
        # the last bin holds 1 itself, which a threshold of 1 leaves out
        says = (probabilities[..., k] >= threshold) & (threshold < 1)
        for truth in (0, 1):
            for said in (False, True):
                wanted = np.count_nonzero((targets[..., k] == truth) & (says == said))
                assert found[k, truth, int(said)] == wanted


def iou(targets, probabilities, threshold):
    says, yes = probabilities >= threshold, targets == 1
    known = targets != 255
    union = np.count_nonzero((says | yes) & known)
    return np.count_nonzero(says & yes & known) / union if union else 0.0


@COUNT
@given(TARGETS, PROBABILITIES)
def test_no_threshold_is_better_than_the_best(targets, probabilities):
    found = best_thresholds(histogram(targets, probabilities))
    for k, threshold in enumerate(found):
        side = targets[..., k], np.minimum(probabilities[..., k], (BINS - 1) / BINS)
        scores = [iou(*side, n / BINS) for n in range(BINS)]
        if max(scores) == 0:
            assert threshold == 0.5
        else:
            assert iou(*side, threshold) == pytest.approx(max(scores))


@pytest.mark.parametrize("count", range(1, 8))
def test_of_so_many_equally_good_thresholds_it_is_the_middle_one(count):
    no, yes = 100.5 / BINS, (100.5 + count) / BINS
    (found,) = best_thresholds(histogram(np.array([[0], [1]], np.uint8), np.array([[no], [yes]])))
    assert found == (101 + (count - 1) // 2) / BINS


def test_of_equally_good_thresholds_it_is_the_middle_one():
    targets = np.array([[0], [1]], np.uint8)
    found = best_thresholds(histogram(targets, np.array([[0.25], [0.75]])))
    assert found == pytest.approx((0.5,), abs=1 / BINS)


def test_sets_count_alike_however_large():
    small = histogram(np.array([[0], [1]], np.uint8), np.array([[0.1], [0.3]]))
    large = histogram(np.array([[0], [1]] * 1000, np.uint8), np.array([[0.6], [0.9]] * 1000))
    alone, together = best_thresholds(large)[0], best_thresholds(np.stack([small, large]))[0]
    assert alone > 0.6
    assert together == pytest.approx(best_thresholds(np.stack([small, 1000 * large]))[0])


def test_a_class_counts_in_the_sets_that_know_it_and_in_no_other():
    rng = np.random.default_rng(5)
    targets = rng.integers(0, 2, (3, 500, 2), np.uint8)
    targets[1:, :, 1] = 0  # the second class is in the first set alone
    sets = [histogram(each, np.clip(0.3 * each + rng.uniform(0, 0.7, each.shape), 0, 1)) for each in targets]
    found = best_thresholds(np.stack(sets))
    assert found[1] == best_thresholds(sets[0])[1]
    assert found[0] == best_thresholds(np.stack(sets)[:, :1])[0]


@pytest.mark.parametrize(
    ("chosen", "wanted"),
    [
        (None, OWN),
        (0.5, (0.5, 0.5)),
        (0, (0, 0)),
        ([0.1, 0.2], (0.1, 0.2)),
        ({"tree": 0.2}, (0.4, 0.2)),
        ({}, OWN),
    ],
)
def test_what_is_not_given_for_a_class_is_its_own(chosen, wanted):
    assert thresholds_of(chosen, NAMES, OWN, GridError) == wanted


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ([0.1, 0.2, 0.3], "3 thresholds for 2 classes; give one, or one each"),
        ({"roof": 0.2}, "a threshold of 'roof', which is no class; there are building, tree"),
        ({"tree": 1.5}, "a threshold is from 0 to 1, got 1.5"),
        (float("nan"), "a threshold is from 0 to 1, got nan"),
    ],
)
def test_thresholds_that_fit_no_class_are_refused(chosen, words):
    with pytest.raises(GridError, match=words):
        thresholds_of(chosen, NAMES, OWN, GridError)
