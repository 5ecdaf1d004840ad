from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from geoseg.synth.__main__ import main
from geoseg.synth.samples import SAMPLES

KEPT = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def remade(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples") / "new"
    assert main([str(folder)]) == 0
    return folder


def read(path):
    with rasterio.open(path) as image:
        return image.read().astype(int), image.dataset_mask(), image.profile


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_images_are_what_the_code_draws(remade, name):
    (old, old_valid, old_profile), (new, new_valid, new_profile) = (
        read(folder / f"{name}.tif") for folder in (KEPT, remade)
    )
    assert old_profile == new_profile
    assert np.array_equal(old_valid, new_valid)
    # equal on one machine; other builds of numpy, OpenCV and libjpeg may round the last digit otherwise
    assert np.abs(old - new).mean() < 0.5
    assert (np.abs(old - new) <= 2).mean() > 0.99


@pytest.mark.parametrize("name", SAMPLES)
def test_sample_truth_is_what_the_code_draws(remade, name):
    old, new = (geopandas.read_file(folder / f"{name}_truth.geojson") for folder in (KEPT, remade))
    assert list(old["class"]) == list(new["class"])
    pairs = zip(old.geometry, new.geometry, strict=True)
    assert max(shapely.hausdorff_distance(*pair) for pair in pairs) < 3e-7


def test_samples_are_small():
    assert sum(path.stat().st_size for path in KEPT.iterdir()) < 3e6


def test_usage_and_errors(tmp_path, capsys):
    assert main([]) == 2
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file" / "deep")]) == 1
    assert capsys.readouterr().err.count("\n") == 2
