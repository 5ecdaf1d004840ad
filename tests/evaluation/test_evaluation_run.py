import json
import math

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import NORTH_UP, UTM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.features import rasterize
from sklearn import metrics

import geoseg
from geoseg.core.bootstrap import bootstrap_interval
from geoseg.errors import GeosegError
from geoseg.geo.aligned import on_plane, plane_of

TAGS = {"GEOSEG_CLASSES": "building tree"}
ORIGIN = np.array([452310, 3771240])
MASKS = hnp.arrays(np.uint8, (2, 21, 18), elements=st.sampled_from([0, 0, 1, 2, 255]))


def write_mask(path, labels, *, crs=UTM, transform=NORTH_UP, nodata=255, tags=TAGS):
    with rasterio.open(
        path, "w", driver="GTiff", height=labels.shape[-2], width=labels.shape[-1], dtype=labels.dtype,
        count=1 if labels.ndim == 2 else len(labels), crs=crs, transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        file.write(labels if labels.ndim == 3 else labels[None])
        file.update_tags(**tags)
    return path


@pytest.fixture
def sides(tmp_path):
    """Paths of a prediction and a truth of blocky random classes, and their labels."""
    rng = np.random.default_rng(7)
    truth = np.kron(rng.choice([0, 0, 1, 2], (15, 12)), np.ones((8, 10), int)).astype(np.uint8)
    predicted = np.roll(truth, (1, 2), (0, 1))
    predicted[:9, :9], truth[100:, 100:] = 255, 255
    return (
        write_mask(tmp_path / "p.tif", predicted), write_mask(tmp_path / "t.tif", truth), predicted, truth,
    )  # fmt: skip


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(MASKS)
def test_figures_equal_those_of_scikit_learn(tmp_path, both):
    predicted, truth = both
    use = (both != 255).all(0)
    if not use.any():
        return
    paths = [write_mask(tmp_path / f"{k}.tif", side) for k, side in enumerate(both)]
    found = geoseg.evaluate(*paths, block=7)
    t, p = truth[use], predicted[use]
    assert found.pixels == use.sum() and found.left_out == use.size - use.sum()
    assert found.accuracy == pytest.approx(metrics.accuracy_score(t, p), abs=5e-5)
    assert np.array_equal(found.confusion, metrics.confusion_matrix(t, p, labels=[0, 1, 2]))
    oracles = {
        "iou": metrics.jaccard_score, "dice": metrics.f1_score, "precision": metrics.precision_score,
        "recall": metrics.recall_score,
    }  # fmt: skip
    for name, oracle in oracles.items():
        got = [getattr(one, name) for one in found.classes]
        wanted = oracle(t, p, labels=[1, 2], average=None, zero_division=0)
        assert np.nan_to_num(got) == pytest.approx(wanted, abs=5e-5)
    assert [math.isnan(one.iou) for one in found.classes] == [k not in t and k not in p for k in (1, 2)]


def test_intervals_are_those_of_blocks(sides):
    found = geoseg.evaluate(*sides[:2], block=40)
    counts = []
    for row in range(0, 120, 40):
        for col in range(0, 120, 40):
            p, t = (side[row : row + 40, col : col + 40] for side in sides[2:])
            use = (p != 255) & (t != 255)
            counts.append([np.sum(use & (p == 1) & (t == 1)), np.sum(use & ((p == 1) | (t == 1)))])
    low, high = bootstrap_interval(np.array(counts), lambda sums: sums[:, 0] / sums[:, 1])
    assert found.classes[0].intervals["iou"] == pytest.approx((low, high))


def test_the_report_holds_the_error_map(sides, tmp_path):
    found = geoseg.evaluate(*sides[:2], tmp_path / "report", class_name="tree")
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == [
        "confusion.png", "errormap.png", "errormap.tif", "errormap.tif.aux.xml", "scores.json",
    ]  # fmt: skip
    predicted, truth = (np.where(side == 255, 255, side == 2) for side in sides[2:])
    wanted = truth + 2 * predicted
    wanted[(predicted == 255) | (truth == 255)] = 255
    with rasterio.open(tmp_path / "report" / "errormap.tif") as file:
        assert np.array_equal(file.read(1), wanted)
        assert (file.crs, file.transform, file.nodata) == (rasterio.CRS.from_string(UTM), NORTH_UP, 255)
        assert len({file.colormap(1)[code] for code in range(4)}) == 4
        colors = file.colormap(1)
    with rasterio.open(tmp_path / "report" / "errormap.png") as file:
        picture = file.read()[:3]
    zoom, left = 512 // 120, (picture.shape[2] - 120 * (512 // 120)) // 2
    for row, col in ((20, 20), (50, 70), (3, 3), (90, 11)):
        shade = picture[:, row * zoom + 1, left + col * zoom + 1]
        code = wanted[row, col]
        assert tuple(shade) == ((255,) * 3 if code == 255 else colors[code][:3])
    assert json.loads((tmp_path / "report" / "scores.json").read_text()) == found.to_dict()


def test_two_classes_are_told_apart_in_the_error_map(sides, tmp_path):
    geoseg.evaluate(*sides[:2], tmp_path / "report")
    with rasterio.open(tmp_path / "report" / "errormap.tif") as file:
        mixed = (sides[2] != sides[3]) & (sides[2] % 255 > 0) & (sides[3] % 255 > 0)
        assert mixed.any() and np.array_equal(file.read(1) == 4, mixed)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_probabilities_are_judged_as_the_mask_they_make(sides, tmp_path, dtype):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 255, (2, 120, 120)).astype(np.uint8)
    codes[:, :5] = 255
    tags = TAGS | {"GEOSEG_THRESHOLDS": f"0.5 {180 / 254}", "GEOSEG_PROBABILITY": "value / 254"}
    pixels = codes if dtype == "uint8" else np.where(codes == 255, np.nan, codes / 254).astype(dtype)
    path = write_mask(tmp_path / "q.tif", pixels, nodata=255 if dtype == "uint8" else math.nan, tags=tags)
    confusions = []
    for threshold, cuts in ((None, (127, 180)), ({"building": 200 / 254}, (200, 180)), (0, (0, 0))):
        margin = codes.astype(int) - np.array(cuts)[:, None, None]
        mask = np.where((margin >= 0).any(0), margin.argmax(0) + 1, 0).astype(np.uint8)
        mask[:5] = 255
        wanted = geoseg.evaluate(write_mask(tmp_path / "m.tif", mask), sides[1]).confusion
        found = geoseg.evaluate(path, sides[1], threshold=threshold).confusion
        assert np.abs(np.subtract(found, wanted)).sum() <= (0 if dtype == "uint8" else 2)
        confusions.append(found)
    assert confusions[0] not in confusions[1:]


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:32612", UTM])
def test_another_grid_is_aligned_by_the_centres_of_pixels(tmp_path, crs):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, (90, 110)).astype(np.uint8)
    to = pyproj.Transformer.from_crs(UTM, crs, always_xy=True)
    xs, ys = to.transform(*zip(*(NORTH_UP * c for c in ((0, 0), (60, 0), (0, 50), (60, 50))), strict=True))
    step = (max(xs) - min(xs)) / 90
    transform = Affine(step, 0, min(xs), 0, -step, max(ys)) * Affine.rotation(7)
    source = write_mask(tmp_path / "t.tif", labels, crs=crs, transform=transform)
    reference = write_mask(tmp_path / "p.tif", np.zeros((50, 60), np.uint8))
    with rasterio.open(reference) as plane:
        box = plane_of(plane)
    with rasterio.open(source) as file, on_plane(file, box) as view:
        values, inside = view.read(1), view.read_masks(1) > 0
    rows, cols = np.indices((50, 60)) + 0.5
    col, row = ~transform * to.transform(*(NORTH_UP * (cols, rows)))
    sure = (np.abs(col - np.round(col)) > 0.03) & (np.abs(row - np.round(row)) > 0.03)
    within = (col > 0) & (col < 110) & (row > 0) & (row < 90)
    assert sure.mean() > 0.8 and within.mean() > 0.3
    assert np.array_equal(inside[sure], within[sure])
    use = sure & within
    assert np.array_equal(values[use], labels[row[use].astype(int), col[use].astype(int)])


def test_polygons_in_degrees_are_burnt_on_the_predictions_grid(sides, tmp_path):
    places = [(20, 30, 50, 60), (70, 10, 100, 44), (200, 0, 210, 9)]
    shapes = [shapely.box(*NORTH_UP * (a, b), *NORTH_UP * (c, d)) for a, b, c, d in places]
    frame = geopandas.GeoDataFrame({"class": "building"}, index=[0, 1, 2], geometry=shapes, crs=UTM)
    frame.to_crs("EPSG:4326").to_file(tmp_path / "t.geojson")
    found = geoseg.evaluate(sides[0], tmp_path / "t.geojson")
    truth = rasterize(shapes, (120, 120), transform=NORTH_UP)
    use = sides[2] != 255
    wanted = metrics.confusion_matrix(truth[use], sides[2][use] == 1)
    assert np.abs(np.subtract(found.confusion, wanted)).sum() <= 4
    assert found.classes[0].objects.true == 2  # the third lies outside


def test_two_vector_files_are_compared_as_objects_and_on_a_grid(tmp_path):
    shapes = [shapely.box(k * 20, 0, k * 20 + 10, 10) for k in range(3)]
    other = [shapely.box(1, 0, 11, 10), shapely.box(26, 0, 36, 10)]
    paths = []
    for name, geometry in (("p.gpkg", other), ("t.fgb", shapes)):
        moved = [shapely.transform(one, lambda xy: xy + ORIGIN) for one in geometry]
        geopandas.GeoDataFrame(geometry=moved, crs=UTM).to_file(tmp_path / name)
        paths.append(tmp_path / name)
    found = geoseg.evaluate(*paths, class_name="building", res_m=0.5)
    one = found.classes[0]
    assert (one.objects.matched, one.objects.predicted, one.objects.true) == (1, 2, 3)
    assert one.objects.mean_iou == pytest.approx(9 / 11)
    assert one.iou == pytest.approx((90 + 40) / (300 + 200 - 130), rel=0.02)


def test_points_are_recalled_within_a_radius(sides, tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 120, (60, 2))
    lines = [f"p,{col},{row}" for row, col in pixels] + ["other,1,1"]
    (tmp_path / "points.csv").write_text("\n".join(["image,x,y", *lines]))
    places = geopandas.points_from_xy(*NORTH_UP * (pixels[:, 1] + 0.5, pixels[:, 0] + 0.5), crs=UTM)
    geopandas.GeoDataFrame(geometry=places).to_file(tmp_path / "points.gpkg")
    tree, valid = sides[2] == 2, sides[2] != 255
    for radius in (0, 4):
        marked = [np.hypot(*(np.argwhere(tree) - pixel).T).min() <= radius for pixel in pixels]
        on_data = valid[tuple(pixels.T)]
        for name in ("points.csv", "points.gpkg"):
            found = geoseg.evaluate(sides[0], tmp_path / name, radius_m=radius * 0.3).points
            assert (found.points, found.left_out) == (on_data.sum(), 60 - on_data.sum())
            assert abs(found.found - (marked & on_data).sum()) <= (radius > 0)
            assert found.marked_share == pytest.approx(tree.sum() / valid.sum())


def test_numbers_can_be_named(sides, tmp_path):
    other = np.array([0, 255, 7], np.uint8)[np.where(sides[3] == 255, 2, sides[3] == 1)]
    path = write_mask(tmp_path / "o.tif", other, nodata=None, tags={})
    names = {"255": "building", "0": "background", "7": "ignore"}
    found = geoseg.evaluate(sides[0], path, truth_labels=names)
    wanted = geoseg.evaluate(*sides[:2], class_name="building")
    assert found.confusion == wanted.confusion


def test_without_georeference_masks_of_one_shape_are_compared(sides, tmp_path):
    plain = write_mask(tmp_path / "n.tif", sides[3], crs=None, transform=Affine.identity())
    assert geoseg.evaluate(sides[0], plain).confusion == geoseg.evaluate(*sides[:2]).confusion


def test_bounds_leave_out_the_rest(sides):
    left, top = NORTH_UP * (30, 40)
    right, bottom = NORTH_UP * (80, 100)
    found = geoseg.evaluate(*sides[:2], bounds=(left, bottom, right, top))
    p, t = (side[40:100, 30:80] for side in sides[2:])
    use = (p != 255) & (t != 255)
    assert np.array_equal(found.confusion, metrics.confusion_matrix(t[use], p[use]))


def test_a_failed_comparison_leaves_nothing(sides, tmp_path):
    far = write_mask(tmp_path / "far.tif", sides[3], transform=Affine(0.3, 0, 600000, 0, -0.3, 3771240))
    with pytest.raises(GeosegError, match="share no pixel"):
        geoseg.evaluate(sides[0], far, tmp_path / "report")
    assert not (tmp_path / "report").exists()
