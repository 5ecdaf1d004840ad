import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize
from shapely import MultiPoint, Point, box

from geoseg.synth.raster import burn, inside, window

# odd fractions, so that no edge runs through a pixel's centre, where the rules may differ
coordinates = st.integers(-40, 260).map(lambda n: n / 10 + 0.0317)
triples = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9, unique=True)


@settings(deadline=None, max_examples=80)
@given(triples)
def test_burn_agrees_with_gdal(points):
    hull = MultiPoint(points).convex_hull
    if hull.geom_type != "Polygon":
        return
    mask = np.zeros((20, 22), np.uint8)
    burn(mask, [hull], 1)
    assert np.array_equal(mask, rasterize([hull], out_shape=mask.shape, dtype="uint8"))


def test_holes_stay_open():
    ring = box(1, 1, 9, 9).difference(Point(5, 5).buffer(2.3))
    mask = np.zeros((10, 10), np.uint8)
    burn(mask, [ring], 3)
    assert mask[5, 5] == 0
    assert mask[1, 1] == 3
    assert mask.sum() == 3 * rasterize([ring], out_shape=mask.shape).sum()


def test_window_misses_what_lies_outside():
    assert window(box(5, 5, 9, 9), 1.0, 20, 10, 10) is None
    assert window(box(-9, -9, -5, -5), 1.0, 0, 10, 10) is None


def test_bands_see_the_same_pixels():
    polygon = Point(11.3, 12.7).buffer(9.1)
    whole = np.zeros((40, 40), bool)
    at = window(polygon, 2.0, 0, 40, 40)
    whole[at] = inside(polygon, 2.0, 0, at)
    for top in range(0, 40, 7):
        rows = min(7, 40 - top)
        band = np.zeros((rows, 40), bool)
        at = window(polygon, 2.0, top, rows, 40)
        if at:
            band[at] = inside(polygon, 2.0, top, at)
        assert np.array_equal(band, whole[top : top + rows])
