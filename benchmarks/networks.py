"""Bundles with random weights, for measurements of time: what a network says costs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.models.bundle import save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.recipe.recipe import load_recipe
from geoseg.runtime.keras_engine import start_keras

PATCH, OVERLAP = 256, 64


def random_bundle(
    folder: Path, architecture: str, names: tuple[str, ...], activation: str, **options: Any
) -> int:
    """Save a network of RGB that the registry knows, free to run in bfloat16; its number of weights."""
    keras = start_keras()
    from geoseg.models.registry import build

    keras.utils.set_random_seed(1)
    model = build(architecture, bands=3, classes=len(names), activation=activation, **options)
    card = Card(
        name=folder.name, summary="Random weights, to measure time.", licence="CC0-1.0", attribution=(),
        architecture=architecture, parameters=0, activation=activation, bands=("red", "green", "blue"),
        pixel_sizes_m=(0.1, 1.0), patch_size=PATCH, overlap=OVERLAP, median_kernel=0, stride=0, halo=0,
        classes=tuple(ClassSpec(name) for name in names), precisions=("float32", "bfloat16"),
    )  # fmt: skip
    return save_bundle(model, card, folder).card.parameters


def recipe_bundle(folder: Path, recipe: Path) -> int:
    """The same with the network of a recipe."""
    found = load_recipe(recipe)
    network = found.network
    return random_bundle(
        folder, network.architecture, found.class_names, network.activation, **network.options
    )
