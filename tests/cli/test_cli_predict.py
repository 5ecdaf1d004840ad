"""`geoseg predict`: exit codes, one line for an error, nothing left behind."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import rasterio
from cli_runs import assert_refused, names, run
from conftest import coded, write_raster

from geoseg import api

WITH_PICTURES = ["m.qml", "m.tif", "m.tif.aux.xml", "m_quicklook.png"]


@pytest.fixture
def scene(make_raster):
    return make_raster(shape=(150, 220))


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch, tiny, tiny_bundle):
    """Load the tiny model once; all else of `geoseg.api.load` happens as always."""
    load, ready = api.load, {}

    def cached(model, **options):
        example = options.pop("example", None)
        key = str((model, *sorted(options.items())))
        if options["stitch"] == "crop" or key not in ready:
            ready[key] = load(model, example=example, **options)
        return ready[key]

    monkeypatch.setattr(api, "load", cached)
    monkeypatch.setattr("geoseg.models.bundle.BUNDLED", tiny_bundle.folder.parent)


def predict(*words):
    return run("predict", "-m", "tiny", *words)


def truth(pixels, threshold=0.5):
    """What the tiny model says of pixels without resampling."""
    logits = np.stack([0.05 * (pixels[..., 0] - 127.5), 0.05 * (127.2 - pixels[..., 1])], -1)
    chances = 1 / (1 + np.exp(-logits))
    return np.where(chances.max(-1) >= threshold, chances.argmax(-1) + 1, 0)


def test_the_mask_is_written_and_its_path_is_all_of_stdout(scene, out):
    result = predict(scene, "-o", out / "m.tif")
    assert (result.exit_code, result.stdout) == (0, f"{out / 'm.tif'}\n")
    assert names(out) == WITH_PICTURES
    with rasterio.open(out / "m.tif") as file:
        assert np.array_equal(file.read(1), truth(coded((150, 220))))


def test_without_output_the_mask_goes_to_the_current_folder(scene, out, monkeypatch):
    monkeypatch.chdir(out)
    assert predict(scene).stdout == "scene_mask.tif\n"
    assert names(out) == [name.replace("m", "scene_mask", 1) for name in WITH_PICTURES]


def test_json_is_one_object_that_says_what_was_done(scene, out):
    result = predict(scene, "-o", out / "m.tif", "--probabilities", out / "p.tif", "--json")
    said = json.loads(result.stdout)
    assert said["outputs"] == [str(out / "m.tif"), str(out / "p.tif")]
    assert (said["height"], said["width"]) == (150, 220)
    assert sum(said["pixels"].values()) == 150 * 220
    assert said["beside"] == [str(out / "m_quicklook.png"), str(out / "m.qml")]
    assert said["peak_bytes"] > 2**20
    assert result.stderr == ""
    assert names(out) == [*WITH_PICTURES, "p.tif"]


def test_rasters_say_what_ran_the_network(scene, out):
    words = (scene, "-o", out / "m.tif", "--probabilities", out / "p.tif", "--engine", "tensorflow", "--json")
    said = json.loads(predict(*words).stdout)
    for name in ("m.tif", "p.tif"):
        with rasterio.open(out / name) as file:
            tags = file.tags()
        assert (tags["GEOSEG_ENGINE"], tags["GEOSEG_PRECISION"]) == (said["engine"], "float32")


def test_options_reach_the_prediction(scene, out):
    result = predict(scene, "-o", out / "m.tif", "-b", "3,1,2", "--threshold", "0.9", "--co", "compress=zstd",
                     "--patch-size", "32", "--overlap", "8", "--batch-size", "2")  # fmt: skip
    assert result.exit_code == 0
    with rasterio.open(out / "m.tif") as file:
        assert file.profile["compress"] == "zstd"
        assert np.array_equal(file.read(1), truth(coded((150, 220))[..., [2, 0, 1]], 0.9))


def test_a_threshold_of_one_class_leaves_the_other_as_it_is(scene, out):
    """A pixel is of the class that clears its own threshold by most."""
    result = predict(scene, "-o", out / "m.tif", "--threshold", "bright=0.9")
    assert result.exit_code == 0
    with rasterio.open(out / "m.tif") as file:
        found = file.read(1)
    pixels = coded((150, 220))
    logits = np.stack([0.05 * (pixels[..., 0] - 127.5), 0.05 * (127.2 - pixels[..., 1])], -1)
    above = 1 / (1 + np.exp(-logits)) - [0.9, 0.5]
    assert np.array_equal(found, np.where(above.max(-1) >= 0, above.argmax(-1) + 1, 0))


def test_existing_outputs_are_refused_before_work_and_replaced_when_told(scene, out):
    (out / "m.tif").write_text("mine")
    assert_refused(predict(scene, "-o", out / "m.tif"), "exists already", "--overwrite")
    assert (out / "m.tif").read_text() == "mine"
    assert predict(scene, "-o", out / "m.tif", "--overwrite").exit_code == 0
    assert rasterio.open(out / "m.tif").shape == (150, 220)


REFUSED = {
    "missing file": (["{tmp}/no.tif"], "no.tif"),
    "missing file with a line break": (["{tmp}/no\nno.tif"], "no no.tif"),
    "not a raster": (["{tmp}/text.tif"], "text.tif"),
    "a folder": (["{tmp}"], "cannot open"),
    "output in a missing folder": (["{scene}", "-o", "{tmp}/no/m.tif"], "there is no folder"),
    "probabilities in a missing folder": (
        ["{scene}", "--probabilities", "{tmp}/no/p.tif"],
        "there is no folder",
    ),
    "two outputs of one name": (["{scene}", "-o", "{tmp}/a.tif", "--probabilities", "{tmp}/a.tif"], "a.tif"),
    "too few bands": (["{scene}", "-b", "1,2"], "3 numbers"),
    "no such band": (["{scene}", "-b", "1,2,9"], "no band 9"),
    "bounds elsewhere": (["{scene}", "--bounds", "0", "0", "1", "1"], "outside the scene"),
    "bounds that are no numbers": (["{scene}", "--bounds", "nan", "0", "1", "1"], "bounds"),
    "bounds without end": (["{scene}", "--bounds", "-inf", "-inf", "inf", "inf"], "bounds"),
    "too little memory": (["{scene}", "--max-memory", "1M"], "G or more"),
    "overlap no multiple of the stride": (["{scene}", "-m", "{strided}", "--overlap", "10"], "--overlap"),
    "overlap as large as the patch": (["{scene}", "--overlap", "64"], "overlap"),
    "patch size no multiple of the stride": (
        ["{scene}", "-m", "{strided}", "--patch-size", "30"],
        "patch size",
    ),
    "patch size 0": (["{scene}", "--patch-size", "0"], "patch size"),
    "negative patch size": (["{scene}", "--patch-size", "-64"], "patch size"),
    "an even median": (["{scene}", "--median-blur", "4"], "median"),
    "a negative median": (["{scene}", "--median-blur", "-3"], "median"),
    "unknown model": (["{scene}", "-m", "cars"], "tiny"),
    "a folder that is no model": (["{scene}", "-m", "{tmp}"], "card.toml"),
    "missing cutline": (["{scene}", "--cutline", "{tmp}/no.gpkg"], "no.gpkg"),
    "a threshold that is no number": (["{scene}", "--threshold", "nan"], "threshold"),
    "a threshold of no class": (["{scene}", "--threshold", "roof=0.5"], "'roof', which is no class"),
    "negative tolerance": (["{scene}", "-m", "{strided}", "--stitch", "crop", "--tolerance", "-1"], "-1"),
    "output is a folder that is named like a file": (["{scene}", "-o", "{tmp}/folder.tif"], "folder"),
}


@pytest.fixture(scope="session")
def strided(tmp_path_factory, tiny_bundle):
    """The folder of a model with stride 4."""
    import keras

    from geoseg.models.bundle import save_bundle

    pixels = keras.Input((None, None, 3))
    x = keras.layers.UpSampling2D(4)(keras.layers.MaxPooling2D(4)(pixels))
    model = keras.Model(pixels, keras.layers.Conv2D(2, 3, padding="same", activation="sigmoid")(x))
    return save_bundle(model, tiny_bundle.card, tmp_path_factory.mktemp("models") / "strided").folder


@pytest.mark.parametrize(("words", "wanted"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(
    scene, out, tmp_path, monkeypatch, strided, words, wanted
):
    (tmp_path / "text.tif").write_text("hello")
    (tmp_path / "folder.tif").mkdir()
    monkeypatch.chdir(out)
    before = names(tmp_path)
    filled = [word.format(tmp=tmp_path, scene=scene, strided=strided) for word in words]
    assert_refused(predict(*filled), wanted)
    assert names(tmp_path) == before
    assert names(out) == []


USAGE = {
    "no scene": [],
    "three bounds": ["{scene}", "--bounds", "1", "2", "3"],
    "bounds of text": ["{scene}", "--bounds", "a", "b", "c", "d"],
    "res of 0": ["{scene}", "--res", "0"],
    "res of text": ["{scene}", "--res", "fine"],
    "res nan": ["{scene}", "--res", "nan"],
    "memory of text": ["{scene}", "--max-memory", "much"],
    "bands of text": ["{scene}", "-b", "red"],
    "threshold above 1": ["{scene}", "--threshold", "1.1"],
    "threshold of a class above 1": ["{scene}", "--threshold", "bright=0.5,dark=1.1"],
    "threshold of text": ["{scene}", "--threshold", "high"],
    "batch of 0": ["{scene}", "--batch-size", "0"],
    "creation option without =": ["{scene}", "--co", "tiled"],
    "unknown option": ["{scene}", "--colour"],
    "unknown stitch": ["{scene}", "--stitch", "glue"],
}


@pytest.mark.parametrize("words", USAGE.values(), ids=USAGE)
def test_wrong_usage_is_exit_code_2(scene, out, monkeypatch, words):
    monkeypatch.chdir(out)
    result = predict(*(word.format(scene=scene) for word in words))
    assert_refused(result, "Error: ", code=2)
    assert names(out) == []


def test_a_folder_that_cannot_be_written_to_is_refused(scene, out, monkeypatch):
    allowed = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: allowed(path, mode) and not (mode & os.W_OK and Path(path) == out)
    )
    assert_refused(predict(scene, "-o", out / "m.tif"), "cannot be written to")
    assert names(out) == []


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="there is no /proc")
def test_a_file_system_that_refuses_files_is_one_line(scene):
    assert_refused(predict(scene, "-o", "/proc/m.tif"), "m.tif")


def test_a_damaged_scene_is_one_line_and_leaves_nothing(make_raster, out):
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    path = make_raster(pixels=noise, tiled=True, blockxsize=64, blockysize=64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert_refused(predict(path, "-o", out / "m.tif", "--probabilities", out / "p.tif"), "damaged")
    assert names(out) == []


@pytest.fixture
def three(tmp_path):
    """Three scenes, the second of them no raster."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for k, name in enumerate("abc"):
        write_raster(folder / f"{name}.tif", coded((60, 70 + k)))
    (folder / "b.tif").write_text("hello")
    return folder


def test_several_scenes_go_into_a_folder_that_is_made(three, tmp_path):
    target = tmp_path / "new" / "masks"
    result = predict(three / "a.tif", three / "c.tif", "-o", target)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [str(target / "a_mask.tif"), str(target / "c_mask.tif")]
    assert [rasterio.open(target / f"{name}_mask.tif").width for name in "ac"] == [70, 72]


def test_one_scene_goes_into_a_folder_that_is_there(three, out):
    assert predict(three / "a.tif", "-o", out).stdout == f"{out / 'a_mask.tif'}\n"


def test_one_of_three_failing_is_exit_code_3_and_the_others_are_written(three, out):
    result = predict(*(three / f"{name}.tif" for name in "abc"), "-o", out, "--json")
    assert result.exit_code == 3
    assert [json.loads(line)["outputs"] for line in result.stdout.splitlines()] == [
        [str(out / "a_mask.tif")], [str(out / "c_mask.tif")]
    ]  # fmt: skip
    assert [name for name in names(out) if name.endswith(".tif")] == ["a_mask.tif", "c_mask.tif"]
    assert not any(name.startswith("b") for name in names(out))
    first, last = result.stderr.splitlines()
    assert "b.tif" in first
    assert "1 of 3" in last


@pytest.mark.parametrize("given", ["folder", "nothing"])
def test_two_scenes_of_one_name_are_refused_before_any_work(three, out, monkeypatch, given):
    (three / "d").mkdir()
    write_raster(three / "d" / "a.tif", coded((60, 70)))
    monkeypatch.chdir(out)
    place = ["-o", out] if given == "folder" else []
    assert_refused(predict(three / "a.tif", three / "d" / "a.tif", *place), "a_mask.tif")
    assert names(out) == []


def test_one_file_for_many_scenes_is_refused(three, out):
    assert_refused(predict(three / "a.tif", three / "c.tif", "-o", out / "m.tif"), "folder")
    assert names(out) == []


def test_an_output_never_replaces_the_scene_itself(make_raster):
    path = make_raster("x.tif")
    before = path.read_bytes()
    assert_refused(predict(path, "-o", path, "--overwrite"), "x.tif")
    assert path.read_bytes() == before


def test_a_dry_run_writes_nothing_and_counts_as_the_real_run(make_raster, out, monkeypatch):
    monkeypatch.chdir(out)
    pixels = coded((300, 400))
    pixels[:150, :200] = 0
    scene = make_raster(pixels=pixels, nodata=0)
    plan = json.loads(predict(scene, "-o", out / "new" / "m.tif", "--dry-run", "--json").stdout)
    assert names(out) == []
    done = json.loads(predict(scene, "-o", out / "m.tif", "--json").stdout)
    assert (plan["patches"], plan["skipped"]) == (done["patches"], done["skipped"])
    assert plan["skipped"] > 0
    assert (plan["height"], plan["width"]) == (done["height"], done["width"]) == (300, 400)
    assert plan["pixel_size_m"] == done["pixel_size_m"] == pytest.approx(0.3, rel=1e-3)
    assert plan["read_bytes"] == plan["patches"] * 64 * 64 * 3
    text = predict(scene, "--dry-run").stdout
    assert f"patches  {plan['patches']}\n" in text
    assert names(out) == WITH_PICTURES


def test_a_dry_run_of_a_scene_that_is_not_there_fails(out):
    assert_refused(predict(out / "no.tif", "--dry-run"), "no.tif")


def test_bounds_and_res_shape_the_output(make_raster, out):
    scene = make_raster(shape=(150, 220))
    left, top = 452310 + 0.3 * 20, 3771240 - 0.3 * 10
    bounds = ("--bounds", left, top - 0.3 * 50, left + 0.3 * 60, top)
    predict(scene, "-o", out / "a.tif", *bounds)
    assert np.array_equal(rasterio.open(out / "a.tif").read(1), truth(coded((150, 220)))[10:60, 20:80])
    predict(scene, "-o", out / "b.tif", "--res", "0.6")
    assert rasterio.open(out / "b.tif").shape == (75, 110)
    predict(scene, "-o", out / "c.tif", "--res", "native")
    assert rasterio.open(out / "c.tif").shape == (150, 220)


@pytest.mark.parametrize(
    "words", [["--tta", "flips"], ["--tta", "d4"], ["--stitch", "exact"], ["--stitch", "crop"]]
)
def test_other_ways_to_run_a_model_of_single_pixels_change_nothing(scene, out, words):
    result = predict(scene, "-o", out / "m.tif", *words)
    assert result.exit_code == 0, result.stderr
    assert np.array_equal(rasterio.open(out / "m.tif").read(1), truth(coded((150, 220))))


def test_float_probabilities_are_nan_without_data(make_raster, out):
    pixels = coded((60, 70))
    pixels[:20] = 0
    scene = make_raster(pixels=pixels, nodata=0)
    predict(scene, "-o", out / "m.tif", "--probabilities", out / "p.tif", "--probability-dtype", "float32")
    with rasterio.open(out / "p.tif") as file:
        assert file.dtypes == ("float32", "float32")
        assert np.array_equal(np.isnan(file.read(1)), np.indices((60, 70))[0] < 20)


def test_pictures_and_styles_can_be_left_out(scene, out):
    result = predict(scene, "-o", out / "m.tif", "--no-quicklook", "--no-styles", "--json")
    assert json.loads(result.stdout)["beside"] == []
    assert names(out) == ["m.tif", "m.tif.aux.xml"]


@pytest.mark.parametrize("name", ["m_quicklook.png", "m.qml"])
def test_what_lies_beside_is_not_replaced_unless_told(scene, out, name):
    (out / name).write_text("mine")
    assert_refused(predict(scene, "-o", out / "m.tif"), name, "exists already", "--overwrite")
    assert names(out) == [name]
    assert (out / name).read_text() == "mine"
    assert predict(scene, "-o", out / "m.tif", "--overwrite").exit_code == 0
    assert (out / name).read_bytes() != b"mine"


def test_the_quicklook_never_replaces_the_scene_itself(make_raster, tmp_path):
    path = make_raster("m_quicklook.png", driver="PNG", transform=None, crs=None)
    before = path.read_bytes()
    assert_refused(predict(path, "-o", tmp_path / "m.tif", "--overwrite"), "m_quicklook.png")
    assert path.read_bytes() == before


def test_the_quicklook_shows_the_scene_under_the_classes_colours(make_raster, out):
    pixels = np.full((300, 400, 3), (100, 150, 90), np.uint8)
    pixels[100:200, 150:250] = (220, 200, 90)  # bright
    predict(make_raster(pixels=pixels), "-o", out / "m.tif")
    picture = cv2.imread(str(out / "m_quicklook.png"))[..., ::-1].astype(int)
    zoom = 720 / 400
    assert picture.shape[1] == 720
    outside, inside = picture[int(50 * zoom), int(60 * zoom)], picture[int(150 * zoom), int(200 * zoom)]
    assert np.abs(outside - (100, 150, 90)).max() < 8
    assert inside[0] > 200
    assert inside[1] < 160  # red covers it


@pytest.mark.parametrize("ending", ["gpkg", "geojson", "fgb", "parquet"])
def test_mask_and_polygons_of_one_name_share_a_style(scene, out, ending):
    said = json.loads(predict(scene, "-o", out / "m.tif", "--polygons", out / f"m.{ending}", "--json").stdout)
    assert said["beside"] == [str(out / "m_quicklook.png"), str(out / "m.qml")]
    style = ElementTree.parse(out / "m.qml")
    assert [entry.get("label") for entry in style.iter("paletteEntry")] == ["bright", "dark"]
    assert [entry.get("value") for entry in style.iter("category")] == ["bright", "dark"]


def test_polygons_of_another_name_have_their_own_style(scene, out):
    predict(scene, "-o", out / "m.tif", "--polygons", out / "p.fgb")
    masks, polygons = (ElementTree.parse(out / f"{name}.qml") for name in "mp")
    assert masks.find("renderer-v2") is None
    assert polygons.find("pipe") is None
    assert len(list(polygons.iter("category"))) == len(list(masks.iter("paletteEntry"))) == 2


def test_at_the_end_a_table_on_stderr_says_what_was_done(scene, out):
    lines = predict(scene, "-o", out / "m.tif").stderr.splitlines()
    table = dict(line.strip().split("  ", 1) for line in lines if not line.startswith(" " * 9))
    assert set(table) == {"scene", "pixels", "found", "patches", "time", "memory", "engine", "written"}
    assert table["pixels"] == "150 × 220, 0.3 m"
    assert table["patches"] == "15, and 0 skipped without data"
    assert [line.split()[-1] for line in lines[-3:]] == [
        str(out / name) for name in ("m.tif", "m_quicklook.png", "m.qml")
    ]


def test_quiet_says_nothing(scene, out):
    result = run("-q", "predict", "-m", "tiny", scene, "-o", out / "m.tif")
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", f"{out / 'm.tif'}\n")


def test_a_scene_without_a_valid_pixel_has_a_quicklook_too(make_raster, out):
    scene = make_raster(pixels=np.zeros((80, 90, 3), np.uint8), nodata=0)
    result = predict(scene, "-o", out / "m.tif")
    assert result.exit_code == 0, result.stderr
    assert "nothing: no pixel has data" in result.stderr
    assert names(out) == WITH_PICTURES


def test_a_dark_scene_is_brightened_in_the_quicklook(make_raster, out):
    pixels = np.random.default_rng(0).integers(5, 30, (300, 400, 3), np.uint8)
    predict(make_raster(pixels=pixels), "-o", out / "m.tif")
    picture = cv2.imread(str(out / "m_quicklook.png"))
    assert picture[100:400, 100:600, 1].max() > 100


def test_the_quicklook_of_a_part_shows_that_part(make_raster, out):
    pixels = np.full((300, 400, 3), (100, 150, 90), np.uint8)
    pixels[200:250, 300:350] = (220, 200, 90)  # bright
    left, top = 452310 + 0.3 * 200, 3771240 - 0.3 * 100
    bounds = ("--bounds", left, top - 0.3 * 200, left + 0.3 * 200, top)
    assert predict(make_raster(pixels=pixels), "-o", out / "m.tif", *bounds).exit_code == 0
    picture = cv2.imread(str(out / "m_quicklook.png"))[..., ::-1].astype(int)
    zoom = 720 / 200
    for row, col, bright in ((125, 125, True), (125, 60, False), (90, 125, False), (160, 125, False)):
        assert (picture[int(row * zoom), int(col * zoom), 0] > 180) == bright
