import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.core.metrics import Confusion
from geoseg.errors import GridError

COUNT = settings(deadline=None, max_examples=80)
CLASSES = 4
MASKS = hnp.arrays(np.uint8, (9, 8), elements=st.sampled_from([0, 1, 2, 255]))  # class 3 never occurs


def counted(truth, predicted, **options):
    confusion = Confusion(CLASSES)
    confusion.add(truth, predicted, **options)
    return confusion


def ratio(part, whole):
    return part / whole if whole else float("nan")


def slow_scores(truth, predicted, ignore=255):
    """Scores by the textbook, pixel by pixel."""
    pairs = [
        (int(t), int(p)) for t, p in zip(truth.flat, predicted.flat, strict=True) if ignore not in (t, p)
    ]
    scores = {name: [] for name in ("iou", "dice", "precision", "recall")}
    for k in range(CLASSES):
        hit = sum(t == k == p for t, p in pairs)
        extra, missed = sum(t != k == p for t, p in pairs), sum(p != k == t for t, p in pairs)
        scores["iou"].append(ratio(hit, hit + extra + missed))
        scores["dice"].append(ratio(2 * hit, 2 * hit + extra + missed))
        scores["precision"].append(ratio(hit, hit + extra))
        scores["recall"].append(ratio(hit, hit + missed))
    return scores, ratio(sum(t == p for t, p in pairs), len(pairs)), pairs


@COUNT
@given(MASKS, MASKS)
def test_scores_equal_a_count_pixel_by_pixel(truth, predicted):
    confusion = counted(truth, predicted)
    scores, accuracy, pairs = slow_scores(truth, predicted)
    for name, wanted in scores.items():
        assert np.allclose(getattr(confusion, name), wanted, equal_nan=True), name
    assert confusion.accuracy == pytest.approx(accuracy, nan_ok=True)
    for t, p in np.ndindex(CLASSES, CLASSES):
        assert confusion.counts[t, p] == pairs.count((t, p))


@COUNT
@given(MASKS, MASKS, st.integers(0, 9))
def test_adding_part_by_part_equals_adding_at_once(truth, predicted, cut):
    confusion = counted(truth[:cut], predicted[:cut])
    confusion.add(truth[cut:], predicted[cut:])
    assert np.array_equal(confusion.counts, counted(truth, predicted).counts)


def test_any_value_can_be_ignored():
    truth, predicted = np.array([0, 1, 2, 2]), np.array([2, 1, 0, 1])
    assert counted(truth, predicted, ignore=0).counts.sum() == 2
    assert counted(np.array([-9999, 1]), np.array([1, 1]), ignore=-9999).counts.sum() == 1


def test_nothing_added_scores_nan():
    empty = Confusion(2)
    assert np.isnan(empty.iou).all()
    assert np.isnan(empty.accuracy)
    assert np.isnan(counted(np.full((3, 3), 255), np.zeros((3, 3), int)).iou).all()


def test_confusions_do_not_share_their_counts():
    first, second = Confusion(2), Confusion(2)
    first.add(np.array([1]), np.array([1]))
    assert second.counts.sum() == 0


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(GridError, match=r"one shape, got \(2, 3\) and \(3, 2\)"):
        counted(np.zeros((2, 3), int), np.zeros((3, 2), int))


@pytest.mark.parametrize("place", ["truth", "predicted"])
@pytest.mark.parametrize("value", [4, 200, -1, -9999])
@pytest.mark.parametrize("other", [0, 1, 3])
def test_a_value_that_is_no_class_is_refused_and_nothing_counted(place, value, other):
    masks = {"truth": np.array([1, other]), "predicted": np.array([1, other]), place: np.array([1, value])}
    confusion = Confusion(CLASSES)
    with pytest.raises(GridError, match=f"not 0 to {CLASSES - 1}; map"):
        confusion.add(**masks)
    assert confusion.counts.sum() == 0
