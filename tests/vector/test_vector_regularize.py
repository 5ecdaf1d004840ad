import numpy as np
import pytest
import shapely
from shapely import affinity

from geoseg.errors import GridError
from geoseg.vector import regularize as regularize_module
from geoseg.vector.regularize import Regularization, Status, regularize, without_overlaps

METRES = np.array([[0.3, 0.0], [0.0, -0.3]])
SHAPES = {
    "box": [(0, 0), (30, 0), (30, 18), (0, 18)],
    "L": [(0, 0), (32, 0), (32, 12), (14, 12), (14, 26), (0, 26)],
    "T": [(0, 0), (34, 0), (34, 11), (24, 11), (24, 24), (12, 24), (12, 11), (0, 11)],
    "U": [(0, 0), (36, 0), (36, 26), (26, 26), (26, 10), (10, 10), (10, 26), (0, 26)],
    "cross": [
        *[(10, 0), (22, 0), (22, 10), (34, 10), (34, 22), (22, 22)],
        *[(22, 32), (10, 32), (10, 22), (0, 22), (0, 10), (10, 10)],
    ],
    "comb": [
        *[(0, 0), (50, 0), (50, 24), (42, 24), (42, 8), (30, 8)],
        *[(30, 24), (20, 24), (20, 8), (8, 8), (8, 24), (0, 24)],
    ],
}


def shape(name):
    return shapely.Polygon(SHAPES[name])


def courtyard():
    return shapely.Polygon([(0, 0), (40, 0), (40, 34), (0, 34)], [[(12, 10), (12, 24), (28, 24), (28, 10)]])


def blurred(polygon, seed=0, noise=0.12, rounding=1.0):
    """A border such as a network's: corners rounded, one point per pixel, a little noise."""
    rounded = polygon.buffer(-rounding).buffer(2 * rounding).buffer(-rounding)
    rng = np.random.default_rng(seed)

    def shaken(ring):
        along = np.linspace(0, ring.length, int(ring.length), endpoint=False)
        points = shapely.get_coordinates(shapely.line_interpolate_point(ring, along))
        return points + rng.normal(0, noise, points.shape)

    return shapely.Polygon(shaken(rounded.exterior), [shaken(hole) for hole in rounded.interiors])


def turned(polygon, degrees):
    return affinity.translate(affinity.rotate(polygon, degrees, origin=(20, 15)), 100.3, 200.7)


def batch(*polygons):
    return np.array(polygons, object)


def redraw(*polygons, jacobians=METRES, **options):
    return regularize(batch(*polygons), jacobians, Regularization(**options))


def iou(one, other):
    return shapely.area(shapely.intersection(one, other)) / shapely.area(shapely.union(one, other))


def vertices(polygon):
    return len(polygon.exterior.coords) - 1


def sides(ring, jacobian=METRES):
    """Where each side points on the ground, in degrees modulo 90 off the first."""
    east, north = np.diff(np.asarray(ring.coords) @ jacobian.T, axis=0).T
    angle = np.degrees(np.arctan2(north, east))
    return (angle - angle[0] + 45) % 90 - 45


@pytest.mark.parametrize("name", SHAPES)
def test_every_direction_gives_right_angles(name):
    truth = batch(*(turned(shape(name), degrees) for degrees in range(91)))
    source = batch(*(blurred(polygon, seed) for seed, polygon in enumerate(truth)))
    result = regularize(source, METRES)
    assert shapely.is_valid(result.polygons).all()
    assert (result.status == Status.RECTILINEAR).all()
    assert {vertices(polygon) for polygon in result.polygons} == {len(SHAPES[name])}
    assert max(np.abs(sides(polygon.exterior)).max() for polygon in result.polygons) < 1e-6
    assert iou(result.polygons, truth).min() > 0.95
    assert abs(shapely.area(result.polygons).sum() / shapely.area(truth).sum() - 1) < 0.01
    assert shapely.hausdorff_distance(result.polygons, truth).max() < 1.5


def test_a_hole_takes_the_direction_of_its_shell_and_stays_inside():
    for degrees in range(0, 90, 7):
        truth = turned(courtyard(), degrees)
        skewed = affinity.rotate(shapely.Polygon(truth.interiors[0]), 6)
        source = blurred(shapely.Polygon(truth.exterior).difference(skewed), degrees)
        result = redraw(source, max_displacement=1.0, price=0.02, max_price=1e9)
        (polygon,) = result.polygons
        assert result.status[0] == Status.RECTILINEAR
        assert polygon.is_valid
        (hole,) = polygon.interiors
        assert shapely.Polygon(polygon.exterior).contains(shapely.Polygon(hole))
        first = np.asarray(polygon.exterior.coords)[:2]
        chain = shapely.LineString([*first, *np.asarray(hole.coords)])
        assert np.abs(np.delete(sides(chain), 1)).max() < 1e-6


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_buildings_of_a_few_pixels_stay_valid_and_near(size):
    source = batch(shapely.segmentize(shapely.box(5, 5, 5 + size, 8), 1.0))
    result = regularize(source, METRES)
    assert result.polygons[0].is_valid
    assert iou(result.polygons, source)[0] > 0.75


def test_walls_shorter_than_the_least_go():
    notched = shapely.box(0, 0, 40, 24).difference(shapely.box(18, 22.3, 20, 24))
    (polygon,) = redraw(blurred(turned(notched, 20), rounding=0.3), min_wall=3.0).polygons
    assert vertices(polygon) == 4


def test_walls_longer_than_the_least_stay():
    notched = shapely.box(0, 0, 40, 24).difference(shapely.box(14, 18, 24, 24))
    assert vertices(redraw(blurred(turned(notched, 20))).polygons[0]) == 8


def test_the_least_wall_in_metres_depends_on_the_pixel():
    notched = blurred(shapely.box(0, 0, 40, 24).difference(shapely.box(14, 19, 24, 24)))
    loose = dict(max_displacement=2.0, price=0.02, max_price=1e9, max_deviation=9.0, min_wall_m=3.0)
    fine, coarse = METRES, METRES * 4
    assert vertices(redraw(notched, jacobians=fine, **loose).polygons[0]) == 4
    assert vertices(redraw(notched, jacobians=coarse, **loose).polygons[0]) == 8


def test_round_is_a_circle_and_square_is_not():
    disc = shapely.Point(30.2, 40.6).buffer(8, quad_segs=32)
    square = shapely.box(60, 60, 68, 68)
    result = redraw(blurred(disc), blurred(turned(square, 30)))
    assert list(result.status) == [Status.CIRCLE, Status.RECTILINEAR]
    assert iou(result.polygons[0], disc) > 0.97
    assert abs(result.polygons[0].area / disc.area - 1) < 0.02
    assert np.isnan(result.orientation_deg[0])
    assert vertices(result.polygons[1]) == 4


def test_slanted_walls_do_not_become_steps():
    trapezoid = shapely.Polygon([(0, 0), (40, 0), (30, 22), (8, 22)])
    chamfered = shapely.Polygon([(0, 0), (36, 0), (36, 14), (24, 26), (0, 26)])
    truth = batch(*(turned(one, angle) for one in (trapezoid, chamfered) for angle in (0, 17, 45, 71)))
    result = regularize(batch(*(blurred(one, k) for k, one in enumerate(truth))), METRES)
    assert (result.status == Status.ANY_ANGLE).all()
    assert all(vertices(new) <= vertices(old) + 2 for new, old in zip(result.polygons, truth, strict=True))
    assert iou(result.polygons, truth).min() > 0.96


def test_a_blob_keeps_its_border():
    angle = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radius = 40 + 9 * np.sin(5 * angle) + 4 * np.sin(11 * angle)
    blob = shapely.Polygon(np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]))
    result = redraw(blob)
    assert result.status[0] in (Status.ANY_ANGLE, Status.SIMPLIFIED)
    assert iou(result.polygons[0], blob) > 0.94
    assert iou(redraw(blob, price=0.0).polygons[0], blob) > 0.97


def test_gaps_along_walls_that_touch_are_filled_and_courtyards_are_not():
    gaps = [shapely.box(20 + k, 4 + 3 * k, 21 + k, 6 + 3 * k) for k in range(6)]
    houses = shapely.segmentize(shapely.box(0, 0, 60, 28).difference(shapely.union_all(gaps)), 1.0)
    result = redraw(houses, blurred(courtyard()))
    assert [vertices(polygon) for polygon in result.polygons] == [4, 4]
    assert [len(polygon.interiors) for polygon in result.polygons] == [0, 1]


@pytest.mark.parametrize("size", [40, 60, 90])
def test_wobbles_of_a_large_building_are_no_walls(size):
    truth = turned(shapely.box(0, 0, size, 0.7 * size), 25)
    along = np.linspace(0, truth.length, 4 * size, endpoint=False)
    points = shapely.get_coordinates(shapely.line_interpolate_point(truth.exterior, along))
    phase = np.random.default_rng(size).uniform(0, 2 * np.pi, 2)
    off = 0.015 * size * np.sin(24 * np.pi * along[:, None] / truth.length + phase)
    result = redraw(shapely.Polygon(points + off), jacobians=METRES / 2)
    assert result.status[0] == Status.RECTILINEAR
    assert vertices(result.polygons[0]) == 4
    assert iou(result.polygons[0], truth) > 0.95


def test_a_higher_price_leaves_fewer_walls():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    radius = 60 + 3 * np.sin(7 * angle) + 2 * np.sin(23 * angle)
    blob = shapely.Polygon(np.column_stack([1.5 * radius * np.cos(angle), radius * np.sin(angle)]))
    counts = [vertices(redraw(blob, price=price).polygons[0]) for price in (0.0, 0.001, 0.01)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_moving_by_whole_pixels_moves_the_result():
    source = blurred(turned(shape("L"), 33))
    here = redraw(source).polygons[0]
    there = redraw(affinity.translate(source, 4096, 512)).polygons[0]
    assert shapely.equals_exact(affinity.translate(here, 4096, 512), there, 1e-6)


def test_scale_of_the_ground_changes_metres_only():
    source = blurred(turned(shape("T"), 12))
    fine, coarse = redraw(source), redraw(source, jacobians=METRES * 10)
    assert shapely.equals_exact(fine.polygons[0], coarse.polygons[0], 1e-9)
    assert coarse.displacement_m[0] == pytest.approx(10 * fine.displacement_m[0])
    assert fine.displacement_m[0] == pytest.approx(0.3 * fine.displacement_px[0])


@pytest.mark.parametrize("name", ["L", "cross"])
def test_a_quarter_turn_turns_the_result(name):
    source = blurred(turned(shape(name), 33))
    here = affinity.rotate(redraw(source).polygons[0], 90, origin=(0, 0))
    there = redraw(affinity.rotate(source, 90, origin=(0, 0))).polygons[0]
    assert iou(here, there) > 1 - 1e-6


def test_where_a_ring_begins_makes_no_difference():
    source = blurred(turned(shape("U"), 50))
    points = np.asarray(source.exterior.coords)[:-1]
    starts = batch(*(shapely.Polygon(np.roll(points, k, axis=0)) for k in range(0, len(points), 9)))
    for result in (regularize(starts, METRES), regularize(shapely.reverse(starts), METRES)):
        assert iou(result.polygons, result.polygons[0]).min() > 1 - 1e-9


@pytest.mark.parametrize("jacobian", [METRES, METRES * [[0.5], [1.0]], METRES @ [[0.8, -0.6], [0.6, 0.8]]])
def test_angles_are_right_on_the_ground(jacobian):
    to_pixels = np.linalg.inv(jacobian) * 0.3

    def seen(polygon):
        return shapely.transform(polygon, lambda points: points @ to_pixels.T)

    for degrees in range(0, 90, 15):
        ground = turned(shape("L"), degrees)
        result = redraw(seen(blurred(ground)), jacobians=jacobian)
        assert result.status[0] == Status.RECTILINEAR
        assert np.abs(sides(result.polygons[0].exterior, jacobian)).max() < 1e-6
        assert iou(result.polygons[0], seen(ground)) > 0.95


@pytest.mark.parametrize("azimuth", [0, 20, 45, 90, 135, 179])
def test_orientation_is_that_of_the_long_axis_clockwise_from_north(azimuth):
    standing = shapely.box(-9, -20, 9, 20)  # rows run south: a turn to the right of the map looks so here
    found = redraw(blurred(affinity.rotate(standing, azimuth, origin=(0, 0)))).orientation_deg[0]
    assert abs((found - azimuth + 90) % 180 - 90) < 1.5


def test_each_result_depends_on_its_own_polygon_only():
    names = [*SHAPES, *SHAPES]
    source = batch(
        *(blurred(turned(shape(name), 7 * k), k) for k, name in enumerate(names)), blurred(courtyard())
    )
    jacobians = METRES * np.linspace(1, 2, len(source))[:, None, None]
    together = regularize(source, jacobians)
    order = np.random.default_rng(1).permutation(len(source))
    shuffled = regularize(source[order], jacobians[order])
    assert (shapely.to_wkb(shuffled.polygons) == shapely.to_wkb(together.polygons[order])).all()
    for k in range(len(source)):
        alone = regularize(source[k : k + 1], jacobians[k])
        assert shapely.to_wkb(alone.polygons[0]) == shapely.to_wkb(together.polygons[k])
        assert alone.displacement_px[0] == together.displacement_px[k]


def test_blocks_make_no_difference(monkeypatch):
    names = [*SHAPES, *SHAPES]
    shapes = [affinity.translate(blurred(shape(name), seed), 34 * seed) for seed, name in enumerate(names)]

    def drawn():
        result = without_overlaps(redraw(*shapes), batch(*shapes))
        return [result.polygons, result.status, result.displacement_px, result.orientation_deg]

    whole = drawn()
    monkeypatch.setattr(regularize_module, "_BLOCK", 5)
    polygons, *numbers = drawn()
    assert np.array_equal(shapely.to_wkb(polygons), shapely.to_wkb(whole[0]))
    for now, before in zip(numbers, whole[1:], strict=True):
        assert np.array_equal(now, before, equal_nan=True)


def test_nothing_gives_nothing():
    result = regularize(np.empty(0, object), METRES)
    assert len(result.polygons) == len(result.status) == 0


def test_broken_polygons_come_back_and_spoil_nothing():
    bow = shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)])
    others = [shapely.Polygon(), None, shapely.MultiPolygon([shapely.box(0, 0, 5, 5)])]
    house = blurred(shape("L"))
    result = redraw(bow, *others, house)
    assert list(result.status[:4]) == [Status.RAW] * 4
    assert result.polygons[0] is bow
    assert result.status[4] == Status.RECTILINEAR
    assert result.polygons[4].equals(redraw(house).polygons[0])
    assert (redraw(bow).status == Status.RAW).all()


def test_exact_pixel_borders_are_redrawn_too():
    stairs = shapely.union_all([shapely.box(k, k // 3, k + 1, k // 3 + 15) for k in range(40)])
    result = redraw(shapely.segmentize(stairs, 1.0))
    assert result.polygons[0].is_valid
    assert vertices(result.polygons[0]) <= 6
    assert iou(result.polygons[0], stairs) > 0.95


def test_jacobians_must_fit():
    with pytest.raises(GridError, match="one per polygon"):
        redraw(shape("box"), jacobians=np.zeros((3, 2, 2)))
    with pytest.raises(GridError, match="singular"):
        redraw(shape("box"), jacobians=np.zeros((2, 2)))


@pytest.mark.parametrize("bad", [dict(tolerance=0), dict(min_wall=-1), dict(price=np.nan)])
def test_thresholds_must_make_sense(bad):
    with pytest.raises(GridError, match="got"):
        Regularization(**bad)
