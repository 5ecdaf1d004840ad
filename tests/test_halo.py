"""The halo that keeps a tolerance: measured on scenes, kept in the card, taken by every command."""

import json
import logging
import shutil
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import rasterio
from conftest import write_raster
from hypothesis import example, given
from hypothesis import strategies as st

from geoseg import api
from geoseg.errors import BundleError, GridError, SceneError
from geoseg.halo import measure_halo, settle
from geoseg.jobs import SceneJob
from geoseg.models.bundle import find_bundle, save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.models.halo_curve import HaloCurve
from geoseg.settings import resolve

sys.path.insert(0, str(Path(__file__).parent / "cli"))
from cli_runs import assert_refused, run

CARD = Card(
    name="blurred", summary="Blurs.", licence="MIT", attribution=(), architecture="conv", parameters=0,
    activation="sigmoid", bands=("red", "green", "blue"), pixel_sizes_m=(0.1, 1.0), patch_size=64, overlap=16,
    median_kernel=0, stride=1, halo=0, classes=(ClassSpec("bright"), ClassSpec("dark")),
)  # fmt: skip
CURVE = HaloCurve("a scene", (0, 2, 4, 6), (0.5, 0.02, 0.001, 0.0), (0.1, 0.01, 0.0, 0.0))
STRIDE, HALO = 2, 12
SIDE = 2 * (STRIDE + HALO)


@pytest.fixture(scope="module")
def blurred(tmp_path_factory):
    """A bundle whose network sums its surroundings: the nearer a pixel, the more it counts."""
    import keras

    pixels = keras.Input((None, None, 3))
    x = keras.layers.MaxPooling2D()(pixels)
    x = keras.layers.Conv2D(2, 11, padding="same", name="wide")(x)
    x = keras.layers.UpSampling2D()(x)
    x = keras.layers.Conv2D(2, 3, padding="same", activation="sigmoid", name="narrow")(x)
    model = keras.Model(pixels, x)
    rng, fade = np.random.default_rng(3), np.exp(-2.0 * np.hypot(*np.indices((11, 11)) - 5))
    wide = rng.normal(size=(11, 11, 3, 2)) * fade[..., None, None] / 20
    model.get_layer("wide").set_weights([wide, np.zeros(2)])
    model.get_layer("narrow").set_weights([rng.normal(size=(3, 3, 2, 2)) / 3, np.zeros(2)])
    return save_bundle(model, CARD, tmp_path_factory.mktemp("models") / "blurred")


@pytest.fixture
def copied(blurred, tmp_path):
    """A copy that a test may write to."""
    return find_bundle(shutil.copytree(blurred.folder, tmp_path / "copied"))


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def job(scene):
    return SceneJob(str(scene), Path())


def with_curve(bundle, curve=CURVE):
    card = replace(bundle.card, halo_curve=curve)
    (bundle.folder / "card.toml").write_text(card.to_toml())
    return replace(bundle, card=card)


def probabilities(scene, folder, **options):
    path = folder / f"{options['stitch']}.tif"
    api.predict(scene, folder / "m.tif", probabilities=path, probability_dtype="float32", overwrite=True,
                engine="tensorflow", **options)  # fmt: skip
    with rasterio.open(path) as file:
        return file.read()


def test_the_curve_is_that_of_patches_against_one_pass_over_the_scene(copied, tmp_path):
    assert (copied.card.stride, copied.card.halo) == (STRIDE, HALO)
    cells = (2, 3)
    pixels = noise([n * SIDE for n in cells])
    scene = write_raster(tmp_path / "s.tif", pixels)
    curve = measure_halo(copied, [str(scene)], engine="tensorflow", places=9).card.halo_curve
    model = copied.load_keras()
    padded = np.pad(pixels, ((HALO, HALO), (HALO, HALO), (0, 0)), mode="reflect").astype("float32")
    whole = np.asarray(model(padded[None]))[0, HALO:-HALO, HALO:-HALO]
    worst = dict.fromkeys(range(0, HALO + 1, STRIDE), 0.0)
    for row, col in product(*map(range, cells)):
        cell = np.s_[row * SIDE : (row + 1) * SIDE, col * SIDE : (col + 1) * SIDE]
        error = np.abs(np.asarray(model(pixels[cell][None].astype("float32")))[0] - whole[cell])
        for halo in worst:
            worst[halo] = max(worst[halo], error[halo : SIDE - halo, halo : SIDE - halo].max())
    assert curve.halos == tuple(worst)
    np.testing.assert_allclose(curve.largest, list(worst.values()), rtol=0.01, atol=1e-6)
    assert all(told >= found - 1e-6 for told, found in zip(curve.largest, worst.values(), strict=True))
    assert curve.largest[0] > 0.1 > curve.largest[4] > 1e-5 > curve.largest[-1], curve
    assert curve.flipped[0] > 0.01 > curve.flipped[-1] == 0
    assert curve.measured_on == "s: 6 patches of 28 px, 0.00 Mpx with data"


@pytest.mark.parametrize("tolerance", [0.1, 1e-2, 1e-3])
def test_the_tolerance_is_kept_by_less_work(copied, tmp_path, tolerance):
    scene = write_raster(tmp_path / "s.tif", noise((300, 260)))
    measure_halo(copied, [str(scene)], engine="tensorflow", places=80)
    ways = dict(model=copied.folder, patch_size=48)
    exact = probabilities(scene, tmp_path, stitch="exact", **ways)
    near = probabilities(scene, tmp_path, stitch="crop", tolerance=tolerance, **ways)
    assert 0 < np.abs(near - exact).max() <= 2 * tolerance  # other places than those that were measured
    settings = api.load(copied.folder, stitch="crop", tolerance=tolerance).settings
    assert settings.halo < HALO


@pytest.mark.parametrize(("tolerance", "halo"), [(1, 0), (0.5, 0), (0.4999, 2), (1e-3, 4), (9e-4, 6), (0, 6)])
def test_the_smallest_halo_of_the_card_is_taken_and_nothing_is_measured(copied, monkeypatch, tolerance, halo):
    monkeypatch.setattr("geoseg.halo.measured", None)
    settings = settle(with_curve(copied), job("no scene"), tolerance=tolerance, stitch="crop")
    assert (settings.stitch, settings.halo) == ("crop", halo)


def test_no_halo_of_the_curve_is_good_enough_but_the_networks_own(copied):
    short = with_curve(copied, HaloCurve("a scene", (0, 2), (0.5, 0.02), (0.1, 0.01)))
    assert settle(short, None, tolerance=0.01, stitch="crop").halo == HALO
    assert settle(short, None, tolerance=0.01, stitch="exact").halo == HALO


def test_a_card_without_a_curve_has_it_measured_on_the_runs_own_scene(blurred, tmp_path, caplog):
    caplog.set_level(logging.INFO, "geoseg.halo")
    scene = write_raster(tmp_path / "mine.tif", noise((100, 90)))
    before = (blurred.folder / "card.toml").read_bytes()
    halos = [settle(blurred, job(scene), tolerance=each, stitch="crop", engine="tensorflow").halo
             for each in (1, 1e-2, 0)]  # fmt: skip
    assert 0 == halos[0] < halos[1] < halos[2] <= HALO
    assert "geoseg model measure-halo); measured on mine: 8 patches of 28 px" in caplog.text
    assert f"a halo of {halos[1]} px of {HALO}, for an error of at most 0.01" in caplog.text
    assert (blurred.folder / "card.toml").read_bytes() == before


def test_what_has_no_data_proves_nothing(blurred, tmp_path):
    pixels = noise((90, 200))
    pixels[:, :140] = 0  # the middle too
    scene = write_raster(tmp_path / "half.tif", pixels, nodata=0)
    empty = write_raster(tmp_path / "empty.tif", np.zeros_like(pixels), nodata=0)
    ways = dict(tolerance=1e-2, stitch="crop", engine="tensorflow")
    assert 0 < settle(blurred, job(scene), **ways).halo < HALO
    assert settle(blurred, job(empty), **ways).halo == HALO
    with pytest.raises(SceneError, match=r"no data was found in .*empty\.tif"):
        measure_halo(blurred, [str(empty)], engine="tensorflow")


@pytest.mark.parametrize("tolerance", [-1e-3, 1.5, float("nan")])
def test_an_impossible_tolerance_is_refused(blurred, tolerance):
    with pytest.raises(GridError, match="from 0 to 1, got"):
        settle(blurred, None, tolerance=tolerance, stitch="crop")


def test_predict_and_batch_take_the_same_halo_and_say_which(copied, tmp_path):
    bundle = with_curve(copied)
    scene = write_raster(tmp_path / "s.tif", noise((100, 90)))
    words = ["-m", bundle.folder, "--stitch", "crop", "--tolerance", "5e-3", "--dry-run", "--json"]
    plans = [json.loads(run(name, scene, *words, *more).stdout)
             for name, more in (("predict", []), ("batch", ["-o", tmp_path / "out"]))]  # fmt: skip
    for plan, size in zip(plans, (108, 1024), strict=True):  # of a scene what it takes, of many the most
        assert (plan["stitch"], plan["halo"], plan["patch_size"]) == ("crop", 4, size)
    text = run("predict", scene, *words[:-1]).stdout
    assert "halo  4\n" in text
    blend = json.loads(run("predict", scene, "-m", bundle.folder, "--dry-run", "--json").stdout)
    assert (blend["stitch"], blend["halo"], blend["patch_size"]) == ("blend", 0, 64)


def test_the_command_prints_the_curve_and_writes_it_into_the_card(copied, tmp_path):
    scene = write_raster(tmp_path / "s.tif", noise((100, 90)))
    words = ("model", "measure-halo", copied.folder, scene, "--engine", "tensorflow", "--places", 3)
    head, *rows = [line.split("\t") for line in run(*words).stdout.splitlines()]
    curve = find_bundle(copied.folder).card.halo_curve
    assert head == ["halo", "largest", "flipped"]
    assert [tuple(map(float, row)) for row in rows] == [
        *zip(curve.halos, curve.largest, curve.flipped, strict=True)
    ]
    assert json.loads(run(*words, "--json").stdout)["halos"] == list(curve.halos)
    assert replace(find_bundle(copied.folder).card, halo_curve=HaloCurve()) == copied.card


def test_the_command_leaves_the_card_alone_when_it_fails(copied, tmp_path):
    before = (copied.folder / "card.toml").read_bytes()
    assert_refused(run("model", "measure-halo", copied.folder, tmp_path / "no.tif"), "no.tif")
    assert (copied.folder / "card.toml").read_bytes() == before
    assert sorted(path.name for path in copied.folder.iterdir()) == ["card.toml", "model.keras", "model.onnx"]


def test_a_network_that_was_changed_has_no_curve(copied, tmp_path):
    bundle = with_curve(copied)
    assert find_bundle(bundle.folder).card.halo_curve == CURVE
    assert save_bundle(bundle.load_keras(), bundle.card, tmp_path / "again").card.halo_curve == HaloCurve()


@pytest.mark.parametrize("wrong", [
    dict(halos=(0, 2)), dict(halos=(0, 4, 2)), dict(halos=(-2, 0, 2)), dict(halos=(0, 2.5, 4)),
    dict(largest=(0.1, 0.2, 0.0)), dict(largest=(1.5, 0.2, 0.0)), dict(flipped=(0.1, -0.1, 0.0)),
    dict(flipped=(0.1, float("nan"), 0.0)),
])  # fmt: skip
def test_a_wrong_curve_is_refused(wrong):
    right = dict(halos=(0, 2, 4), largest=(0.2, 0.1, 0.0), flipped=(0.1, 0.0, 0.0))
    assert HaloCurve("here", **right)
    with pytest.raises(BundleError):
        HaloCurve("here", **right | wrong)


@example(64, 16, "exact")  # a halo of 1024 px: half of the largest patch otherwise
@given(st.integers(1, 64), st.integers(0, 16), st.sampled_from(["exact", "crop"]))
def test_patches_are_so_large_that_the_halo_is_a_small_part(stride, periods, stitch):
    halo = stride * periods
    settings = resolve(replace(CARD, stride=stride, halo=halo), stitch=stitch)
    settings.grid((1, 1))
    kept = ((settings.patch_size - 2 * halo) / settings.patch_size) ** 2
    assert 1024 <= settings.patch_size < (2048 + stride if halo < 1024 else 4096 + stride)
    assert kept >= 9 / 16 if halo <= 256 else settings.patch_size >= 2048
