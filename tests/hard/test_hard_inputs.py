"""A few of the odd rasters of `hard_rasters`; thousands with `python tests/hard/hard_rasters.py`."""

from pathlib import Path

import pytest
import rasterio
from conftest import NORTH_UP, coded, corner_points, write_raster
from hard_rasters import DTYPES, PLACES, Odd, check, odd_rasters
from hypothesis import HealthCheck, example, given, settings
from rasterio.crs import CRS
from thresholds import run, thresholds_for_networks, write_card

PLAIN = (("compress", "deflate"),)
HOLE = (0.2, 0.0, 0.7, 0.5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a bundle of thresholds, which the command line runs."""
    place = tmp_path_factory.mktemp("odd")
    write_card(place / "bundle")
    with thresholds_for_networks():
        yield place


@settings(
    max_examples=25, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(odd=odd_rasters(largest=200))
@example(odd=Odd((1, 1), 1, "uint8", "none", None, "none", PLAIN))
@example(odd=Odd((1, 2000), 8, "int16", "odd", HOLE, "internal", PLAIN, "rotated"))
@example(odd=Odd((40, 60), 3, "float64", "nan", HOLE, "external", PLAIN, "antimeridian"))
def test_every_valid_pixel_is_classed_once_and_lies_in_one_polygon(folder, odd):
    check(odd, folder)


@pytest.mark.parametrize("place", sorted(PLACES))
def test_at_every_place(folder, place):
    check(Odd((30, 41), 3, "uint8", "zero", HOLE, "none", PLAIN, place, "steps"), folder)


@pytest.mark.parametrize("dtype", DTYPES)
def test_of_every_dtype(folder, dtype):
    check(Odd((30, 41), 3, dtype, "largest", HOLE, "internal", PLAIN, texture="noise"), folder)


def test_control_points_without_a_crs_are_kept(folder, tmp_path):
    """rasterio asks even no CRS for its name when there are control points."""
    points = corner_points((40, 60), NORTH_UP)
    path = write_raster(tmp_path / "points.tif", coded((40, 60)), gcps=points, crs=CRS())
    done = run("predict", path, "-m", folder / "bundle", "-o", tmp_path / "mask.tif")
    assert done.exit_code == 0, (done.stderr, done.exception)
    with rasterio.open(tmp_path / "mask.tif") as mask:
        assert len(mask.gcps[0]) == len(points)
        assert not mask.gcps[1]
    done = run("tile", path, "-o", tmp_path / "tiles", "--patch-size", "32")
    assert done.exit_code == 0, (done.stderr, done.exception)
    tiles = sorted(Path(tmp_path / "tiles").rglob("*.tif"))
    with rasterio.open(tiles[0]) as tile:
        assert len(tile.gcps[0]) == len(points)


def test_the_check_finds_a_pixel_that_is_not_classed(folder, monkeypatch):
    """What the generator promises to see, it sees."""
    from geoseg import outputs
    from geoseg.core import mask as masks

    def forgetful(*given):
        classes = masks.classify(*given)
        classes[0, 0] = 255
        return classes

    monkeypatch.setattr(outputs, "classify", forgetful)
    with pytest.raises(AssertionError):
        check(Odd((30, 41), 3, "uint8", "none", None, "none", PLAIN), folder)
