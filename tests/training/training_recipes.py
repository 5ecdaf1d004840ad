"""Recipes of one or more sets, for tests of the data that they name."""

from geoseg.models.card import ClassSpec
from geoseg.recipe.data import Augment, DataSet, Patches, Split
from geoseg.recipe.fit import Fit, Network
from geoseg.recipe.recipe import Recipe

PLAIN = Augment(flips=False, turns=False)
TILES = r"(?P<x>\d+)-(?P<y>\d+)-\d+$"


def dataset(name="set", images="*.png", split=None, **given):
    """A set of masks in `masks/` where 255 is a building."""
    known = dict(masks="masks/{stem}.png", labels={"0": "background", "255": "building"})
    return DataSet(name, images, split or Split(part="train"), **known | given)


def recipe(root, *data, classes=("building", "tree"), bands=("red", "green", "blue"), **given):
    """A recipe of 32 px patches, 4 a batch."""
    known = dict(patches=Patches(size=32), fit=Fit(batch_size=4, cache_mb=64), augment=PLAIN)
    network = Network("unet", given.pop("activation", "sigmoid"), bands)
    specs = tuple(ClassSpec(name) for name in classes)
    return Recipe("test", "", specs, data, network, root=str(root), **known | given)


def banepa(**given):
    """The tiles of the mini Banepa, joined; the last two rows are for test."""
    known = dict(
        split=Split(by=r"-(\d+)-19", val=("220246",), test=("220247", "220248")),
        masks="buildings_banepa/masks/{stem}.png",
        mosaic=TILES, pixel_size_m=0.132, partial="-220240-",
    )  # fmt: skip
    return dataset("banepa", "buildings_banepa/images/*.tif", **known | given)


def naip(**given):
    """The mini NAIP with weak masks."""
    lists = {part: f"trees_naip/{part}_by_place.txt" for part in ("train", "val", "test")}
    known = dict(
        split=Split(lists=lists), masks="trees_naip/masks/{stem}.png",
        labels={"0": "background", "1": "tree", "255": "ignore"},
    )  # fmt: skip
    return dataset("naip", "trees_naip/images/*.tif", **known | given)
