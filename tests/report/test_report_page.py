"""Pages: what goes into them is right, and nothing gets out of them or into them that should not."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geoseg.core.window import Window
from geoseg.errors import GridError, OutputError
from geoseg.report import page_write
from geoseg.report.page_charts import bars, curves, edges_of, histogram, nice_top, short
from geoseg.report.page_map import scene_picture
from geoseg.report.page_pack import (
    STEPS,
    UNKNOWN,
    Outlines,
    Polygons,
    confidence_codes,
    embedded,
    fitted,
    outlines,
    packed,
)
from geoseg.report.page_parts import pairs, section, table, text
from geoseg.report.page_raster import LARGEST, LONGEST, preview_shape
from geoseg.report.page_tiles import iou, tile_counts, windows, worst, wrong
from geoseg.report.page_write import Page, render, write_page

NASTY = "<img src=x onerror=alert(1)>\"'&</script><!--"
DTYPES = {"u1": "<u1", "i2": "<i2", "u2": "<u2", "u4": "<u4", "f4": "<f4"}


def unpacked(told):
    """What the page's script does with `packed`."""
    return np.frombuffer(zlib.decompress(base64.b64decode(told["bytes"])), DTYPES[told["type"]])


def drawn_again(lines, scale):
    """(n,) polygons of corners on the grid, as the page's script builds them."""
    points = np.cumsum(lines.steps.astype(np.int64), 0) * scale
    rings = np.split(points, np.cumsum(lines.corners)[:-1])
    shapes = []
    for group in np.split(np.arange(len(rings)), np.cumsum(lines.rings)[:-1]):
        area = shapely.Polygon()
        for ring in group:
            if len(rings[ring]) > 2:
                area = area.symmetric_difference(shapely.Polygon(rings[ring]).buffer(0))
        shapes.append(area)
    return np.array(shapes)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float32"])
def test_arrays_come_back(dtype):
    values = np.arange(-40, 60).astype(dtype).reshape(10, 10).T
    assert np.array_equal(unpacked(packed(values)), values.ravel())


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_json_in_a_script_element_comes_back_and_cannot_end_it(value):
    plain = embedded({"value": value, "nasty": NASTY})
    assert not set("<>&") & set(plain)
    assert json.loads(plain) == {"value": value, "nasty": NASTY}


def some_polygons():
    holed = shapely.box(10, 10, 60, 70).difference(shapely.box(20, 20, 30, 40))
    two = shapely.MultiPolygon([shapely.box(100, 5, 120, 25), shapely.box(130, 5, 150, 25)])
    round_ = shapely.Point(200, 100).buffer(30)
    return np.array([holed, two, round_, shapely.box(290, 190, 300, 200)])


def test_outlines_are_the_polygons_to_half_a_step():
    shapes = some_polygons()
    lines = outlines(shapes, (200, 300))
    again = drawn_again(lines, 300 / STEPS)
    apart = shapely.hausdorff_distance(shapely.boundary(again), shapely.boundary(shapes))
    assert apart.max() <= np.hypot(0.5, 0.5) * 300 / STEPS + 1e-9
    assert lines.rings.tolist() == [2, 2, 1, 1]
    assert np.allclose(shapely.area(again), shapely.area(shapes), rtol=2e-3)


def test_corners_beyond_the_plane_come_to_its_edge_and_none_is_said_twice():
    lines = outlines(np.array([shapely.box(-500, -500, 50, 50)]), (100, 100))
    assert drawn_again(lines, 100 / STEPS)[0].equals(shapely.box(0, 0, 50, 50))
    tiny = outlines(np.array([shapely.box(5, 5, 5.0001, 5.0001), shapely.box(1, 1, 2, 2)]), (100, 100))
    assert tiny.corners.tolist() == [1, 4]


def test_shells_turn_one_way_and_holes_the_other():
    lines = outlines(some_polygons()[:1], (200, 300))
    points = np.split(np.cumsum(lines.steps.astype(np.int64), 0), np.cumsum(lines.corners)[:-1])
    turns = [shapely.LinearRing(ring).is_ccw for ring in points]
    assert turns[0] != turns[1]


@given(st.lists(st.tuples(*[st.floats(-50, 350)] * 2, st.floats(0.01, 90)), min_size=1, max_size=20))
def test_any_polygons_can_be_packed(circles):
    shapes = np.array([shapely.Point(x, y).buffer(r, 2) for x, y, r in circles])
    lines = outlines(shapes, (250, 300))
    assert len(lines.rings) == len(shapes)
    points = np.cumsum(lines.steps.astype(np.int64), 0)
    assert points.min() >= 0 and points[:, 0].max() <= STEPS and points[:, 1].max() <= STEPS * 250 / 300 + 1


def test_outlines_whose_counts_do_not_fit_are_refused():
    with pytest.raises(GridError, match="not as many"):
        Outlines(np.zeros((3, 2), np.int16), np.array([4], np.uint32), np.array([1], np.uint32))


def test_confidences_are_coded_in_half_percents():
    codes = confidence_codes(np.array([0, 0.5, 0.876, 1, np.nan]))
    assert codes.tolist() == [0, 100, 175, 200, UNKNOWN]


def many_circles(count, seed=0):
    random = np.random.default_rng(seed)
    places = random.uniform(0, 1000, (count, 2))
    shapes = shapely.buffer(shapely.points(places), random.uniform(0.5, 9, count))
    unknown = np.full(count, np.nan)
    return Polygons(shapes, np.zeros(count, np.uint8), shapely.area(shapes), unknown)


def test_too_many_polygons_are_drawn_simply_then_the_largest_alone_within_their_bytes():
    polygons = many_circles(800)
    whole, count = fitted(polygons, (1000, 1000), (500, 500), 10**9)
    size = len(json.dumps(whole))
    assert count == 800
    simple, count = fitted(polygons, (1000, 1000), (500, 500), int(size * 0.75))
    assert count == 800 and len(json.dumps(simple)) <= size * 0.75
    few, count = fitted(polygons, (1000, 1000), (500, 500), size // 8)
    areas = unpacked(few["areas"])
    assert len(json.dumps(few)) <= size // 8 and 0 < count == len(areas) < 800
    assert np.allclose(areas, np.sort(polygons.areas.astype(np.float32))[::-1][:count])


def test_notes_go_with_their_polygons():
    polygons = Polygons(some_polygons(), *np.zeros((3, 4)), notes=[["a"], ["b"], ["c"], ["d"]])
    assert polygons.take(np.array([2, 0])).notes == [["c"], ["a"]]
    told, _ = fitted(polygons, (200, 300), (200, 300), 10**6)
    order = np.argsort(-shapely.area(some_polygons()), kind="stable")
    assert told["notes"] == [[["a"], ["b"], ["c"], ["d"]][k] for k in order]


@given(st.lists(st.floats(1e-3, 1e7), min_size=1, max_size=60))
def test_every_area_is_in_a_bin(areas):
    values = np.array(areas)
    edges = edges_of(values)
    assert histogram(values, edges).sum() == len(values)
    assert np.allclose(np.diff(np.log10(edges)), np.log10(edges[1] / edges[0]))


def test_bars_are_as_high_as_their_counts_and_say_them():
    drawn = bars("area", np.array([0, 5, 10]), np.array([1.0, 2, 3, 4]), "m²", "#ff0000")
    heights = [float(found) for found in re.findall(r'<rect [^>]*height="([\d.]+)"', drawn)]
    assert heights[0] == 0 and heights[2] == pytest.approx(2 * heights[1], abs=0.2)
    assert "2 – 3 m²: 5" in drawn


def test_curves_have_gaps_and_a_mark():
    drawn = curves("loss", {"training": [1.0, None, 0.5], NASTY: [2.0, 1.0, 1.5]}, best=2)
    assert drawn.count("<circle") == 5 and "the best epoch, 2" in drawn
    assert NASTY not in drawn
    assert curves("none", {"a": [None]}) == ""


@given(st.floats(1e-9, 1e12))
def test_the_top_of_an_axis_is_round_and_near(value):
    assert value * (1 - 1e-6) <= nice_top(value) <= 2.5 * value


def test_numbers_are_short():
    assert [short(value) for value in (0.25, 12, 3400, 34000, 2.5e6)] == [
        "0.25",
        "12",
        "3,400",
        "34k",
        "2.5M",
    ]


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_previews_are_small_and_keep_their_proportions(height, width):
    rows, cols = preview_shape((height, width))
    assert 1 <= rows <= height and 1 <= cols <= width
    assert max(rows, cols) <= LONGEST and rows * cols <= LARGEST
    if min(rows, cols) > 50:
        assert rows / cols == pytest.approx(height / width, rel=0.03)


def test_small_planes_are_their_own_preview():
    assert preview_shape((300, 411)) == (300, 411)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 17), st.integers(0, 99))
def test_counts_of_tiles_are_those_of_their_pixels(height, width, block, seed):
    codes = np.random.default_rng(seed).choice(np.array([0, 1, 2, 3, 4, 255], np.uint8), (height, width))
    counts = tile_counts((codes[row : row + block] for row in range(0, height, block)), block)
    places = [(row, col) for row in range(counts.shape[0]) for col in range(counts.shape[1])]
    for place, window in zip(places, windows(places, block, codes.shape), strict=True):
        tile = codes[window.row : window.stop_row, window.col : window.stop_col]
        assert counts[place].tolist() == [np.count_nonzero(tile == code) for code in range(5)]


def test_the_worst_tiles_have_the_most_wrong_pixels():
    codes = np.zeros((8, 12), np.uint8)
    codes[:4, 4:8] = 1
    codes[4:, :2], codes[4:, 2:4] = 2, 3
    counts = tile_counts([codes[:4], codes[4:]], 4)
    assert worst(counts, 5) == [(0, 1), (1, 0)]
    assert wrong(counts)[0, 1] == 16 and iou(counts)[1, 0] == 0.5 and np.isnan(iou(counts)[1, 2])
    assert list(windows([(1, 0)], 4, (6, 12))) == [Window(4, 0, 2, 4)]
    assert worst(np.zeros((2, 2, 5), np.int64), 5) == []


def test_a_scene_is_made_to_fit_its_bytes():
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    whole = scene_picture(noise, np.ones((300, 400), bool), 10**9)
    small = scene_picture(noise, np.ones((300, 400), bool), 20_000)
    assert len(small) <= 20_000 < len(whole)


class Elements(HTMLParser):
    """The elements, their attributes and the text outside scripts and styles of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words, self.script, self._raw = [], [], [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self._raw = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._raw = False

    def handle_data(self, data):
        if not self._raw:
            self.words.append(data)


def nasty_page():
    body = section(NASTY, table([NASTY], [[NASTY, 1.0]]), pairs({NASTY: NASTY}))
    return Page(NASTY, NASTY, NASTY, {NASTY: NASTY}, [body])


def test_text_from_files_stays_text():
    page = render(nasty_page())
    found = Elements(page)
    assert "img" not in found.tags and NASTY not in page
    assert "".join(found.words).count(NASTY) == 11
    assert not [name for name, _ in found.attributes if name.startswith("on")]


def test_slots_in_texts_are_not_filled():
    page = render(Page("{{script}} {{style}}", "", "", {}, []))
    assert page.count("{{script}} {{style}}") == 2


def test_a_page_may_fetch_nothing():
    page = render(nasty_page())
    (policy,) = [value for _, value in Elements(page).attributes if value and "default-src" in value]
    assert policy.startswith("default-src 'none'; img-src data:")
    assert "script-src" not in policy and "http:" not in page and "https:" not in page


def test_text_escapes_quotes():
    assert text("\"'<") == "&quot;&#x27;&lt;"


def test_a_page_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "page.html"
    write_page(nasty_page(), target, overwrite=False)
    first = target.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_page(nasty_page(), target, overwrite=False)
    monkeypatch.setattr(page_write, "MOST", 1000)
    with pytest.raises(OutputError, match="would take"):
        write_page(nasty_page(), target, overwrite=True)
    assert target.read_bytes() == first and list(tmp_path.iterdir()) == [target]
