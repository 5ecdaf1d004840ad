import numpy as np
import pytest
import shapely
from scipy import ndimage
from shapely import affinity

from geoseg.errors import GridError
from geoseg.vector.simplify import simplify_polygons


def array(*polygons):
    return np.array(polygons, object)


def dense(polygon):
    return shapely.segmentize(polygon, 1.0)


def pixel_rings(mask):
    """Every 4-connected component of a mask along its pixels' edges."""
    labels, count = ndimage.label(mask)
    rows, cols = np.indices(mask.shape)
    pixels = shapely.box(cols, rows, cols + 1, rows + 1)
    return array(*(dense(shapely.union_all(pixels[labels == k])) for k in range(1, count + 1)))


def vertices(polygon):
    return shapely.get_num_coordinates(polygon) - 1 - shapely.get_num_interior_rings(polygon)


def test_straight_sides_come_back():
    truth = array(
        *(
            affinity.rotate(shapely.Polygon([(0, 0), (40, 3), (35, 30), (12, 22)]), angle, origin=(20, 15))
            for angle in range(0, 90, 5)
        )
    )
    result = simplify_polygons(dense(truth), 1.0)
    assert (vertices(result) == 4).all()
    assert shapely.hausdorff_distance(result, truth).max() < 0.2


def test_round_borders_lose_no_area():
    discs = array(*(dense(shapely.Point(50, 50).buffer(radius, quad_segs=32)) for radius in range(8, 60, 4)))
    for tolerance in (0.5, 1.0, 1.5):
        result = simplify_polygons(discs, tolerance)
        assert np.abs(shapely.area(result) / shapely.area(discs) - 1).max() < 0.02
        assert abs(shapely.area(result).sum() / shapely.area(discs).sum() - 1) < 0.01
        assert vertices(result).mean() < 0.3 * vertices(discs).mean()


@pytest.mark.parametrize("tolerance", [0.5, 1, 3.0])
@pytest.mark.parametrize("sigma", [0.7, 1.5, 3.0])
def test_tangled_masks_stay_valid(sigma, tolerance):
    noise = ndimage.gaussian_filter(np.random.default_rng(4).standard_normal((64, 64)), sigma)
    source = pixel_rings(noise > 0)
    result = simplify_polygons(source, tolerance)
    assert shapely.is_valid(result).all()
    assert not shapely.is_empty(result).any()
    assert (vertices(result) <= vertices(source)).all()
    assert abs(shapely.area(result).sum() / shapely.area(source).sum() - 1) < 0.02


def test_only_what_crosses_keeps_its_detail():
    noise = ndimage.gaussian_filter(np.random.default_rng(7).standard_normal((160, 160)), 1.5)
    source = pixel_rings(ndimage.binary_closing(noise > 0))
    giant = source[shapely.area(source).argmax()]
    (result,) = simplify_polygons(array(giant), 3.0)
    assert result.is_valid
    assert vertices(result) < 0.35 * vertices(giant)


def test_holes_are_kept():
    source = dense(shapely.box(0, 0, 40, 40).difference(shapely.Point(20, 20).buffer(9)))
    (result,) = simplify_polygons(array(source), 1.0)
    assert len(result.interiors) == 1
    assert result.area == pytest.approx(source.area, rel=0.01)


def test_where_a_ring_begins_makes_no_difference():
    points = np.asarray(dense(shapely.Polygon([(0, 0), (40, 3), (35, 30), (12, 22)])).exterior.coords)[:-1]
    starts = array(*(shapely.Polygon(np.roll(points, k, axis=0)) for k in range(0, len(points), 5)))
    result = simplify_polygons(starts, 1.0)
    assert shapely.area(shapely.symmetric_difference(result, result[0])).max() < 1e-6


def test_each_result_depends_on_its_own_polygon_only():
    noise = ndimage.gaussian_filter(np.random.default_rng(5).standard_normal((48, 48)), 1.5)
    source = pixel_rings(noise > 0)
    together = simplify_polygons(source, 1.0)
    for k in range(len(source)):
        assert shapely.to_wkb(simplify_polygons(source[k : k + 1], 1.0)[0]) == shapely.to_wkb(together[k])


def test_flat_pixels_are_measured_on_the_ground():
    wide = dense(shapely.Point(50, 50).buffer(30, quad_segs=32))
    flat = np.array([[0.5, 0.0], [0.0, -1.0]])
    ground = shapely.transform(wide, lambda points: points * [2.0, 1.0])
    (result,) = simplify_polygons(array(ground), 1.0, flat)
    (same,) = simplify_polygons(array(wide), np.sqrt(0.5))  # metres: the unit is the root of a pixel's area
    assert result.area / 2 == pytest.approx(wide.area, rel=0.01)
    assert abs(vertices(result) - vertices(same)) <= 1


def test_what_cannot_be_simplified_comes_back():
    bow = shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    pixel = shapely.box(3, 3, 4, 4)
    result = simplify_polygons(array(bow, shapely.Polygon(), None, pixel), 1.0)
    assert result[0] is bow
    assert result[2] is None
    assert result[3].equals(pixel)
    assert len(simplify_polygons(np.empty(0, object), 1.0)) == 0


def test_the_tolerance_must_be_positive():
    with pytest.raises(GridError, match="positive"):
        simplify_polygons(array(shapely.box(0, 0, 9, 9)), 0.0)
