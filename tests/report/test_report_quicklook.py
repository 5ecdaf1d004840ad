"""The quicklook: what is where in it."""

import cv2
import numpy as np
import pytest

from geoseg.report.quicklook import ABSENT, LONGEST, SHORTEST, Caption, _nice, draw_quicklook

CLASSES = [("building", "#ff0000", 0.25), ("tree", "#00ff00", 0.0)]


def drawn(tmp_path, shape, *, valid=None, shares=None, classes=CLASSES, pixel_m=0.3, title="scene.tif"):
    scene = np.full((*shape, 3), (90, 90, 160), np.uint8)
    valid = np.ones(shape, bool) if valid is None else valid
    shares = np.zeros((*shape, len(classes)), np.float32) if shares is None else shares
    draw_quicklook(tmp_path / "q.png", scene, valid, shares, Caption(title, "a note", classes, pixel_m))
    return cv2.imread(str(tmp_path / "q.png"))[..., ::-1].astype(int)


def near(pixel, color):
    return np.abs(pixel - np.array(color)).max() <= 8


def test_a_class_covers_its_pixels_and_has_an_outline(tmp_path):
    shape = (1000, 1200)
    shares = np.zeros((*shape, 2), np.float32)
    shares[300:600, 200:700, 0] = 1
    picture = drawn(tmp_path, shape, shares=shares)
    assert picture.shape[1] == 1200
    assert near(picture[100, 100], (90, 90, 160))
    inside, border = picture[450, 450], picture[450, 200]
    assert inside[0] > 130 > 110 > inside[2]
    assert border[0] > 200 > 110 > border[2]


def test_pixels_without_data_are_pale(tmp_path):
    valid = np.ones((800, 800), bool)
    valid[:400] = False
    picture = drawn(tmp_path, (800, 800), valid=valid)
    assert near(picture[200, 400], [ABSENT] * 3)
    assert near(picture[600, 400], (90, 90, 160))


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (700, 3), (40, 60), (LONGEST, 200), (300, LONGEST)])
def test_any_shape_is_drawn_within_bounds(tmp_path, shape):
    picture = drawn(tmp_path, shape)
    assert SHORTEST <= max(picture.shape[:2]) <= LONGEST + 200
    assert picture.shape[1] >= SHORTEST


def test_many_classes_wrap_and_a_long_name_is_cut(tmp_path):
    many = [(f"class number {k}", "#808080", 0.01) for k in range(14)]
    few = drawn(tmp_path, (800, 800))
    picture = drawn(tmp_path, (800, 800), classes=many, title="n" * 500)
    assert picture.shape[0] > few.shape[0]
    assert near(picture[-1, -1], (255, 255, 255))


def bar_px(picture):
    """Length of the longest dark horizontal run below the scene, which is the scale bar."""
    dark = (picture[-110:] < 100).all(-1)
    edges = (np.flatnonzero(np.diff(row.astype(int), prepend=0, append=0)) for row in dark)
    return max((row[1::2] - row[::2]).max() for row in edges if row.size)


@pytest.mark.parametrize(("pixel_m", "metres"), [(0.3, 50), (0.1, 20), (12.0, 2000)])
def test_the_scale_bar_is_as_long_as_it_says(tmp_path, pixel_m, metres):
    assert _nice(0.22 * 1000 * pixel_m) == metres
    picture = drawn(tmp_path, (1000, 1000), pixel_m=pixel_m)
    assert bar_px(picture) == pytest.approx(metres / pixel_m, abs=4)


def test_there_is_none_where_the_size_of_pixels_is_not_known(tmp_path):
    assert bar_px(drawn(tmp_path, (1000, 1000), pixel_m=None)) < 40


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "title", ["", "$x_1$ \\ {", "two\nlines\t.tif", "航空写真.tif", "\N{OLD ITALIC LETTER A}"]
)
def test_any_name_can_be_written(tmp_path, title):
    assert drawn(tmp_path, (300, 300), title=title).shape == drawn(tmp_path, (300, 300)).shape


def test_the_same_picture_has_the_same_bytes(tmp_path):
    drawn(tmp_path, (50, 60))
    first = (tmp_path / "q.png").read_bytes()
    drawn(tmp_path, (50, 60))
    assert (tmp_path / "q.png").read_bytes() == first
