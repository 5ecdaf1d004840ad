"""Streaming scores against scikit-learn's definitions written out."""

import numpy as np
import pytest

from geoseg.core.thresholds import best_thresholds, confusions, histogram
from geoseg.training.scores import Tally, score_rows, summary

NAMES = ("building", "tree")


def example(n=6, seed=0, ignore=0.2):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 2, (n, 16, 16, 2)).astype("uint8")
    given = np.clip(0.35 + 0.3 * targets + rng.normal(0, 0.2, targets.shape), 0, 1).astype("float32")
    targets[rng.random(targets.shape) < ignore] = 255
    return targets, given


def tallied(targets, given, exclusive=False, step=4, sets=None, classes=NAMES):
    tally = Tally(classes, exclusive)
    names = [f"tile{k // 2}" for k in range(len(targets))]
    sets = sets or ["city"] * len(targets)
    for k in range(0, len(targets), step):
        part = slice(k, k + step)
        tally.add(targets[part], given[part], names[part], sets[part])
    return tally


def test_sigmoid_scores_class_by_class_without_what_is_ignored():
    targets, given = example()
    found = summary(tallied(targets, given), (0.5, 0.5))
    for k, name in enumerate(NAMES):
        known = targets[..., k] != 255
        truth, guess = targets[..., k][known] == 1, given[..., k][known] >= 0.5
        assert found[f"iou_{name}"] == pytest.approx((truth & guess).sum() / (truth | guess).sum())
    assert found["iou"] == pytest.approx((found["iou_building"] + found["iou_tree"]) / 2)
    assert found["accuracy"] == pytest.approx(((given >= 0.5) == targets)[targets != 255].mean())


def test_softmax_scores_the_likeliest_class():
    rng = np.random.default_rng(1)
    given = rng.dirichlet([1, 1, 1], (4, 8, 8)).astype("float32")
    numbers = np.where(rng.random((4, 8, 8)) < 0.5, given.argmax(-1), rng.integers(0, 2, (4, 8, 8)))
    targets = np.eye(3, dtype="uint8")[numbers]
    targets[:, 0] = 255
    tally = tallied(targets, given, exclusive=True, classes=("a", "b", "c"))
    truth, guess = numbers[:, 1:], given.argmax(-1)[:, 1:]
    assert tally.by_set.sum(0)[1, 2] == ((truth == 1) & (guess == 2)).sum()
    assert summary(tally, ())["accuracy"] == pytest.approx((truth == guess).mean())


def test_the_same_whatever_the_batches():
    targets, given = example()
    one, three = (tallied(targets, given, step=step) for step in (1, 3))
    assert set(one.tiles) == {("city", f"tile{k}") for k in range(3)}
    assert all((one.tiles[key] == three.tiles[key]).all() for key in one.tiles)


def test_rows_have_intervals_around_the_score_and_leave_out_what_is_not_labelled():
    targets, given = example(n=24)
    targets[:12, ..., 1] = 255  # the first set has no trees
    rows = score_rows(tallied(targets, given, sets=["town"] * 12 + ["wood"] * 12), (0.5, 0.5))
    assert [(row["set"], row["class"]) for row in rows] == [
        ("town", "building"), ("town", "all"),
        *((place, name) for place in ("wood", "all") for name in ("building", "tree", "all")),
    ]  # fmt: skip
    for row in rows:
        assert row["iou_low"] < row["iou"] < row["iou_high"]
    assert rows[0]["tiles"] == 6
    assert {"accuracy", "accuracy_low", "accuracy_high"} < set(rows[1])


def test_a_class_that_is_nowhere_in_a_set_has_no_row_there():
    tally = Tally(("a", "b"), exclusive=False)
    truth = np.zeros((2, 4, 4, 2), np.uint8)
    truth[:, 0, :, 0], truth[1, 1, :, 1] = 1, 1
    tally.add(truth, np.full(truth.shape, 0.9), ["x", "y"], ["one", "two"])
    named = {(row["set"], row["class"]) for row in score_rows(tally, (0.5, 0.5)) if row["class"] != "all"}
    assert named == {("one", "a"), ("two", "a"), ("two", "b"), ("all", "a"), ("all", "b")}


def test_one_tile_has_a_score_and_no_interval():
    targets, given = example(n=2)
    row = score_rows(tallied(targets, given), (0.5, 0.5))[0]
    assert "iou" in row
    assert "iou_low" not in row


def test_calibrated_thresholds_are_the_best_of_all():
    targets, given = example(n=12)
    given **= 2  # too low throughout
    counts = histogram(targets, given)
    best = best_thresholds(counts)
    tally = tallied(targets, given)
    everywhere = [summary(tally, (k / 256, k / 256)) for k in range(256)]
    for name, threshold in zip(NAMES, best, strict=True):
        at = summary(tally, (threshold, threshold))[f"iou_{name}"]
        assert at == max(found.get(f"iou_{name}", 0) for found in everywhere)
        assert 0.1 < threshold < 0.45


def test_thresholds_without_truth_stay_in_the_middle_and_a_gap_is_split():
    nothing = np.zeros((1, 2, 256), int)
    assert best_thresholds(nothing) == (0.5,)
    nothing[0, 0, 40] = nothing[0, 1, 200] = 9
    assert best_thresholds(nothing) == pytest.approx((120 / 256,), abs=1 / 256)


def test_every_set_has_the_same_say_in_a_threshold_and_none_where_the_class_is_not():
    small, large = np.zeros((2, 1, 2, 256), int)
    small[0, 0, 100], small[0, 1, 150] = 10, 10  # best above 100
    large[0, 0, 30], large[0, 1, [50, 90]] = (
        10_000,
        5_000,
    )  # best above 30, and almost as good where small is best
    large[0, 1, 200] = 100_000
    empty = np.zeros((1, 2, 256), int)
    empty[0, 0, :] = 7
    both = np.stack([small, large, empty])
    assert best_thresholds(both)[0] == pytest.approx((101 + 150) / 2 / 256, abs=1 / 256)
    assert best_thresholds(both.sum(0)) == best_thresholds(both.sum(0)[None])
    assert best_thresholds(both.sum(0))[0] < 0.36


def test_a_probability_on_the_threshold_is_a_yes():
    counts = confusions(histogram(np.ones((1, 1), "uint8"), np.full((1, 1), 0.5)), (0.5,))
    assert counts.tolist() == [[[0, 0], [0, 1]]]
