"""`tile` cuts a scene into patches that fit together again, with labels and an index."""

import cv2
import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import NORTH_UP, coded, corner_points
from rasterio.features import rasterize
from shapely import Polygon

from geoseg.errors import GridError, OutputError, SceneError
from geoseg.geo.tiling import TileJob, cut_tiles

SHAPE = (150, 220)


def noise(shape=SHAPE, bands=3, dtype="uint8"):
    top = 250 if np.issubdtype(dtype, np.integer) else 1
    return (np.random.default_rng(5).random((*shape, bands)) * top).astype(dtype)


def tile(scene, folder, **options):
    job = TileJob(str(scene), folder, **dict(patch_size=64, median_kernel=0) | options)
    count = cut_tiles(job)
    index = geopandas.read_parquet(folder / "index.parquet")
    assert count == len(index)
    return index


def put_back(folder, index, shape, column="file", size=64):
    """The patches laid out by their row and col, as far as they lie in the scene."""
    canvas = None
    for entry in index.itertuples():
        with rasterio.open(folder / getattr(entry, column)) as file:
            patch = np.moveaxis(file.read(), 0, 2)
        if canvas is None:
            grown = [-(-n // size) * size for n in shape]
            canvas = np.zeros((*grown, patch.shape[2]), patch.dtype)
        canvas[entry.row : entry.row + size, entry.col : entry.col + size] = patch
    return canvas


@pytest.mark.parametrize("kind", ["tif", "png"])
@pytest.mark.parametrize("kernel", [0, 5])
def test_patches_put_back_together_equal_the_blurred_scene(make_raster, tmp_path, kind, kernel):
    index = tile(make_raster(pixels=noise()), tmp_path / "out", format=kind, median_kernel=kernel)
    truth = cv2.medianBlur(noise(), kernel) if kernel else noise()
    assert len(index) == 3 * 4
    assert np.array_equal(put_back(tmp_path / "out", index, SHAPE)[:150, :220], truth)


def test_past_the_far_edge_the_scene_is_reflected(make_raster, tmp_path):
    index = tile(make_raster(pixels=noise()), tmp_path / "out")
    truth = np.pad(noise(), [(0, 192 - 150), (0, 256 - 220), (0, 0)], mode="reflect")
    assert np.array_equal(put_back(tmp_path / "out", index, SHAPE), truth)


def test_overlapping_patches_agree_where_they_overlap(make_raster, tmp_path):
    index = tile(make_raster(pixels=noise()), tmp_path / "out", overlap=24, median_kernel=5)
    truth = cv2.medianBlur(noise(), 5)
    assert sorted(set(index.row)) == [0, 40, 80, 120]
    for entry in index.itertuples():
        with rasterio.open(tmp_path / "out" / entry.file) as file:
            patch = np.moveaxis(file.read(), 0, 2)
        inside = truth[entry.row : entry.row + 64, entry.col : entry.col + 64]
        assert np.array_equal(patch[: inside.shape[0], : inside.shape[1]], inside)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_any_dtype_and_number_of_bands_is_kept(make_raster, tmp_path, dtype):
    scene = make_raster(pixels=noise(bands=5, dtype=dtype), photometric="minisblack")
    back = put_back(tmp_path / "out", tile(scene, tmp_path / "out"), SHAPE)
    assert back.dtype == dtype
    assert np.array_equal(back[:150, :220], noise(bands=5, dtype=dtype))


def test_chosen_bands_are_cut_in_the_order_given(make_raster, tmp_path):
    index = tile(make_raster(pixels=noise()), tmp_path / "out", bidx=(3, 1))
    assert np.array_equal(put_back(tmp_path / "out", index, SHAPE)[:150, :220], noise()[..., [2, 0]])


@pytest.mark.parametrize(
    "transform",
    [NORTH_UP, Affine(0.2, 0.1, 452310, 0.1, -0.2, 3771240), Affine(0.3, 0, 452310, 0, 0.3, 3771240)],
    ids=["north up", "rotated", "south up"],
)
def test_the_index_knows_where_each_patch_lies(make_raster, tmp_path, transform):
    index = tile(make_raster(pixels=noise(), transform=transform), tmp_path / "out")
    assert index.crs.to_epsg() == 32611
    for entry in index.itertuples():
        with rasterio.open(tmp_path / "out" / entry.file) as file:
            assert file.crs.to_epsg() == 32611
            assert file.transform.almost_equals(transform * Affine.translation(entry.col, entry.row))
        ends = [(entry.col + c, entry.row + r) for c, r in ((0, 0), (64, 0), (64, 64), (0, 64))]
        assert entry.geometry.symmetric_difference(Polygon([transform * at for at in ends])).area < 1e-6


def test_the_index_says_how_much_of_a_patch_has_data(make_raster, tmp_path):
    pixels = noise().clip(1)
    pixels[:64, :96] = 0
    index = tile(make_raster(pixels=pixels, nodata=0), tmp_path / "out").set_index(["row", "col"])
    assert (0, 0) not in index.index
    assert index.valid[0, 64] == 0.5
    assert index.valid[64, 64] == 1
    assert index.valid[128, 192] == pytest.approx(22 * 28 / 64**2)


def test_patches_of_a_scene_with_control_points_or_without_place(make_raster, tmp_path):
    points = corner_points(SHAPE, NORTH_UP)
    index = tile(make_raster(pixels=noise(), gcps=points), tmp_path / "a")
    with rasterio.open(tmp_path / "a" / index.file[5]) as file:
        assert [(p.row, p.col) for p in file.gcps[0]] == [
            (p.row - index.row[5], p.col - index.col[5]) for p in points
        ]
    index = tile(make_raster(pixels=noise(), crs=None, transform=None), tmp_path / "b")
    assert index.crs is None
    assert index.geometry[0].bounds == (0, 0, 64, 64)


def quarters(transform):
    """Three polygons with slanting edges, none of which meets the centre of a pixel."""
    outlines = [
        [(10, 12), (90, 30), (70, 100), (20, 60)],
        [(100, 5), (215, 40), (120, 140)],
        [(5, 80), (60, 110), (9, 149)],
    ]
    return [Polygon([transform * (x + 0.137, y + 0.291) for x, y in outline]) for outline in outlines]


def test_labels_from_polygons_in_another_crs_equal_rasterize(make_raster, tmp_path):
    truth_shapes = quarters(NORTH_UP)
    frame = geopandas.GeoDataFrame({"class": [1, 2, 7]}, geometry=truth_shapes, crs="EPSG:32611")
    frame.to_crs("EPSG:4326").to_file(tmp_path / "labels.gpkg")
    index = tile(make_raster(pixels=noise()), tmp_path / "out", labels=tmp_path / "labels.gpkg")
    back = put_back(tmp_path / "out", index, SHAPE, "label")[..., 0]
    again = geopandas.read_file(tmp_path / "labels.gpkg").to_crs("EPSG:32611")
    truth = rasterize(zip(again.geometry, [1, 2, 7], strict=True), SHAPE, transform=NORTH_UP, dtype="uint8")
    assert set(np.unique(truth)) == {0, 1, 2, 7}
    assert np.array_equal(back[:150, :220], truth)
    assert (back[150:] == 255).all()
    assert (back[:, 220:] == 255).all()


def test_class_names_are_numbered_in_alphabetical_order(make_raster, tmp_path):
    frame = geopandas.GeoDataFrame(
        {"class": ["tree", "building", "tree"]}, geometry=quarters(NORTH_UP), crs="EPSG:32611"
    )
    frame.to_file(tmp_path / "labels.geojson")
    index = tile(make_raster(pixels=noise()), tmp_path / "out", labels=tmp_path / "labels.geojson")
    back = put_back(tmp_path / "out", index, SHAPE, "label")[:150, :220, 0]
    assert back[50, 50] == 2
    assert back[50, 150] == 1


def test_labels_are_ignored_where_the_scene_has_no_data(make_raster, tmp_path):
    pixels = noise().clip(1)
    pixels[40:100, 30:77] = 0
    frame = geopandas.GeoDataFrame(geometry=quarters(NORTH_UP), crs="EPSG:32611")
    frame.to_file(tmp_path / "labels.gpkg")
    scene = make_raster(pixels=pixels, nodata=0)
    index = tile(scene, tmp_path / "out", labels=tmp_path / "labels.gpkg")
    back = put_back(tmp_path / "out", index, SHAPE, "label")[:150, :220, 0]
    truth = rasterize(quarters(NORTH_UP), SHAPE, transform=NORTH_UP, dtype="uint8")
    truth[40:100, 30:77] = 255
    assert np.array_equal(back, truth)


def test_labels_from_a_raster_on_another_plane_lie_on_the_right_ground(make_raster, tmp_path):
    truth = rasterize(quarters(NORTH_UP), SHAPE, transform=NORTH_UP, dtype="uint8")
    wide = np.zeros((190, 270, 1), np.uint8)
    wide[20:170, 30:250, 0] = truth
    labels = make_raster("labels.tif", pixels=wide, transform=NORTH_UP * Affine.translation(-30, -20))
    index = tile(make_raster(pixels=noise()), tmp_path / "out", labels=labels)
    back = put_back(tmp_path / "out", index, SHAPE, "label")[:150, :220, 0]
    assert np.array_equal(back, truth)


def test_labels_from_a_smaller_raster_are_unknown_where_it_ends(make_raster, tmp_path):
    small = make_raster("labels.tif", pixels=np.ones((100, 90, 1), np.uint8))
    index = tile(make_raster(pixels=noise()), tmp_path / "out", labels=small)
    back = put_back(tmp_path / "out", index, SHAPE, "label")[:150, :220, 0]
    truth = np.full(SHAPE, 255, np.uint8)
    truth[:100, :90] = 1
    assert np.array_equal(back, truth)


def test_label_rasters_without_crs_must_have_the_scenes_shape(make_raster, tmp_path):
    scene = make_raster(pixels=noise())
    right = make_raster("right.tif", pixels=coded(SHAPE, 1), crs=None, transform=None)
    index = tile(scene, tmp_path / "out", labels=right)
    assert np.array_equal(put_back(tmp_path / "out", index, SHAPE, "label")[:150, :220], coded(SHAPE, 1))
    wrong = make_raster("wrong.tif", pixels=coded((150, 200), 1), crs=None, transform=None)
    with pytest.raises(SceneError, match="150, 220"):
        tile(scene, tmp_path / "no", labels=wrong)


def test_labels_on_a_scene_with_control_points_are_right_or_refused(make_raster, tmp_path):
    scene = make_raster(pixels=noise(), gcps=corner_points(SHAPE, NORTH_UP))
    geopandas.GeoDataFrame(geometry=quarters(NORTH_UP), crs="EPSG:32611").to_file(tmp_path / "labels.gpkg")
    try:
        index = tile(scene, tmp_path / "out", labels=tmp_path / "labels.gpkg")
    except SceneError as error:
        assert ";" in str(error)
    else:
        back = put_back(tmp_path / "out", index, SHAPE, "label")[:150, :220, 0]
        truth = rasterize(quarters(NORTH_UP), SHAPE, transform=NORTH_UP, dtype="uint8")
        assert np.count_nonzero(back != truth) < 50


@pytest.mark.parametrize("bad", [[-1, 1, 2], [1, 255, 2]])
def test_classes_that_do_not_fit_a_byte_are_refused(make_raster, tmp_path, bad):
    frame = geopandas.GeoDataFrame({"class": bad}, geometry=quarters(NORTH_UP), crs="EPSG:32611")
    frame.to_file(tmp_path / "labels.gpkg")
    with pytest.raises(SceneError, match="0 to 254"):
        tile(make_raster(pixels=noise()), tmp_path / "out", labels=tmp_path / "labels.gpkg")


@pytest.mark.parametrize(("bands", "dtype"), [(5, "uint8"), (2, "uint8"), (3, "float32")])
def test_what_png_cannot_hold_is_refused_and_leaves_nothing(make_raster, tmp_path, bands, dtype):
    scene = make_raster(pixels=noise(bands=bands, dtype=dtype), photometric="minisblack")
    with pytest.raises(OutputError, match="--format tif"):
        tile(scene, tmp_path / "out", format="png")
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_png_of_16_bits_is_exact(make_raster, tmp_path):
    pixels = noise(bands=1, dtype="float32")
    pixels = (pixels * 65535).astype(np.uint16)
    index = tile(make_raster(pixels=pixels), tmp_path / "out", format="png")
    assert np.array_equal(put_back(tmp_path / "out", index, SHAPE)[:150, :220], pixels)


def test_a_folder_with_files_is_refused_unless_told_otherwise(make_raster, tmp_path):
    scene = make_raster(pixels=noise())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="--overwrite"):
        tile(scene, tmp_path / "out")
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"
    tile(scene, tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "mine.txt").exists()


@pytest.mark.parametrize("case", ["damaged", "overlap", "no labels"])
def test_failing_leaves_nothing(make_raster, tmp_path, case):
    scene = make_raster(pixels=noise((256, 256)), tiled=True, blockxsize=64, blockysize=64)
    options = {}
    if case == "damaged":
        scene.write_bytes(scene.read_bytes()[: scene.stat().st_size * 2 // 3])
    if case == "overlap":
        options = dict(overlap=64)
    if case == "no labels":
        options = dict(labels=tmp_path / "none.gpkg")
    with pytest.raises((SceneError, GridError)) as error:
        tile(scene, tmp_path / "out", **options)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_a_scene_without_data_has_an_empty_index(make_raster, tmp_path):
    index = tile(make_raster(pixels=np.zeros((*SHAPE, 3), np.uint8), nodata=0), tmp_path / "out")
    assert len(index) == 0
