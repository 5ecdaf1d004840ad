from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import geoseg.core.boundary as module
from geoseg.core.bands import with_margin
from geoseg.core.boundary import BoundaryCounts, boundary, within

COUNT = settings(deadline=None, max_examples=60)
CLASSES = 3
SIDES = hnp.arrays(np.uint8, (2, 14, 11), elements=st.sampled_from([0, 0, 1, 2, 255]))
TOLERANCES = st.sampled_from([0, 0.5, 1, 1.5, 2, 2**0.5, 5**0.5, 4])


def slow_boundary(labels, label):
    found = set()
    for row, col in zip(*np.nonzero(labels == label), strict=True):
        for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            inside = 0 <= r < labels.shape[0] and 0 <= c < labels.shape[1]
            if inside and labels[r, c] not in (label, 255):
                found.add((row, col))
    return found


def near(ours, theirs, tolerance):
    return sum(any((r - a) ** 2 + (c - b) ** 2 <= tolerance**2 + 1e-9 for a, b in theirs) for r, c in ours)


@COUNT
@given(SIDES, TOLERANCES, st.lists(st.integers(1, 13), max_size=3, unique=True), st.integers(1, 11))
def test_counts_band_by_band_equal_a_search_pixel_by_pixel(sides, tolerance, cuts, columns):
    sides[:, (sides == 255).any(0)] = 255
    counts = BoundaryCounts(CLASSES, tolerance)
    for held, core in with_margin(np.split(sides, sorted(cuts), axis=1), counts.margin):
        with mock.patch.object(module, "COLUMNS", columns):
            counts.add(held[0], held[1], core)
    for label in range(1, CLASSES):
        true, found = (slow_boundary(side, label) for side in sides)
        wanted = [len(found), near(found, true, tolerance), len(true), near(true, found, tolerance)]
        assert counts.counts[label].tolist() == wanted


def test_a_square_moved_by_two_pixels_is_right_within_two():
    truth, predicted = np.zeros((2, 30, 30), np.uint8)
    truth[5:15, 5:15], predicted[5:15, 7:17] = 1, 1
    f1 = {}
    for tolerance in (1, 2):
        counts = BoundaryCounts(2, tolerance)
        counts.add(truth, predicted)
        f1[tolerance] = counts.f1[1]
    assert f1[2] == 1 > f1[1] > 0.3


def test_a_class_on_one_side_scores_nought_and_on_neither_nothing():
    truth, predicted = np.zeros((2, 6, 6), np.uint8)
    truth[2, 2] = 1
    counts = BoundaryCounts(3, 2)
    counts.add(truth, predicted)
    assert counts.f1[1] == 0 and np.isnan(counts.f1[[0, 2]]).all()
    assert np.isnan(counts.precision[1]) and counts.recall[1] == 0
    turned = BoundaryCounts(3, 2)
    turned.add(predicted, truth)
    assert turned.f1[1] == 0 and np.isnan(turned.f1[[0, 2]]).all()


def test_edges_of_the_scene_and_of_data_are_no_boundary():
    labels = np.ones((5, 5), np.uint8)
    labels[:, 3:] = 255
    assert not boundary(labels, 1).any()


@pytest.mark.parametrize("distance", [0, 3, 150.0])
def test_distances_are_exact(distance):
    marked = np.zeros((200, 190), bool)
    marked[0, 0] = marked[150, 20] = True
    rows, cols = np.indices(marked.shape)
    squares = np.minimum(rows**2 + cols**2, (rows - 150) ** 2 + (cols - 20) ** 2)
    assert np.array_equal(within(marked, distance), squares <= distance**2)
