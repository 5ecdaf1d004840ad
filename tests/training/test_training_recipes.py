"""The committed recipes: each is read strictly, and its tiny version trains in seconds."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from mini_data import make_mini_data

from geoseg.models import build_unet
from geoseg.models.bundle import find_bundle, save_bundle
from geoseg.models.card import ClassSpec
from geoseg.recipe.recipe import load_recipe, variants
from geoseg.training.codes import known_classes
from geoseg.training.dataset import open_part
from geoseg.training.losses import loss
from geoseg.training.network import build_network
from geoseg.training.run import train

RECIPES = sorted((Path(__file__).resolve().parents[2] / "pipelines" / "recipes").glob("*.toml"))
SEEDS = {"pets_unet", "pets_mobilenetv2", "buildings_unetpp", "trees_unetpp", "compare_unet_segnet"}
# The others train networks like these.
ALIKE = {"buildings_unetpp", "pets_unet", "street_mobilenet", "street_unet_128"}


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    return make_mini_data(tmp_path_factory.mktemp("mini"))


@pytest.fixture(scope="module")
def small(tiny_bundle, tmp_path_factory):
    """A U-Net in the place of the package's networks, to start from."""
    classes = (ClassSpec("building"), ClassSpec("tree"))
    card = replace(tiny_bundle.card, architecture="unet (width 2, depth 2)", classes=classes)
    keras.utils.set_random_seed(5)
    model = build_unet(width=2, depth=2, classes=2)
    return save_bundle(model, card, tmp_path_factory.mktemp("models") / "small").folder


def test_every_seed_lives_on():
    assert {path.stem for path in RECIPES} >= SEEDS | {"street_unet_128"}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_and_its_variants_are_valid_and_named_after_the_file(path):
    for variant in variants(path):
        recipe = load_recipe(path, variant=variant)
        assert recipe.name == (f"{path.stem}-{variant}" if variant else path.stem)
        assert recipe.source


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_variant_has_a_network_and_a_loss(path):
    built = set()
    for variant in variants(path):
        made = "/" in load_recipe(path, variant=variant).network.initial  # by an earlier step, not shipped
        anew = [("network.initial", ""), ("publish.initial_share", 0)]
        changes = [("network.weights", ""), *(anew if made else [])]
        recipe = load_recipe(path, changes, variant)
        loss(recipe)
        if (network := str((recipe.network, recipe.patches.size))) not in built:
            build_network(recipe)
        built.add(network)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_its_data_is_found_and_shows_every_class_that_is_labelled(path, mini):
    recipe = load_recipe(path, [("root", str(mini))], "tiny")
    labelled = {name for data in recipe.data for name in known_classes(recipe, data)}
    names = recipe.class_names
    for part in ("train", "val"):
        data = open_part(recipe, part)
        batches = [data.batch(0, k) for k in range(len(data))]
        side = recipe.patches.size
        assert {batch.pixels.shape[1:] for batch in batches} == {(side, side, 3)}
        seen = [(batch.targets == 1).any((0, 1, 2)) for batch in batches]
        assert {names[c] for c in np.flatnonzero(np.any(seen, 0))} == labelled & set(names)


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, id=p.stem, marks=pytest.mark.slow if p.stem in ALIKE else ()) for p in RECIPES],
)
def test_its_tiny_version_lowers_the_loss_and_ends_with_a_bundle(path, mini, small, tmp_path, untraced):
    changes = [("root", str(mini)), ("fit.epochs", 3), ("fit.precision", "float32"), ("fit.patience", 0)]
    if load_recipe(path).network.initial:  # a trained network's small steps would show nothing of this one
        changes += [("network.initial", str(small)), ("fit.learning_rate", 0.02)]
    (done,) = train(path, tmp_path / "bundle", changes=changes, variant="tiny")
    losses = [epoch["loss"] for epoch in json.loads((tmp_path / "bundle" / "history.json").read_text())]
    assert len(losses) == done.epochs == 3
    assert min(losses[1:]) < losses[0]
    assert find_bundle(tmp_path / "bundle").card.parameters == done.parameters
