"""Learning rates and stopping are functions of the history."""

import math

import pytest

from geoseg.errors import RecipeError
from geoseg.recipe.fit import Fit
from geoseg.training.schedule import best_epoch, learning_rate, plateaus, should_stop


def history(*values, monitor="iou"):
    return [{f"val_{monitor}": value} for value in values]


def test_constant_after_a_linear_rise():
    fit = Fit(learning_rate=0.1, warmup_epochs=2)
    rates = [learning_rate(fit, [], epoch, half) for epoch in range(3) for half in (0.5, 1.0)]
    assert rates == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])


def test_cosine_falls_from_the_top_to_the_final_share():
    fit = Fit(epochs=10, learning_rate=0.1, schedule="cosine", warmup_epochs=2, final=0.01)
    assert learning_rate(fit, [], 1, 0.5) == pytest.approx(0.075)
    assert learning_rate(fit, [], 2, 0.0) == pytest.approx(0.1)
    assert learning_rate(fit, [], 6, 0.0) == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert learning_rate(fit, [], 9, 1.0) == pytest.approx(0.001)
    rates = [learning_rate(fit, [], epoch, 0.5) for epoch in range(2, 10)]
    assert rates == sorted(rates, reverse=True)


def test_plateau_as_keras_has_it():
    keras = pytest.importorskip("keras")
    values = [0.9, 0.8, 0.85, 0.82, 0.81, 0.7, 0.7, 0.71, 0.72, 0.73, 0.6]
    fit = Fit(learning_rate=0.1, schedule="plateau", factor=0.7, patience_lr=2, monitor="loss")
    callback = keras.callbacks.ReduceLROnPlateau(factor=0.7, patience=2, min_delta=0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {"val_loss": value})
        past = history(*values[: epoch + 1], monitor="loss")
        assert learning_rate(fit, past, epoch + 1, 0.5) == pytest.approx(float(model.optimizer.learning_rate))
    assert plateaus(fit, past) == 3


@pytest.mark.parametrize(("values", "patience", "stops"), [
    ((), 2, False),
    ((0.1, 0.2, 0.2), 2, False),
    ((0.1, 0.2, 0.2, 0.1), 2, True),
    ((0.1, 0.2, 0.2, 0.1), 0, False),
    ((math.nan, math.nan), 3, False),
    ((0.1,) * 9, 0, True),
])  # fmt: skip
def test_it_stops_after_patience_or_at_the_last_epoch(values, patience, stops):
    assert should_stop(Fit(epochs=9, patience=patience), history(*values)) is stops


def test_the_best_epoch_is_the_first_of_equals_whichever_way_is_up():
    assert best_epoch(Fit(), history(0.1, 0.3, math.nan, 0.3)) == 1
    assert best_epoch(Fit(monitor="loss"), history(0.4, 0.2, 0.2, monitor="loss")) == 1
    assert best_epoch(Fit(monitor="accuracy"), [{"val_loss": 1.0}]) == 0


def test_the_last_epoch_may_be_kept_whatever_validation_says():
    assert [best_epoch(Fit(monitor="last"), history(0.3, 0.2, 0.1)[:k]) for k in range(4)] == [0, 0, 1, 2]
    for impatient in ({"patience": 3}, {"schedule": "plateau"}):
        with pytest.raises(RecipeError, match="no gain to be patient for"):
            Fit(monitor="last", **impatient)
