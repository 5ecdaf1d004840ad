import functools
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
import shapely
from rasterio.features import rasterize
from shapely import box
from shapely.affinity import translate

import geoseg.synth.scene as scene_module
from geoseg.errors import SceneError
from geoseg.synth import SceneSpec, Sensor, synthesize
from geoseg.synth.render import render

SPEC = SceneSpec(seed=12, height=300, width=360)
STYLES = ["suburb", "town", "rural"]


@functools.cache
def drawn(spec):
    return synthesize(spec)


@pytest.fixture(params=STYLES)
def scene(request):
    return drawn(SceneSpec(seed=6, height=420, width=500, pixel_size_m=0.5, style=request.param))


def burned(shapes, shape):
    return rasterize(shapes, out_shape=shape, fill=0, default_value=1).astype(bool)


def test_same_spec_gives_same_bytes():
    again = synthesize(SPEC)
    assert again.pixels.tobytes() == drawn(SPEC).pixels.tobytes()
    assert again.mask.tobytes() == drawn(SPEC).mask.tobytes()
    assert again.buildings == drawn(SPEC).buildings
    assert again.trees == drawn(SPEC).trees


def test_other_seeds_give_other_scenes():
    other = synthesize(replace(SPEC, seed=13))
    assert (other.pixels != drawn(SPEC).pixels).mean() > 0.9
    assert other.buildings != drawn(SPEC).buildings


def test_shapes_dtypes_and_ranges(scene):
    assert scene.pixels.shape == (420, 500, 3)
    assert scene.pixels.dtype == scene.mask.dtype == np.uint8
    assert scene.pixels.min() >= 1
    assert scene.valid.all()
    assert set(np.unique(scene.mask)) == {0, 1, 2}


def test_polygons_are_valid_and_inside_the_scene(scene):
    extent = box(0, 0, 500, 420)
    for polygon in (*scene.buildings, *scene.trees):
        assert polygon.geom_type == "Polygon"
        assert polygon.is_valid
        assert extent.covers(polygon)


def test_buildings_do_not_overlap(scene):
    tree = shapely.STRtree(scene.buildings)
    first, second = tree.query(scene.buildings, predicate="intersects")
    assert (first == second).all()


def test_mask_agrees_with_rasterized_polygons(scene):
    buildings, trees = (burned(each, scene.mask.shape) for each in (scene.buildings, scene.trees))
    assert np.array_equal(scene.mask == 2, trees)
    assert np.array_equal(scene.mask == 1, buildings & ~trees)


def test_some_roofs_have_holes_and_are_round():
    town = drawn(SceneSpec(seed=22, height=300, width=300, pixel_size_m=1.0, style="town"))
    assert any(polygon.interiors for polygon in town.buildings)
    assert len({len(polygon.exterior.coords) for polygon in town.buildings}) > 3


def test_trees_are_greener_than_roofs(scene):
    red, green, blue = np.moveaxis(scene.pixels.astype(float), 2, 0)
    excess = (2 * green - red - blue) / (red + green + blue)
    assert excess[scene.mask == 2].mean() > excess[scene.mask == 1].mean() + 0.05
    assert excess[scene.mask == 2].mean() > excess[scene.mask == 0].mean()


def test_roofs_are_smoother_than_trees():
    scene = drawn(SPEC)
    light = scene.pixels.mean(axis=2).astype(np.float32)
    rough = np.abs(light - cv2.GaussianBlur(light, (0, 0), 2.0))
    inner = {k: cv2.erode((scene.mask == k).astype(np.uint8), np.ones((5, 5))) > 0 for k in (1, 2)}
    assert rough[inner[2]].mean() > 1.3 * rough[inner[1]].mean()


@pytest.mark.parametrize("azimuth", [100, 180, 250])
def test_shadows_fall_away_from_the_sun(azimuth):
    scene = drawn(SceneSpec(7, 400, 400, sun_azimuth_deg=azimuth, sun_elevation_deg=45))
    east, south, _ = scene.sun.vector
    light, ground = scene.pixels.mean(axis=2), scene.mask == 0

    def beside(side):
        moved = [translate(each, side * east * 9, side * south * 9) for each in scene.buildings]
        return light[burned(moved, ground.shape) & ground].mean()

    assert beside(-1) < 0.8 * beside(1)


def test_bands_meet_without_a_seam(monkeypatch):
    spec = SceneSpec(3, 200, 160, sensor=Sensor(jpeg_quality=None))
    monkeypatch.setattr(scene_module, "render", functools.partial(render, band=37))
    banded = synthesize(spec).pixels.astype(int)
    difference = np.abs(banded - drawn(spec).pixels)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_swath_blanks_pixels_mask_and_polygons():
    scene = drawn(SceneSpec(5, 240, 300, pixel_size_m=0.6, swath=True))
    assert 0.05 < (~scene.valid).mean() < 0.5
    assert np.array_equal(scene.valid, scene.pixels.any(axis=2))
    assert np.array_equal(scene.valid, scene.mask != 255)
    assert not (burned([*scene.buildings, *scene.trees], scene.mask.shape) & ~scene.valid).any()


@pytest.mark.parametrize("size", [0.1, 1.0])
def test_ground_sampling_limits(size):
    assert drawn(SceneSpec(1, 64, 48, pixel_size_m=size)).pixels.shape == (64, 48, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"height": 3},
        {"width": 10**6},
        {"pixel_size_m": 0.01},
        {"pixel_size_m": float("nan")},
        {"style": "city"},
        {"sun_azimuth_deg": 400},
        {"sun_elevation_deg": 5},
    ],
)
def test_bad_spec_is_refused_in_one_line(change):
    with pytest.raises(SceneError) as caught:
        replace(SPEC, **change)
    message = str(caught.value)
    assert next(iter(change)) in message
    assert "choose" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "change", [{"blur_px": -1}, {"noise": 99}, {"jpeg_quality": 0}, {"gain": (1.0, 1.0)}, {"haze": 1.0}]
)
def test_bad_sensor_is_refused(change):
    with pytest.raises(SceneError, match=next(iter(change))):
        Sensor(**change)


def test_sensor_noise_blur_and_compression_change_pixels():
    plain = replace(SPEC, height=64, width=64, sensor=Sensor(jpeg_quality=None))
    changes = [
        {"noise": 9.0},
        {"blur_px": 1.5},
        {"jpeg_quality": 50},
        {"gain": (1.2, 1.0, 0.9)},
        {"contrast": 1.4},
    ]
    scenes = [synthesize(replace(plain, sensor=replace(plain.sensor, **change))) for change in changes]
    for one, other in combinations([synthesize(plain), *scenes], 2):
        assert (one.pixels != other.pixels).mean() > 0.2
        assert np.array_equal(one.mask, other.mask)
