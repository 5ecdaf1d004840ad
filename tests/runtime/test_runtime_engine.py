"""The engine says what the model says, whatever the batch; test-time augmentation turns with the image."""

from dataclasses import dataclass

import numpy as np
import pytest

from geoseg.errors import EngineError, GridError
from geoseg.runtime.choose import load_engine
from geoseg.runtime.keras_engine import KerasEngine
from geoseg.runtime.tta import augmented
from geoseg.settings import resolve


@pytest.fixture(scope="module")
def model():
    """A 5 × 5 then 1 × 1 convolution with random weights."""
    import keras

    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Conv2D(4, 5, padding="same", activation="relu")(x)
    return keras.Model(pixels, keras.layers.Conv2D(2, 1, activation="sigmoid")(x))


def engine_of(model, batch_size=4):
    return KerasEngine(model, classes=2, stride=1, halo=2, batch_size=batch_size)


def images(count, side=32, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("count", [1, 3, 4, 9])
def test_any_number_of_patches_gets_the_models_own_prediction(model, count, dtype):
    batch = images(count, dtype=dtype)
    answer = engine_of(model)(batch)
    assert answer.shape == (count, 32, 32, 2)
    assert answer.dtype == np.float32
    np.testing.assert_allclose(answer, model.predict(batch, verbose=0), atol=1e-6)


def test_bfloat16_says_nearly_the_same(model):
    engine = KerasEngine(model, classes=2, stride=1, halo=2, batch_size=4, precision="bfloat16")
    assert engine.name.endswith("bfloat16)")
    difference = np.abs(engine(images(3)) - engine_of(model)(images(3)))
    assert 0 < difference.max() < 0.02


def test_the_network_sees_batches_of_one_shape_only(model):
    engine, shapes = engine_of(model), []
    forward = engine._forward
    engine._forward = lambda batch: (shapes.append(batch.shape), forward(batch))[1]
    for count in (4, 1, 7):
        engine(images(count))
    assert shapes == [(4, 32, 32, 3)] * 4


def test_a_patch_has_the_same_value_wherever_it_is_in_the_batch(model):
    batch = images(4)
    alone = engine_of(model)(batch[2:3])
    np.testing.assert_allclose(engine_of(model)(batch)[2], alone[0], atol=1e-6)


def short_of_memory(model, most):
    """An engine whose device holds at most that many patches, and the sizes it was asked for."""
    engine, asked = engine_of(model, 8), []
    forward, exhausted = engine._forward, engine._exhausted

    def limited(batch):
        asked.append(len(batch))
        if len(batch) > most:
            raise exhausted(None, None, "out of memory")
        return forward(batch)

    engine._forward = limited
    return engine, asked


@pytest.mark.parametrize(("most", "left"), [(8, 8), (5, 4), (2, 2), (1, 1)])
def test_the_batch_is_halved_until_it_fits_and_nothing_is_lost(model, most, left):
    engine, asked = short_of_memory(model, most)
    np.testing.assert_allclose(engine(images(11)), model.predict(images(11), verbose=0), atol=1e-6)
    assert engine.batch_size == left
    before = len(asked)
    engine(images(3))
    assert set(asked[before:]) == {left}


def test_one_patch_that_does_not_fit_is_an_engine_error(model):
    engine, _ = short_of_memory(model, 0)
    with pytest.raises(EngineError, match="--patch-size") as error:
        engine(images(3))
    assert "\n" not in str(error.value)


def test_other_errors_of_the_framework_are_not_hidden(model):
    with pytest.raises(Exception, match=r".") as error:
        engine_of(model)(np.zeros((1, 32, 32, 7), np.uint8))
    assert not isinstance(error.value, EngineError)


def test_a_model_with_several_heads_answers_with_its_last():
    import keras

    pixels = keras.Input((None, None, 3))
    heads = [keras.layers.Conv2D(2, 1, activation="sigmoid")(pixels) for _ in range(3)]
    model = keras.Model(pixels, heads)
    np.testing.assert_allclose(
        engine_of(model)(images(3)), model.predict(images(3), verbose=0)[-1], atol=1e-6
    )


def test_an_engine_that_is_not_there_is_refused(tiny_bundle):
    with pytest.raises(EngineError, match="choose auto or one of: tensorflow"):
        load_engine(tiny_bundle, "abacus")


@pytest.mark.parametrize("size", [1, 5])
def test_the_batch_size_is_the_users_or_suits_the_patches(tiny_bundle, size):
    engine = load_engine(tiny_bundle, "tensorflow", batch_size=size)
    assert engine.batch_size == size
    assert (engine.classes, engine.stride, engine.halo) == (2, 1, 0)
    assert "tensorflow" in engine.name
    assert load_engine(tiny_bundle, patch_size=4096).batch_size == 1


@dataclass
class Ramp:
    """An engine that knows left from right and up from down: value by place, and by pixel."""

    name: str = "ramp"
    precision: str = "float32"
    classes: int = 2
    stride: int = 1
    halo: int = 0
    batch_size: int = 4
    streams: int = 1

    def __call__(self, batch):
        rows, cols = np.indices(batch.shape[1:3]) / batch.shape[1]
        red = batch[..., 0] / 255
        return np.stack([0.5 * red + 0.5 * rows**2 * cols, red * cols], -1).astype(np.float32)


def test_none_is_the_engine_itself():
    engine = Ramp()
    assert augmented(engine, "none") is engine


@pytest.mark.parametrize("kind", ["flips", "d4"])
@pytest.mark.parametrize("view", ["left-right", "up-down", "half turn", "quarter turn", "transposed"])
def test_the_answer_turns_with_the_image(kind, view):
    turn = {
        "left-right": lambda x: x[:, :, ::-1],
        "up-down": lambda x: x[:, ::-1],
        "half turn": lambda x: x[:, ::-1, ::-1],
        "quarter turn": lambda x: np.rot90(x, 1, (1, 2)),
        "transposed": lambda x: x.swapaxes(1, 2),
    }[view]
    engine, batch = augmented(Ramp(), kind), images(3, 16)
    same = np.allclose(engine(turn(batch)), turn(engine(batch)), atol=1e-6)
    assert same == (kind == "d4" or view in ("left-right", "up-down", "half turn"))
    assert not np.allclose(Ramp()(turn(batch)), turn(Ramp()(batch)), atol=1e-3)


@pytest.mark.parametrize(("kind", "views"), [("flips", 4), ("d4", 8)])
def test_the_answer_is_the_mean_over_all_views(kind, views):
    batch = images(2, 16)
    total, seen = np.zeros((2, 16, 16, 2)), 0
    for swap in (False, True) if kind == "d4" else (False,):
        for up in (1, -1):
            for left in (1, -1):
                view = batch.swapaxes(1, 2) if swap else batch
                answer = Ramp()(view[:, ::up, ::left])[:, ::up, ::left]
                total += answer.swapaxes(1, 2) if swap else answer
                seen += 1
    assert seen == views
    engine = augmented(Ramp(), kind)
    np.testing.assert_allclose(engine(batch), total / views, atol=1e-6)
    assert engine.batch_size == 4
    assert f"{views} views" in engine.name


def test_settings_that_do_not_exist_are_refused(tiny_bundle):
    for wrong in (dict(tta="both"), dict(stitch="glue"), dict(threshold=1.5), dict(res="fine"), dict(res=0)):
        with pytest.raises(GridError) as error:
            resolve(tiny_bundle.card, **wrong)
        assert "\n" not in str(error.value)


def test_the_digest_changes_with_any_setting(tiny_bundle):
    choices = [{}, dict(tta="d4"), dict(overlap=32), dict(patch_size=128), dict(threshold=0.4),
               dict(res="native"), dict(res=0.5), dict(stitch="exact"), dict(median_kernel=3)]  # fmt: skip
    assert len({resolve(tiny_bundle.card, **choice).digest for choice in choices}) == len(choices)
