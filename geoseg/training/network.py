"""The network of a recipe, as it is before training."""

from __future__ import annotations

import logging
from typing import Any

import keras

from geoseg.core.grid import Grid
from geoseg.errors import RecipeError
from geoseg.models.blocks import check_input_size
from geoseg.models.bundle import Bundle, find_bundle
from geoseg.models.encoders import encoder_layers
from geoseg.models.footprint import footprint
from geoseg.models.mixed import in_policy
from geoseg.models.registry import build
from geoseg.recipe.recipe import Recipe

log = logging.getLogger(__name__)

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def build_network(recipe: Recipe, precision: str = "float32") -> keras.Model:
    """A network with random weights, those of a pre-trained encoder, or those of another bundle.

    Without an `architecture` it is that bundle's whole network.

    Args:
        recipe: its classes and `network`.
        precision: `float32`, or what it computes in: `bfloat16`, `float16`. Weights are float32 always.

    Returns:
        Model from (n, h, w, bands) of 0 … 255 to float32 probabilities (n, h, w, classes), or a list of
        them with deep supervision; any height and width that suit its stride.

    Raises:
        ModelError: arguments that do not fit together, or weights that cannot be loaded.
        RecipeError: a bundle of which no layer fits, or not all where `publish.initial_share` needs them.
    """
    model = _begun(recipe) if recipe.network.architecture else _continued(recipe)
    return model if precision == "float32" else in_policy(model, POLICIES[precision])


def described(recipe: Recipe) -> str:
    """The architecture, as the card names it."""
    spec = recipe.network
    if not spec.architecture:
        return _initial(recipe).card.architecture
    details = ", ".join(f"{name} {value}" for name, value in spec.options.items())
    return spec.architecture + (f" ({details})" if details else "")


def first_thresholds(recipe: Recipe) -> tuple[float, ...]:
    """Of each class that of its name in the bundle that the network starts from, else the recipe's."""
    known = _initial(recipe).card.classes if recipe.network.initial else ()
    thresholds = {spec.name: spec.threshold for spec in (*recipe.classes, *known)}
    return tuple(thresholds[spec.name] for spec in recipe.classes)


def start_from(model: keras.Model, bundle: Bundle) -> list[str]:
    """Give a model the weights of layers of the same names and shapes, frozen where they are there.

    The others keep theirs: a head of other classes, a decoder of another width, further levels of a UNet++.

    Returns:
        Names of the layers that keep theirs, in the order in which they are passed.

    Raises:
        RecipeError: there is no such layer.
    """
    source = {layer.name: layer for layer in bundle.load_keras().layers}
    ours = [layer for layer in model.layers if layer.weights]
    anew = [layer.name for layer in ours if not _alike(layer, source.get(layer.name))]
    if len(anew) == len(ours):
        raise RecipeError(
            f"network.initial: no layer of the network fits model {bundle.card.name}, "
            f"{bundle.card.architecture}; name a bundle with the same encoder"
        )
    for layer in ours:
        if layer.name not in anew:
            layer.set_weights(source[layer.name].get_weights())
            layer.trainable = source[layer.name].trainable
    if anew:
        log.info("%d of %d layers start anew, from %s on; the others from model %s",
                 len(anew), len(ours), anew[0], bundle.card.name)  # fmt: skip
    return anew


def prediction_patches(recipe: Recipe, model: keras.Model) -> tuple[int, int]:
    """Patch size and overlap that the card will name, pixels.

    Raises:
        ModelError: training patches that do not suit the network's stride.
        GridError: a patch size and an overlap that do not suit it, or each other.
    """
    stride, publish = footprint(model).stride, recipe.publish
    check_input_size(recipe.patches.size, stride)
    size = publish.patch_size or recipe.patches.size
    overlap = size // 4 // stride * stride if publish.overlap is None else publish.overlap
    Grid((1, 1), size, overlap, stride)
    return size, overlap


def pretrained_layers(recipe: Recipe, model: keras.Model) -> list[keras.layers.Layer]:
    """The layers that `fit.frozen_epochs` keeps as they are and that would be trained otherwise.

    There are none without `network.weights` or `network.initial`: random weights are worth no keeping.
    """
    if not (recipe.fit.frozen_epochs and (recipe.network.weights or recipe.network.initial)):
        return []
    return [layer for layer in encoder_layers(model) if layer.trainable]


def _alike(layer: keras.layers.Layer, other: keras.layers.Layer | None) -> bool:
    return other is not None and [w.shape for w in layer.weights] == [w.shape for w in other.weights]


def named_bundle(recipe: Recipe, name: str) -> Bundle:
    """A bundle that a recipe names: its folder, starting at `root`, or a name."""
    folder = recipe.path(name)
    return find_bundle(folder if folder.is_dir() else name)


def _initial(recipe: Recipe) -> Bundle:
    return named_bundle(recipe, recipe.network.initial)


def _begun(recipe: Recipe) -> keras.Model:
    """The network of `network.architecture`, with the weights of `network.initial` where they fit."""
    spec = recipe.network
    arguments: dict[str, Any] = {"weights": _weights(recipe)} if spec.weights else {}
    arguments |= {"bands": len(spec.bands), "classes": len(recipe.classes), "activation": spec.activation}
    model = build(spec.architecture, **arguments, **spec.options)
    if spec.initial:
        anew = start_from(model, _initial(recipe))
        if anew and recipe.publish.initial_share:
            raise RecipeError(
                f"publish.initial_share needs a network.initial of the same network and classes; {anew[0]} "
                "differs; set it to 0"
            )
    return model


def _continued(recipe: Recipe) -> keras.Model:
    """The network of `network.initial`, which has to suit the recipe as it is."""
    card, spec = (bundle := _initial(recipe)).card, recipe.network
    for what, theirs, ours in (
        ("classes", len(card.classes), len(recipe.classes)), ("bands", len(card.bands), len(spec.bands)),
        ("activation", card.activation, spec.activation),
    ):  # fmt: skip
        if theirs != ours:
            raise RecipeError(
                f"network.initial: {what} of model {card.name}: {theirs}, of the recipe: {ours}; "
                "name network.architecture to begin anew what differs"
            )
    return bundle.load_keras()


def _weights(recipe: Recipe) -> str:
    text = recipe.network.weights
    return text if text == "imagenet" else str(recipe.path(text))
