"""A teacher: its word on turned views, mixed with what the labels say."""

import numpy as np
import pytest
from tiny_recipes import write_recipe

from geoseg.errors import RecipeError
from geoseg.recipe.recipe import load_recipe
from geoseg.training.dataset import Batch
from geoseg.training.fit import fit
from geoseg.training.run import train
from geoseg.training.teacher import lessons, taught


class Echo:
    """An engine that says of each pixel what its first two bands hold."""

    streams, classes, batch_size = 2, 2, 4

    def __init__(self):
        self.seen = []

    def __call__(self, batch):
        self.seen.append(batch)
        return batch[..., :2].astype(np.float32) / 255


class Corner(Echo):
    """An engine that is sure of the first pixel of a patch alone, however it is turned."""

    def __call__(self, batch):
        answer = np.zeros((*batch.shape[:3], 2), np.float32)
        answer[:, 0, 0] = 1
        return answer


def batch(count=3, side=8, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, side, side, 3)).astype(np.uint8)
    targets = rng.choice(np.array([0, 1, 255], np.uint8), (count, side, side, 2))
    return Batch(pixels, targets, ("a",) * count, ("b",) * count)


@pytest.mark.parametrize("views", [1, 3, 8])
def test_views_are_turned_back(views):
    given, engine = batch(), Echo()
    word = given.pixels[..., :2].astype(np.float32) / 255
    found = taught(given, [engine], 1.0, views, np.random.default_rng(1))
    np.testing.assert_allclose(found, word, atol=1e-6)
    assert found.dtype == np.float32
    assert len({view.tobytes() for view in engine.seen}) == views


def test_all_eight_views_are_their_mean():
    found = taught(batch(), [Corner()], 1.0, 8, np.random.default_rng(1))
    np.testing.assert_allclose(found[:, [0, 0, -1, -1], [0, -1, 0, -1]], 0.25)
    assert found.sum() == pytest.approx(3 * 2)


def test_of_several_teachers_the_mean_counts():
    given, rng = batch(), np.random.default_rng(1)
    alone = [taught(given, [each], 1.0, 8, rng) for each in (Echo(), Corner())]
    np.testing.assert_allclose(taught(given, [Echo(), Corner()], 1.0, 8, rng), np.mean(alone, 0), atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_labels_are_mixed_with_its_word_and_silence_is_filled_with_it(share):
    given = batch()
    word = given.pixels[..., :2].astype(np.float32) / 255
    found = taught(given, [Echo()], share, 2, np.random.default_rng(1))
    known = given.targets != 255
    np.testing.assert_allclose(found[~known], word[~known], atol=1e-6)
    np.testing.assert_allclose(
        found[known], share * word[known] + (1 - share) * given.targets[known], atol=1e-6
    )


def test_without_a_teacher_the_labels_are_learnt(tmp_path):
    given = batch()
    assert lessons(load_recipe(write_recipe(tmp_path)))(given, None) is given.targets


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The tiny recipe, with a bundle of it beside it."""
    recipe = write_recipe(tmp_path_factory.mktemp("taught"))
    train(recipe, recipe.parent / "teacher")
    return recipe


def test_a_network_learns_from_its_teacher(teacher, tmp_path):
    changes = [("teacher.models", ["teacher"]), ("teacher.share", 1.0), ("loss.name", "cross_entropy")]
    recipe = load_recipe(teacher, changes)
    first, second = (fit(recipe, tmp_path / name) for name in ("one", "two"))
    assert first[-1]["loss"] < first[0]["loss"]
    assert [r["loss"] for r in first] == pytest.approx([r["loss"] for r in second], rel=1e-3)


def test_a_teacher_has_the_classes_of_the_recipe(teacher):
    other = teacher.with_name("palms.toml")
    other.write_text(teacher.read_text().replace('"tree"', '"palm"'))
    with pytest.raises(RecipeError, match=r"teacher.models tiny: classes roof, tree, wanted roof, palm"):
        lessons(load_recipe(other, [("teacher.models", ["teacher"])]))


def test_a_softmax_network_has_no_teacher(tmp_path):
    with pytest.raises(RecipeError, match="only a sigmoid network has a teacher, got softmax"):
        load_recipe(
            write_recipe(tmp_path), [("teacher.models", ["teacher"]), ("network.activation", "softmax")]
        )


@pytest.mark.parametrize(("key", "value"), [("share", 1.5), ("share", -0.1), ("views", 0), ("views", 9)])
def test_numbers_of_a_teacher_have_limits(tmp_path, key, value):
    with pytest.raises(RecipeError, match=f"teacher.{key} is from"):
        load_recipe(write_recipe(tmp_path), [(f"teacher.{key}", value)])
