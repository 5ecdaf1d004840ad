"""Tracing pictures whose right answer is known."""

import numpy as np
import pytest
import shapely
from test_vector_trace import HEIGHTS, by_gdal, same, traced, wkb

from geoseg.vector.trace import trace


def picture(text):
    """Labels from a drawing: `.` is 0, digits are labels."""
    rows = text.split()
    return np.array([[0 if pixel == "." else int(pixel) for pixel in row] for row in rows], np.uint8)


def checked(labels, **options):
    """The components, which must be GDAL's and the same for strips of any height."""
    whole = traced(labels, **options)
    assert wkb(whole.polygons()) == wkb(by_gdal(labels)[0])
    assert all(same(traced(labels, height=height, **options), whole) for height in HEIGHTS)
    return whole


def spiral(size):
    """One winding arm, one pixel wide, that crosses every row many times."""
    mask = np.zeros((size, size), np.uint8)
    row, col, step = 0, -1, (0, 1)
    for length in [size] + [n for k in range(size - 1, 0, -2) for n in (k, k)]:
        for _ in range(length):
            row, col = row + step[0], col + step[1]
            mask[row, col] = 1
        step = step[1], -step[0]
    return mask


def rings_within_rings(depth):
    """`depth` frames around each other, one pixel apart."""
    away = np.minimum.outer(*[np.minimum(np.arange(4 * depth), np.arange(4 * depth)[::-1])] * 2)
    return (away % 2 == 0).astype(np.uint8)


def test_nothing_to_trace():
    assert traced(np.zeros((5, 4), bool)) is None
    assert list(trace([], 7)) == []
    assert list(trace([(np.zeros((0, 7), bool), None, None)], 7)) == []


def test_all_ones_are_one_rectangle():
    found = checked(np.ones((6, 9), np.uint8))
    assert found.corners.tolist() == [[9, 0], [0, 0], [0, 6], [9, 6], [9, 0]]
    assert (found.pixels[0], found.bounds.tolist()) == (54, [[0, 0, 6, 9]])


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (8, 1)])
def test_one_row_or_one_column(shape):
    assert checked(np.ones(shape, np.uint8)).pixels.tolist() == [shape[0] * shape[1]]
    gaps = np.resize(np.array([1, 1, 0], np.uint8), shape)
    assert checked(gaps).pixels.sum() == gaps.sum()


def test_a_checkerboard_is_as_many_squares():
    board = (np.indices((7, 8)).sum(0) % 2).astype(np.uint8)
    found = checked(board)
    assert (found.pixels == 1).all() and len(found) == 28
    assert np.array_equal(found.bounds[:, :2], np.argwhere(board))
    both = checked(1 + board)
    assert len(both) == 56 and shapely.coverage_is_valid(both.polygons())


def test_a_ring_around_the_raster_is_finished_last():
    mask = np.ones((9, 9), np.uint8)
    mask[1:-1, 1:-1] = 0
    mask[3:5, 3:5] = mask[6, 6] = 1
    found = checked(mask)
    assert found.pixels.tolist() == [4, 1, 32]
    assert found.touches_edge.tolist() == [False, False, True]


def test_a_spiral_crosses_all_strips():
    found = checked(spiral(31))
    assert len(found) == 1 and found.pixels[0] == spiral(31).sum()
    checked(1 - spiral(31))
    checked(1 + spiral(31))


def test_islands_within_islands():
    found = checked(rings_within_rings(4))
    assert [len(p.interiors) for p in found.polygons()] == [1, 1, 1, 1]
    assert found.bounds[:, 0].tolist() == [6, 4, 2, 0]


@pytest.mark.parametrize(
    ("text", "pixels", "holes"),
    [
        ("11.. 11.. ..11 ..11", [4, 4], [0, 0]),  # two that touch at a corner
        ("1111 1..1 11.1 .111", [12], [1]),  # one, with a hole that touches the outside of its pixels
        ("11111 1.1.1 11.11 1.1.1 11111", [20], [5]),  # five holes that touch
        ("11.11 1.1.1 .1.1. 1.1.1 11.11", None, None),
        ("1...1 .1.1. ..1.. .1.1. 1...1", [1] * 9, [0] * 9),
        ("111. 1.11 11.1 .111", [12], [2]),
        ("1.1 .1. 1.1 111", None, None),  # a corner shared by two that join in a later row
        (".11. 1..1 1.11 .1.. 11..", None, None),
    ],
)
def test_pixels_that_meet_diagonally(text, pixels, holes):
    labels = picture(text)
    found = checked(labels)
    checked(labels.T.copy())
    checked(labels[::-1].copy())
    if pixels:
        assert found.pixels.tolist() == pixels
        assert [len(polygon.interiors) for polygon in found.polygons()] == holes


def test_a_component_that_ends_with_a_strip_comes_with_the_next():
    mask = picture("11. 11. ... ..1")
    batches = list(trace([(mask[:2], None, None), (mask[2:], None, None)], 3))
    assert [batch.pixels.tolist() for batch in batches] == [[4], [1]]


def test_many_arms_join_in_the_last_row():
    comb = np.zeros((12, 41), np.uint8)
    comb[:, ::2] = comb[-1] = 1
    assert checked(comb).pixels.tolist() == [12 * 21 + 20]
    assert len(checked(comb[::-1].copy())) == 1


def test_neighbouring_labels_share_every_vertex():
    found = checked(picture("1122 1122 3333 3..3"))
    assert shapely.coverage_is_valid(found.polygons())
    (three,) = found.select(found.label == 3).polygons()
    assert (2, 2) in three.exterior.coords  # where 1 and 2 meet on its straight side
    assert found.label.tolist() == [1, 2, 3]


def test_labels_beyond_two_bytes_stay_exact():
    labels = picture("1122 1122") + np.int32(2**31 - 3)
    assert checked(labels).label.tolist() == [2**31 - 2, 2**31 - 1]


def test_probability_sums_are_exact():
    labels = np.ones((300, 400), np.uint8)
    codes = np.full(labels.shape, 255, np.uint8)
    assert traced(labels, codes, height=7).probability_sum.tolist() == [255 * 120_000]
    assert traced(labels).probability_sum.tolist() == [0]


def test_small_components_and_holes_are_left_out():
    mask = picture("11111.1 1...1.. 1...1.. 11111.. 1.11111 1111111")
    everything = checked(mask)
    assert everything.pixels.tolist() == [1, 27]
    large = traced(mask, min_pixels=2)
    assert same(large, everything.select(everything.pixels >= 2))
    filled = traced(mask, max_hole_pixels=1)
    assert [len(p.interiors) for p in filled.polygons()] == [0, 1]
    assert filled.pixels.tolist() == everything.pixels.tolist()
    assert [len(p.interiors) for p in traced(mask, max_hole_pixels=6).polygons()] == [0, 0]


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_hole_is_not_filled_over_a_component_that_is_kept(height):
    mask = picture("11111 1...1 1.2.1 1...1 11111 1.111 11111")
    kept = traced(mask, height=height, max_hole_pixels=9)
    assert [len(p.interiors) for p in kept.polygons()] == [0, 1]
    full = traced(picture("111 121 111"), height=height, max_hole_pixels=1)
    assert [len(p.interiors) for p in full.polygons()] == [0, 1]
    late = traced(picture(".1111 11121 1211. 1111."), height=height, max_hole_pixels=1)
    assert [len(p.interiors) for p in late.polygons()] == [0, 0, 2]
    dropped = traced(mask, height=height, max_hole_pixels=9, min_pixels=2)
    assert [len(p.interiors) for p in dropped.polygons()] == [0]


def test_invalid_pixels_are_background_and_mark_their_neighbours():
    mask = np.zeros((9, 20), bool)
    mask[2:7, 2:7] = mask[2:7, 10:15] = True
    valid = np.ones(mask.shape, bool)
    valid[4, 4] = False
    for height in HEIGHTS:
        found = traced(mask, valid=valid, height=height)
        assert found.pixels.tolist() == [24, 25]
        assert found.touches_edge.tolist() == [True, False]


@pytest.mark.parametrize("side", [np.s_[0, 4], np.s_[-1, 4], np.s_[4, 0], np.s_[4, -1]])
def test_the_four_edges(side):
    mask = np.zeros((8, 9), bool)
    mask[side] = mask[2, 2] = True
    found = traced(mask)
    assert sorted(found.touches_edge.tolist()) == [False, True]


def test_selecting_and_joining_batches():
    rng = np.random.default_rng(5)
    labels, codes = rng.integers(0, 3, (30, 30), np.uint8), rng.integers(0, 256, (30, 30), np.uint8)
    found = traced(labels, codes, level=127.5)
    some = found.select(found.pixels > 2)
    assert wkb(some.polygons()) == wkb(found.polygons()[found.pixels > 2])
    order = np.arange(len(found))[::-1]
    assert same(found.select(order).select(order), found)
    assert len(found.select(np.zeros(len(found), bool)).polygons()) == 0
