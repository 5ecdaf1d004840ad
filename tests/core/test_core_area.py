"""Area averages are exact, whichever part of the plane is computed."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.core.area import Coarsening, area_average, weight_dtype, weights
from geoseg.errors import GridError

RANGE = settings(deadline=None, max_examples=80)
NARROW, WIDE = np.dtype(np.float32), np.dtype(np.float64)


def averaged(planes, valid, shape):
    rows, cols = (Coarsening(*sizes) for sizes in zip(planes.shape[1:], shape, strict=True))
    kind = weight_dtype(planes.dtype)
    down, across = weights(rows, 0, shape[0], kind), weights(cols, 0, shape[1], kind)
    means, known = area_average(planes, valid, down, across)
    return np.stack(means), known


@RANGE
@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_every_fine_pixel_is_shared_out_once(fine, coarse, data):
    stop = data.draw(st.integers(1, coarse))
    start = data.draw(st.integers(0, stop - 1))
    axis = Coarsening(fine, coarse)
    first, last = axis.under(start, stop)
    shares = weights(axis, start, stop, WIDE).toarray()
    # the length of what two intervals have in common, for all of them
    low, high = (
        np.arange(start, stop)[:, None] * fine / coarse,
        np.arange(start + 1, stop + 1)[:, None] * fine / coarse,
    )
    cover = np.minimum(high, np.arange(fine) + 1) - np.maximum(low, np.arange(fine))
    expected = np.clip(cover, 0, None) * coarse / fine
    assert shares == pytest.approx(expected[:, first:last], abs=1e-5)
    assert expected.sum() == pytest.approx(expected[:, first:last].sum(), abs=1e-4)
    assert shares.sum(1) == pytest.approx(1, abs=1e-12)


@RANGE
@given(st.integers(1, 120), st.integers(1, 120), st.data())
def test_it_is_the_area_interpolation_of_opencv(height, width, data):
    shape = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    plane = np.random.default_rng(height).integers(0, 256, (1, height, width), np.uint8)
    found, known = averaged(plane, np.ones((height, width), bool), shape)
    truth = cv2.resize(plane[0].astype(np.float64), shape[::-1], interpolation=cv2.INTER_AREA)
    assert known.all()
    assert np.abs(found[0] - truth).max() <= 0.5 + 1e-4


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_means_of_pixels_with_data_keep_dtype_and_sign(dtype):
    sign = 1 if dtype.startswith("u") else -1
    plane = sign * np.array([[[2, 4, 9, 9], [6, 8, 9, 9], [1, 2, 5, 5], [9, 9, 5, 5]]]).astype(dtype)
    valid = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]], bool)
    found, known = averaged(plane, valid, (2, 2))
    assert found.dtype == dtype
    assert np.array_equal(known, [[True, False], [True, True]])
    halved = 1.5 if "float" in dtype else {1: 2, -1: 1}[sign]  # rounded half up, so -1.5 becomes -1
    assert np.array_equal(found[0], sign * np.array([[5, 0], [halved, 5]]))


@pytest.mark.parametrize(
    ("dtype", "value"), [("uint8", 255), ("uint16", 65535), ("int16", -32768), ("float32", 0.1)]
)
def test_a_constant_stays_what_it_is(dtype, value):
    plane = np.full((1, 97, 131), value, dtype)
    for share in (1, 0.5):
        valid = np.random.default_rng(1).random(plane.shape[1:]) < share
        found, known = averaged(plane, valid, (36, 49))
        assert (found[0][known] == plane[0, 0, 0]).all()


def test_weights_take_four_bytes_where_that_is_exact_enough():
    kinds = {name: weight_dtype(np.dtype(name)).name for name in ("uint8", "int16", "int32", "float32")}
    assert kinds == {"uint8": "float32", "int16": "float32", "int32": "float64", "float32": "float64"}


def test_what_is_hidden_may_be_anything():
    plane = np.random.default_rng(2).random((2, 40, 60), np.float32)
    valid = np.random.default_rng(3).random((40, 60)) < 0.6
    found = averaged(np.where(valid, plane, np.nan).astype(np.float32), valid, (13, 22))
    again = averaged(np.where(valid, plane, 1e30).astype(np.float32), valid, (13, 22))
    assert np.array_equal(found[0], again[0])
    assert np.isfinite(found[0]).all()
    assert np.array_equal(found[1], again[1])


def test_an_axis_without_pixels_is_refused():
    with pytest.raises(GridError, match="at least one pixel, got 5 and 0"):
        Coarsening(5, 0)
