"""The loop: it learns, stops, goes on after an interruption, and says what went wrong."""

from contextlib import suppress
from dataclasses import replace

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tiny_recipes import write_recipe

from geoseg.errors import GridError, ModelError, RecipeError
from geoseg.models.backbones import PRETRAINED
from geoseg.models.encoders import encoder_layers
from geoseg.models.registry import build
from geoseg.recipe.recipe import load_recipe
from geoseg.training.average import EVERY, Average
from geoseg.training.fit import fit
from geoseg.training.log import event_file
from geoseg.training.network import build_network
from geoseg.training.state import State, load_state, load_weights, save_state

FALLING = {
    "schedule": "plateau",
    "patience_lr": 1,
    "ema": 0.9,
    "epochs": 4,
    "weight_decay": 1e-3,
    "clip_norm": 1.0,
}


class KilledError(Exception):
    pass


def recipe_of(folder, *changes, **tables):
    return load_recipe(write_recipe(folder, **tables), changes)


def killer(after):
    """A progress that raises after so many batches."""
    seen = 0

    def progress(done, total):
        nonlocal seen
        seen += done
        if seen > after:
            raise KilledError

    return progress


def test_it_learns_and_records_every_epoch(tmp_path):
    calls = []
    history = fit(recipe_of(tmp_path), tmp_path / "run", progress=lambda *call: calls.append(call))
    assert history[-1]["loss"] < history[0]["loss"]
    assert {"learning_rate", "steps", "seconds", "val_loss", "val_accuracy", "val_iou", "val_iou_roof"} < set(
        history[0]
    )
    assert sum(done for done, _ in calls) == calls[-1][1] == 3 * (2 + 1)


def test_resumed_after_an_interruption_it_ends_as_if_undisturbed(tmp_path):
    recipe = recipe_of(tmp_path, fit=FALLING)
    whole = fit(recipe, tmp_path / "whole")
    with suppress(KilledError):
        fit(recipe, tmp_path / "cut", progress=killer(after=7))
    assert len(load_state(tmp_path / "cut", recipe).history) == 2
    resumed = fit(recipe, tmp_path / "cut", resume=True)
    assert len(resumed) == len(whole) == 4
    for ours, theirs in zip(resumed, whole, strict=True):
        assert ours["learning_rate"] == theirs["learning_rate"]
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
        assert ours["val_loss"] == pytest.approx(theirs["val_loss"], rel=1e-3)
    states = [load_state(tmp_path / name, recipe) for name in ("whole", "cut")]
    for group in ("variables", "optimizer", "average"):
        for ours, theirs in zip(*(getattr(state, group) for state in states), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0.05, atol=2e-3)


def test_a_finished_training_has_nothing_to_resume(tmp_path):
    recipe = recipe_of(tmp_path, ("fit.epochs", 1))
    once = fit(recipe, tmp_path / "run")
    assert fit(recipe, tmp_path / "run", resume=True) == once


@pytest.mark.parametrize(("key", "value"), [
    ("fit.learning_rate", 0.5), ("patches.median_kernel", 3), ("data.shapes.limit", 5),
    ("network.options.width", 8),
])  # fmt: skip
def test_another_recipe_is_not_resumed(tmp_path, key, value):
    recipe, other = recipe_of(tmp_path), recipe_of(tmp_path, (key, value))
    save_state(tmp_path, recipe, State([], [], [], []), 0)
    with pytest.raises(RecipeError, match=f"begun with {key} = .*, the recipe says {value}"):
        fit(other, tmp_path, resume=True)


def test_workers_and_the_place_of_the_data_are_free_to_change(tmp_path):
    save_state(tmp_path, recipe_of(tmp_path), State([], [], [], []), 0)
    elsewhere = replace(recipe_of(tmp_path, ("fit.workers", 2), ("fit.cache_mb", 9)), root="/elsewhere")
    assert load_state(tmp_path, elsewhere).history == []


def test_a_loss_that_is_not_finite_ends_it_in_one_line(tmp_path):
    recipe = recipe_of(tmp_path, ("fit.learning_rate", 1e30), ("network.options.batch_norm", False))
    with pytest.raises(
        RecipeError, match=r"(the loss at step \d+ of epoch 1|a probability) is not a finite number; lower"
    ):
        fit(recipe, tmp_path / "run")


def test_it_stops_early_and_keeps_only_the_best_weights(tmp_path):
    still = ("network.options.batch_norm", False)
    recipe = recipe_of(tmp_path, still, fit={"epochs": 9, "patience": 1, "learning_rate": 1e-30})
    history = fit(recipe, tmp_path / "run")
    assert len(history) == 2
    assert [path.name for path in (tmp_path / "run").glob("best-*")] == ["best-0.npz"]
    assert [w.shape for w in load_weights(tmp_path / "run", 0)] == [
        w.shape for w in build_network(recipe).weights
    ]


def test_a_pretrained_encoder_stays_for_the_frozen_epochs_and_then_learns(tmp_path, monkeypatch, untraced):
    from geoseg.training import fit as module

    recipe = recipe_of(tmp_path, fit={"epochs": 2, "frozen_epochs": 1})
    source = build_network(recipe)
    monkeypatch.setattr(module, "pretrained_layers", lambda recipe, model: encoder_layers(model))
    monkeypatch.setattr(module, "build_network", lambda recipe, precision: source)
    inner = [layer for layer in encoder_layers(source) if layer.name.endswith("_conv")]
    seen = [[np.array(layer.get_weights()[0]) for layer in inner]]
    monkeypatch.setattr(
        module, "save_state", lambda *state: seen.append([layer.get_weights()[0] for layer in inner])
    )
    fit(recipe, tmp_path / "run")
    for before, frozen, trained in zip(*seen, strict=True):
        assert (frozen == before).all()
        assert np.abs(trained - before).max() > 1e-4


def test_encoders_are_known_by_their_features():
    inner = {layer.name for layer in encoder_layers(build("unetpp", width=2, depth=2))}
    assert {"x_0_0", "x_1_0", "x_2_0"} < inner
    assert not {name for name in inner if name.startswith(("x_0_1", "x_1_1", "probabilities"))}
    for encoder, kind in PRETRAINED.items():
        inner = {layer.name for layer in encoder_layers(build("unet", width=2, encoder=encoder, alpha=0.1))}
        assert set(kind.ends.values()) < inner
        assert "x_0_0" not in inner
    assert "encoder_1_2" in {
        layer.name for layer in encoder_layers(build("segnet", width=2, convolutions=[1, 2]))
    }
    with pytest.raises(ModelError, match="no encoder"):
        encoder_layers(keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(1, 1)]))


def test_deep_supervision_softmax_and_mixed_precision_train(tmp_path, untraced):
    options = {"width": 2, "depth": 2, "batch_norm": False, "deep_supervision": True}
    network = {"architecture": "unetpp", "activation": "softmax", "options": options}
    data = {"0": "road", "1": "roof", "2": "tree", "9": "ignore"}
    classes = [{"name": name} for name in ("road", "roof", "tree")]
    recipe = recipe_of(tmp_path, ("data.shapes.labels", data), classes=classes, network=network,
                       loss={"name": "cross_entropy", "class_weights": {"tree": 2.0}},
                       fit={"precision": "bfloat16", "epochs": 2})  # fmt: skip
    history = fit(recipe, tmp_path / "run")
    assert history[1]["loss"] < history[0]["loss"]
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(("changes", "error", "words"), [
    ([("patches.size", 31)], ModelError, "31 is not a multiple of 2; use 32"),
    ([("publish.overlap", 32)], GridError, "below the patch size 32"),
    ([("data.shapes.split.val", [])], RecipeError, "tiny has no images for validation"),
    ([("network.initial", "nowhere")], Exception, "no model nowhere"),
    ([("loss.name", "dice")], RecipeError, "no loss 'dice'"),
])  # fmt: skip
def test_what_does_not_fit_is_said_before_training(tmp_path, changes, error, words):
    with pytest.raises(error, match=words):
        fit(recipe_of(tmp_path, *changes, publish={}, loss={}), tmp_path / "run", progress=killer(after=0))


def test_the_average_is_the_recursion_written_out():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    average, wanted = Average(model, 0.99), model.get_weights()[0].item()
    for step in range(1, 40 * EVERY + 1):
        model.set_weights([np.array([[np.sin(step / 50)]], np.float32)])
        average.update(step)
        if step % EVERY == 0:
            momentum = min(0.99, (1 + step) / (10 + step)) ** EVERY
            wanted = momentum * wanted + (1 - momentum) * np.sin(step / 50)
    with average.applied():
        assert model.get_weights()[0].item() == pytest.approx(wanted, abs=1e-5)
    assert model.get_weights()[0].item() == pytest.approx(np.sin(step / 50), abs=1e-6)
    assert Average(model, 0.0).values == []


def test_the_event_file_is_one_that_tensorboard_reads(tmp_path):
    with event_file(tmp_path / "log") as write:
        write(300, {"val/iou": 0.25})
    (path,) = (tmp_path / "log").iterdir()
    events = list(LegacyEventFileLoader(str(path)).Load())
    (value,) = events[-1].summary.value
    assert (events[-1].step, value.tag, value.simple_value) == (300, "val/iou", 0.25)
