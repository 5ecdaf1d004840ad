import json

import geopandas
import numpy as np
import pytest
import shapely
from cli_runs import assert_refused, run
from conftest import NORTH_UP, write_raster


@pytest.fixture
def mask(tmp_path):
    """A function that writes a mask of a class in the left half."""

    def write(name, width=20, value=1, **options):
        labels = np.zeros((40, 60, 1), np.uint8)
        labels[:, :width] = value
        return write_raster(tmp_path / name, labels, **options)

    return write


def test_a_table_and_the_same_as_json(mask, tmp_path):
    sides = mask("p.tif", 20), mask("t.tif", 25, 255)
    done = run("evaluate", *sides, "--class", "building", "-o", tmp_path / "report", "--block", 20)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["class", "IoU"]
    assert lines[1].split()[:2] == ["building", "0.8000"]
    assert lines[-1].startswith("accuracy 0.9167")
    done = run("evaluate", *sides, "--class", "building", "--json", "--block", 20)
    scores = json.loads(done.stdout)
    assert scores["classes"][0]["iou"] == 0.8
    assert scores["classes"][0]["ks"]["blocks"] == 6
    wanted = json.loads((tmp_path / "report" / "scores.json").read_text())
    assert scores | {"outputs": wanted["outputs"]} == wanted


def test_numbers_are_named_on_the_command_line(mask):
    done = run("evaluate", mask("p.tif"), mask("t.tif", 25, 255), "--truth-labels", "255=roof,0=background")
    assert done.exit_code == 0 and done.stdout.splitlines()[1].startswith("roof")
    assert_refused(run("evaluate", "p.tif", "t.tif", "--truth-labels", "roof"), "255=building", code=2)


def test_what_cannot_be_compared_is_one_line(mask, tmp_path):
    good, box = mask("p.tif"), shapely.box(*NORTH_UP * (1, 1), *NORTH_UP * (9, 9))
    both = np.zeros((40, 60, 1), np.uint8)
    both[:9], both[20:] = 1, 2
    two = write_raster(tmp_path / "two.tif", both)
    assert_refused(run("evaluate", good, two), "choose one with --class")
    assert_refused(run("evaluate", two, two, "--class", "road"), "the prediction has no class road")
    bare = write_raster(tmp_path / "bare.tif", np.ones((9, 9, 1), np.uint8), crs=None)
    assert_refused(run("evaluate", good, bare), "no CRS on one side")
    geopandas.GeoDataFrame(geometry=[box]).to_file(tmp_path / "bare.gpkg")
    assert_refused(run("evaluate", good, tmp_path / "bare.gpkg"), "no CRS on one side")
    far = geopandas.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)], crs=4326)
    far.to_file(tmp_path / "far.geojson")
    assert_refused(run("evaluate", good, tmp_path / "far.geojson"), "no overlap")
    words = "evaluate", tmp_path / "far.geojson", good, "--threshold", "roof=0.3"
    assert_refused(run(*words), "it holds polygons, to which no threshold applies")
    (tmp_path / "points.csv").write_text("x,y\n70,10\n-1,5\n")
    assert_refused(run("evaluate", good, tmp_path / "points.csv"), "none of its 2 points")
    (tmp_path / "points.csv").write_text("a,b\n70,10\n")
    assert_refused(run("evaluate", good, tmp_path / "points.csv"), "columns image, x, y")
    assert_refused(run("evaluate", good, good, "--truth-labels", "3=roof"), "it holds the number 1")
    assert_refused(run("evaluate", good, good, "--threshold", 0.3), "no threshold applies")
    assert_refused(run("evaluate", good, good, "--res", 1), "--res is for two vector files")
    assert_refused(run("evaluate", good, tmp_path / "nothing.tif"), "cannot open")


def test_a_report_is_not_overwritten_unasked(mask, tmp_path):
    words = "evaluate", mask("p.tif"), mask("t.tif", 25), "-o", tmp_path / "report"
    assert run(*words).exit_code == 0
    assert_refused(run(*words), "exists already")
    assert run(*words, "--overwrite").exit_code == 0
