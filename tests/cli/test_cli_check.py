"""`geoseg check seams`: the grid from tags or options, on files."""

import json

import numpy as np
import pytest
import rasterio
from cli_runs import assert_refused, run
from conftest import coded, write_raster

from geoseg.evaluation import seams
from geoseg.evaluation.seams import check_seams


def noisy(shape, bands=1, seed=0, level=0.0, step=64):
    """(h, w, bands) uint8 noise, brighter by `level` in every other patch."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(shape) // step
    values = rng.normal(100, 6, (*shape, bands)) + level * ((rows + cols) % 2)[..., None]
    return np.clip(values, 0, 254).astype(np.uint8)


def tagged(path, pixels, **tags):
    write_raster(path, pixels, nodata=255)
    with rasterio.open(path, "r+") as file:
        file.update_tags(GEOSEG_CLASSES="a b", GEOSEG_PROBABILITY="value / 254", **tags)
    return path


GRID = {"GEOSEG_STITCH": "blend", "GEOSEG_PATCH_SIZE": "80", "GEOSEG_OVERLAP": "16", "GEOSEG_STRIDE": "8",
        "GEOSEG_GRID_ORIGIN": "0 0"}  # fmt: skip


def test_seams_of_another_programs_raster(tmp_path):
    write_raster(tmp_path / "o.tif", noisy((400, 500), level=20))
    words = ("check", "seams", tmp_path / "o.tif", "--patch-size", 64, "--kind", "probability", "--json")
    said = json.loads(run(*words).stdout)
    assert said["both"]["p_value"] < 0.001
    assert said["both"]["ratio"] > 1.5
    assert (said["patch_size"], said["overlap"], said["stride"]) == (64, 0, 16)
    assert said["rows"]["joints"] == 5
    assert said["columns"]["joints"] == 7
    text = run(*words[:-1]).stdout
    assert f"{said['both']['ratio']:.3f}" in text
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["both", "rows", "columns"]


def test_no_seams_where_there_are_none(tmp_path):
    write_raster(tmp_path / "o.tif", noisy((400, 500), level=0))
    said = check_seams(tmp_path / "o.tif", patch_size=64, kind="probability")
    assert said.both.p_value > 0.01
    assert said.both.ratio == pytest.approx(1, abs=0.1)


def test_the_grid_comes_from_the_tags(tmp_path):
    path = tagged(tmp_path / "p.tif", noisy((400, 500), 2, level=20, step=64), **GRID)
    found = check_seams(path)
    assert (found.kind, found.patch_size, found.overlap, found.stride) == ("probability", 80, 16, 8)
    assert found.both.p_value < 0.001
    assert check_seams(path, origin=(24, 24)).both.p_value > 0.1


@pytest.mark.parametrize("stitch", ["exact", "crop"])
def test_cropped_patches_meet_at_one_line(tmp_path, stitch):
    tags = GRID | {"GEOSEG_STITCH": stitch, "GEOSEG_GRID_ORIGIN": "-8 -16"}
    pixels = noisy((420, 520), 2, level=20, step=64)[8:, 16:]
    found = check_seams(tagged(tmp_path / "p.tif", pixels, **tags))
    assert found.rows.joints == 6
    assert found.both.p_value < 0.001


def test_memory_is_a_band_of_rows(tmp_path, monkeypatch):
    path = tagged(tmp_path / "p.tif", noisy((400, 500), 2, level=20), **GRID)
    whole = check_seams(path)
    monkeypatch.setattr(seams, "BAND_PIXELS", 500)
    done = []
    assert check_seams(path, progress=lambda rows, total: done.append((rows, total))) == whole
    assert max(rows for rows, _ in done) <= 16
    assert sum(rows for rows, _ in done) == done[0][1] == 400


def test_what_predict_writes_says_where_its_patches_lay(tmp_path, tiny, make_raster):
    from geoseg.api import predict

    scene = make_raster(shape=(300, 400))
    left, top = 452310 + 0.3 * 24, 3771240 - 0.3 * 8
    bounds = (left, top - 0.3 * 200, left + 0.3 * 300, top)
    predict(scene, tmp_path / "m.tif", model=tiny, bounds=bounds)
    with rasterio.open(tmp_path / "m.tif") as file:
        tags = file.tags()
    expected = GRID | {"GEOSEG_PATCH_SIZE": "64", "GEOSEG_STRIDE": "1", "GEOSEG_GRID_ORIGIN": "-8 -24"}
    assert {key: tags[key] for key in expected} == expected
    found = check_seams(tmp_path / "m.tif")
    assert (found.kind, found.patch_size, found.overlap, found.stride) == ("mask", 64, 16, 1)
    assert found.both.p_value > 0.001


REFUSED = {
    "no grid known": ([], "--patch-size"),
    "smaller than a patch": (["--patch-size", 512], "too small"),
    "overlap as large as the patch": (["--patch-size", 64, "--overlap", 64], "overlap"),
    "stride that does not divide": (["--patch-size", 64, "--stride", 24], "--stride"),
    "stride too large to compare": (["--patch-size", 64, "--stride", 32], "--stride"),
    "no such band": (["--patch-size", 64, "--band", 9], "no band 9"),
}


@pytest.mark.parametrize(("words", "wanted"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path, words, wanted):
    write_raster(tmp_path / "o.tif", coded((200, 220))[..., :1])
    assert_refused(run("check", "seams", tmp_path / "o.tif", *words), wanted)


def test_a_missing_or_damaged_raster_is_one_line(tmp_path):
    assert_refused(run("check", "seams", tmp_path / "no.tif"), "no.tif")
    (tmp_path / "t.tif").write_text("hello")
    assert_refused(run("check", "seams", tmp_path / "t.tif"), "t.tif")


@pytest.mark.parametrize("tags", [
    {"GEOSEG_PATCH_SIZE": "large"}, {"GEOSEG_GRID_ORIGIN": "0"}, {"GEOSEG_GRID_ORIGIN": "a b"},
    {"GEOSEG_STRIDE": "0"}, {"GEOSEG_STRIDE": "-8"}, {"GEOSEG_OVERLAP": "-3"}, {"GEOSEG_PATCH_SIZE": "0"},
], ids=str)  # fmt: skip
def test_tags_that_make_no_sense_are_one_line(tmp_path, tags):
    path = tagged(tmp_path / "p.tif", noisy((100, 100), 2), **GRID | tags)
    assert_refused(run("check", "seams", path))
