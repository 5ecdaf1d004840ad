"""The table of attributes, and the way from pixels to the map."""

import numpy as np
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.geo.geobox import GeoBox
from geoseg.vector.attributes import METRIC, columns_for, feature_batch, to_map

FORMS = np.array(["rectilinear", "circle"], object)
UTM = CRS.from_epsg(32611)
NORTH_UP = Affine(0.3, 0, 452310, 0, -0.3, 3771240)
TRANSFORMS = {
    "north up": NORTH_UP,
    "south up": Affine(0.3, 0, 452310, 0, 0.3, 3771240),
    "rotated": Affine.translation(452310, 3771240) @ Affine.rotation(12) @ Affine.scale(0.3, -0.3),
    "rotated, south up": Affine.translation(452310, 3771240) @ Affine.rotation(12) @ Affine.scale(0.3, 0.3),
    "sheared": Affine(0.3, 0.1, 452310, 0.05, -0.3, 3771240),
    "degrees": Affine(2.7e-6, 0, -117.3, 0, -2.7e-6, 34.1),
}


def square(col, row, size, hole=False):
    ring = [(col, row), (col + size, row), (col + size, row + size), (col, row + size)]
    inner = [[(col + 1, row + 1), (col + 2, row + 1), (col + 2, row + 2), (col + 1, row + 2)]]
    return shapely.Polygon(ring, inner if hole else None)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_shells_are_counter_clockwise_and_shared_corners_equal_to_the_last_bit(name):
    rng = np.random.default_rng(5)
    corner = rng.integers(0, 100_000, (500, 2))
    left = np.array([square(c - 7, r, 7, hole=True) for c, r in corner])
    right = np.array([square(c, r - 3, 3).reverse() for c, r in corner])
    one, two = to_map(left, TRANSFORMS[name]), to_map(np.tile(right, 3), TRANSFORMS[name])[:500]
    assert shapely.is_ccw(shapely.get_exterior_ring(np.concatenate([one, two]))).all()
    assert not shapely.is_ccw(shapely.get_interior_ring(one, 0)).any()
    for k in range(500):
        expected = TRANSFORMS[name] @ tuple(map(float, corner[k]))
        assert expected in set(one[k].exterior.coords)
        shared = TRANSFORMS[name] @ (float(corner[k, 0]), float(corner[k, 1]) + 1)
        assert expected != shared
        assert expected in set(
            shapely.get_coordinates(shapely.segmentize(one[k], 1e9)).view("f8,f8")[:, 0].tolist()
        )


def test_polygons_are_placed_where_their_pixels_are():
    placed = to_map(np.array([square(0, 0, 10)]), NORTH_UP)
    assert placed[0].bounds == pytest.approx((452310, 3771237, 452313, 3771240))


def batch(crs=UTM, **options):
    polygons = np.array([square(0, 0, 10), square(20, 20, 10, hole=True)])
    return feature_batch(
        polygons, GeoBox((100, 100), NORTH_UP, crs), class_name="building", scene="a.tif", **options
    )


def test_a_batch_has_the_columns_of_the_schema():
    made = batch(model="m", pixels=np.array([100, 99]), sums=np.array([254 * 100, 127 * 99]),
                 touches_edge=np.array([True, False]), regularized=FORMS)  # fmt: skip
    assert list(made.columns) == [column.name for column in METRIC]
    assert made.columns["area_m2"] == pytest.approx([9, 8.91], rel=2e-3)
    assert made.columns["perimeter_m"] == pytest.approx([12, 13.2], rel=1e-3)
    assert made.columns["confidence"].tolist() == [1, 0.5]
    assert made.columns["touches_edge"].tolist() == [True, False]
    assert made.columns["regularized"].tolist() == ["rectilinear", "circle"]
    assert np.isfinite(made.columns["orientation_deg"]).all()
    constant = [list(made.columns[name]) for name in ("class", "scene", "model")]
    assert constant == [["building"] * 2, ["a.tif"] * 2, ["m"] * 2]


def test_what_is_unknown_is_null():
    made = batch()
    assert np.isnan(made.columns["confidence"]).all()
    assert np.isnan(made.columns["orientation_deg"]).all()
    assert made.columns["model"].tolist() == made.columns["regularized"].tolist() == [None, None]
    assert made.columns["touches_edge"].tolist() == [False, False]


def test_without_a_crs_sizes_are_in_pixels():
    made = batch(crs=None, regularized=FORMS)
    assert list(made.columns) == [column.name for column in columns_for(None)]
    assert made.columns["area_px"].tolist() == [100, 99]
    assert made.columns["perimeter_px"].tolist() == [40, 44]
    assert np.isnan(made.columns["orientation_deg"]).all()


def test_taking_keeps_rows_together():
    made = batch().take(np.array([False, True]))
    assert len(made) == len(made.geometry) == len(made.columns["area_m2"]) == 1
    assert made.columns["area_m2"] == pytest.approx([8.91], rel=2e-3)


def test_a_batch_may_be_empty():
    made = feature_batch(np.array([], object), GeoBox((9, 9), NORTH_UP, UTM), class_name="tree", scene="a")
    assert len(made) == 0
    assert list(made.columns) == [column.name for column in METRIC]
