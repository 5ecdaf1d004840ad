"""Pages of real files: rasters, evaluations, trainings, batches."""

import json
import logging
import re
import sys
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import NORTH_UP, UTM, coded, write_raster
from page_data import COLORS, PLACES, SHAPE, labels, told, unpacked, write_all, write_mask

import geoseg
from geoseg.errors import GeosegError, SceneError
from geoseg.evaluation.opening import open_side
from geoseg.geo.geobox import GeoBox
from geoseg.report.page import write_report
from geoseg.report.page_polygons import read_polygons
from geoseg.report.page_prediction import found_beside
from geoseg.report.page_raster import certainty, read_codes, read_labels, read_picture

sys.path.append(str(Path(__file__).parents[1] / "training"))
sys.path.append(str(Path(__file__).parents[1] / "cli"))
from cli_runs import assert_refused, run
from tiny_recipes import write_recipe

CLASSES = [("building", "#e4572e"), ("tree", "#2e9e4f")]


def page_of(*words, **options):
    """The text of a page, which goes where pytest cleans up."""
    return write_report(*words, **options).read_text(encoding="utf-8")


def figures(page):
    """What stands at the top of a page."""
    return dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", page))


def test_labels_are_those_of_the_mask(tmp_path):
    with open_side(write_mask(tmp_path / "m.tif")) as side:
        assert np.array_equal(read_labels(side, SHAPE), labels())
        halved = read_labels(side, (120, 160))
    assert np.array_equal(halved, labels()[::2, ::2])  # all edges lie on even pixels


def test_labels_of_probabilities_are_where_they_clear_their_threshold(tmp_path):
    write_all(tmp_path)
    with open_side(tmp_path / "scene_probabilities.tif") as side:
        assert np.array_equal(read_labels(side, SHAPE), labels())


def test_codes_are_means_of_what_has_data(tmp_path):
    codes = np.random.default_rng(3).integers(0, 255, (40, 60, 2)).astype(np.uint8)
    codes[:4, :4] = 255
    codes[10, 10] = 255
    with rasterio.open(write_raster(tmp_path / "p.tif", codes, nodata=255)) as dataset:
        seen = read_codes(dataset, [1, 2], (20, 30), coded=True)
    known = np.ma.masked_equal(codes, 255).reshape(20, 2, 30, 2, 2)
    wanted = known.mean((1, 3))
    assert (seen[:2, :2] == 255).all()
    assert np.abs(seen - wanted).max() <= 1
    assert certainty(seen)[0, 0] == 255
    assert np.abs(certainty(seen)[3:].astype(int) - seen[3:].max(-1)).max() <= 3


def test_floats_are_coded(tmp_path):
    values = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30, 1)
    values[0, 0] = np.nan
    with rasterio.open(write_raster(tmp_path / "p.tif", values, nodata=float("nan"))) as dataset:
        seen = read_codes(dataset, [1], (20, 30), coded=False)[..., 0]
    assert seen[0, 0] == 255
    assert np.array_equal(seen.ravel()[1:], np.rint(254 * values.ravel()[1:]))


@pytest.mark.parametrize("place", [{}, {"crs": None}, {"crs": None, "transform": None}])
def test_a_scene_on_its_own_plane_is_itself(tmp_path, place):
    path = write_raster(tmp_path / "s.tif", coded((60, 80)), **place)
    box = GeoBox((60, 80), place.get("transform", NORTH_UP) or Affine.identity())
    if place == {}:
        box = GeoBox((60, 80), NORTH_UP, rasterio.crs.CRS.from_string(UTM))
    pixels, valid = read_picture(path, box, (60, 80))
    assert np.array_equal(pixels, coded((60, 80))) and valid.all()


def test_a_part_of_a_scene_at_half_its_size_has_its_means(tmp_path):
    scene = coded((60, 80), dtype="uint8")
    valid = np.ones((60, 80), bool)
    valid[:20, :40] = False
    path = write_raster(tmp_path / "s.tif", scene, mask=valid)
    box = GeoBox((40, 60), NORTH_UP * Affine.translation(10, 12), rasterio.crs.CRS.from_string(UTM))
    pixels, known = read_picture(path, box, (20, 30))
    part = scene[12:52, 10:70].reshape(20, 2, 30, 2, 3).mean((1, 3))
    wanted = valid[12:52:2, 10:70:2]
    assert np.array_equal(known, wanted)
    assert np.abs(pixels[wanted] - part[wanted]).max() <= 1


def test_a_scene_finer_than_the_plane_keeps_its_pixels(tmp_path):
    scene = coded((60, 80))
    path = write_raster(tmp_path / "s.tif", scene)
    box = GeoBox((30, 40), NORTH_UP * Affine.scale(2), rasterio.crs.CRS.from_string(UTM))
    pixels, valid = read_picture(path, box)
    assert np.array_equal(pixels, scene) and valid.all()
    assert read_picture(path, box, (30, 40))[0].shape == (30, 40, 3)


@pytest.mark.parametrize(("bands", "dtype"), [(3, "uint8"), (4, "uint8"), (3, "float32")])
@pytest.mark.parametrize("shift", [0, 10])
def test_an_alpha_band_hides_pixels_wherever_it_stands(tmp_path, bands, dtype, shift):
    valid = np.ones((60, 80), bool)
    valid[:20, :40] = False
    path = write_raster(tmp_path / "s.tif", coded((60, 80), bands, dtype), mask=valid, mask_kind="alpha")
    box = GeoBox((60, 80 - shift), NORTH_UP * Affine.translation(shift, 0), rasterio.crs.CRS.from_string(UTM))
    assert np.array_equal(read_picture(path, box, box.shape)[1], valid[:, shift:])


def test_one_band_is_grey_and_another_place_is_refused(tmp_path):
    path = write_raster(tmp_path / "s.tif", coded((60, 80), bands=1))
    box = GeoBox((60, 80), NORTH_UP, rasterio.crs.CRS.from_string(UTM))
    pixels, _ = read_picture(path, box, (60, 80))
    assert np.array_equal(pixels, np.repeat(coded((60, 80), bands=1), 3, -1))
    away = GeoBox((60, 80), NORTH_UP * Affine.translation(1000, 0), box.crs)
    with pytest.raises(SceneError, match="are both of the same place"):
        read_picture(path, away, (60, 80))


def test_polygons_lie_on_the_pixels_with_their_attributes(tmp_path):
    write_all(tmp_path)
    box = GeoBox(SHAPE, NORTH_UP, rasterio.crs.CRS.from_string(UTM))
    polygons, classes = read_polygons(tmp_path / "scene_polygons.gpkg", box, CLASSES[:1])
    assert [name for name, _ in classes] == ["building", "tree"] and polygons.kinds.tolist() == [0, 0, 1]
    for shape, (_, (row, col, height, width), _) in zip(polygons.shapes, PLACES, strict=True):
        assert np.allclose(shape.bounds, (col, row, col + width, row + height), atol=1e-3)
    assert np.allclose(polygons.areas, [height * width * 0.09 for _, (_, _, height, width), _ in PLACES])
    assert polygons.confidences.tolist() == [sure for _, _, sure in PLACES]


@pytest.mark.parametrize(("column", "values", "wanted"), [
    ("class", [f"house {k}" for k in range(300)], "has over 255 values"),
    ("confidence", ["high"] * 300, "is no number"),
])  # fmt: skip
def test_attributes_that_mean_something_else_are_refused(tmp_path, column, values, wanted):
    corners = [shapely.box(452311 + k / 10, 3771230, 452312 + k / 10, 3771231) for k in range(300)]
    table = {"class": ["building"] * 300, column: values}
    geopandas.GeoDataFrame(table, geometry=corners, crs=UTM).to_file(tmp_path / "p.gpkg")
    box = GeoBox(SHAPE, NORTH_UP, rasterio.crs.CRS.from_string(UTM))
    with pytest.raises(SceneError, match=wanted):
        read_polygons(tmp_path / "p.gpkg", box, CLASSES)


def test_the_page_of_a_mask_shows_what_lies_beside_it(tmp_path):
    page = page_of(write_all(tmp_path), tmp_path / "page.html")
    shown = told(page)
    assert np.array_equal(unpacked(shown["codes"]).reshape(SHAPE), labels())
    assert shown["classes"] == [
        {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color)} for name, color in COLORS.items()
    ]
    assert unpacked(shown["polygons"]["kinds"]).tolist() == [1, 0, 0]  # the largest first
    assert unpacked(shown["polygons"]["confidences"]).tolist() == [150, 180, 120]
    sure = unpacked(shown["certainty"]).reshape(shown["certainty"]["shape"])
    assert sure[10, 10] == 20 and sure[30, 30] == 200 and sure[-1, -1] == 255
    assert shown["image"].startswith("data:image/webp;base64,")
    assert shown["metres"] == pytest.approx(0.3, rel=1e-3) and shown["transform"] == list(NORTH_UP)[:6]
    tops = figures(page)
    known = (labels() != 255).sum()
    assert tops["building"] == f"{(labels() == 1).sum() / known:.1%}" and tops["polygons"] == "3"
    for words in ("scene_polygons.gpkg", "stitch", "blend", "card", "building: confidence"):
        assert words in page


def test_polygons_are_drawn_where_there_are_none_unless_unwanted(tmp_path):
    mask = write_mask(tmp_path / "m.tif")
    shown = told(page_of(mask, tmp_path / "a.html"))
    assert sorted(unpacked(shown["polygons"]["kinds"]).tolist()) == [0, 0, 1]
    assert (unpacked(shown["polygons"]["confidences"]) == 255).all()
    assert told(page_of(mask, tmp_path / "b.html", draw=False))["polygons"] is None


def test_probabilities_have_a_page_of_their_own(tmp_path):
    write_all(tmp_path)
    shown = told(page_of(tmp_path / "scene_probabilities.tif", tmp_path / "page.html"))
    assert np.array_equal(unpacked(shown["codes"]).reshape(SHAPE), labels())
    assert shown["certainty"] is not None


def test_what_is_found_but_of_no_use_is_left_out_and_what_is_given_is_not(tmp_path, caplog):
    mask = write_all(tmp_path)
    (tmp_path / "scene.tif").write_text("no raster")
    with caplog.at_level(logging.WARNING, "geoseg"):
        assert told(page_of(mask, tmp_path / "a.html"))["image"] is None
    assert "left out of the page" in caplog.text and "scene.tif" in caplog.text
    with pytest.raises(GeosegError, match=r"scene\.tif"):
        write_report(mask, tmp_path / "b.html", scene=tmp_path / "scene.tif")
    assert not (tmp_path / "b.html").exists()


def test_a_raster_without_georeference_or_polygons(tmp_path):
    write_raster(tmp_path / "m.tif", labels()[..., None], nodata=255, crs=None, transform=None)
    shown = told(page_of(tmp_path / "m.tif", tmp_path / "page.html"))
    assert shown["transform"] is None and shown["metres"] is None and shown["unit"] == "px"
    empty = np.zeros((30, 40, 1), np.uint8)
    write_raster(tmp_path / "e.tif", empty, nodata=255)
    assert told(page_of(tmp_path / "e.tif", tmp_path / "empty.html"))["polygons"] is None


def test_files_beside_a_raster_are_found_by_its_name(tmp_path):
    mask = write_all(tmp_path)
    beside = found_beside(mask)
    assert [Path(path).name for path in (beside.scene, beside.probabilities, beside.polygons)] == [
        "scene.tif", "scene_probabilities.tif", "scene_polygons.gpkg",
    ]  # fmt: skip
    assert found_beside(tmp_path / "other_mask.tif").scene is None


def test_what_is_no_result_is_refused(tmp_path):
    write_all(tmp_path)
    for source, wanted in (
        (tmp_path, "is no folder that evaluate, train or batch has written"),
        (tmp_path / "scene_polygons.gpkg", "it is a vector file"),
        (tmp_path / "none.tif", "cannot open"),
    ):
        with pytest.raises(SceneError, match=wanted):
            write_report(source, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def write_truth(path):
    truth = np.roll(labels(), 6, 1)
    truth[truth == 255] = 0
    write_raster(path, truth[..., None])
    with rasterio.open(path, "r+") as file:
        file.update_tags(GEOSEG_CLASSES="building tree")
    return path


def test_the_page_of_an_evaluation(tmp_path):
    mask = write_all(tmp_path)
    found = geoseg.evaluate(mask, write_truth(tmp_path / "truth.tif"), tmp_path / "report", block=64)
    page = page_of(tmp_path / "report", tmp_path / "page.html", scene=tmp_path / "scene.tif")
    shown = told(page)
    with rasterio.open(tmp_path / "report/errormap.tif") as file:
        assert np.array_equal(unpacked(shown["codes"]).reshape(SHAPE), file.read(1))
    assert figures(page)["accuracy"] == f"{found.accuracy:.4f}"
    for one in found.classes:
        low, high = one.intervals["iou"]
        assert f"{one.iou:.4f} ({low:.3f}–{high:.3f})" in page
    assert 3 <= page.count("data-box=") <= 12
    assert f"{found.confusion[1][1]:,}" in page


def test_the_page_of_points(tmp_path):
    mask = write_all(tmp_path)
    (tmp_path / "trees.csv").write_text("image,x,y\nscene_mask,210,70\nscene_mask,100,200\n")
    geoseg.evaluate(mask, tmp_path / "trees.csv", tmp_path / "report")
    page = page_of(tmp_path / "report", tmp_path / "page.html")
    assert figures(page)["recall of tree"] == "0.5000" and "map-data" not in page


def test_the_pages_of_trainings(tmp_path, untraced):
    recipe = write_recipe(tmp_path, fit={"epochs": 2}, variants={"a": {}, "b": {"seed": 5}})
    done = geoseg.train(recipe, tmp_path / "both")
    page = page_of(tmp_path / "both/a", tmp_path / "a.html")
    scores = json.loads((tmp_path / "both/a/scores.json").read_text())
    assert figures(page)["epochs (best)"] == f"2 ({scores['best_epoch']})"
    assert f"{scores['scores']['test'][0]['iou']:.4f}" in page
    assert page.count('class="sheet"') == 2 and page.count("<circle") >= 8
    assert "network.options" in page or "[network" in page
    both = page_of(tmp_path / "both", tmp_path / "both.html")
    assert set(figures(both)) == {one.name for one in done}


def test_the_page_of_an_unfinished_training(tmp_path):
    from geoseg.recipe.recipe import load_recipe
    from geoseg.training.state import State, save_state

    history = [{"loss": 1.0, "val_loss": 0.9}, {"loss": 0.8, "val_loss": 0.75}]
    (tmp_path / "x.training").mkdir()
    save_state(tmp_path / "x.training", load_recipe(write_recipe(tmp_path)), State(history, [], [], []), 1)
    page = page_of(tmp_path / "x.training", tmp_path / "page.html")
    assert figures(page) == {"epochs": "2", "lowest validation loss": "0.75"}


def test_the_page_of_a_batch(tmp_path, make_raster, tiny_bundle):
    make_raster("a.tif", (100, 150))
    (tmp_path / "b.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:5000])
    done = geoseg.batch(
        [tmp_path / "a.tif", tmp_path / "b.tif"], tmp_path / "run", model=tiny_bundle.folder, attempts=1
    )
    assert done.failures
    page = page_of(tmp_path / "run", tmp_path / "page.html")
    assert figures(page)["jobs"] == str(done.planned) and figures(page)["failed"] == str(done.failed)
    assert done.failures[0]["job"] in page
    shown = told(page)
    names = [shown["classes"][kind]["name"] for kind in unpacked(shown["polygons"]["kinds"])]
    assert sorted(names) == ["done", "failed"]


def test_predict_writes_the_page_of_its_mask(tmp_path, make_raster, tiny_bundle):
    scene, page = make_raster("s.tif", (100, 150)), tmp_path / "page.html"
    words = ("predict", scene, "-o", tmp_path / "m.tif", "-m", tiny_bundle.folder, "--report", page)
    done = run(*words, "--json")
    assert (done.exit_code, json.loads(done.stdout)["beside"][-1]) == (0, str(page)), done.stderr
    shown = told(page.read_text(encoding="utf-8"))
    with rasterio.open(tmp_path / "m.tif") as file:
        assert np.array_equal(unpacked(shown["codes"]).reshape(100, 150), file.read(1))
    assert shown["image"] is not None and shown["polygons"] is not None
    assert "Thresholds." in page.read_text(encoding="utf-8")  # the card's words
    (tmp_path / "m.tif").unlink()
    assert_refused(run(*words, "--no-quicklook", "--no-styles"), "page.html exists already")
    assert not (tmp_path / "m.tif").exists()


def test_predict_writes_a_page_for_each_of_many_scenes(tmp_path, make_raster, tiny_bundle):
    scenes = [make_raster(f"{name}.tif", (60, 50)) for name in "ab"]
    words = ("predict", *scenes, "-o", tmp_path / "out", "-m", tiny_bundle.folder, "--report")
    assert_refused(run(*words, tmp_path / "page.html"), "is one file for many scenes")
    done = run(*words, tmp_path / "pages")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "pages").iterdir()) == ["a_report.html", "b_report.html"]


def test_evaluate_writes_a_page_with_or_without_its_folder(tmp_path):
    mask, truth = write_all(tmp_path), write_truth(tmp_path / "truth.tif")
    words = ("evaluate", mask, truth, "--json", "--report")
    alone = json.loads(run(*words, tmp_path / "a.html").stdout)
    assert alone["outputs"] == [str(tmp_path / "a.html")]
    beside = json.loads(run(*words, tmp_path / "b.html", "-o", tmp_path / "report").stdout)
    assert beside["outputs"][-1] == str(tmp_path / "b.html") and (tmp_path / "report/scores.json").is_file()
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_train_and_batch_write_their_pages(tmp_path, make_raster, tiny_bundle, untraced):
    recipe = write_recipe(tmp_path, fit={"epochs": 1})
    done = run("train", recipe, "-o", tmp_path / "model", "--report", tmp_path / "train.html")
    assert done.exit_code == 0, done.stderr
    assert figures((tmp_path / "train.html").read_text(encoding="utf-8"))["epochs (best)"] == "1 (1)"
    scene = make_raster("a.tif", (40, 50))
    batch = (
        "batch",
        scene,
        "-o",
        tmp_path / "run",
        "-m",
        tiny_bundle.folder,
        "--report",
        tmp_path / "b.html",
    )
    assert run(*batch).exit_code == 0
    assert figures((tmp_path / "b.html").read_text(encoding="utf-8"))["jobs"] == "1"
    assert_refused(run(*batch[:3], tmp_path / "again", *batch[4:]), "b.html exists already")
    assert not (tmp_path / "again").exists()


def test_the_command_prints_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mask = write_all(tmp_path)
    done = run("report", mask)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "scene_mask_report.html\n", "")
    assert_refused(run("report", mask), "exists already; choose another name or add --overwrite")
    again = run("report", mask, "--overwrite", "--json", "-o", "scene_mask_report.html")
    assert json.loads(again.stdout) == {"output": "scene_mask_report.html"}
