"""Scenes are resampled only when their pixels differ from the model's, and then like an area average."""

import math

import cv2
import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.geobox import GeoBox
from geoseg.geo.scene import open_scene

SIZES = (0.15, 0.9)
RANGE = settings(deadline=None, max_examples=60)


def north_up(size, x=452310.0, y=3771240.0):
    return Affine(size, 0, x, 0, -size, y)


def smooth(shape, bands=3):
    """Waves longer than any pixel asked for, so that every fair resampling agrees on them."""
    rows, cols = np.indices(shape) / 40
    waves = [np.sin(rows + k) * np.cos(1.3 * cols - k) for k in range(bands)]
    return (120 + 100 * np.stack(waves, -1)).astype(np.uint8)


def opened(path, sizes_m=SIZES, **options):
    with open_scene(path, sizes_m=sizes_m, **options) as scene:
        pixels, valid = scene.read(Window(0, 0, *scene.shape))
        return scene.geobox, pixels, valid


def corners(box):
    height, width = box.shape
    return np.array([box.transform * at for at in ((0, 0), (width, 0), (0, height), (width, height))])


@pytest.mark.parametrize("size", [0.126, 0.15, 0.4, 0.9, 1.07])
def test_pixels_within_a_fifth_of_the_range_are_left_alone(make_raster, size):
    path = make_raster(transform=north_up(size))
    box, pixels, _ = opened(path)
    assert box.shape == (40, 60)
    assert box.transform == north_up(size)
    assert np.array_equal(pixels, opened(path, None)[1])


@pytest.mark.parametrize(("size", "wanted"), [(0.05, 0.15), (0.12, 0.15), (1.1, 0.9), (2.4, 0.9)])
def test_other_pixels_become_the_nearest_size_of_the_range(make_raster, size, wanted):
    box, pixels, valid = opened(make_raster(shape=(301, 423), transform=north_up(size)))
    assert box.shape == pytest.approx((301 * size / wanted, 423 * size / wanted), abs=1)
    assert pixels.shape == (*box.shape, 3)
    assert valid.all()
    assert all(side == pytest.approx(wanted, rel=0.01) for side in box.pixel_size_m())


@pytest.mark.parametrize(
    "transform",
    [
        north_up(0.05),
        Affine(0.05, 0, 452310, 0, 0.05, 3771240),
        Affine.translation(452310, 3771240) * Affine.rotation(25) * Affine.scale(0.05, -0.05),
    ],
    ids=["north up", "south up", "rotated"],
)
def test_outer_corners_stay_exactly_where_they_are(make_raster, transform):
    box, pixels, valid = opened(make_raster(pixels=smooth((301, 423)), transform=transform))
    assert box.shape == (100, 141)
    assert corners(box) == pytest.approx(corners(GeoBox((301, 423), transform)), abs=1e-7)
    assert valid.all()
    truth = cv2.resize(smooth((301, 423)), (141, 100), interpolation=cv2.INTER_AREA)
    assert np.abs(pixels.astype(int) - truth).max() <= 2


def test_finer_scenes_are_averaged_over_whole_blocks(make_raster):
    noise = np.random.default_rng(3).integers(0, 256, (120, 180, 3), np.uint8)
    box, pixels, _ = opened(make_raster(pixels=noise, transform=north_up(0.1)), (0.3, 0.3))
    assert box.shape == (40, 60)
    blocks = noise.reshape(40, 3, 60, 3, 3).mean((1, 3))
    assert np.abs(pixels - blocks).max() <= 1


def test_coarser_scenes_are_interpolated(make_raster):
    box, pixels, _ = opened(make_raster(pixels=smooth((60, 80)), transform=north_up(2.0)), (0.5, 1.0))
    assert box.shape == (120, 160)
    truth = cv2.resize(smooth((60, 80)), (160, 120), interpolation=cv2.INTER_LINEAR)
    assert np.abs(pixels.astype(int) - truth).max() <= 2


def test_six_times_too_coarse_is_refused_with_the_option_that_helps(make_raster):
    with pytest.raises(SceneError, match="--res native"):
        opened(make_raster(transform=north_up(5.5)))
    assert opened(make_raster(transform=north_up(5.3)))[0].shape == (236, 353)


@pytest.mark.parametrize("kind", ["nodata", "nan", "internal", "external", "alpha"])
@pytest.mark.parametrize("size", [0.1, 0.6])
def test_what_has_no_data_does_not_bleed_into_its_neighbours(make_raster, kind, size):
    hidden = np.zeros((120, 180), bool)
    hidden[31:77, 50:118] = True
    pixels = np.full((120, 180, 3), 100, np.float32 if kind == "nan" else np.uint8)
    pixels[hidden] = np.nan if kind == "nan" else 0
    options = dict(nodata=np.nan if kind == "nan" else 0)
    if kind not in ("nodata", "nan"):
        options = dict(mask=~hidden, mask_kind=kind)
    box, read, valid = opened(make_raster(pixels=pixels, transform=north_up(size), **options), (0.3, 0.3))
    scale = 0.3 / size
    rows, cols = np.indices(box.shape)
    inside = (rows * scale >= 31 + scale) & ((rows + 1) * scale <= 77 - scale)
    inside &= (cols * scale >= 50 + scale) & ((cols + 1) * scale <= 118 - scale)
    outside = ((rows + 2) * scale < 31) | ((rows - 1) * scale > 77)
    outside |= ((cols + 2) * scale < 50) | ((cols - 1) * scale > 118)
    assert not valid[inside].any()
    assert valid[outside].all()
    assert (read[valid] == 100).all()


@pytest.mark.parametrize("kind", ["internal", "external", "alpha"])
@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
@pytest.mark.parametrize("size", [0.1, 0.6])
def test_a_mask_holds_for_pixels_of_any_dtype(make_raster, kind, dtype, size):
    mask = np.ones((120, 180), bool)
    mask[30:60, 60:120] = False
    path = make_raster(
        pixels=np.where(mask[..., None], 100, np.zeros(3)).astype(dtype),
        transform=north_up(size), mask=mask, mask_kind=kind,
    )  # fmt: skip
    _, read, valid = opened(path, (0.3, 0.3))
    top, left, height, width = (round(n * size / 0.3) for n in (30, 60, 30, 60))
    assert not valid[top + 1 : top + height - 1, left + 1 : left + width - 1].any()
    assert np.count_nonzero(~valid) <= height * width
    assert (read[valid] == 100).all()


def test_a_nodata_value_in_one_band_of_a_valid_pixel_is_a_value(make_raster):
    pixels = np.full((120, 180, 3), 100, np.uint8)
    pixels[::3, :, 0], pixels[1::3, :, 0], pixels[2::3, :, 0] = 0, 200, 190
    _, read, valid = opened(make_raster(pixels=pixels, transform=north_up(0.1), nodata=0), (0.3, 0.3))
    assert valid.all()
    assert np.abs(read - np.array([130, 100, 100])).max() <= 1


def test_nodata_from_the_user_does_not_bleed_either(make_raster):
    pixels = np.full((120, 180, 3), 100, np.uint8)
    pixels[:61], pixels[:, :50] = 0, 255
    path = make_raster(pixels=pixels, transform=north_up(0.1), nodata=0)
    _, read, valid = opened(path, (0.3, 0.3), nodata=255)
    assert not valid[:20].any()
    assert not valid[:, :16].any()
    assert valid[21:, 18:].all()
    assert (read[valid] == 100).all()


def test_a_cutline_holds_on_the_resampled_plane(make_raster, tmp_path):
    import geopandas
    from shapely import box as rectangle

    path = make_raster(shape=(120, 180), transform=north_up(0.1))
    area = rectangle(452310 + 3, 3771240 - 9, 452310 + 12, 3771240 - 6)
    geopandas.GeoDataFrame(geometry=[area], crs="EPSG:32611").to_file(tmp_path / "cut.gpkg")
    _, _, valid = opened(path, (0.3, 0.3), cutline=tmp_path / "cut.gpkg")
    truth = np.zeros((40, 60), bool)
    truth[20:30, 10:40] = True
    assert np.array_equal(valid, truth)


def ground(crs, transform, shape):
    """Height and width of the centre pixel in metres, from degrees on the ellipsoid."""
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    row, col = shape[0] / 2, shape[1] / 2
    at = [to_degrees.transform(*(transform * p)) for p in ((col, row), (col, row + 1), (col + 1, row))]
    geod = pyproj.Geod(ellps="WGS84")
    return geod.inv(*at[0], *at[1])[2], geod.inv(*at[0], *at[2])[2]


@RANGE
@given(st.floats(-85, 85), st.floats(-179, 179), st.floats(0.02, 100))
def test_pixels_in_degrees_are_measured_on_the_ground(lat, lon, metres):
    step = metres / 111320
    transform = Affine(step, 0, lon, 0, -step, lat)
    size = GeoBox((40, 60), transform, CRS.from_epsg(4326)).pixel_size_m()
    assert size == pytest.approx(ground("EPSG:4326", transform, (40, 60)), rel=1e-4)
    assert size[1] / size[0] == pytest.approx(math.cos(math.radians(lat)), rel=0.01, abs=0.002)


@RANGE
@given(st.floats(-80, 80), st.floats(0.05, 5))
def test_web_mercator_pixels_are_smaller_on_the_ground_than_they_say(lat, metres):
    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(10, lat)
    transform = Affine(metres, 0, x, 0, -metres, y)
    size = GeoBox((40, 60), transform, CRS.from_epsg(3857)).pixel_size_m()
    assert size == pytest.approx(ground("EPSG:3857", transform, (40, 60)), rel=1e-3)
    assert size[0] == pytest.approx(metres * math.cos(math.radians(lat)), rel=0.01)


def test_a_high_web_mercator_scene_is_resampled_by_its_ground_size(make_raster):
    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(25, 65)
    box, _, _ = opened(
        make_raster(shape=(300, 400), crs="EPSG:3857", transform=north_up(0.6, x, y)), (0.5, 0.6)
    )
    ratio = 0.6 * math.cos(math.radians(65)) / 0.5
    assert box.shape == (round(300 * ratio), round(400 * ratio))
    assert box.pixel_size_m() == pytest.approx((0.5, 0.5), rel=0.01)


def test_degrees_become_square_pixels_on_the_ground(make_raster):
    step = 0.3 / 111320
    transform = Affine(step, 0, 25, 0, -step, 60)  # half as wide as high
    box, _, _ = opened(make_raster(shape=(300, 400), crs="EPSG:4326", transform=transform))
    assert box.pixel_size_m()[0] == pytest.approx(box.pixel_size_m()[1], rel=0.02)
    assert corners(box)[[0, 3]] == pytest.approx(np.array([(25, 60), (25 + 400 * step, 60 - 300 * step)]))


def test_feet_are_not_metres(make_raster):
    box, _, _ = opened(make_raster(crs="EPSG:2229", transform=north_up(1.0, 6481000, 1838000)), None)
    assert box.pixel_size_m() == pytest.approx((0.3048, 0.3048), rel=1e-3)


def test_a_wanted_size_in_metres_is_met(make_raster):
    box, _, _ = opened(make_raster(shape=(100, 200), transform=north_up(0.3)), (0.6, 0.6))
    assert box.shape == (50, 100)
