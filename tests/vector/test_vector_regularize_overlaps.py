import numpy as np
import shapely
from scipy import ndimage

from geoseg.vector.regularize import Regularized, Status, regularize, without_overlaps
from geoseg.vector.regularize_overlaps import resolve_overlaps


def array(*polygons):
    return np.array(polygons, object)


def row_of_boxes(count):
    source = array(*(shapely.box(10 * k, 0, 10 * k + 9, 9) for k in range(count)))
    grown = np.random.default_rng(3).uniform(-0.5, 1.5, count)
    return source, shapely.buffer(source, grown, join_style="mitre"), np.abs(grown)


def insides_meet(polygons):
    one, other = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    apart = one != other
    return (~shapely.touches(polygons[one[apart]], polygons[other[apart]])).any()


def test_the_one_that_moved_farther_falls_back():
    before = array(shapely.box(0, 0, 9, 9), shapely.box(10, 0, 19, 9))
    after = array(shapely.box(0, 0, 9.8, 9), shapely.box(9.5, 0, 19, 9))
    polygons, fallen = resolve_overlaps(after, before, np.array([0.1, 0.2]))
    assert list(fallen) == [False, True]
    assert polygons[0] is after[0]
    assert polygons[1] is before[1]


def test_of_equals_the_later_falls_back():
    before = array(shapely.box(0, 0, 9, 9), shapely.box(10, 0, 19, 9))
    after = array(shapely.box(0, 0, 9.8, 9), shapely.box(9.5, 0, 19, 9))
    assert list(resolve_overlaps(after, before, np.zeros(2))[1]) == [False, True]


def test_touching_is_no_overlap():
    before = array(shapely.box(0, 0, 9, 9), shapely.box(10, 0, 19, 9))
    after = array(shapely.box(0, 0, 9.5, 9), shapely.box(9.5, 0, 19, 9))
    assert not resolve_overlaps(after, before, np.ones(2))[1].any()


def test_who_meets_what_a_neighbour_was_falls_with_it_alone():
    before = array(*(shapely.box(10 * k, 0, 10 * k + 9, 9) for k in range(3)))
    reaches = array(shapely.box(0, 0, 10.5, 9), shapely.box(11, 0, 19, 9), before[2])
    assert not resolve_overlaps(reaches, before, np.ones(3))[1].any()
    pushed = array(reaches[0], shapely.box(11, 0, 20.5, 9), before[2])  # has to give way
    assert list(resolve_overlaps(pushed, before, np.array([0.1, 0.2, 0.0]))[1]) == [True, True, False]


def test_one_inside_another_is_an_overlap():
    ring = shapely.box(0, 0, 30, 30).difference(shapely.box(8, 8, 22, 22))
    before = array(ring, shapely.box(12, 12, 18, 18))
    after = array(shapely.box(0, 0, 30, 30), before[1])
    assert list(resolve_overlaps(after, before, np.array([0.3, 0.0]))[1]) == [True, False]


def test_chains_end_without_overlaps():
    before, after, displacement = row_of_boxes(200)
    assert insides_meet(after)
    polygons, fallen = resolve_overlaps(after, before, displacement)
    assert not insides_meet(polygons)
    assert 0 < fallen.sum() < 200


def test_neighbours_within_two_steps_decide():
    before, after, displacement = row_of_boxes(60)
    _, fallen = resolve_overlaps(after, before, displacement)
    for k in range(2, 58):
        near = slice(k - 2, k + 3)
        assert resolve_overlaps(after[near], before[near], displacement[near])[1][2] == fallen[k]


def test_one_that_only_meets_what_stays_redrawn_stays_too():
    before = array(shapely.box(0, 0, 9, 9), shapely.box(10, 0, 19, 9))
    after = array(shapely.box(0, 0, 10.5, 9), shapely.box(11, 0, 19, 9))
    assert not resolve_overlaps(after, before, np.ones(2))[1].any()


def test_invalid_and_empty_meet_nothing():
    bow = shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    polygons = array(bow, shapely.box(0, 0, 9, 9), shapely.Polygon(), None)
    assert not resolve_overlaps(polygons, polygons, np.zeros(4))[1].any()
    assert len(resolve_overlaps(polygons[:0], polygons[:0], np.zeros(0))[1]) == 0


def test_fallen_polygons_say_so():
    before, after, displacement = row_of_boxes(40)
    status = np.full(40, Status.RECTILINEAR, np.uint8)
    drawn = Regularized(after, status, displacement, np.full(40, 0.3), np.zeros(40))
    settled = without_overlaps(drawn, before)
    fallen = settled.status != Status.RECTILINEAR
    assert 0 < fallen.sum() < 40
    assert not insides_meet(settled.polygons)
    assert shapely.equals(settled.polygons[fallen], before[fallen]).all()
    assert (settled.displacement_px[fallen] < 1e-9).all()
    assert (settled.polygons[~fallen] == after[~fallen]).all()


def test_neighbours_within_six_steps_decide():
    before, after, displacement = row_of_boxes(60)
    status = np.full(60, Status.RECTILINEAR, np.uint8)
    whole = without_overlaps(Regularized(after, status, displacement, np.ones(60), np.zeros(60)), before)
    for k in range(6, 54):
        near = slice(k - 6, k + 7)
        part = Regularized(after[near], status[near], displacement[near], np.ones(13), np.zeros(13))
        assert shapely.equals(without_overlaps(part, before[near]).polygons[6], whole.polygons[k])


def test_borders_that_wind_about_each_other_end_apart():
    noise = ndimage.gaussian_filter(np.random.default_rng(2).standard_normal((96, 96)), 0.8)
    labels, count = ndimage.label(noise > 0)
    rows, cols = np.indices(labels.shape)
    pixels = shapely.box(cols, rows, cols + 1, rows + 1)
    parts = [shapely.union_all(pixels[labels == k]) for k in range(1, count + 1)]
    source = shapely.segmentize(np.array(parts), 1.0)
    drawn = regularize(source, np.eye(2))
    assert insides_meet(drawn.polygons)
    settled = without_overlaps(drawn, source)
    assert not insides_meet(settled.polygons)
    assert shapely.is_valid(settled.polygons).all()
    assert set(settled.status) > {Status.RECTILINEAR, Status.SIMPLIFIED}


def test_nothing_and_the_invalid_pass():
    bow = shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    for source in (np.empty(0, object), array(bow, shapely.Polygon(), None, shapely.box(1, 1, 8, 8))):
        settled = without_overlaps(regularize(source, np.eye(2)), source)
        assert len(settled.polygons) == len(source)
