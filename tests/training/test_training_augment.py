import math
from dataclasses import fields, replace

import numpy as np
import pytest
from training_recipes import PLAIN

from geoseg.recipe.data import Augment
from geoseg.training import augment
from geoseg.training.patches import UPRIGHT

CHANGES = ("tone", "hue", "gray", "blur", "noise", "jpeg", "shadow")


def rng(seed=0):
    return np.random.default_rng(seed)


def picture(bands=3, side=40):
    return rng(5).integers(60, 200, (side, side, bands)).astype(np.uint8)


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
@pytest.mark.parametrize("name", CHANGES)
def test_each_change_keeps_shape_and_dtype_and_does_nothing_at_strength_0(name, bands):
    change, pixels = getattr(augment, name), picture(bands)
    before = pixels.copy()
    assert change(pixels, 0.0, rng()) is pixels
    found = change(pixels, 1.0, rng())
    assert found.shape == pixels.shape and found.dtype == np.uint8
    assert np.array_equal(pixels, before)
    assert np.array_equal(found, change(pixels, 1.0, rng()))
    untouched = name in ("hue", "gray") and bands < 3
    assert np.array_equal(found, pixels) == untouched


def test_a_recipe_without_augmentation_leaves_patches_alone():
    pixels = picture()
    assert augment.recolored(pixels, PLAIN, rng()) is pixels
    assert augment.pose(PLAIN, rng()) == UPRIGHT
    assert {f.name for f in fields(Augment)} == {
        "flips", "turns", "rotate", "scale", "shift", "color", "blur", "noise", "jpeg", "shadow", "gray",
        "borrow", "coarse",
    }  # fmt: skip


def test_poses_are_as_the_recipe_says():
    def poses(**given):
        return [augment.pose(replace(PLAIN, **given), rng(k)) for k in range(300)]

    assert {p.mirror for p in poses(flips=True)} == {True, False}
    assert {p.angle for p in poses(flips=True)} == {0}
    assert {round(p.angle / (math.pi / 2), 9) for p in poses(turns=True)} == {0, 1, 2, 3}
    zooms = [p.zoom for p in poses(scale=2.0)]
    assert 0.5 <= min(zooms) < 0.6 and 1.7 < max(zooms) <= 2 and abs(np.mean(np.log(zooms))) < 0.1
    assert 0.4 < np.mean([p.angle != 0 for p in poses(rotate=0.5)]) < 0.6


def test_shares_are_kept():
    pixels = picture(side=8)
    for name in ("blur", "noise", "jpeg", "shadow", "gray"):
        share = np.mean([getattr(augment, name)(pixels, 0.3, rng(k)) is not pixels for k in range(300)])
        assert 0.2 < share < 0.4, name


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_a_coarse_patch_keeps_what_is_large_in_place_and_loses_what_is_small(bands):
    coarse, side = replace(PLAIN, coarse=1.0), np.linspace(20, 220, 96)
    large = np.repeat(np.add.outer(side, side)[..., None] / 2, bands, axis=2).astype(np.uint8)
    small = np.repeat((np.indices((96, 96)).sum(0) % 2 * 100 + 50)[..., None], bands, axis=2).astype(np.uint8)
    for seed in range(20):
        found = augment.recolored(large, coarse, rng(seed))
        assert found.shape == large.shape and found.dtype == np.uint8
        assert np.abs(found[8:-8, 8:-8].astype(int) - large[8:-8, 8:-8]).max() <= 3
        assert augment.recolored(small, coarse, rng(seed))[8:-8, 8:-8].std() < 0.9 * small.std()
    shares = [augment.recolored(small, replace(PLAIN, coarse=0.3), rng(k)) is not small for k in range(300)]
    assert 0.2 < np.mean(shares) < 0.4


def test_what_a_coarse_sensor_adds_is_as_coarse_as_its_pixels():
    plain = np.full((120, 120, 1), 128, np.uint8)
    grain = replace(PLAIN, noise=1.0)

    def steps(found):
        return np.abs(np.diff(found[..., 0].astype(int), axis=1)).mean() / found.std()

    fine = np.mean([steps(augment.recolored(plain, grain, rng(k))) for k in range(9)])
    coarse = np.mean([steps(augment.recolored(plain, replace(grain, coarse=1.0), rng(k))) for k in range(9)])
    assert coarse < 0.75 * fine


def test_grey_patches_have_one_value_and_keep_other_bands():
    pixels = picture(4)
    found = augment.gray(pixels, 1, rng())
    assert (np.ptp(found[..., :3], axis=2) == 0).all() and np.array_equal(found[..., 3], pixels[..., 3])


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_borrowed_colours_have_the_mean_and_deviation_of_another_patch(bands):
    pixels, other = picture(bands), rng(6).normal(90, 30, (30, 30, bands)).clip(0, 255).astype(np.uint8)
    found = augment.borrowed(pixels, [other], 1, rng())
    assert found.shape == pixels.shape and found.dtype == np.uint8
    assert np.allclose(found.mean((0, 1)), other.mean((0, 1)), atol=0.5)
    assert np.allclose(found.std((0, 1)), other.std((0, 1)), atol=0.5)
    assert augment.borrowed(pixels, [other], 0, rng()) is pixels
    shares = [augment.borrowed(pixels, [other], 0.3, rng(k)) is not pixels for k in range(300)]
    assert 0.2 < np.mean(shares) < 0.4


def test_borrowing_from_a_plain_patch_keeps_some_contrast():
    found = augment.borrowed(picture(), [np.full((9, 9, 3), 100, np.uint8)], 1, rng())
    assert found.std() > 0.4 * picture().std()


def test_hue_keeps_greys_and_brightness():
    grey = np.repeat(picture(1), 3, axis=2)
    assert np.abs(augment.hue(grey, 1, rng()).astype(int) - grey).max() <= 1
    pixels = picture()
    found = augment.hue(pixels, 0.5, rng(1))
    assert abs(float(found.mean()) - float(pixels.mean())) < 1


def test_a_shadow_only_takes_light_and_jpeg_and_noise_stay_near():
    pixels = picture(4)
    assert (augment.shadow(pixels, 1, rng(2)) <= pixels).all()
    smooth = np.full((64, 64, 5), 120, np.uint8)
    assert np.abs(augment.jpeg(smooth, 1, rng()).astype(int) - 120).max() <= 3
    assert abs(float(augment.noise(smooth, 1, rng()).mean()) - 120) < 1
