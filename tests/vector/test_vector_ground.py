"""Sizes and directions on the ground against geodesics, which pyproj computes."""

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import SceneError
from geoseg.geo.geobox import GeoBox
from geoseg.vector.ground import areas_m2, jacobians, measure, perimeters_m

PLACES = {
    "equator": ("EPSG:4326", 20.0, 0.0, 9e-6),
    "60 N in degrees": ("EPSG:4326", 10.0, 60.0, 9e-6),
    "60 N in Web Mercator": ("EPSG:3857", 1_113_194.9, 8_399_737.9, 2.0),
    "US feet": ("EPSG:2229", 6_480_000.0, 1_850_000.0, 3.3),
    "UTM": ("EPSG:32611", 452_310.0, 3_771_240.0, 1.0),
    "edge of UTM 1, across the antimeridian": ("EPSG:32701", 166_000.0, 8_000_000.0, 1.0),
    "edge of UTM 60": ("EPSG:32660", 833_000.0, 5_000_000.0, 1.0),
    "polar stereographic": ("EPSG:3413", -200_000.0, -1_000_000.0, 1.0),
    "the pole itself": ("EPSG:3413", 0.0, 0.0, 1.0),
    "New Zealand": ("EPSG:2193", 1_570_000.0, 5_180_000.0, 1.0),
    "grads from Paris": ("EPSG:4807", 2.0, 50.0, 1e-5),
    "Moon": ("IAU_2015:30100", 30.0, 20.0, 3e-5),
}
TURNS = {
    "north up": Affine.scale(1, -1),
    "turned, sheared, south up": Affine.rotation(25) @ Affine.shear(10) @ Affine.scale(2, 1),
}


def courtyard(x, y, unit, angle=0.3):
    """A 20 × 12 house with a court of 6 × 4, turned."""
    house = shapely.Polygon([(0, 0), (20, 0), (20, 12), (0, 12)], [[(3, 3), (3, 7), (9, 7), (9, 3)]])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return shapely.transform(house, lambda xy: (xy - 10) @ turn * unit + [x, y])


def geodesic(polygon, crs):
    """Area and perimeter (shell and holes) by pyproj."""
    crs = pyproj.CRS(crs)
    geodetic, geod = crs.geodetic_crs, crs.get_geod()
    turn = pyproj.Transformer.from_crs(crs, geodetic, always_xy=True)
    unit = np.degrees(geodetic.axis_info[0].unit_conversion_factor)
    degrees = [np.stack(turn.transform(*np.array(ring.coords).T), -1) * unit
               for ring in shapely.get_rings(polygon)]  # fmt: skip
    sizes = [geod.polygon_area_perimeter(*ring.T) for ring in degrees]
    return abs(sizes[0][0]) - sum(abs(area) for area, _ in sizes[1:]), sum(around for _, around in sizes)


@pytest.mark.parametrize("place", PLACES)
def test_area_and_perimeter_with_holes_are_geodesic(place):
    crs, x, y, unit = PLACES[place]
    polygon = courtyard(x, y, unit)
    area, perimeter = geodesic(polygon, crs)
    exact = 1e-4 if "pole" in place else 2e-5  # of pyproj there
    assert areas_m2(np.array([polygon]), pyproj.CRS(crs)) == pytest.approx([area], rel=exact)
    assert perimeters_m(np.array([polygon]), pyproj.CRS(crs)) == pytest.approx([perimeter], rel=exact)


@pytest.mark.parametrize("place", [name for name, (_, _, y, _) in PLACES.items() if y])
@pytest.mark.parametrize("size", [60, 6000])
def test_large_polygons_are_within_a_thousandth(place, size):
    crs, x, y, unit = PLACES[place]
    polygon = courtyard(x, y, unit * size)
    area, perimeter = geodesic(shapely.segmentize(polygon, unit * 200), crs)
    measured = measure(np.array([polygon]), pyproj.CRS(crs))
    assert (measured.area[0], measured.perimeter[0]) == pytest.approx((area, perimeter), rel=1e-3)


def test_multipolygons_are_the_sum_of_their_parts():
    near, far = courtyard(452_310, 3_771_240, 20), courtyard(462_810, 3_771_240, 150)
    both = measure(np.array([shapely.MultiPolygon([near, far]), near, far]), "EPSG:32611")
    assert both.area[0] == pytest.approx(both.area[1:].sum(), rel=1e-4)
    assert both.perimeter[0] == pytest.approx(both.perimeter[1:].sum(), rel=1e-4)


@pytest.mark.parametrize("azimuth", [0, 30, 89, 91, 135, 179])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:3413"])
def test_orientation_is_the_azimuth_of_the_longer_side(crs, azimuth):
    geod = pyproj.Geod(ellps="WGS84")
    corners, lon, lat = [], 10.0, 70.0
    for turn, length in ((0, 30), (90, 12), (180, 30), (270, 12)):
        corners.append((lon, lat))
        lon, lat, _ = geod.fwd(lon, lat, azimuth + turn, length)
    place = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    polygon = shapely.transform(shapely.Polygon(corners), lambda xy: np.stack(place.transform(*xy.T), -1))
    off = measure(np.array([polygon]), pyproj.CRS(crs)).orientation[0] - azimuth
    assert abs((off + 90) % 180 - 90) < 0.01


def test_a_circle_has_no_orientation():
    circle = shapely.Point(452_310, 3_771_240).buffer(8, 16)
    assert np.isnan(measure(np.array([circle]), "EPSG:32611").orientation).all()


@pytest.mark.parametrize("place", [name for name in PLACES if name != "the pole itself"])  # no north there
@pytest.mark.parametrize("turn", TURNS)
def test_jacobians_are_the_steps_to_the_neighbouring_pixel(place, turn):
    crs, x, y, unit = PLACES[place]
    transform = Affine.translation(x, y) @ Affine.scale(unit) @ TURNS[turn]
    box = GeoBox((100, 100), transform, pyproj.CRS(crs))
    frames, on_ground = jacobians(box, np.array([10.5, 60.0]), np.array([20.0, 70.5]))
    crs = pyproj.CRS(crs)
    geodetic = crs.geodetic_crs
    factor = np.degrees(geodetic.axis_info[0].unit_conversion_factor)
    to_degrees = pyproj.Transformer.from_crs(crs, geodetic, always_xy=True)
    for frame, (col, row) in zip(frames, [(10.5, 20.0), (60.0, 70.5)], strict=True):
        for axis, (dc, dr) in enumerate(((1, 0), (0, 1))):
            ends = [transform @ (col - dc / 2, row - dr / 2), transform @ (col + dc / 2, row + dr / 2)]
            lon, lat = np.array(to_degrees.transform(*np.transpose(ends))) * factor
            azimuth, _, length = crs.get_geod().inv(lon[0], lat[0], lon[1], lat[1])
            step = length * np.sin(np.radians(azimuth)), length * np.cos(np.radians(azimuth))
            assert frame[:, axis] == pytest.approx(step, abs=2e-4 * length)
    assert on_ground


@pytest.mark.parametrize(
    "crs", [None, CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')], ids=["none", "local"]
)
def test_without_a_place_on_earth_everything_is_in_pixels(crs):
    frames, on_ground = jacobians(GeoBox((9, 9), Affine.scale(3, -3), crs), np.zeros(2), np.zeros(2))
    assert frames.tolist() == [[[1, 0], [0, -1]]] * 2
    assert not on_ground
    measured = measure(np.array([courtyard(0, 0, 1)]), crs)
    assert (measured.area[0], measured.perimeter[0]) == pytest.approx((216, 84))


def test_coordinates_outside_the_crs_are_refused_in_one_line():
    with pytest.raises(SceneError, match=r"outside the domain of .*UTM.*gdalinfo") as caught:
        areas_m2(np.array([courtyard(1e9, 1e9, 1)]), "EPSG:32611")
    assert "\n" not in str(caught.value)


def test_nothing_has_no_size():
    assert len(measure(np.array([], object), "EPSG:4326").area) == 0
    some = np.array([shapely.Polygon(), courtyard(452_310, 3_771_240, 1), shapely.Polygon()])
    measured = measure(some, "EPSG:32611")
    assert (measured.area > 0).tolist() == (measured.perimeter > 0).tolist() == [False, True, False]
    assert np.isnan(measured.orientation).tolist() == [True, False, True]
