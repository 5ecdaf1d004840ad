"""A UNet++ bundle can be cut off at any of its heads when it predicts."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio

from geoseg import api
from geoseg.errors import ModelError
from geoseg.models import build
from geoseg.models.bundle import save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.models.halo_curve import HaloCurve

CARD = Card(
    name="nested", summary="for a test", licence="MIT", attribution=(), architecture="unetpp", parameters=0,
    activation="sigmoid", bands=("red", "green", "blue"), pixel_sizes_m=(0.1, 1.0), patch_size=64, overlap=16,
    median_kernel=0, stride=1, halo=0, classes=(ClassSpec("building"),),
)  # fmt: skip


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    model = build("unetpp", width=4, classes=1, deep_supervision=True)
    return model, save_bundle(model, CARD, tmp_path_factory.mktemp("nested"))


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_prediction_at_a_level_is_that_head(nested, level, make_raster, tmp_path):
    model, bundle = nested
    scene = make_raster(shape=(64, 64))
    ready = api.load(bundle.folder, level=level)
    api.predict(
        scene, tmp_path / "m.tif", model=ready, probabilities=tmp_path / "p.tif", probability_dtype="float32"
    )
    with rasterio.open(scene) as file:
        pixels = file.read().transpose(1, 2, 0)[None].astype("float32")
    head = np.asarray(model(pixels, training=False)[level - 1])[0, ..., 0]
    with rasterio.open(tmp_path / "p.tif") as file:
        np.testing.assert_allclose(file.read(1), head, atol=1e-6)
        assert file.tags()["GEOSEG_MODEL_LEVEL"] == f"L{level}"
    assert ready.settings.stride == 2**level


def test_lower_levels_are_smaller_networks(nested):
    _, bundle = nested
    cards = [bundle.at_level(level).card for level in (1, 2, 3, 4)]
    assert [card.parameters for card in cards] == sorted({card.parameters for card in cards})
    assert [card.halo for card in cards] == sorted({card.halo for card in cards})


def test_the_halo_curve_of_the_whole_network_is_not_that_of_a_level(nested):
    _, bundle = nested
    measured = replace(bundle.card, halo_curve=HaloCurve("a scene", (0, 16), (0.1, 0.0), (0.0, 0.0)))
    assert replace(bundle, card=measured).at_level(2).card.halo_curve == HaloCurve()


def test_a_level_that_is_not_there_is_refused(nested):
    with pytest.raises(ModelError, match="L1, L2, L3, L4"):
        nested[1].at_level(5)
