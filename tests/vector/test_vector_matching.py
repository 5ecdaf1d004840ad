from itertools import permutations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.vector.matching import match

BOXES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(1, 5), st.integers(1, 5)), max_size=5
)


def boxes(places):
    shapes = np.empty(len(places), object)
    shapes[:] = [shapely.box(x, y, x + w, y + h) for x, y, w, h in places]
    return shapes


def best_of_all(iou, least):
    """Most pairs, and the largest sum of IoU with as many, over all one-to-one matchings."""
    few, many = sorted(iou.shape)
    table = iou if iou.shape[0] == few else iou.T
    best = (0, 0.0)
    for columns in permutations(range(many), few):
        values = [table[k, c] for k, c in enumerate(columns) if table[k, c] >= least]
        best = max(best, (len(values), sum(values)))
    return best


@settings(deadline=None, max_examples=150)
@given(BOXES, BOXES, st.sampled_from([0.1, 0.25, 0.5, 1.0]))
def test_the_matching_is_the_best_of_all(ours, theirs, least):
    predicted, true = boxes(ours), boxes(theirs)
    iou = np.array([[a.intersection(b).area / a.union(b).area for b in true] for a in predicted])
    found = match(predicted, true, least)
    count, total = best_of_all(iou.reshape(len(ours), len(theirs)), least)
    assert len(found.pairs) == count
    assert found.iou.sum() == pytest.approx(total)
    assert all(len(set(side)) == count for side in found.pairs.T)
    for (a, b), value in zip(found.pairs, found.iou, strict=True):
        assert value == pytest.approx(iou[a, b]) and value >= least


def test_scores():
    found = match(boxes([(0, 0, 4, 4), (9, 9, 2, 2)]), boxes([(0, 0, 4, 3), (20, 0, 1, 1), (30, 0, 1, 1)]))
    assert (found.precision, found.recall) == (1 / 2, 1 / 3)
    assert found.f1 == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert found.mean_iou == 0.75


def test_nothing_on_a_side_has_no_scores():
    found = match(boxes([]), boxes([(0, 0, 1, 1)]))
    assert np.isnan(found.precision) and found.recall == 0 and found.f1 == 0 and np.isnan(found.mean_iou)
    assert np.isnan(match(boxes([]), boxes([])).f1)
