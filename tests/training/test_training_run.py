"""From a recipe to bundles, through interruptions; on data sets of the shared layouts too."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_recipes import CLASSES, write_recipe

import geoseg
from geoseg.errors import OutputError, RecipeError
from geoseg.models.bundle import find_bundle
from geoseg.models.card import ClassSpec
from geoseg.recipe.fit import Network
from geoseg.recipe.recipe import load_recipe
from geoseg.training.network import build_network, described
from geoseg.training.run import table, train

FILES = {"card.toml", "model.keras", "model.onnx", "recipe.toml", "history.json", "history.csv",
         "scores.json", "curves.png", "sheet_val.png", "sheet_test.png", "tensorboard"}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished training of two epochs, in half precision, with calibrated thresholds."""
    folder = tmp_path_factory.mktemp("trained")
    fit, publish = {"epochs": 2, "precision": "bfloat16"}, {"calibrate": True}
    recipe = write_recipe(folder, publish=publish, patches={"median_kernel": 3}, fit=fit)
    return recipe, train(recipe, folder / "bundle")[0]


def test_a_bundle_with_everything_and_nothing_else_is_left(trained):
    recipe, done = trained
    assert {path.name for path in Path(done.folder).iterdir()} == FILES
    assert not list(recipe.parent.glob("*.training"))
    card = find_bundle(done.folder).card
    assert (card.name, card.patch_size, card.overlap, card.median_kernel, card.stride) == (
        "tiny",
        32,
        8,
        3,
        2,
    )
    assert card.parameters == done.parameters > 0
    assert card.thresholds == tuple(done.thresholds) != (0.5, 0.5)
    assert {(row["part"], row["class"]) for row in card.scores} == {
        (part, name) for part in ("val", "test") for name in ("roof", "tree", "all")
    }
    assert "iou_low" in card.scores[0]


def test_the_saved_network_computes_in_float32_and_scores_what_the_card_says(trained):
    _, done = trained
    bundle = find_bundle(done.folder)
    model = bundle.load_keras()
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    from geoseg.training.dataset import open_part
    from geoseg.training.scores import Tally, summary

    tally = Tally(("roof", "tree"), False)
    batch = open_part(load_recipe(Path(done.folder) / "recipe.toml"), "test").batch(0, 0)
    tally.add(batch.targets, np.asarray(model(batch.pixels.astype("float32"))), batch.names, batch.sets)
    assert summary(tally, bundle.card.thresholds)["iou_roof"] == pytest.approx(
        done.scores["test"][0]["iou"], abs=1e-3
    )


def test_the_table_is_markdown_with_intervals(trained):
    lines = table([trained[1]] * 2).splitlines()
    assert lines[0] == "|  | tiny | tiny |"
    assert any(line.startswith("| val roof IoU | 0.") and "–" in line for line in lines)
    assert all(line.count("|") == 4 for line in lines)


def test_what_exists_is_refused_resumed_or_replaced(trained):
    recipe, done = trained
    with pytest.raises(OutputError, match="is not empty; choose another or add --overwrite"):
        train(recipe, done.folder)
    assert train(recipe, done.folder, resume=True) == [done]
    with pytest.raises(RecipeError, match=r"fit.batch_size = 4, the recipe says 5"):
        train(recipe, done.folder, changes=[("fit.batch_size", 5)], resume=True)
    work = Path(f"{done.folder}.training")
    work.mkdir()
    with pytest.raises(OutputError, match="is an unfinished training; add --resume or --overwrite"):
        train(recipe, done.folder)
    work.rmdir()


def test_variants_are_bundles_of_their_own_and_one_comparison(tmp_path, untraced):
    variants = {"narrow": {"network.options.width": 2}, "plain": {"network.options.batch_norm": False}}
    recipe = write_recipe(tmp_path, variants=variants, fit={"epochs": 1})
    done = geoseg.train(recipe, tmp_path / "out")
    assert [one.name for one in done] == ["tiny-narrow", "tiny-plain"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"narrow", "plain", "comparison.json"}
    compared = json.loads((tmp_path / "out/comparison.json").read_text())
    assert [one["parameters"] for one in compared] == [one.parameters for one in done]
    again = geoseg.train(recipe, tmp_path / "out", resume=True)
    assert again == done


def test_fine_tuning_starts_from_a_bundle(trained, tmp_path, untraced):
    _, done = trained
    recipe = write_recipe(tmp_path, network={"initial": done.folder}, fit={"epochs": 1, "frozen_epochs": 1})
    tuned = train(recipe, tmp_path / "tuned")[0]
    before, after = (find_bundle(folder).load_keras() for folder in (done.folder, tuned.folder))
    assert (
        before.get_layer("x_1_0_conv").get_weights()[0] == after.get_layer("x_1_0_conv").get_weights()[0]
    ).all()
    assert (before.layers[-2].get_weights()[0] != after.layers[-2].get_weights()[0]).any()
    recipe = write_recipe(tmp_path, network={"initial": done.folder, "options": {"width": 3, "depth": 1}})
    with pytest.raises(RecipeError, match="no layer of the network fits model tiny, unet"):
        train(recipe, tmp_path / "other")


def test_a_shallower_network_starts_from_a_deeper_one(tmp_path, untraced):
    options = {"width": 2, "depth": 2}
    network = {"architecture": "unetpp", "options": options}
    (deep,) = train(write_recipe(tmp_path, network=network, fit={"epochs": 1}), tmp_path / "deep")
    network = {"architecture": "unetpp", "options": options | {"depth": 1}, "initial": deep.folder}
    cut = build_network(load_recipe(write_recipe(tmp_path, "cut", network=network)))
    source = find_bundle(deep.folder).load_keras()
    for layer in cut.layers:
        for ours, theirs in zip(layer.get_weights(), source.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_what_does_not_fit_the_initial_network_starts_anew(trained, tmp_path, caplog):
    _, done = trained
    recipe = load_recipe(write_recipe(tmp_path, network={"initial": done.folder}))
    recipe = replace(recipe, classes=(*recipe.classes, ClassSpec("shadow")))
    with caplog.at_level("INFO"):
        wider = build_network(recipe)
    source = find_bundle(done.folder).load_keras()
    same = [layer.name for layer in wider.layers if layer.weights and layer.name != "probabilities_logits"]
    for name in same:
        np.testing.assert_equal(wider.get_layer(name).get_weights(), source.get_layer(name).get_weights())
    assert wider.output_shape[-1] == 3
    assert f"1 of {len(same) + 1} layers start anew, from probabilities_logits on" in caplog.text
    shared = replace(recipe, publish=replace(recipe.publish, initial_share=0.5))
    with pytest.raises(RecipeError, match=r"initial_share needs .* probabilities_logits differs"):
        build_network(shared)


def test_without_an_architecture_the_initial_network_goes_on(trained, tmp_path):
    _, done = trained
    recipe = load_recipe(write_recipe(tmp_path, fit={"epochs": 1, "precision": "bfloat16"}))
    recipe = replace(recipe, network=Network(initial=str(done.folder)))
    source = find_bundle(done.folder)
    for precision in ("float32", "bfloat16"):
        model = build_network(recipe, precision)
        np.testing.assert_equal(model.get_weights(), source.load_keras().get_weights())
    assert model.get_layer("x_1_0_conv").compute_dtype == "bfloat16"
    assert {output.dtype for output in model.outputs} == {"float32"}
    assert described(recipe) == source.card.architecture
    for changes, words in [
        ({"classes": (*recipe.classes, ClassSpec("shadow"))}, "classes of model tiny: 2, of the recipe: 3"),
        ({"network": replace(recipe.network, bands=("gray",))}, "bands of model .*: 3, of the recipe: 1"),
        ({"network": replace(recipe.network, activation="softmax")}, "activation .*: sigmoid, .*: softmax"),
    ]:
        with pytest.raises(RecipeError, match=words):
            build_network(replace(recipe, **changes))
    with pytest.raises(RecipeError, match="needs an architecture, or an initial"):
        Network(initial=str(done.folder), options={"width": 2})


def test_killed_and_resumed_it_finishes_with_all_its_epochs(tmp_path):
    recipe = write_recipe(tmp_path, fit={"epochs": 30})
    code = f"import geoseg; geoseg.train({str(recipe)!r}, {str(tmp_path / 'out')!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    state = tmp_path / "out.training" / "state.npz"
    while not state.is_file() and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    done = train(recipe, tmp_path / "out", resume=True)[0]
    assert done.epochs == 30
    history = json.loads((tmp_path / "out/history.json").read_text())
    assert len(history) == 30
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "masks", "out", "tiny.toml"]


def test_a_variant_may_be_like_another(tmp_path):
    variants = {
        "wide": {"network.options.width": 4, "fit.epochs": 7},
        "longer": {"like": "wide", "fit.epochs": 9},
        "longest": {"like": "longer", "seed": 5},
        "chicken": {"like": "egg"},
        "egg": {"like": "chicken"},
    }
    path = write_recipe(tmp_path, variants=variants, fit={"epochs": 1})
    recipe = load_recipe(path, variant="longest")
    assert (recipe.network.options["width"], recipe.fit.epochs, recipe.seed) == (4, 9, 5)
    assert load_recipe(path, variant="wide").fit.epochs == 7
    with pytest.raises(RecipeError, match="variant chicken is like itself, by way of chicken, egg"):
        load_recipe(path, variant="chicken")


def test_a_bundle_may_keep_a_share_of_the_weights_it_started_from(trained, tmp_path, untraced):
    _, first = trained
    found = {}
    for share in (0.0, 0.25, 1.0):
        network, publish = {"initial": first.folder}, {"initial_share": share}
        recipe = write_recipe(tmp_path, f"share{share}", network=network, publish=publish, fit={"epochs": 1})
        (done,) = train(recipe, tmp_path / f"bundle{share}")
        found[share] = find_bundle(done.folder).load_keras().get_weights()
    start = find_bundle(first.folder).load_keras().get_weights()
    for weights, tuned, mixed, kept in zip(start, found[0.0], found[0.25], found[1.0], strict=True):
        np.testing.assert_array_equal(kept, weights)
        np.testing.assert_allclose(mixed, 0.25 * weights + 0.75 * tuned, rtol=1e-5, atol=1e-6)
    assert any((tuned != weights).any() for tuned, weights in zip(found[0.0], start, strict=True))
    with pytest.raises(RecipeError, match=r"initial_share needs a network\.initial"):
        load_recipe(write_recipe(tmp_path, "none", publish={"initial_share": 0.5}))
    with pytest.raises(RecipeError, match="initial_share is from 0 to 1, got 2"):
        load_recipe(write_recipe(tmp_path, "much", publish={"initial_share": 2}))


def test_a_class_without_validation_data_keeps_the_threshold_that_the_first_network_has(tmp_path, untraced):
    classes = [one | {"threshold": cut} for one, cut in zip(CLASSES, (0.9, 0.7), strict=True)]
    (first,) = train(write_recipe(tmp_path, "first", classes=classes, fit={"epochs": 1}), tmp_path / "first")
    roofs = {
        "name": "roofs", "images": "images/*.png", "masks": "masks/{stem}.png", "known": ["roof"],
        "split": {"by": "\\d+$", "val": ["0", "1", "2"]},
        "labels": {"0": "background", "1": "roof", "2": "background", "9": "ignore"},
    }  # fmt: skip
    for name, network, kept in (("tuned", {"initial": first.folder}, 0.7), ("anew", {}, 0.5)):
        recipe = write_recipe(
            tmp_path, name, data=[roofs], network=network, fit={"epochs": 1}, publish={"calibrate": True}
        )
        (done,) = train(recipe, tmp_path / f"{name}_bundle")
        roof, tree = find_bundle(done.folder).card.thresholds
        assert tree == kept
        assert roof * 256 % 1 == 0  # found on the data, in 256ths; 0.9 is none
