"""Reading at larger pixels: GDAL's averages, exact place, any windows, no more memory than a band."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT

from geoseg.core.window import Window
from geoseg.geo import averaged
from geoseg.geo.geobox import GeoBox
from geoseg.geo.scene import open_scene

SHAPE = 301, 423
PIXELS = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), np.uint8)
HOLES = np.random.default_rng(1).random(SHAPE) < 0.3
HOLES[100:160, 60:200] = True
FINE = 0.1
RANGE = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def north_up(size):
    return Affine(size, 0, 452310, 0, -size, 3771240)


def everything(scene):
    return scene.read(scene.geobox.whole())


def by_gdal(path, box, nodata=None):
    """Pixels and validity by GDAL's warper."""
    with rasterio.open(path) as file:
        masked = file.colorinterp[-1] != ColorInterp.alpha and nodata is None
        with WarpedVRT(
            file, crs=box.crs, transform=box.transform, height=box.shape[0], width=box.shape[1],
            resampling=Resampling.average, tolerance=1e-6, src_nodata=nodata, nodata=nodata, add_alpha=masked,
        ) as view:  # fmt: skip
            valid = view.read(4) > 0 if view.count > 3 else view.dataset_mask() > 0
            return view.read([1, 2, 3]).transpose(1, 2, 0), valid


def kinds(dtype):
    """How a raster of some dtype is written so that HOLES has no data, by the kind of its mask."""
    pixels = PIXELS.astype(dtype) * (200 if dtype == "uint16" else 1)
    code = np.nan if dtype == "float32" else 7
    coded = np.where(HOLES[..., None], pixels.dtype.type(code), np.where(pixels == 7, 8, pixels)).astype(
        dtype
    )
    return {
        "none": (pixels, {}), "nodata": (coded, dict(nodata=code)),
        "internal": (pixels, dict(mask=~HOLES)), "alpha": (pixels, dict(mask=~HOLES, mask_kind="alpha")),
        "external": (pixels, dict(mask=~HOLES, mask_kind="external")),
    }  # fmt: skip


@pytest.mark.parametrize("size", [0.05, 0.13, 0.24])
@pytest.mark.parametrize(("dtype", "kind"), [
    *((dtype, kind) for dtype in ("uint8", "uint16", "float32")
      for kind in ("none", "nodata", "internal", "external")),
    ("uint8", "alpha"), ("uint16", "alpha"),
])  # fmt: skip
def test_pixels_and_validity_are_those_of_gdal(make_raster, size, kind, dtype):
    pixels, options = kinds(dtype)[kind]
    path = make_raster(pixels=pixels, transform=north_up(size), **options)
    with open_scene(path, sizes_m=(0.3, 0.3)) as scene:
        found, known = everything(scene)
        expected, valid = by_gdal(path, scene.geobox, options.get("nodata"))
    assert np.mean(known != valid) < 1e-4  # slivers of a billionth of a pixel
    both = known & valid
    differences = np.abs(found[both].astype(float) - expected[both])
    assert differences.max() <= (1e-3 if dtype == "float32" else 1)
    assert np.mean(differences > 1e-3) < 0.01


@RANGE
@given(st.integers(0, 105), st.integers(0, 148), st.integers(1, 106), st.integers(1, 149))
def test_a_window_is_the_same_part_of_the_whole_in_any_order(make_raster, row, col, height, width):
    path = make_raster(pixels=PIXELS, transform=north_up(0.13), mask=~HOLES)
    with open_scene(path, sizes_m=(0.3, 0.37)) as scene, pytest.MonkeyPatch.context() as patch:
        patch.setattr(averaged, "UNDER", (40, 90))
        whole, valid = everything(scene)
    with open_scene(path, sizes_m=(0.3, 0.37)) as scene:
        window = Window(row, col, height, width).clip(scene.shape)
        for part in (Window(0, 0, 9, 9), window, Window(80, 7, 3, 5)):
            there = part.within(scene.geobox.whole())
            found, known = scene.read(part)
            assert np.array_equal(found, whole[there])
            assert np.array_equal(known, valid[there])


@pytest.mark.parametrize("size", [0.05, 0.13, 0.24])
def test_a_ramp_keeps_its_place(make_raster, size):
    rows, cols = np.indices(SHAPE)
    ramp = np.stack([50 * rows, 50 * cols, 50 * rows], -1).astype(np.uint16)
    with open_scene(make_raster(pixels=ramp, transform=north_up(size)), sizes_m=(0.3, 0.3)) as scene:
        found, _ = everything(scene)
        box = scene.geobox
    to_fine = ~north_up(size) * box.transform
    rows, cols = np.indices(box.shape) + 0.5
    across, down = to_fine * (cols, rows)
    # half a pixel lies before the first one's centre; the mean of a staircase is off by an eighth of a step
    for band, place in enumerate((down, across)):
        off = found[..., band] - 50 * (place - 0.5)
        assert np.abs(off).max() <= 50 / 8 + 0.6
        assert abs(off.mean()) < 0.6


@RANGE
@given(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))
def test_a_bright_pixel_gives_its_light_to_those_over_it(make_raster, row, col):
    point = np.zeros((*SHAPE, 3), np.float32)
    point[row, col] = 1000
    with open_scene(make_raster(pixels=point, transform=north_up(0.13)), sizes_m=(0.3, 0.3)) as scene:
        found, _ = everything(scene)
        box, light = scene.geobox, found[..., 0].astype(float)
    scale = SHAPE[0] / box.shape[0] * SHAPE[1] / box.shape[1]
    assert light.sum() * scale == pytest.approx(1000, rel=1e-4)
    height, width = (
        light.sum(axis) @ (np.arange(size) + 0.5) for axis, size in ((1, box.shape[0]), (0, box.shape[1]))
    )
    centre = np.array([height, width]) / light.sum()
    place = np.array([row + 0.5, col + 0.5]) * box.shape / SHAPE
    assert np.abs(centre - place).max() < 0.5
    assert set(map(tuple, np.argwhere(light > 0.1))) <= {
        (i, j) for i in range(*reach(row, 0, box)) for j in range(*reach(col, 1, box))
    }


def reach(place, axis, box):
    """The pixels of a plane over a fine one."""
    scale = box.shape[axis] / SHAPE[axis]
    return int(place * scale), int(np.ceil((place + 1) * scale))


def test_two_codes_hide_pixels_and_not_their_neighbours(make_raster):
    pixels = np.full((120, 180, 3), 100, np.uint8)
    pixels[:61], pixels[:, :50] = 0, 255
    path = make_raster(pixels=pixels, transform=north_up(FINE), nodata=0)
    with open_scene(path, sizes_m=(0.3, 0.3), nodata=255) as scene:
        found, valid = everything(scene)
    expected = np.zeros((40, 60), bool)
    expected[20:, 16:] = True  # row 20 lies over rows 60 to 62, column 16 over columns 48 to 50
    assert np.array_equal(valid, expected)
    assert (found[valid] == 100).all()


def test_numbers_that_are_none_hide_pixels_without_a_code(make_raster):
    pixels = PIXELS.astype(np.float32)
    pixels[:60, :90, 1], pixels[60:90, :90, 2] = np.nan, np.inf
    with open_scene(make_raster(pixels=pixels, transform=north_up(FINE)), sizes_m=(0.3, 0.3)) as scene:
        found, valid = everything(scene)
    assert not valid[:29, :30].any()  # row 29 lies over rows 87 to 90
    assert valid[31:].all()
    assert valid[:, 31:].all()
    assert np.isfinite(found).all()


def test_a_scene_read_from_top_to_bottom_keeps_a_band(make_raster):
    path = make_raster(pixels=PIXELS, transform=north_up(0.01))
    with open_scene(path, sizes_m=(0.02, 0.02)) as scene, pytest.MonkeyPatch.context() as patch:
        patch.setattr(averaged, "UNDER", (20, 50))
        whole, _ = everything(scene)
        source = scene.source
        for row in range(0, 140, 10):
            found, _ = scene.read(Window(row, 0, 10, scene.shape[1]))
            assert np.array_equal(found, whole[row : row + 10])
            assert min(place[0] for place in source.blocks) == row
        patch.setattr(averaged, "HELD_BYTES", 5 * 10 * 25 * 4)
        again, _ = everything(scene)
        assert np.array_equal(again, whole)
        assert len(source.blocks) <= 6


def test_many_pixels_to_one(make_raster):
    with open_scene(make_raster(pixels=PIXELS, transform=north_up(0.001)), sizes_m=(1.0, 1.0)) as scene:
        found, valid = everything(scene)
    assert scene.shape == (1, 1)
    assert valid.all()
    assert np.abs(found[0, 0] - PIXELS.mean((0, 1))).max() <= 0.501


def test_the_plane_covers_the_same_ground(make_raster):
    with open_scene(make_raster(pixels=PIXELS, transform=north_up(0.13)), sizes_m=(0.3, 0.3)) as scene:
        box = scene.geobox
    fine = GeoBox(SHAPE, north_up(0.13))
    for corner, own in zip(((0, 0), box.shape[::-1]), ((0, 0), SHAPE[::-1]), strict=True):
        assert box.transform * corner == pytest.approx(fine.transform * own, abs=1e-7)
