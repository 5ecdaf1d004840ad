"""Where map tiles lie, against pyproj and against itself."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.tile_grid import HALF, TileRange, latitude, metres, pixel_m, touching


@st.composite
def ranges(draw):
    zoom = draw(st.integers(0, 24))
    col, row = (draw(st.integers(0, 2**zoom - 1)) for _ in "xy")
    cols, rows = (draw(st.integers(1, min(2**zoom - first, 50))) for first in (col, row))
    return TileRange(zoom, col, row, cols, rows)


@pytest.mark.parametrize(("place", "tile"), [  # as mercantile.tile and every tile server have them
    ((20.6852, 40.1222), (9, 285, 193)),
    ((13.377704, 52.516275), (17, 70406, 42987)),  # Brandenburger Tor
    ((-0.001, 0.001), (1, 0, 0)),
    ((0.001, -0.001), (1, 1, 1)),
    ((-179.999, 85.05), (5, 0, 0)),
])  # fmt: skip
def test_a_place_lies_in_the_tile_that_everybody_says(place, tile):
    (lon, lat), (zoom, col, row) = place, tile
    assert touching(metres((lon, lat, lon + 1e-7, lat + 1e-7)), zoom) == TileRange(zoom, col, row, 1, 1)


@given(st.floats(-180, 179), st.floats(-85, 84))
def test_degrees_become_metres_as_in_pyproj(west, south):
    transform = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform
    expected = (*transform(west, south), *transform(west + 1, south + 1))
    found = metres((west, south, west + 1, south + 1))
    assert found == pytest.approx(expected, abs=1e-6)
    assert latitude(found[1]) == pytest.approx(south, abs=1e-9)


@given(ranges())
def test_the_tiles_that_a_range_touches_are_its_own(extent):
    assert touching(extent.bounds, extent.zoom) == extent


@given(ranges(), st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_bounds_inside_the_outer_tiles_touch_them_all(extent, u, v):
    left, bottom, right, top = extent.bounds
    side = (right - left) / extent.cols
    box = (left + u * side * 0.49, bottom + v * side * 0.49, right - v * side * 0.49, top - u * side * 0.49)
    assert touching(box, extent.zoom) == extent


@given(ranges(), st.sampled_from([256, 512]))
def test_pixels_cover_the_bounds(extent, size):
    height, width = extent.shape(size)
    left, bottom, right, top = extent.bounds
    transform = extent.transform(size)
    assert transform * (0, 0) == pytest.approx((left, top))
    assert transform * (width, height) == pytest.approx((right, bottom), abs=1e-6)


@given(ranges(), st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 900), st.integers(1, 900))
def test_the_tiles_under_a_window_hold_its_pixels_and_no_more(extent, row, col, height, width):
    window = Window(row, col, height, width)
    found = extent.under(window, 64)
    rows, cols = extent.shape(64)
    if row >= rows or col >= cols:
        assert found is None
        return
    inside = window.clip((rows, cols))
    assert found.row == extent.row + inside.row // 64
    assert found.row + found.rows == extent.row + (inside.stop_row - 1) // 64 + 1
    assert found.col == extent.col + inside.col // 64
    assert found.col + found.cols == extent.col + (inside.stop_col - 1) // 64 + 1


@given(ranges())
def test_the_whole_map_meets_everything_in_itself(extent):
    side = 2**extent.zoom
    assert TileRange(extent.zoom, 0, 0, side, side).intersect(extent) == extent


def test_ranges_that_only_touch_do_not_meet():
    assert TileRange(5, 0, 0, 2, 2).intersect(TileRange(5, 2, 0, 2, 2)) is None
    assert TileRange(5, 0, 0, 3, 2).intersect(TileRange(5, 2, 1, 2, 2)) == TileRange(5, 2, 1, 1, 1)


def test_the_pixel_is_smaller_away_from_the_equator():
    assert pixel_m(0, 256, 0.0) == pytest.approx(156543.034, abs=1e-3)
    north = metres((0, 60, 1, 61))[1]
    assert pixel_m(18, 256, north) == pytest.approx(156543.034 / 2**18 / 2, rel=1e-6)


def test_poles_are_the_edges_of_the_map():
    assert metres((-180, -90, 180, 90)) == pytest.approx((-HALF, -HALF, HALF, HALF))
    assert touching(metres((-180, -90, 180, 90)), 3) == TileRange(3, 0, 0, 8, 8)


@pytest.mark.parametrize(("bounds", "words"), [
    ((500000, 3000000, 500100, 3000100), "degrees west south east north"),
    ((math.nan, 0, 1, 1), "degrees"),
    ((170, 0, -170, 1), "left bottom right top"),
    ((0, 1, 1, 0), "left bottom right top"),
])  # fmt: skip
def test_bounds_that_cannot_be_are_refused(bounds, words):
    with pytest.raises(SceneError, match=words):
        touching(metres(bounds), 10)


@pytest.mark.parametrize("numbers", [
    (31, 0, 0, 1, 1), (-1, 0, 0, 1, 1), (2, 4, 0, 1, 1), (2, 0, 0, 0, 1), (2, 3, 0, 2, 1),
])  # fmt: skip
def test_tiles_off_the_map_are_refused(numbers):
    with pytest.raises(SceneError):
        TileRange(*numbers)
