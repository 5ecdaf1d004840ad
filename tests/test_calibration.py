"""Patches to calibrate and to check on: as prediction cuts them, without one pixel in common."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geoseg import calibration
from geoseg.calibration import labels_of, quantize_on, samples
from geoseg.errors import SceneError
from geoseg.runtime.mask_change import Samples


def numbered(shape=(200, 300)):
    """Pixels that are all different, in the three bytes of their number; (row, column) from the number."""
    number = np.arange(np.prod(shape)).reshape(shape)
    return np.stack([number >> 16, number >> 8 & 255, number & 255], -1).astype(np.uint8)


def numbers(found):
    high, middle, low = np.moveaxis(found.pixels.astype(int), -1, 0)
    return ((high << 16) + (middle << 8) + low)[found.valid]


@pytest.fixture
def native(tiny_bundle):
    """The tiny bundle for any pixel size, without a filter."""
    return replace(tiny_bundle, card=replace(tiny_bundle.card, pixel_sizes_m=(0.01, 10.0)))


def test_patches_show_each_pixel_of_a_scene_once(native, make_raster):
    found = samples(native, [str(make_raster(pixels=numbered()))], 100)
    assert len(found) == 4 * 5
    assert sorted(numbers(found)) == list(range(200 * 300))
    assert found.targets is None


def test_the_same_patches_come_each_time_and_scenes_take_turns(native, make_raster):
    paths = [str(make_raster(f"{name}.tif", pixels=numbered() // 2 + 100 * turn))
             for turn, name in enumerate("ab")]  # fmt: skip
    first, second = (samples(native, paths, 6) for _ in range(2))
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert [bool(patch[..., 0].min() >= 100) for patch in first.pixels] == [False, True] * 3


def test_pixels_without_data_are_not_valid(native, make_raster):
    mask = np.random.default_rng(0).random((100, 100)) < 0.5
    found = samples(native, [str(make_raster(pixels=numbered((100, 100)), mask=mask))], 100)
    assert sorted(numbers(found)) == np.flatnonzero(mask).tolist()


def test_labels_lie_on_their_pixels(native, make_raster):
    classes = np.random.default_rng(0).choice([0, 1, 2, 255], (200, 300, 1)).astype(np.uint8)
    scene, labels = make_raster(pixels=numbered()), make_raster("labels.tif", pixels=classes)
    found = samples(native, [str(scene)], 100, [labels])
    truth = classes.ravel()[numbers(found)]
    targets = found.targets[found.valid]
    np.testing.assert_array_equal(targets == 255, np.stack([truth == 255] * 2, -1))
    np.testing.assert_array_equal(targets == 1, np.stack([truth == 1, truth == 2], -1))


def test_a_scene_without_data_is_refused(native, make_raster):
    empty = make_raster(pixels=numbered(), mask=np.zeros((200, 300), bool))
    with pytest.raises(SceneError, match="no data was found"):
        samples(native, [str(empty)], 3)


@pytest.mark.parametrize("separate", [False, True])
def test_what_calibrates_does_not_check(native, make_raster, monkeypatch, separate):
    scene, other = (str(make_raster(f"{name}.tif", pixels=numbered())) for name in "ab")
    monkeypatch.setattr(calibration, "quantize", lambda bundle, *parts: parts)
    check = [other] if separate else []
    labels = [make_raster("labels.tif", pixels=numbered()[..., :1])]
    calibrating, held = quantize_on(native, [scene], check, labels, patches=4)
    assert isinstance(held, Samples)
    assert (len(calibrating), len(held)) == (4, 8)
    assert held.targets is not None
    assert separate or not set(numbers(calibrating)) & set(numbers(held))


def test_labels_are_found_by_order_or_by_name(tmp_path):
    for name in ("a.tif", "b.gpkg", "c.png", "c.tif"):
        (tmp_path / name).touch()
    assert labels_of(["x", "y"], []) == [None, None]
    assert labels_of(["x"], [tmp_path / "a.tif"]) == [tmp_path / "a.tif"]
    assert labels_of(["/d/b.tif", "a.jp2"], [tmp_path]) == [tmp_path / "b.gpkg", tmp_path / "a.tif"]
    with pytest.raises(SceneError, match="got 1 for 2 scenes"):
        labels_of(["x", "y"], [Path("a.tif")])
    for stem, count in (("c", 2), ("d", 0)):
        with pytest.raises(SceneError, match=f"has {count} files called {stem}"):
            labels_of([f"{stem}.tif"], [tmp_path])
