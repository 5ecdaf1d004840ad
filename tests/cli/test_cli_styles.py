"""`geoseg vectorize` leaves a style beside the polygons of rasters that say their classes' colours."""

from xml.etree import ElementTree

import pytest
import rasterio
from cli_runs import assert_refused, names, run
from conftest import coded, write_raster

from geoseg.api import predict


@pytest.fixture
def results(tmp_path, tiny):
    """A folder with a mask and probabilities, and the mask's style."""
    write_raster(tmp_path / "scene.tif", coded((80, 90)))
    folder = tmp_path / "out"
    folder.mkdir()
    predict(tmp_path / "scene.tif", folder / "m.tif", model=tiny, probabilities=folder / "p.tif",
            quicklook=False)  # fmt: skip
    return folder


def parts(path):
    """Classes that a style has for a raster, and for polygons."""
    root = ElementTree.parse(path)
    return (
        [entry.get("label") for entry in root.iter("paletteEntry")],
        [entry.get("value") for entry in root.iter("category")],
    )


@pytest.mark.parametrize("raster", ["m.tif", "p.tif"])
def test_polygons_of_masks_and_probabilities_have_a_style(results, raster):
    done = run("vectorize", results / raster, "-o", results / "v.gpkg")
    assert (done.exit_code, done.stderr) == (0, "")
    assert parts(results / "v.qml") == ([], ["bright", "dark"])


def test_one_style_comes_to_serve_mask_and_polygons_of_one_name(results):
    assert parts(results / "m.qml") == (["bright", "dark"], [])
    assert run("vectorize", results / "m.tif", "-o", results / "m.fgb").exit_code == 0
    assert parts(results / "m.qml") == (["bright", "dark"], ["bright", "dark"])
    assert run("vectorize", results / "m.tif", "-o", results / "m.gpkg").exit_code == 0


def test_a_style_of_someone_is_kept_unless_told(results):
    (results / "m.qml").write_text("mine")
    for ending in ("fgb", "gpkg"):
        assert run("vectorize", results / "m.tif", "-o", results / f"m.{ending}").exit_code == 0
        assert (results / "m.qml").read_text() == "mine"
    assert run("vectorize", results / "m.tif", "-o", results / "v.fgb", "--no-styles").exit_code == 0
    assert not (results / "v.qml").exists()
    assert run("vectorize", results / "m.tif", "-o", results / "m.fgb", "--overwrite").exit_code == 0
    assert parts(results / "m.qml")[1] == ["bright", "dark"]


def test_a_run_that_fails_leaves_no_style(results):
    (results / "v.gpkg").write_text("mine")
    assert_refused(run("vectorize", results / "m.tif", "-o", results / "v.gpkg"), "v.gpkg", "exists already")
    assert not (results / "v.qml").exists()


@pytest.mark.parametrize("tags", [{"GEOSEG_COLORS": "#ff0000"}, {"GEOSEG_COLORS": "red blue"}], ids=str)
def test_colours_that_make_no_sense_make_no_style(results, tags):
    with rasterio.open(results / "m.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.update_tags(**tags)
    assert run("vectorize", results / "m.tif", "-o", results / "v.gpkg").exit_code == 0
    assert "v.qml" not in names(results)


@pytest.mark.parametrize("output", [".", "/", ".."])
def test_an_output_that_is_no_file_is_one_line(results, output):
    assert_refused(run("vectorize", results / "m.tif", "-o", output))
