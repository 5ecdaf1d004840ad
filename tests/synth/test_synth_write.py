import geopandas
import numpy as np
import pytest
import rasterio
from shapely import hausdorff_distance
from shapely.affinity import affine_transform

from geoseg.errors import OutputError
from geoseg.synth import SceneSpec, synthesize
from geoseg.synth.write import write_scene

ORIGIN = (452000.0, 3770000.0)


@pytest.fixture(scope="module")
def scene():
    return synthesize(SceneSpec(seed=12, height=200, width=300))


@pytest.fixture(scope="module")
def swath():
    return synthesize(SceneSpec(seed=22, height=200, width=260, pixel_size_m=0.5, style="town", swath=True))


def test_image_has_crs_transform_and_looks_the_same(scene, tmp_path):
    path, *_ = write_scene(scene, tmp_path / "a.tif")
    with rasterio.open(path) as image:
        assert image.crs.to_epsg() == 32611
        assert image.transform[:6] == (0.3, 0, ORIGIN[0], 0, -0.3, ORIGIN[1])
        assert image.nodata is None
        assert image.profile["tiled"]
        read = np.moveaxis(image.read(), 0, 2)
    assert np.abs(read.astype(int) - scene.pixels).mean() < 6


def test_lossless_image_is_exact_and_has_nodata(swath, tmp_path):
    path, *_ = write_scene(swath, tmp_path / "a.tif", lossless=True)
    with rasterio.open(path) as image:
        assert image.nodata == 0
        assert np.array_equal(np.moveaxis(image.read(), 0, 2), swath.pixels)
        assert np.array_equal(image.dataset_mask() > 0, swath.valid)


def test_mask_file(swath, tmp_path):
    _, path, _ = write_scene(swath, tmp_path / "a.tif", lossless=True)
    with rasterio.open(path) as mask:
        assert path.name == "a_mask.tif"
        assert mask.nodata == 255
        assert np.array_equal(mask.read(1), swath.mask)


@pytest.mark.parametrize("crs", ["EPSG:32611", "EPSG:26911"])
def test_truth_matches_the_polygons_within_a_centimetre(scene, tmp_path, crs):
    *_, path = write_scene(scene, tmp_path / "a.tif", crs=crs, origin=ORIGIN)
    truth = geopandas.read_file(path)
    assert truth.crs.to_epsg() == 4326
    assert '"crs"' not in path.read_text()
    metric = truth.to_crs(crs)
    for name, shapes in (("building", scene.buildings), ("tree", scene.trees)):
        read = metric.geometry[metric["class"] == name]
        placed = [affine_transform(shape, [0.3, 0, 0, -0.3, *ORIGIN]) for shape in shapes]
        assert len(read) == len(placed)
        assert max(hausdorff_distance(*pair) for pair in zip(read, placed, strict=True)) < 0.015


def test_shells_of_the_truth_turn_left(scene, tmp_path):
    *_, path = write_scene(scene, tmp_path / "a.tif")
    assert geopandas.read_file(path).geometry.exterior.is_ccw.all()


def test_existing_files_are_kept(scene, tmp_path):
    (tmp_path / "a_truth.geojson").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_scene(scene, tmp_path / "a.tif")
    assert [path.name for path in tmp_path.iterdir()] == ["a_truth.geojson"]
    write_scene(scene, tmp_path / "a.tif", overwrite=True)
    assert (tmp_path / "a_truth.geojson").read_text() != "mine"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.png", {}, "GeoTIFF"),
        ("a.tif", {"crs": "EPSG:4326"}, "metres"),
        ("a.tif", {"crs": "nowhere"}, "crs"),
        ("missing/a.tif", {}, "folder"),
    ],
)
def test_what_cannot_be_written_is_refused(scene, tmp_path, name, options, message):
    with pytest.raises(OutputError, match=message) as caught:
        write_scene(scene, tmp_path / name, **options)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("*"))


def test_missing_data_refuses_jpeg(swath, tmp_path):
    with pytest.raises(OutputError, match="lossless"):
        write_scene(swath, tmp_path / "a.tif")


def test_failure_leaves_nothing_behind(scene, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(geopandas.GeoDataFrame, "to_file", fail)
    with pytest.raises(OutputError, match="disk full"):
        write_scene(scene, tmp_path / "a.tif")
    assert not list(tmp_path.iterdir())
