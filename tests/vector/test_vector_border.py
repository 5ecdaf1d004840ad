"""The sub-pixel border, against a slow walk along the rings."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from test_vector_trace import HEIGHTS, same, traced

LEVEL = 127.5


@st.composite
def probabilities(draw):
    """(h, w) uint8 codes, noisy or smooth."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 25), st.integers(1, 25)))
    blur = draw(st.sampled_from([0, 0.8, 2.0]))
    smooth = ndimage.gaussian_filter(rng.random(shape), blur)
    smooth -= smooth.min()
    return (255 * smooth / max(smooth.max(), 1e-9)).round().astype(np.uint8)


def slow_border(corners, codes, valid, level):
    """The points along one closed ring of corners, one pixel side at a time."""
    points = []
    for (x0, y0), (x1, y1) in zip(corners[:-1].tolist(), corners[1:].tolist(), strict=True):
        step = np.sign(x1 - x0), np.sign(y1 - y0)
        while (x0, y0) != (x1, y1):
            x, y = min(x0, x0 + step[0]), min(y0, y0 + step[1])
            across = (1, 0) if step[0] else (0, 1)  # rows, columns from the first pixel to the second
            t = share((y - across[0], x - across[1]), (y, x), codes, valid, level)
            points.append((x + 0.5, y + t - 0.5) if step[0] else (x + t - 0.5, y + 0.5))
            x0, y0 = x0 + step[0], y0 + step[1]
    return np.array([*points, points[0]])


def share(first, second, codes, valid, level):
    inside = all(0 <= r < codes.shape[0] and 0 <= c < codes.shape[1] for r, c in (first, second))
    if not inside or not (valid[first] and valid[second]) or codes[first] == codes[second]:
        return 0.5
    before, after = float(codes[first]), float(codes[second])
    return min(max((level - before) / (after - before), 0.02), 0.98)


def rings(points, offsets):
    return np.split(points, offsets[1:-1])


@settings(max_examples=60, deadline=None)
@given(probabilities(), st.booleans())
def test_every_pixel_side_gives_the_point_where_the_probability_passes_the_level(codes, holes):
    valid = np.random.default_rng(0).random(codes.shape) > 0.1 * holes
    mask = codes > LEVEL
    whole = traced(mask, codes, valid, level=LEVEL)
    if whole is None:
        return
    for corners, border in zip(
        rings(whole.corners, whole.ring_offsets), rings(whole.border, whole.border_offsets), strict=True
    ):
        np.testing.assert_allclose(border, slow_border(corners, codes, valid, LEVEL), atol=1e-6)
        assert (np.abs(np.diff(border, axis=0)).max(axis=1) > 0).all()  # no edge without length
    assert shapely.is_valid(whole.border_polygons()).all()
    assert all(same(traced(mask, codes, valid, height=height, level=LEVEL), whole) for height in HEIGHTS)


def test_the_border_lies_nearer_to_the_truth_than_the_pixels():
    y, x = np.mgrid[:40, :40] + 0.5
    radius = np.hypot(x - 20.3, y - 19.6)
    codes = (255 * np.clip(12.2 - radius, -0.5, 0.5) + 127.5).round().astype(np.uint8)
    found = traced(codes > LEVEL, codes, level=LEVEL)
    (disc,) = found.border_polygons()
    away = np.hypot(*(shapely.get_coordinates(disc) - [20.3, 19.6]).T) - 12.2
    assert np.abs(away).max() < 0.1
    assert abs(disc.area / (np.pi * 12.2**2) - 1) < 0.005


def test_objects_at_the_edge_end_exactly_there():
    codes = np.full((6, 8), 200, np.uint8)
    codes[:, 4:] = 55
    found = traced(codes > LEVEL, codes, level=LEVEL)
    (box,) = found.border_polygons()
    assert box.bounds == (0, 0, 4, 6)


def test_a_plateau_keeps_the_pixel_sides():
    codes = np.full((5, 5), 99, np.uint8)
    mask = np.zeros((5, 5), bool)
    mask[2, 1:4] = True
    found = traced(mask, codes, level=LEVEL)
    expected = [[3.5, 2], [2.5, 2], [1.5, 2], [1, 2.5], [1.5, 3], [2.5, 3], [3.5, 3], [4, 2.5], [3.5, 2]]
    assert found.border.tolist() == expected


def test_codes_that_contradict_the_mask_stay_between_the_centres():
    codes = np.full((3, 3), 10, np.uint8)
    codes[1, 1] = 20
    found = traced(codes == 20, codes, level=LEVEL)
    assert np.allclose(np.abs(found.border[:4] - 1.5).max(axis=1), 0.02)


@pytest.mark.parametrize("codes", [[[200, 50], [50, 200]], [[50, 200], [200, 50]]])
def test_a_saddle_parts_into_two(codes):
    codes = np.pad(np.array(codes, np.uint8), 1)
    found = traced(codes > LEVEL, codes, level=LEVEL)
    one, other = found.border_polygons()
    assert one.is_valid and other.is_valid and one.disjoint(other)


def test_nodata_beside_an_object_does_not_move_its_border():
    codes = np.full((5, 9), 20, np.uint8)
    codes[1:4, 2:6] = 220
    valid = np.ones(codes.shape, bool)
    valid[:, 6:] = False
    found = traced(codes > LEVEL, codes, valid, level=LEVEL)
    assert found.border_polygons()[0].bounds[2] == 6
    assert found.touches_edge.tolist() == [True]


def test_between_labels_the_border_is_shared():
    labels = np.repeat(np.array([[1, 1, 2, 2]], np.uint8), 4, axis=0)
    codes = np.random.default_rng(3).integers(128, 256, labels.shape, np.uint8)
    found = traced(labels, codes, level=LEVEL)
    one, other = found.border_polygons()
    assert one.bounds[2] == other.bounds[0] == 2
