import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geoseg.core import planes
from geoseg.core.mask import classify, dequantize, quantize

UNIT = st.floats(0, 1, width=32)
PERCENT = st.integers(0, 100).map(lambda number: number / 100)
COUNT = settings(deadline=None, max_examples=100)


def one_row(*pixels):
    return np.array([pixels], np.float32)


def classes(probabilities, thresholds=(0.5, 0.5), activation="sigmoid"):
    return classify(probabilities, np.ones(probabilities.shape[:2], bool), thresholds, activation).tolist()[0]


def test_a_sigmoid_gives_the_class_that_clears_its_threshold_by_most():
    assert classes(one_row((0.9, 0.1), (0.1, 0.9), (0.6, 0.7), (0.4, 0.3))) == [1, 2, 2, 0]
    assert classes(one_row((0.6, 0.7), (0.45, 0.6)), thresholds=(0.3, 0.65)) == [1, 1]


@pytest.mark.parametrize("threshold", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
def test_a_probability_on_the_threshold_belongs_to_the_class(threshold):
    at = np.float32(threshold)
    below = np.nextafter(at, np.float32(-1))
    assert classes(one_row((at,), (below,)), thresholds=(threshold,)) == [1, 0]


def test_the_first_class_wins_a_tie():
    assert classes(one_row((0.75, 0.75))) == [1]
    assert classes(one_row((0.5, 0.75)), thresholds=(0.25, 0.5)) == [1]
    assert classes(one_row((0.5, 0.5)), activation="softmax") == [1]


def test_a_softmax_gives_the_most_probable_class_whatever_the_thresholds():
    assert classes(one_row((0.2, 0.1, 0.7), (0.4, 0.35, 0.25)), (1, 1, 1), "softmax") == [3, 1]


def test_a_threshold_of_zero_is_always_cleared():
    assert classes(one_row((0.0,)), thresholds=(0.0,)) == [1]


@pytest.mark.parametrize("probability", [1e-9, 0.1, 0.3, 0.9])
def test_a_softmax_tells_neighbouring_floats_apart(probability):
    less = np.float32(probability)
    assert classes(one_row((less, np.nextafter(less, np.float32(1)))), activation="softmax") == [2]


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_invalid_pixels_are_255(activation):
    valid = np.array([[True, False]])
    mask = classify(one_row((0.9,), (0.9,)), valid, (0.5,), activation)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[1, 255]]


@COUNT
@given(hnp.arrays(np.float32, (5, 7, 3), elements=UNIT), st.tuples(PERCENT, PERCENT, PERCENT))
def test_classes_equal_a_pixel_by_pixel_reading_of_the_rule(probabilities, thresholds):
    mask = classify(probabilities, np.ones((5, 7), bool), thresholds, "sigmoid")
    for place in np.ndindex(5, 7):
        margins = [p - np.float32(t) for p, t in zip(probabilities[place], thresholds, strict=True)]
        best = max(range(3), key=lambda k: margins[k])
        assert mask[place] == (best + 1 if margins[best] >= 0 else 0)


@COUNT
@given(hnp.arrays(np.float32, (6, 5, 2), elements=UNIT), hnp.arrays(bool, (6, 5)))
def test_bytes_keep_probabilities_within_1_508th(probabilities, valid):
    codes = quantize(probabilities, valid)
    back, known = dequantize(codes)
    assert (codes.dtype, back.dtype) == (np.uint8, np.float32)
    assert (codes[valid] <= 254).all()
    assert (codes[~valid] == 255).all()
    assert (known == valid[..., None]).all()
    assert np.abs(back - probabilities)[valid].max(initial=0) <= 1 / 508 + 1e-7
    assert not back[~known].any()


def test_bytes_are_rounded_to_the_nearest():
    codes = np.arange(255)
    for shift in (-0.49, 0, 0.49):
        probabilities = np.clip((codes + shift) / 254, 0, 1).astype(np.float32)[None, :, None]
        assert (quantize(probabilities, np.ones((1, 255), bool))[0, :, 0] == codes).all()


def test_every_byte_survives_the_round_trip():
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    back, valid = dequantize(codes)
    assert np.array_equal(quantize(back, valid[..., 0]), codes)


@pytest.mark.parametrize("convert", [quantize, lambda p, valid: classify(p, valid, (0.5, 0.4), "sigmoid")])
def test_rows_are_worked_on_in_blocks_of_any_size(convert, monkeypatch):
    rng = np.random.default_rng(0)
    probabilities, valid = rng.random((13, 5, 2), np.float32), rng.random((13, 5)) < 0.8
    at_once = convert(probabilities, valid)
    monkeypatch.setattr(planes, "CACHED", 12)
    assert np.array_equal(convert(probabilities, valid), at_once)
