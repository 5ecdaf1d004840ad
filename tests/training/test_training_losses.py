"""Losses against formulas in numpy, and that what is ignored never counts."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import ops

from geoseg.errors import RecipeError
from geoseg.recipe.fit import Loss
from geoseg.training.losses import LOSSES, loss

every_loss = pytest.mark.parametrize("name", LOSSES)
both_kinds = pytest.mark.parametrize("activation", ["sigmoid", "softmax"])


def made(name="cross_entropy", activation="sigmoid", classes=3, **spec):
    names = ("building", "tree", "road")[:classes]
    recipe = SimpleNamespace(
        loss=Loss(name, **spec), class_names=names, network=SimpleNamespace(activation=activation)
    )
    return loss(recipe)


def example(activation="sigmoid", classes=3, seed=0):
    rng = np.random.default_rng(seed)
    given = rng.uniform(0.02, 0.98, (2, 6, 5, classes)).astype("float32")
    if activation == "sigmoid":
        return rng.integers(0, 2, given.shape).astype("uint8"), given
    given /= given.sum(-1, keepdims=True)
    return np.eye(classes, dtype="uint8")[rng.integers(0, classes, given.shape[:3])], given


def value_and_gradient(function, targets, given):
    """Of probabilities that are the weights of a layer, by one step of plain descent."""
    layer = keras.layers.Embedding(1, given.size)
    layer.build()
    layer.set_weights([given.reshape(1, -1)])
    model = keras.Sequential([keras.Input((), dtype="int32"), layer, keras.layers.Reshape(given.shape[1:])])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda y, p: function(y, p), jit_compile=False)
    assert given.shape[0] == 1
    value = model.train_on_batch(np.zeros(1, "int32"), targets)
    return float(value), given - layer.get_weights()[0].reshape(given.shape)


def value(function, targets, given):
    return float(function(ops.convert_to_tensor(targets), ops.convert_to_tensor(given)))


def test_focal_dice_is_seed_2s_formula():
    targets, given = example()
    overlap, total = (targets * given).sum((0, 1, 2)), targets.sum((0, 1, 2)) + given.sum((0, 1, 2))
    missing = 1 - (2 * overlap + 1) / (total + 1)
    wanted = (missing + 0.25 * missing**2).mean()
    assert value(made("focal_dice"), targets, given) == pytest.approx(wanted, rel=1e-5)


def test_cross_entropies_are_those_of_keras():
    targets, given = example()
    wanted = keras.losses.BinaryCrossentropy()(targets, given)
    assert value(made(), targets, given) == pytest.approx(float(wanted), rel=1e-4)
    targets, given = example("softmax")
    wanted = keras.losses.CategoricalCrossentropy()(targets, given)
    assert value(made(activation="softmax"), targets, given) == pytest.approx(float(wanted), rel=1e-4)


def test_a_target_between_yes_and_no_is_that_of_keras_and_best_met_by_itself():
    sure, given = np.random.default_rng(5).uniform(0.05, 0.95, (2, 2, 6, 5, 3)).astype("float32")
    wanted = keras.losses.BinaryCrossentropy()(sure, given)
    assert value(made(), sure, given) == pytest.approx(float(wanted), rel=1e-4)
    assert value(made(), sure, sure) < min(value(made(), sure, sure + shift) for shift in (-0.02, 0.02))


def test_focal_with_gamma_and_alpha_is_that_of_keras():
    targets, given = example()
    wanted = keras.losses.BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.25, gamma=1.5)
    found = made("focal_plus_dice", options={"gamma": 1.5, "alpha": 0.25, "dice": 0.0})
    assert value(found, targets, given) == pytest.approx(float(wanted(targets, given)), rel=1e-4)


@both_kinds
def test_generalized_cross_entropy_lies_between_cross_entropy_and_absolute_error(activation):
    targets, given = example(activation)
    kinds = [made("generalized_cross_entropy", activation, options={"q": q}) for q in (1e-3, 0.7, 1.0)]
    near, middle, error = (value(kind, targets, given) for kind in kinds)
    entropy = value(made(activation=activation), targets, given)
    assert near == pytest.approx(entropy, rel=1e-2)
    assert near > middle > error
    right = np.where(targets == 1, given, 1 - given) if activation == "sigmoid" else given[targets == 1]
    assert error == pytest.approx(1 - right.mean(), rel=1e-4)


@both_kinds
def test_class_numbers_are_the_same_as_one_plane_a_class(activation):
    targets, given = example("softmax")
    numbers = targets.argmax(-1).astype("uint8")
    targets[0, :3] = numbers[0, :3] = 255
    function = made(activation=activation)
    for sparse in (numbers, numbers[..., None]):
        assert value(function, sparse, given) == pytest.approx(value(function, targets, given), rel=1e-6)


def test_class_weights_weigh():
    targets, given = example("softmax")
    function = made(activation="softmax", class_weights={"tree": 3.0})
    weight = np.array([1.0, 3.0, 1.0]) * targets
    wanted = -(weight * np.log(given)).sum() / weight.sum()
    assert value(function, targets, given) == pytest.approx(wanted, rel=1e-4)
    targets, given = example()
    only = value(made(class_weights={"building": 0.0, "road": 0.0}), targets, given)
    assert only == pytest.approx(value(made(classes=1), targets[..., 1:2], given[..., 1:2]), rel=1e-5)


@every_loss
@both_kinds
def test_what_is_ignored_counts_neither_in_value_nor_in_gradient(name, activation):
    targets, given = (array[:1] for array in example(activation))
    targets[:, :3] = 255
    if activation == "sigmoid":
        targets[..., 2] = 255  # a class that this data set does not label
    function = made(name, activation)
    first, gradient = value_and_gradient(function, targets, given)
    assert (gradient[targets == 255] == 0).all()
    assert np.abs(gradient[targets != 255]).max() > 0
    other = np.where(targets == 255, 1 - given, given).astype("float32")
    assert value_and_gradient(function, targets, other)[0] == pytest.approx(first, rel=1e-5)


@every_loss
@both_kinds
def test_a_batch_that_is_ignored_altogether_costs_nothing(name, activation):
    targets, given = (array[:1] for array in example(activation))
    cost, gradient = value_and_gradient(made(name, activation), np.full_like(targets, 255), given)
    assert cost == 0
    assert (gradient == 0).all()


@every_loss
@both_kinds
def test_certain_and_wrong_is_finite_and_certain_and_right_is_nearly_nothing(name, activation):
    targets, _ = example(activation)
    function = made(name, activation)
    assert 0.5 < value(function, targets, 1.0 - targets) < 100
    assert value(function, targets, targets.astype("float32")) < 0.01


@every_loss
def test_deep_supervision_is_the_mean_over_heads_and_half_precision_is_lifted(name):
    targets, given = example()
    function = made(name)
    one, two = value(function, targets, given), value(function, targets, given**2)
    tensor = ops.convert_to_tensor(targets)
    both = function(tensor, [ops.convert_to_tensor(given), ops.convert_to_tensor(given**2)])
    assert float(both) == pytest.approx((one + two) / 2, rel=1e-5)
    assert keras.backend.standardize_dtype(function(tensor, ops.cast(given, "bfloat16")).dtype) == "float32"


@pytest.mark.parametrize(("spec", "words"), [
    ({"name": "dice"}, "no loss 'dice'; choose one of focal_dice, "),
    ({"options": {"gama": 2}}, "takes no option 'gama'; it takes alpha, dice, smooth"),
    ({"class_weights": {"roof": 2.0}}, "names 'roof'; the classes are building, tree, road"),
])  # fmt: skip
def test_mistakes_are_named(spec, words):
    with pytest.raises(RecipeError, match=words):
        made(**spec)
