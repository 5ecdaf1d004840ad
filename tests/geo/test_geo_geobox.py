"""The pixel plane: windows, zoom, bounds and ground size."""

import math

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.geobox import GeoBox

PLANES = settings(deadline=None, max_examples=80)
UTM = CRS.from_epsg(32611)
EUROPA = (
    'GEOGCS["Europa 2000",DATUM["Europa",SPHEROID["Europa",1562090,0]],PRIMEM["Prime",0],'
    'UNIT["degree",0.0174532925199433]]'
)


@st.composite
def boxes(draw):
    """Planes of any size, turned, flipped or sheared."""
    shape = draw(st.tuples(st.integers(1, 500), st.integers(1, 500)))
    turn, shear = draw(st.floats(-180, 180)), draw(st.floats(-20, 20))
    sx, sy = draw(st.floats(0.1, 3)), draw(st.floats(0.1, 3)) * draw(st.sampled_from([1, -1]))
    place = Affine.translation(draw(st.integers(-9999, 9999)), draw(st.integers(-9999, 9999)))
    return GeoBox(shape, place * Affine.rotation(turn) * Affine.shear(shear, 0) * Affine.scale(sx, sy), UTM)


@st.composite
def boxes_and_windows(draw):
    box = draw(boxes())
    row, col = draw(st.integers(0, box.shape[0] - 1)), draw(st.integers(0, box.shape[1] - 1))
    return box, Window(
        row, col, draw(st.integers(1, box.shape[0] - row)), draw(st.integers(1, box.shape[1] - col))
    )


@PLANES
@given(boxes_and_windows(), st.integers(0, 50), st.integers(0, 50))
def test_a_pixel_of_a_window_lies_where_it_did(pair, row, col):
    box, window = pair
    part = box.window(window)
    assert part.shape == window.shape
    assert part.crs == box.crs
    assert part.transform * (col, row) == pytest.approx(
        box.transform * (window.col + col, window.row + row), abs=1e-6
    )


@PLANES
@given(boxes(), st.integers(1, 700), st.integers(1, 700))
def test_zooming_keeps_the_outer_corners(box, height, width):
    zoomed = box.zoom_to((height, width))
    assert zoomed.shape == (height, width)
    for row, col in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert zoomed.transform * (col * width, row * height) == pytest.approx(
            box.transform * (col * box.shape[1], row * box.shape[0]), abs=1e-6
        )


@PLANES
@given(st.booleans(), st.integers(0, 30), st.integers(0, 30), st.integers(1, 60), st.integers(1, 60))
def test_bounds_on_pixel_edges_give_exactly_those_pixels(south_up, row, col, height, width):
    step = 0.3 if south_up else -0.3
    box = GeoBox((100, 120), Affine(0.3, 0, 452310, 0, step, 3771240), UTM)
    window = Window(row, col, height, width)
    (left, one), (right, two) = (box.transform * at for at in ((col, row), (col + width, row + height)))
    assert box.window_of((left, min(one, two), right, max(one, two))) == window


@PLANES
@given(boxes_and_windows())
def test_bounds_around_a_window_hold_all_its_pixels_on_any_plane(pair):
    box, window = pair
    ends = [(c, r) for c in (window.col, window.stop_col) for r in (window.row, window.stop_row)]
    xs, ys = zip(*(box.transform * at for at in ends), strict=True)
    found = box.window_of((min(xs), min(ys), max(xs), max(ys)))
    assert found.intersect(window) == window
    assert found.clip(box.shape) == found


def test_bounds_through_pixels_hold_the_pixels_they_touch():
    box = GeoBox((100, 120), Affine(1, 0, 0, 0, -1, 100), UTM)
    assert box.window_of((10.5, 20.5, 12.5, 30.5)) == Window(69, 10, 11, 3)
    assert box.window_of((-50, -50, 3.5, 1.5)) == Window(98, 0, 2, 4)


@pytest.mark.parametrize("bounds", [(200, 0, 300, 50), (-10, 0, -5, 50), (0, 100, 10, 120)])
def test_bounds_outside_the_scene_are_refused(bounds):
    box = GeoBox((100, 120), Affine(1, 0, 0, 0, -1, 100), UTM)
    with pytest.raises(SceneError, match="outside the scene"):
        box.window_of(bounds)


@pytest.mark.parametrize("lat", [0, 34, 60, 80, -45])
def test_degrees_on_the_ground(lat):
    step = 1e-5
    size = GeoBox((2, 2), Affine(step, 0, 11, 0, -step, lat + step), CRS.from_epsg(4326)).pixel_size_m()
    phi, e2, a = math.radians(lat), 0.00669437999014, 6378137.0
    narrow = 1 - e2 * math.sin(phi) ** 2
    meridian, parallel = a * (1 - e2) / narrow**1.5, a * math.cos(phi) / math.sqrt(narrow)
    assert size == pytest.approx((math.radians(step) * meridian, math.radians(step) * parallel), rel=1e-5)


def test_utm_pixels_are_metres_to_a_thousandth():
    size = GeoBox((100, 100), Affine(0.3, 0, 500000, 0, -0.3, 3771240), UTM).pixel_size_m()
    assert size == pytest.approx((0.3 / 0.9996, 0.3 / 0.9996), rel=1e-5)


def test_turned_and_stretched_pixels_keep_height_and_width_apart():
    turned = Affine.translation(500000, 3771240) * Affine.rotation(35) * Affine.scale(0.2, -0.5)
    assert GeoBox((10, 10), turned, UTM).pixel_size_m() == pytest.approx((0.5, 0.2), rel=1e-3)


def test_us_survey_feet():
    feet = GeoBox((10, 10), Affine(0.5, 0, 6481000, 0, -0.5, 1838000), CRS.from_epsg(2229))
    assert feet.pixel_size_m() == pytest.approx((0.1524, 0.1524), rel=1e-3)


def test_other_bodies_have_their_own_radius():
    step = 0.01
    box = GeoBox((2, 2), Affine(step, 0, 30, 0, -step, step), CRS.from_wkt(EUROPA))
    metres = math.radians(step) * 1562090
    assert box.pixel_size_m() == pytest.approx((metres, metres), rel=1e-6)


def test_the_size_is_unknown_without_crs_with_control_points_and_off_the_map():
    transform = Affine(0.3, 0, 452310, 0, -0.3, 3771240)
    point = GroundControlPoint(0, 0, 1, 2)
    assert GeoBox((10, 10), transform).pixel_size_m() is None
    assert GeoBox((10, 10), Affine.identity(), UTM, (point,)).pixel_size_m() is None
    assert GeoBox((10, 10), Affine(0, 0, 0, 0, 0, 0), UTM).pixel_size_m() is None
    assert GeoBox((10, 10), Affine(0.3, 0, 1e12, 0, -0.3, 1e12), UTM).pixel_size_m() is None


def test_control_points_move_with_a_window():
    points = (
        GroundControlPoint(0, 0, 1.5, 2.5, 9.0, id="a"),
        GroundControlPoint(30, 40, 5.5, 6.5, 0.0, id="b"),
    )
    part = GeoBox((50, 60), Affine.identity(), UTM, points).window(Window(10, 20, 5, 6))
    assert [(p.row, p.col, p.x, p.y, p.z, p.id) for p in part.gcps] == [
        (-10, -20, 1.5, 2.5, 9.0, "a"), (20, 20, 5.5, 6.5, 0.0, "b")
    ]  # fmt: skip
    assert part.transform == Affine.identity()
    assert part.georeferenced


def test_an_identity_transform_is_no_georeference():
    assert not GeoBox((5, 5), Affine.identity(), UTM).georeferenced
    assert GeoBox((5, 5), Affine(1, 0, 0, 0, -1, 5)).georeferenced
    assert GeoBox((5, 7), Affine.identity()).whole() == Window(0, 0, 5, 7)
    assert np.isfinite(GeoBox((5, 7), Affine(2, 0, 0, 0, -2, 5), UTM).pixel_size_m()).all()
