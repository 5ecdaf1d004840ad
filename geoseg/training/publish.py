"""From trained weights to a bundle: scores, card, pictures."""

from __future__ import annotations

import csv
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from geoseg.core.thresholds import best_thresholds
from geoseg.models.bundle import save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.recipe.data import Part
from geoseg.recipe.recipe import Recipe
from geoseg.report.curves import draw_curves
from geoseg.report.sheets import Example, draw_sheet
from geoseg.runtime.agreement import prove
from geoseg.runtime.machine import machine
from geoseg.staging import staged_folder
from geoseg.training.dataset import open_part
from geoseg.training.fit import precision
from geoseg.training.losses import loss
from geoseg.training.network import build_network, described, first_thresholds, prediction_patches
from geoseg.training.schedule import History, best_epoch
from geoseg.training.scores import Row, score_rows
from geoseg.training.state import load_weights
from geoseg.training.validate import Answer, Measured, answers, measure

SCORES = "scores.json"
RECIPE = "recipe.toml"
PARTS: tuple[Part, ...] = ("val", "test")
SHOWN = 12  # patches on a sheet
ANY_SIZE = (1e-3, 1e3)  # metres; for imagery whose pixel size nobody knows
INTERVALS = ("iou", "accuracy")  # whose confidence intervals the card has; scores.json has all

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A part of the data that was held out.

    Attributes:
        part: `val` or `test`.
        measured: counts and loss.
        examples: patches to show.
    """

    part: Part
    measured: Measured
    examples: list[Example]


def publish(recipe: Recipe, history: History, work: Path, target: Path, overwrite: bool) -> None:
    """Write the bundle of a finished training, whole or not at all.

    Args:
        recipe: how it was trained.
        history: of its epochs.
        work: the folder that `fit` trained in.
        target: the bundle's folder.
        overwrite: replace the folder that is there.
    """
    model = build_network(recipe)  # in float32, whatever it was trained in
    model.set_weights(_kept(recipe, model, load_weights(work, best_epoch(recipe.fit, history))))
    held = [found for part in PARTS if (found := _held(recipe, model, part)) is not None]
    classes = _calibrated(recipe, held[0].measured)
    thresholds = [spec.threshold for spec in classes]
    rows = {each.part: score_rows(each.measured.tally, thresholds, recipe.seed) for each in held}
    with staged_folder(target, overwrite) as draft:
        bundle = save_bundle(model, make_card(recipe, model, classes, rows), draft)
        prove(bundle, np.stack([example.pixels for each in held for example in each.examples]))
        portable = replace(recipe, root=os.path.relpath(recipe.root, target))
        (draft / RECIPE).write_text(portable.to_toml(), encoding="utf-8")
        _write_history(history, draft)
        _draw(recipe, history, held, draft)
        shutil.copytree(work / "tensorboard", draft / "tensorboard")
        record = {
            "name": recipe.name,
            "parameters": model.count_params(),
            "epochs": len(history),
            "best_epoch": best_epoch(recipe.fit, history) + 1,
            "seconds": round(sum(epoch["seconds"] for epoch in history), 1),
            "machine": f"{machine(keras.backend.backend())}, {precision(recipe.fit)}",
            "thresholds": thresholds,
            "loss": {each.part: each.measured.loss for each in held},
            "scores": rows,
            "confusion": {each.part: _confusion(each.measured, thresholds) for each in held},
        }
        (draft / SCORES).write_text(json.dumps(record, indent=1), encoding="utf-8")


def _kept(recipe: Recipe, model: keras.Model, trained: Sequence[Any]) -> list[Any]:
    """The weights for the bundle: the trained ones, or a mixture with those that the model started from."""
    share = recipe.publish.initial_share
    if not share:
        return list(trained)
    return [
        share * start + (1 - share) * end for start, end in zip(model.get_weights(), trained, strict=True)
    ]


def make_card(
    recipe: Recipe, model: keras.Model, classes: tuple[ClassSpec, ...], rows: Mapping[Part, Sequence[Row]]
) -> Card:
    """What the recipe and the scores say together; stride and halo are for `save_bundle` to fill in."""
    spec, patches = recipe.publish, recipe.patches
    size, overlap = prediction_patches(recipe, model)
    return Card(
        name=recipe.name, licence=spec.licence,
        summary=spec.summary or f"Trained by the recipe {recipe.name}.",
        attribution=spec.attribution, parameters=model.count_params(), activation=recipe.network.activation,
        architecture=described(recipe),
        bands=recipe.network.bands, pixel_sizes_m=_pixel_sizes(recipe), patch_size=size, overlap=overlap,
        median_kernel=patches.median_kernel, stride=1, halo=0, classes=classes,
        training=spec.training or tuple({"name": data.name} for data in recipe.data),
        scores=tuple({"part": part, **_short(row)} for part, table in rows.items() for row in table),
        limits=spec.limits,
    )  # fmt: skip


def _held(recipe: Recipe, model: keras.Model, part: Part) -> Held | None:
    """The network measured on a part; None where the recipe has no such part."""
    dataset = open_part(recipe, part)
    if len(dataset) == 0:
        return None
    examples: list[Example] = []
    every = max(1, len(dataset) * recipe.fit.batch_size // SHOWN)
    given = _keeping(answers(model, dataset, recipe), every, examples)
    return Held(part, measure(given, recipe, loss(recipe)), examples)


def _keeping(given: Iterable[Answer], every: int, examples: list[Example]) -> Iterator[Answer]:
    """All answers; every so many-th patch is kept, up to a sheet full."""
    count = 0
    for batch, probabilities in given:
        for k, name in enumerate(batch.names):
            if count % every == 0 and len(examples) < SHOWN:
                label = f"{batch.sets[k]} {name}"
                examples.append(Example(label, batch.pixels[k], batch.targets[k], probabilities[k]))
            count += 1
        yield batch, probabilities


def _calibrated(recipe: Recipe, val: Measured) -> tuple[ClassSpec, ...]:
    """The classes with the thresholds that do best on validation data, if the recipe asks for them."""
    if not recipe.publish.calibrate or recipe.network.activation == "softmax":
        return recipe.classes
    best = best_thresholds(val.tally.by_set, first_thresholds(recipe))
    return tuple(replace(spec, threshold=t) for spec, t in zip(recipe.classes, best, strict=True))


def _pixel_sizes(recipe: Recipe) -> tuple[float, float]:
    known = [data.pixel_size_m for data in recipe.data if data.pixel_size_m]
    if recipe.patches.pixel_sizes_m:
        return recipe.patches.pixel_sizes_m
    return (min(known), max(known)) if known else ANY_SIZE


def _short(row: Row) -> Row:
    """A row of scores for the card."""
    ends = ("_low", "_high")
    return {key: value for key, value in row.items() if not key.endswith(ends) or key.startswith(INTERVALS)}


def _confusion(measured: Measured, thresholds: Sequence[float]) -> Any:
    """Pixels by truth and prediction: of all classes, or of each class no and yes."""
    return measured.tally.counts(thresholds).sum(0).tolist()


def _write_history(history: History, folder: Path) -> None:
    (folder / "history.json").write_text(json.dumps(list(history), indent=1), encoding="utf-8")
    keys = list(dict.fromkeys(key for record in history for key in record))
    with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["epoch", *keys])
        writer.writeheader()
        writer.writerows({"epoch": number, **record} for number, record in enumerate(history, 1))


def _draw(recipe: Recipe, history: History, held: Sequence[Held], folder: Path) -> None:
    draw_curves(history, best_epoch(recipe.fit, history), folder / "curves.png")
    colors = [spec.color for spec in recipe.classes]
    exclusive = recipe.network.activation == "softmax"
    for each in held:
        picture = folder / f"sheet_{each.part}.png"
        draw_sheet(each.examples, recipe.class_names, colors, exclusive, picture)
