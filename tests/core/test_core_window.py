import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.core.window import Window, whole
from geoseg.errors import GridError

SIDE = st.integers(0, 12)
PLACE = st.integers(-6, 12)
WINDOWS = st.builds(Window, PLACE, PLACE, SIDE, SIDE)
COUNT = settings(deadline=None, max_examples=100)


def cells(window):
    return {
        (row, col)
        for row in range(window.row, window.stop_row)
        for col in range(window.col, window.stop_col)
    }  # fmt: skip


@COUNT
@given(WINDOWS, WINDOWS)
def test_intersection_holds_the_pixels_of_both(a, b):
    assert cells(a.intersect(b)) == cells(a) & cells(b)


@COUNT
@given(WINDOWS)
def test_clip_keeps_the_pixels_inside_the_scene(window):
    assert cells(window.clip((7, 9))) == cells(window) & cells(whole((7, 9)))


@COUNT
@given(WINDOWS)
def test_empty_when_there_is_no_pixel(window):
    assert window.empty == (not cells(window))


def test_expand_grows_every_side():
    assert Window(2, 3, 4, 5).expand(2) == Window(0, 1, 8, 9)


def test_within_picks_the_window_out_of_an_array_of_another():
    outer, inner = Window(10, 20, 6, 7), Window(12, 21, 3, 4)
    array = np.arange(6 * 7).reshape(6, 7)
    assert np.array_equal(array[inner.within(outer)], array[2:5, 1:5])


@pytest.mark.parametrize("sides", [(-1, 3), (3, -1)])
def test_a_negative_side_is_refused(sides):
    with pytest.raises(GridError, match=rf"0 or more, got {sides[0]} × {sides[1]}"):
        Window(0, 0, *sides)
