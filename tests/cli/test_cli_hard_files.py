"""Odd rasters of other projects give a result or a refusal that helps; broken ones a refusal."""

import re

import numpy as np
import pytest
import rasterio
from cli_runs import assert_refused, names, run
from conftest import SHARED

from geoseg import api

HARD = SHARED / "data" / "hard"
RASTERS = (".tif", ".tiff")
VALID = sorted(p for p in HARD.glob("valid/*") if p.suffix in RASTERS)
CORRUPT = sorted(p for p in HARD.glob("corrupt/*") if p.suffix in RASTERS)
REMEDY = re.compile(r"; .*(-b |--res|-expand|give|choose|fetch)")

pytestmark = pytest.mark.skipif(
    not VALID, reason=f"there is no {HARD}: public test data is not part of the repository"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch, loaded):
    """Load the bundled model once for all files, and once more for their own pixels."""
    load = api.load

    def cached(model, **options):
        options.pop("example")
        key = options["res"]
        if key not in READY:
            READY[key] = load(model, **options)
        return READY[key]

    READY["model"] = loaded
    monkeypatch.setattr(api, "load", cached)


READY = {}


def assert_answers(path, target):
    """A mask on the scene's own ground, empty where the scene's mask is."""
    with rasterio.open(path) as scene, rasterio.open(target) as mask:
        assert (mask.crs or mask.gcps[1]) == (scene.crs or scene.gcps[1])
        assert len(mask.gcps[0]) == len(scene.gcps[0])
        values = mask.read(1)
        assert set(np.unique(values)) <= {0, 1, 2, 255}
        if mask.shape == scene.shape:
            assert mask.transform.almost_equals(scene.transform)
        for row, col in ((0, 0), (0, 1), (1, 0), (1, 1)):
            here, there = (d.transform * (col * d.width, row * d.height) for d in (scene, mask))
            assert here == pytest.approx(there, rel=1e-9)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_a_valid_raster_gives_a_mask_or_a_refusal_that_names_a_remedy(path, tmp_path):
    result = run("predict", path, "-o", tmp_path / "m.tif")
    if result.exit_code == 0:
        assert result.stdout == f"{tmp_path / 'm.tif'}\n"
        assert_answers(path, tmp_path / "m.tif")
    else:
        assert_refused(result)
        assert REMEDY.search(result.stderr), result.stderr
        assert names(tmp_path) == []


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_a_valid_raster_gives_a_mask_on_its_own_pixels(path, tmp_path):
    with rasterio.open(path) as scene:
        shape = scene.shape
        bands = ["-b", "1,1,1"] if scene.count < 3 else ["-b", "1,2,3"]
        holes = np.count_nonzero(scene.read_masks(1) == 0)
    result = run("predict", path, "-o", tmp_path / "m.tif", *bands, "--res", "native")
    assert result.exit_code == 0, result.stderr
    assert_answers(path, tmp_path / "m.tif")
    with rasterio.open(tmp_path / "m.tif") as mask:
        assert mask.shape == shape
        if holes == shape[0] * shape[1]:
            assert (mask.read(1) == 255).all()


@pytest.mark.parametrize("path", CORRUPT, ids=lambda path: path.name)
def test_a_corrupt_raster_is_one_line_and_leaves_nothing(path, tmp_path):
    for options in ([], ["-b", "1,1,1", "--res", "native"]):
        result = run("predict", path, "-o", tmp_path / "m.tif", *options)
        assert_refused(result, path.name)
        assert names(tmp_path) == []
