"""Patches to measure on lie all over an area, each once, the same each time."""

import numpy as np
from core_scenes import grids, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.core.grid import Grid
from geoseg.core.sampling import inside, scattered
from geoseg.core.window import Window


@settings(deadline=None, max_examples=60)
@given(st.data(), st.integers(1, 30))
def test_cells_are_some_of_those_that_meet_the_area_and_all_if_there_are_few(data, most):
    grid = data.draw(grids())
    area = data.draw(windows((grid.rows.length, grid.cols.length)))
    rows, cols = grid.touching(area)
    all_of_them = {grid.window((i, j)) for i in rows for j in cols}
    found = list(scattered(grid, area, most))
    assert len(found) == len(set(found)) == min(most, len(all_of_them))
    assert set(found) <= all_of_them
    assert found == list(scattered(grid, area, most))


def test_the_first_cells_are_from_all_over_the_area():
    grid = Grid((4000, 4000), 64, 0, 16)
    found = list(scattered(grid, Window(0, 0, 4000, 4000), 40))
    quarters = {(window.row // 2000, window.col // 2000) for window in found}
    assert len(quarters) == 4


@settings(deadline=None, max_examples=60)
@given(st.integers(-40, 40), st.integers(-40, 40), st.integers(1, 50), st.integers(1, 50))
def test_inside_is_what_lies_in_the_scene(row, col, height, width):
    rows, cols = np.mgrid[row : row + height, col : col + width]
    wanted = (rows >= 0) & (rows < 30) & (cols >= 0) & (cols < 20)
    assert np.array_equal(inside(Window(row, col, height, width), (30, 20)), wanted)
