"""What training minimizes, by name. Pixels that are ignored count neither in a value nor in a gradient.

Every loss is a sum over classes of a pixel term, a Dice term, or both. The pixel term is a function f of the
probability p that the network gives to the truth: of each class apart where classes may overlap (sigmoid),
of the one true class where they exclude each other (softmax).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from keras import ops

from geoseg.core.mask import NODATA
from geoseg.errors import RecipeError
from geoseg.recipe.recipe import Recipe

LossFunction = Callable[[Any, Any], Any]
Curve = Callable[[Any], Any]

TINY = 1e-7  # keeps logarithms and quotients finite; float32 still tells 1 - TINY from 1


@dataclass(frozen=True, slots=True)
class Compared:
    """Truth and prediction, float32 tensors (n, h, w, classes), with nothing ignored left in them.

    Attributes:
        truth: 1 where the class is, else 0; between them as far as a teacher is sure (sigmoid).
        known: 1 where it is known whether the class is there, else 0.
        given: probabilities, 0 … 1.
        exclusive: whether classes exclude each other.
        weights: per class, float32 (classes,).
    """

    truth: Any
    known: Any
    given: Any
    exclusive: bool
    weights: Any


def loss(recipe: Recipe) -> LossFunction:
    """The loss that a recipe names.

    Returns:
        A function of targets and probabilities to a float32 scalar. Targets are (n, h, w, classes) of
        1 yes, 0 no, between them (sigmoid) as far as a teacher is sure, 255 ignore, or class numbers
        (n, h, w) or (n, h, w, 1) with 255 ignore; probabilities are (n, h, w, classes), or a list of such,
        over whose losses the mean is taken (deep supervision).

    Raises:
        RecipeError: an unknown loss, option or class.
    """
    spec, names = recipe.loss, recipe.class_names
    if spec.name not in LOSSES:
        raise RecipeError(f"there is no loss {spec.name!r}; choose one of {', '.join(LOSSES)}")
    takes = list(inspect.signature(LOSSES[spec.name]).parameters)[1:]
    if unknown := sorted(set(spec.options) - set(takes)):
        raise RecipeError(f"loss {spec.name} takes no option {unknown[0]!r}; it takes {', '.join(takes)}")
    if strange := sorted(set(spec.class_weights) - set(names)):
        raise RecipeError(f"loss.class_weights names {strange[0]!r}; the classes are {', '.join(names)}")
    compute = partial(LOSSES[spec.name], **spec.options)
    weights = [float(spec.class_weights.get(name, 1)) for name in names]
    exclusive = recipe.network.activation == "softmax"

    def value(targets: Any, probabilities: Any) -> Any:
        heads = probabilities if isinstance(probabilities, (list, tuple)) else [probabilities]
        return sum(compute(_compared(targets, head, weights, exclusive)) for head in heads) / len(heads)

    return value


def focal_dice(both: Compared, *, square: float = 0.25, smooth: float = 1.0) -> Any:
    """1 − dice + square · (1 − dice)², the mean over classes; seed 2's own."""
    missing = 1 - _dice(both, smooth)
    return _mean_of_classes(missing + square * missing**2, both)


def focal_plus_dice(
    both: Compared, *, gamma: float = 2.0, alpha: float | None = None, dice: float = 1.0, smooth: float = 1.0
) -> Any:
    """Focal loss, −(1 − p)^gamma · log p, and `dice` times 1 − Dice.

    Lin et al. 2017 (arXiv:1708.02002) and Milletari et al. 2016 (arXiv:1606.04797). `alpha` weighs pixels
    of a class and 1 − alpha all others (sigmoid only).
    """
    return _pixels(both, partial(_focal, gamma=gamma), alpha) + dice * _one_minus_dice(both, smooth)


def cross_entropy(
    both: Compared, *, alpha: float | None = None, dice: float = 0.0, smooth: float = 1.0
) -> Any:
    """−log p: binary for sigmoid, categorical for softmax."""
    return _pixels(both, partial(_focal, gamma=0.0), alpha) + dice * _one_minus_dice(both, smooth)


def generalized_cross_entropy(
    both: Compared, *, q: float = 0.7, alpha: float | None = None, dice: float = 0.0, smooth: float = 1.0
) -> Any:
    """(1 − p^q) / q: cross-entropy at q → 0, and ever deafer to wrong labels up to q = 1.

    Zhang and Sabuncu 2018 (arXiv:1805.07836).
    """
    return _pixels(both, lambda p: (1 - p**q) / q, alpha) + dice * _one_minus_dice(both, smooth)


LOSSES: dict[str, Callable[..., Any]] = {
    "focal_dice": focal_dice,
    "focal_plus_dice": focal_plus_dice,
    "cross_entropy": cross_entropy,
    "generalized_cross_entropy": generalized_cross_entropy,
}


def _compared(targets: Any, probabilities: Any, weights: list[float], exclusive: bool) -> Compared:
    classes = len(weights)
    if len(targets.shape) == 3 or (targets.shape[-1] == 1 and classes > 1):
        targets = _each_class(targets, classes)
    known = ops.cast(ops.not_equal(targets, NODATA), "float32")
    truth = ops.cast(targets, "float32") * known
    if exclusive:  # where one class is true all are known, and nothing can be said of any other pixel
        known = ops.max(truth, axis=-1, keepdims=True) * ops.ones_like(truth)
    given = ops.clip(ops.cast(probabilities, "float32"), TINY, 1 - TINY)
    return Compared(truth, known, given, exclusive, ops.convert_to_tensor(weights, "float32"))


def _each_class(numbers: Any, classes: int) -> Any:
    """(n, h, w, classes) of 1, 0 and 255 from class numbers (n, h, w) or (n, h, w, 1)."""
    numbers = ops.cast(numbers, "int32")
    numbers = numbers if len(numbers.shape) == 4 else ops.expand_dims(numbers, -1)
    same = ops.cast(ops.equal(numbers, ops.arange(classes, dtype="int32")), "int32")
    return ops.where(ops.equal(numbers, NODATA), NODATA, same)


def _focal(p: Any, gamma: float) -> Any:
    return -((1 - p) ** gamma) * ops.log(p) if gamma else -ops.log(p)


def _pixels(both: Compared, curve: Curve, alpha: float | None) -> Any:
    """The pixel term: the weighted mean over true classes (softmax), or over classes of their means."""
    if both.exclusive:
        share = both.truth * both.weights
        return ops.sum(share * curve(both.given)) / ops.maximum(ops.sum(share), TINY)
    yes, no = both.truth * both.known, (1 - both.truth) * both.known
    if alpha is not None:
        yes, no = yes * alpha, no * (1 - alpha)
    total = _over_batch(yes * curve(both.given) + no * curve(1 - both.given))
    return _mean_of_classes(total / ops.maximum(_over_batch(both.known), 1), both)


def _dice(both: Compared, smooth: float) -> Any:
    """Dice coefficient of each class over the batch, (classes,); 1 where nothing is known."""
    truth, given = both.truth * both.known, both.given * both.known
    return (2 * _over_batch(truth * given) + smooth) / (_over_batch(truth) + _over_batch(given) + smooth)


def _one_minus_dice(both: Compared, smooth: float) -> Any:
    return _mean_of_classes(1 - _dice(both, smooth), both)


def _over_batch(tensor: Any) -> Any:
    return ops.sum(tensor, axis=(0, 1, 2))


def _mean_of_classes(values: Any, both: Compared) -> Any:
    """Weighted mean over all classes: what one class contributes does not hang on which others are known."""
    return ops.sum(values * both.weights) / ops.sum(both.weights)
