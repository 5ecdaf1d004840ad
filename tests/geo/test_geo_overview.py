"""Overviews are read instead of the raster where they give the same averages."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.shutil import copy

from geoseg.core.window import Window
from geoseg.geo.scene import open_scene

SHAPE = 400, 600
PIXELS = np.random.default_rng(0).integers(0, 100, (*SHAPE, 3), np.uint8)
MASK = np.ones(SHAPE, bool)
MASK[100:200, 120:301] = False


def north_up(size):
    return Affine(size, 0, 452310, 0, -size, 3771240)


def cog(path, resampling="average"):
    """A Cloud-Optimized GeoTIFF of the raster, with overviews of 2, 4 and 8."""
    target = path.with_name("cog.tif")
    copy(path, target, driver="COG", blocksize=128, overview_resampling=resampling, compress="DEFLATE")
    return target


def read(path, size=0.5, **options):
    """Pixels, validity, and (height, width) of the file that they are computed from."""
    with open_scene(path, sizes_m=(size, size), **options) as scene:
        return *scene.read(scene.geobox.whole()), scene.source.raster.shape


@pytest.mark.parametrize(("size", "factor"), [(0.3, 1), (0.39, 1), (0.41, 2), (0.79, 2), (0.82, 4), (3.0, 8)])
def test_the_coarsest_with_two_pixels_a_side_is_taken(make_raster, size, factor):
    path = make_raster(pixels=PIXELS, transform=north_up(0.1))
    plain, _, _ = read(path, size)
    found, valid, shape = read(cog(path), size)
    assert shape == tuple(side // factor for side in SHAPE)
    assert valid.all()
    assert found.shape == plain.shape
    assert np.abs(found.mean((0, 1)) - plain.mean((0, 1))).max() < 0.6


def test_averages_of_whole_averages_are_the_same(make_raster):
    path = make_raster(pixels=PIXELS, transform=north_up(0.1))
    plain, _, _ = read(path, 0.4)
    found, _, shape = read(cog(path), 0.4)
    assert shape == (200, 300)
    assert found.shape == (100, 150, 3)
    assert np.abs(found.astype(int) - plain).max() <= 1  # rounded twice


def test_an_overview_lies_where_its_raster_does(make_raster):
    rows, cols = np.indices(SHAPE)
    ramp = np.stack([20 * rows, 20 * cols, 9 * rows], -1).astype(np.uint16)
    path = make_raster(pixels=ramp, transform=north_up(0.1))
    plain, _, _ = read(path, 0.93)
    found, _, shape = read(cog(path), 0.93)
    assert shape == (100, 150)
    assert np.abs(found.astype(int) - plain).max() <= 20  # a pixel of the raster, of which 9.3 make one


@pytest.mark.parametrize("kind", ["nodata", "internal", "external", "alpha"])
@pytest.mark.parametrize("resampling", ["nearest", "average"])
def test_what_has_no_data_stays_out_of_cog(make_raster, kind, resampling):
    pixels = np.where(MASK[..., None], 100, np.zeros(3)).astype(np.uint8)
    options = dict(nodata=0) if kind == "nodata" else dict(mask=MASK, mask_kind=kind)
    path = make_raster(pixels=pixels, transform=north_up(0.1), **options)
    _, plain, _ = read(path)
    found, valid, shape = read(cog(path, resampling))
    assert shape == (200, 300)
    assert (found[valid] == 100).all()
    assert np.mean(valid != plain) < 0.01


def test_a_code_of_the_users_may_be_mixed_into_cog(make_raster):
    pixels = np.where(MASK[..., None], 100, np.full(3, 255)).astype(np.uint8)
    path = cog(make_raster(pixels=pixels, transform=north_up(0.1)))
    found, valid, shape = read(path, nodata=255)
    assert shape == SHAPE
    assert (found[valid] == 100).all()
    assert read(path)[2] == (200, 300)


def test_a_window_is_the_same_part_of_the_whole(make_raster):
    path = cog(make_raster(pixels=PIXELS, transform=north_up(0.1), mask=MASK))
    whole, valid, _ = read(path, 0.53)
    with open_scene(path, sizes_m=(0.53, 0.53)) as scene:
        for window in (
            Window(20, 30, 11, 40),
            Window(0, 0, 1, 1),
            Window(70, 3, 5, 9),
            Window(3, 90, 60, 14),
        ):
            found, known = scene.read(window)
            there = window.within(scene.geobox.whole())
            assert np.array_equal(found, whole[there])
            assert np.array_equal(known, valid[there])


@pytest.mark.parametrize("kind", ["nodata", "internal", "external"])
@pytest.mark.parametrize("made", ["by gdaladdo", "as a COG"])
def test_overviews_older_than_the_mask_are_left_alone(make_raster, kind, made):
    pixels = np.where(MASK[..., None], 100, np.zeros(3)).astype(np.uint8)
    path = make_raster(pixels=pixels, transform=north_up(0.1))
    if made == "as a COG":
        path, broken = cog(path), dict(IGNORE_COG_LAYOUT_BREAK="YES")
    else:
        broken = {}
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4, 8], Resampling.average)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=kind == "internal"),
        rasterio.open(path, "r+", **broken) as file,
    ):
        if kind == "nodata":
            file.nodata = 0
        else:
            file.write_mask(MASK)
    found, valid, shape = read(path)
    assert shape == SHAPE
    assert (found[valid] == 100).all()
    assert not valid[21:39, 25:59].any()
