import math
import threading
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import coded, write_raster
from hypothesis import given
from hypothesis import strategies as st
from mini_data import SIDE, make_mini_data
from training_recipes import PLAIN, banepa, dataset, naip, recipe

from geoseg.core.filters import median_blur
from geoseg.errors import GeosegError, RecipeError
from geoseg.recipe.data import Augment, Patches, Split
from geoseg.recipe.fit import Fit
from geoseg.training.dataset import Dataset, loader, open_part
from geoseg.training.draws import draw

STRONG = Augment(rotate=0.5, scale=1.3, color=0.5, blur=0.2, noise=0.2, jpeg=0.2, shadow=0.2, gray=0.1,
                 borrow=0.5)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_mini_data(tmp_path_factory.mktemp("data"))


def mixed(root, **given):
    """Two sets of different classes."""
    known = dict(
        patches=Patches(size=32, pixel_sizes_m=(0.15, 0.6), per_epoch=22, median_kernel=3), augment=STRONG
    )
    return recipe(root, banepa(share=3), naip(share=1), **known | given)


def same(one, other):
    return (
        np.array_equal(one.pixels, other.pixels) and np.array_equal(one.targets, other.targets)
        and (one.names, one.sets) == (other.names, other.sets)
    )  # fmt: skip


def test_a_batch_depends_on_nothing_but_its_number(root):
    one, other = open_part(mixed(root), "train"), open_part(mixed(root), "train")
    assert len(one) == 6
    backwards = {index: one.batch(3, index) for index in reversed(range(6))}
    assert all(same(backwards[index], other.batch(3, index)) for index in range(6))
    small = open_part(replace(mixed(root), fit=Fit(batch_size=4, cache_mb=0)), "train")
    assert np.array_equal(small.batch(3, 2).targets, backwards[2].targets)
    assert not same(one.batch(4, 2), backwards[2])
    assert not same(open_part(replace(mixed(root), seed=9), "train").batch(3, 2), backwards[2])


def test_every_batch_mixes_sets_by_share_and_ignores_what_a_set_does_not_know(root):
    data = open_part(mixed(root), "train")
    for index in range(len(data)):
        batch = data.batch(0, index)
        assert batch.pixels.shape == (4, 32, 32, 3) and batch.targets.shape == (4, 32, 32, 2)
        assert batch.sets == ("banepa",) * 3 + ("naip",)
        assert (batch.targets[:3, ..., 1] == 255).all() and (batch.targets[3, ..., 0] == 255).all()
        assert set(np.unique(batch.targets)) <= {0, 1, 255}


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=30), st.integers(1, 20), st.integers(1, 8))
def test_units_are_drawn_as_often_as_their_weights_say(weights, batches, batch_size):
    shares = np.array(weights) / sum(weights)
    drawn = draw(shares, batches, batch_size, np.random.default_rng(0))
    assert drawn.shape == (batches, batch_size)
    counts = np.bincount(drawn.ravel(), minlength=len(shares))
    assert np.abs(counts - shares * drawn.size).max() < 1 + 1e-6


def test_whole_images_are_seen_once_an_epoch(root):
    pets = dataset(
        "pets", "pets/images/*.jpg", masks="pets/trimaps/{stem}.png",
        labels={"1": "building", "2": "background", "3": "ignore"},
    )  # fmt: skip
    one = recipe(root, pets, patches=Patches(size=32, how="resize"), fit=Fit(batch_size=5))
    data = open_part(one, "train")
    epochs = [[name for k in range(len(data)) for name in data.batch(e, k).names] for e in (0, 1)]
    assert len(data) == 6 and sorted(epochs[0]) == sorted(epochs[1]) == sorted(set(epochs[0]))
    assert epochs[0] != epochs[1]


def test_validation_covers_every_image_once_untouched(root):
    lossless = root / "lossless"
    lossless.mkdir(exist_ok=True)
    (lossless / "masks").mkdir(exist_ok=True)
    pixels = coded((70, 50))
    cv2.imwrite(str(lossless / "a.png"), pixels[..., ::-1])
    cv2.imwrite(str(lossless / "masks/a.png"), np.full((70, 50), 255, np.uint8))
    one = recipe(lossless, dataset(split=Split(part="val")), patches=Patches(size=32, median_kernel=5),
                 augment=STRONG, fit=Fit(batch_size=4))  # fmt: skip
    data = open_part(one, "val")
    batches = [data.batch(0, k) for k in range(len(data))]
    assert [len(batch.names) for batch in batches] == [4, 2]
    patches, wanted = (np.concatenate([getattr(b, k) for b in batches]) for k in ("pixels", "targets"))
    joined = patches.reshape(3, 2, 32, 32, 3).swapaxes(1, 2).reshape(96, 64, 3)
    padded = np.pad(pixels, ((16, 40), (16, 40), (0, 0)), mode="reflect")
    blurred = median_blur(5)(padded, np.ones(padded.shape[:2], bool))
    assert np.array_equal(joined, blurred[16 : 16 + 96, 16 : 16 + 64])
    labels = wanted.reshape(3, 2, 32, 32, 2).swapaxes(1, 2).reshape(96, 64, 2)
    assert (labels[:70, :50, 0] == 1).all() and (labels[70:] == 255).all() and (labels[:, 50:] == 255).all()
    assert same(batches[0], data.batch(7, 0))


@pytest.mark.parametrize(
    ("sizes", "val", "own", "wanted"),
    [
        ((0.2, 1.2), 0.4, 0.1, 0.4),
        ((0.2, 1.2), 0.4, 0.6, 0.6),
        ((0.3, 0.5), 0.4, 0.6, 0.5),
        ((0.3, 0.5), 0.6, 0.8, 0.6),
        ((0.2, 0.8), None, 0.1, 0.4),
        (None, 0.4, 0.6, 0.6),
    ],
)
def test_coarse_images_are_validated_at_their_own_pixels_up_to_the_largest(root, sizes, val, own, wanted):
    patches = Patches(size=16, pixel_sizes_m=sizes, val_pixel_size_m=val)
    data = open_part(recipe(root, banepa(pixel_size_m=own), patches=patches), "test")
    across = math.ceil(3 * SIDE / (16 * wanted / own) - 1e-6)
    down = math.ceil(2 * SIDE / (16 * wanted / own) - 1e-6)
    assert sum(len(data.batch(0, k).names) for k in range(len(data))) == across * down


def test_validation_patches_of_a_mosaic_are_named_after_their_tiles(root):
    one = recipe(root, banepa(), patches=Patches(size=64))
    data = open_part(one, "test")
    names = [name for k in range(len(data)) for name in data.batch(0, k).names]
    assert names == [f"OAM-{col}-{row}-19" for row in (220247, 220248) for col in (386690, 386691, 386692)]


@pytest.mark.parametrize("bands", [1, 4, 8])
def test_any_number_of_bands_passes_through(tmp_path, bands):
    (tmp_path / "masks").mkdir()
    write_raster(tmp_path / "a.tif", coded((60, 50), bands))
    cv2.imwrite(str(tmp_path / "masks/a.png"), np.zeros((60, 50), np.uint8))
    data = dataset(images="*.tif", bidx=tuple(range(1, bands + 1)))
    one = recipe(tmp_path, data, bands=tuple("abcdefgh"[:bands]), augment=STRONG,
                 patches=Patches(size=32, median_kernel=3, per_epoch=20))  # fmt: skip
    batch = open_part(one, "train").batch(0, 0)
    assert batch.pixels.shape == (4, 32, 32, bands)


def test_an_unknown_pixel_size_is_named(root):
    one = recipe(root, banepa(pixel_size_m=None), patches=Patches(size=32, pixel_sizes_m=(0.3, 0.5)))
    with pytest.raises(RecipeError, match=r"no georeference, which pixel_sizes_m needs; give data banepa"):
        open_part(one, "train")


def test_a_part_without_images_has_no_batches(root):
    one = recipe(
        root, dataset("accra", "buildings_accra/images/*.jpg", masks="buildings_accra/masks/{stem}.png")
    )
    assert len(open_part(one, "val")) == 0
    with loader(open_part(one, "test"), 0) as batches:
        assert list(batches) == []


def test_the_loader_keeps_order_and_stays_little_ahead(root):
    data = open_part(mixed(root), "train")
    with loader(data, 1, workers=3, ahead=1) as batches:
        assert all(same(batch, data.batch(1, index)) for index, batch in enumerate(batches))


class Slow(Dataset):
    """Counts what it is asked for, and fails at number 5."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return 100

    def batch(self, epoch, index):
        self.asked.append(index)
        if index == 5:
            raise RecipeError("number 5 is bad")
        return index


def test_the_loader_raises_where_the_batch_is_taken_and_stops():
    data, taken = Slow(), []
    with pytest.raises(GeosegError, match="number 5"), loader(data, 0, workers=2, ahead=2) as batches:
        for batch in batches:
            time.sleep(0.005)
            assert max(data.asked) <= batch + 4
            taken.append(batch)
    assert taken == [0, 1, 2, 3, 4] and max(data.asked) <= 9
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("geoseg-load")]


def test_leaving_early_ends_the_threads():
    data = Slow()
    with loader(data, 0, workers=2, ahead=2) as batches:
        assert next(batches) == 0
    assert len(data.asked) <= 5
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("geoseg-load")]


def test_images_are_drawn_by_area(tmp_path):
    (tmp_path / "masks").mkdir()
    for name, side in (("a", 40), ("b", 80)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((side, side, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f"masks/{name}.png"), np.zeros((side, side), np.uint8))
    one = recipe(tmp_path, dataset(), patches=Patches(size=32, per_epoch=40), augment=PLAIN)
    data = open_part(one, "train")
    names = [name for k in range(len(data)) for name in data.batch(0, k).names]
    assert (names.count("a"), names.count("b")) == (8, 32)
