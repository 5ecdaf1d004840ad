"""A scene is what plain rasterio reads, with the AND of every kind of validity."""

from concurrent.futures import ThreadPoolExecutor

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import NORTH_UP, corner_points
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from shapely import Polygon

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo import scene as scene_module
from geoseg.geo.scene import open_scene

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
WINDOWS = [Window(0, 0, 40, 60), Window(3, 5, 7, 11), Window(39, 59, 1, 1), Window(0, 58, 40, 2)]


def read_all(path, bands=("red", "green", "blue"), **options):
    with open_scene(path, bands, **options) as scene:
        return scene.read(Window(0, 0, *scene.shape))


def hole(shape=(40, 60)):
    """An irregular region without data."""
    rows, cols = np.indices(shape)
    return (rows - 12) ** 2 + 2 * (cols - 20) ** 2 < 150


def one_line(error):
    text = str(error.value)
    return "\n" not in text and ";" in text


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
)
@pytest.mark.parametrize("tiled", [False, True])
def test_windows_hold_what_rasterio_reads_with_bands_last(make_raster, dtype, tiled):
    tiles = dict(tiled=True, blockxsize=16, blockysize=32, compress="deflate") if tiled else {}
    path = make_raster(pixels=np.minimum(np.indices((40, 60, 3)).sum(0), 120).astype(dtype), **tiles)
    with rasterio.open(path) as plain, open_scene(path) as scene:
        assert (scene.shape, scene.bands, scene.dtype) == ((40, 60), 3, dtype)
        for window in WINDOWS:
            pixels, valid = scene.read(window)
            rows, cols = window.within(Window(0, 0, 40, 60))
            assert pixels.dtype == dtype
            assert np.array_equal(pixels, np.moveaxis(plain.read(), 0, 2)[rows, cols])
            assert valid.all()


@pytest.mark.parametrize("sizes_m", [None, (0.25, 0.25), (2.0, 2.0)])
def test_threads_that_share_a_scene_read_what_one_alone_does(make_raster, sizes_m):
    rng = np.random.default_rng(0)
    tiles = dict(tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    path = make_raster(pixels=rng.integers(1, 255, (300, 400, 3)).astype(np.uint8), **tiles)
    with open_scene(path, sizes_m=sizes_m, nodata=7) as scene:
        windows = [Window(row, col, 50, 70).clip(scene.shape) for row in range(0, scene.shape[0], 40)
                   for col in range(0, scene.shape[1], 60)]  # fmt: skip
        alone = [scene.read(window) for window in windows]
        with ThreadPoolExecutor(8) as pool:
            for one, other in zip(alone, pool.map(scene.read, windows), strict=True):
                assert all(map(np.array_equal, one, other))


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_scenes_one_pixel_thin_are_read(make_raster, shape):
    pixels, valid = read_all(make_raster(shape=shape))
    assert pixels.shape == (*shape, 3)
    assert valid.shape == shape
    assert valid.all()


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [("uint8", 0), ("uint16", 65535), ("int16", -9999), ("float32", -9999), ("float32", np.nan)],
)
def test_a_nodata_value_makes_pixels_invalid(make_raster, dtype, nodata):
    path = make_raster(dtype=dtype)
    pixels = np.moveaxis(rasterio.open(path).read(), 0, 2)
    pixels[hole()] = nodata
    _, valid = read_all(make_raster(pixels=pixels, nodata=nodata))
    assert np.array_equal(valid, ~hole())


def test_a_pixel_is_nodata_only_when_all_its_chosen_bands_are(make_raster):
    pixels = np.full((40, 60, 3), 9, np.uint8)
    pixels[:10, :, 0] = 0
    pixels[:5, :, 1:] = 0
    path = make_raster(pixels=pixels, nodata=0)
    assert np.array_equal(read_all(path)[1].all(1), np.arange(40) >= 5)
    assert np.array_equal(read_all(path, bidx=(1, 1, 1))[1].all(1), np.arange(40) >= 10)


def test_a_nodata_value_that_the_dtype_cannot_hold_hides_nothing(make_raster):
    path = make_raster(dtype="uint8")
    for value in (-9999, 300, 7.5, np.nan):
        assert read_all(path, nodata=value)[1].all()


def test_a_nodata_value_from_the_user_hides_pixels(make_raster):
    pixels = np.full((40, 60, 3), 50, np.uint8)
    pixels[hole()] = 77
    assert np.array_equal(read_all(make_raster(pixels=pixels), nodata=77)[1], ~hole())


def test_a_nodata_value_from_the_user_is_beside_the_files_own(make_raster):
    pixels = np.full((40, 60, 3), 50, np.uint8)
    pixels[:4], pixels[-4:] = 77, 0
    _, valid = read_all(make_raster(pixels=pixels, nodata=0), nodata=77)
    assert np.array_equal(valid.all(1), (np.arange(40) >= 4) & (np.arange(40) < 36))


@pytest.mark.parametrize("kind", ["internal", "external", "alpha"])
def test_a_mask_makes_pixels_invalid_and_not_their_values(make_raster, kind):
    path = make_raster(mask=~hole(), mask_kind=kind)
    with rasterio.open(path) as plain:
        assert np.array_equal(plain.dataset_mask() > 0, ~hole())
    pixels, valid = read_all(path)
    assert np.array_equal(valid, ~hole())
    assert np.array_equal(pixels, np.moveaxis(rasterio.open(make_raster("plain.tif")).read(), 0, 2))


def test_a_mask_and_a_nodata_value_from_the_user_both_count(make_raster):
    pixels = np.full((40, 60, 3), 50, np.uint8)
    pixels[-4:] = 77
    _, valid = read_all(make_raster(pixels=pixels, mask=~hole()), nodata=77)
    assert np.array_equal(valid, ~hole() & (np.arange(40) < 36)[:, None])


def test_alpha_of_16_bits_counts_from_1(make_raster):
    assert np.array_equal(read_all(make_raster(dtype="uint16", mask=~hole(), mask_kind="alpha"))[1], ~hole())


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "float32"])
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_alpha_hides_pixels_also_where_gdal_takes_it_for_no_mask(make_raster, bands, dtype):
    path = make_raster(bands=bands, dtype=dtype, mask=~hole(), mask_kind="alpha")
    pixels, valid = read_all(path, bidx=(1,) * 3 if bands < 3 else None)
    assert np.array_equal(valid, ~hole())
    assert pixels.shape == (40, 60, 3)


def test_an_alpha_band_that_is_asked_for_is_a_band(make_raster):
    path = make_raster(bands=5, mask=~hole(), mask_kind="alpha")
    pixels, valid = read_all(path, bidx=(1, 2, 6))
    assert valid.all()
    assert np.array_equal(pixels[..., 2] > 0, ~hole())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_invalid_in_any_band(make_raster, value):
    pixels = np.ones((40, 60, 3), np.float32)
    pixels[hole(), 1] = value
    assert np.array_equal(read_all(make_raster(pixels=pixels))[1], ~hole())


def test_nothing_valid_is_no_error(make_raster):
    _, valid = read_all(make_raster(pixels=np.zeros((40, 60, 3), np.uint8), nodata=0))
    assert not valid.any()


def test_outside_a_cutline_in_another_crs_nothing_is_valid(make_raster, tmp_path):
    path = make_raster(shape=(80, 100))
    with rasterio.open(path) as plain:
        inside = Polygon([plain.transform * at for at in ((10, 12), (70, 20), (60, 66), (18, 50))])
        truth = rasterize([inside], plain.shape, transform=plain.transform).astype(bool)
    frame = geopandas.GeoDataFrame(geometry=[inside], crs="EPSG:32611").to_crs("EPSG:4326")
    frame.to_file(tmp_path / "cut.geojson")
    _, valid = read_all(path, cutline=tmp_path / "cut.geojson")
    assert np.count_nonzero(valid != truth) <= 2  # seven decimals of a degree are 1 cm
    with open_scene(path, cutline=tmp_path / "cut.geojson") as scene:
        window = Window(13, 30, 40, 50)
        assert np.array_equal(scene.read(window)[1], valid[window.within(Window(0, 0, 80, 100))])


def test_a_cutline_on_a_scene_with_control_points_is_right_or_refused(make_raster, tmp_path):
    path = make_raster(shape=(80, 100), gcps=corner_points((80, 100), NORTH_UP))
    inside = Polygon([NORTH_UP * at for at in ((10, 12), (70, 20), (60, 66), (18, 50))])
    geopandas.GeoDataFrame(geometry=[inside], crs="EPSG:32611").to_file(tmp_path / "cut.gpkg")
    try:
        _, valid = read_all(path, cutline=tmp_path / "cut.gpkg")
    except SceneError as error:
        assert ";" in str(error)
    else:
        truth = rasterize([inside], (80, 100), transform=NORTH_UP).astype(bool)
        assert np.count_nonzero(valid != truth) < 20


@pytest.mark.parametrize("case", ["missing", "text", "empty", "points"])
def test_a_cutline_without_polygons_is_refused(make_raster, tmp_path, case):
    cut = tmp_path / "cut.geojson"
    if case == "text":
        cut.write_text("nothing")
    if case == "empty":
        cut.write_text('{"type": "FeatureCollection", "features": []}')
    if case == "points":
        geopandas.GeoDataFrame(geometry=geopandas.points_from_xy([1], [2]), crs=4326).to_file(cut)
    with pytest.raises(SceneError) as error:
        read_all(make_raster(), cutline=cut)
    assert one_line(error)
    assert "cut.geojson" in str(error.value)


def test_bands_are_found_by_colour_interpretation(make_raster):
    path = make_raster(bands=4, colors=[ColorInterp.undefined, *RGB[::-1]])
    with open_scene(path) as scene:
        assert scene.source.indexes == (4, 3, 2)


def test_bands_are_found_by_description(make_raster):
    path = make_raster(bands=5, photometric="minisblack", names=["NIR", "Blue", "Green", "RED", "x"])
    with open_scene(path) as scene:
        assert scene.source.indexes == (4, 3, 2)
    with open_scene(path, ("red", "nir")) as scene:
        assert scene.source.indexes == (4, 1)


def test_unnamed_bands_are_taken_in_order_with_a_warning_when_some_are_left(make_raster, caplog):
    with open_scene(make_raster(bands=5, photometric="minisblack")) as scene:
        assert scene.source.indexes == (1, 2, 3)
    assert "choose with -b" in caplog.text


def test_three_unnamed_bands_are_taken_in_order_without_a_word(make_raster, caplog):
    with open_scene(make_raster(bands=3, photometric="minisblack")) as scene:
        assert scene.source.indexes == (1, 2, 3)
    assert not caplog.text


def test_bands_given_by_number_win_and_may_repeat(make_raster):
    path = make_raster(bands=4, colors=[*RGB, ColorInterp.undefined])
    pixels, _ = read_all(path, bidx=(4, 1, 4))
    plain = rasterio.open(path).read()
    assert np.array_equal(np.moveaxis(pixels, 2, 0), plain[[3, 0, 3]])


def test_no_wanted_names_means_all_bands_but_alpha(make_raster):
    with open_scene(make_raster(mask=~hole(), mask_kind="alpha"), ()) as scene:
        assert scene.source.indexes == (1, 2, 3)


@pytest.mark.parametrize("bidx", [(1,), (1, 2), (1, 2, 3, 1), (0, 1, 2), (1, 2, 4)])
def test_band_numbers_of_wrong_count_or_range_are_refused(make_raster, bidx):
    with pytest.raises(SceneError) as error:
        read_all(make_raster(), bidx=bidx)
    assert "\n" not in str(error.value)


def test_too_few_bands_are_refused_with_the_option_that_helps(make_raster):
    with pytest.raises(SceneError, match="-b 1,1,1"):
        read_all(make_raster(bands=1))
    assert read_all(make_raster(bands=1), bidx=(1, 1, 1))[0].shape == (40, 60, 3)


def test_a_palette_is_refused_with_the_command_that_helps(make_raster):
    path = make_raster(bands=1, photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {k: (k, 0, 0, 255) for k in range(256)})
    with pytest.raises(SceneError, match=r"palette.*gdal_translate -expand rgb"):
        read_all(path)


@pytest.mark.parametrize("content", [b"", b"II*\0", b"hello, this is no raster"])
def test_a_file_that_is_no_raster_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"a\.tif") as error:
        read_all(path)
    assert one_line(error)


def test_a_truncated_file_is_refused_in_one_line(make_raster):
    noise = np.random.default_rng(1).integers(0, 255, (256, 256, 3), np.uint8)
    path = make_raster(pixels=noise, tiled=True, blockxsize=64, blockysize=64)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(SceneError, match=r"scene\.tif.*damaged or incomplete") as error:
        read_all(path)
    assert one_line(error)


def test_complex_pixels_are_refused(make_raster):
    with pytest.raises(SceneError, match="complex"):
        read_all(make_raster(dtype="complex64"))


def test_blocks_too_large_for_any_machine_are_refused_before_they_are_read(make_raster, monkeypatch):
    path = make_raster(shape=(200, 200), tiled=True, blockxsize=128, blockysize=128, interleave="pixel")
    monkeypatch.setattr(scene_module, "MAX_BLOCK_BYTES", 128 * 128 * 3 - 1)
    with pytest.raises(SceneError, match="blocks") as error:
        read_all(path)
    assert one_line(error)
    monkeypatch.setattr(scene_module, "MAX_BLOCK_BYTES", 128 * 128 * 3)
    assert read_all(path)[0].shape == (200, 200, 3)


def test_rotated_south_up_gcp_and_crs_less_scenes_keep_their_place(make_raster):
    turned = Affine.translation(452310, 3771240) * Affine.rotation(20) * Affine.scale(0.3, -0.3)
    for transform in (turned, Affine(0.3, 0, 5, 0, 0.3, 7)):
        with open_scene(make_raster(transform=transform), sizes_m=(0.1, 1)) as scene:
            assert scene.geobox.transform == transform
            assert scene.geobox.crs.to_epsg() == 32611
    with open_scene(make_raster(gcps=corner_points((40, 60), NORTH_UP)), sizes_m=(1, 2)) as scene:
        assert [(p.row, p.col, p.x, p.y) for p in scene.geobox.gcps] == [
            (p.row, p.col, p.x, p.y) for p in corner_points((40, 60), NORTH_UP)
        ]
        assert scene.geobox.crs.to_epsg() == 32611
        assert scene.shape == (40, 60)
    with open_scene(make_raster(crs=None), sizes_m=(1, 2)) as scene:
        assert (scene.geobox.crs, scene.geobox.transform, scene.shape) == (None, NORTH_UP, (40, 60))


def test_a_scene_without_georeference_says_so(make_raster, caplog):
    with open_scene(make_raster(crs=None, transform=None), sizes_m=(1, 2)) as scene:
        assert not scene.geobox.georeferenced
        assert scene.shape == (40, 60)
    assert "no georeference" in caplog.text
