"""Fill in what a training set does not label with what a trained network is sure of.

    python pipelines/pseudo_labels.py RECIPE BUNDLE FOLDER SET=METRES ... [OPTION ...]

RECIPE names the sets and what they label, BUNDLE is the teacher (a model of the same two classes), and
SET=METRES are the sets to fill in with the ground pixel size the teacher works at. FOLDER/SET/STEM.png are
masks of all their images:

    0 neither class, 1 first class, 2 second class, 3 not the first, 4 not the second, 255 nothing is known

Labels of the set stand. A class that it does not label is there where the teacher gives it at least 0.75, and
is not where it gives at most 0.25. Only training images are filled in. What people know of a set matters:

    --only SET=FILE     the stems in FILE alone are filled in: somebody looked and the teacher was right
    --distrust SET      its labels miss objects: background that the teacher gives 0.6 or more is unknown
    --blocks SET        its labels draw lines around many objects: what is labelled and the teacher gives less
                        than 0.6 is unknown, and no object where it gives at most 0.25
    --points SET=CLASS,FILE
                        CSV (image, x, y) of places where CLASS is: within two pixels of one, nothing else is
                        believed but the set's own labels
    --places SET=FILE   CSV (image, x, y, radius, and a column for each of some classes with 1 or 0) of discs
                        in which somebody saw what is there, where the teacher was unsure or wrong; around
                        one, as far as thrice its radius, it is not believed in what contradicts the disc
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.core.grid import Grid
from geoseg.core.patches import ArraySource
from geoseg.core.window import whole
from geoseg.models.bundle import Bundle, find_bundle
from geoseg.pipeline import segment
from geoseg.recipe.data import DataSet, Part
from geoseg.recipe.recipe import Recipe, load_recipe
from geoseg.runtime.choose import load_engine
from geoseg.runtime.engine import Engine
from geoseg.training.catalog import catalog
from geoseg.training.codes import IGNORE, Labels, targets
from geoseg.training.pictures import Picture, pictures
from geoseg.training.points import read_points, seeded
from geoseg.training.samples import joined

YES, NO, DOUBT = 0.75, 0.25, 0.6  # probabilities: surely there, surely not, and too much for a background
RADIUS = 2  # pixels around a point, well inside any crown at 0.6 m
AROUND = 3  # times the radius of a disc: what the teacher got wrong reaches farther than it
PARTS: tuple[Part, ...] = ("train", "val", "test")
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Ask = Callable[[Bytes, Valid, tuple[float, float] | None], Floats]
Change = Callable[[Picture, Labels], Labels]


@dataclass(frozen=True, slots=True)
class Known:
    """What people know of a set besides its labels.

    Attributes:
        only: names of images in which the teacher was right; None for all.
        misses: whether its labels miss objects.
        blocks: whether they draw blocks around objects.
        seed: what adds points to its labels.
        correct: what the teacher did not know.
    """

    only: set[str] | None
    misses: bool
    blocks: bool
    seed: Change
    correct: Change


def ask(
    engine: Engine, metres: float, pixels: Bytes, valid: Valid, pixel_m: tuple[float, float] | None
) -> Floats:
    """The teacher's probabilities (h, w, classes) of pixels that it sees at `metres`."""
    height, width = valid.shape
    factor = pixel_m[0] / metres if pixel_m else 1.0
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    has_data = cv2.resize(valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    patch = min(512, -(-max(size) // engine.stride) * engine.stride)
    grid = Grid(has_data.shape, patch, patch // 4 // engine.stride * engine.stride, engine.stride)
    strips = segment(ArraySource(resized, has_data), engine, grid)
    found = np.concatenate([strip.probabilities for strip in strips])
    return np.asarray(cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def filled(states: Labels, found: Floats, known: Known, labelled: Sequence[int]) -> Labels:
    """What is known of each class (1 yes, 0 no, 255 nothing) with the teacher's word where nothing was."""
    said = np.select([found >= YES, found <= NO], [1, 0], IGNORE).astype(np.uint8)
    result = np.where(states == IGNORE, said, states)
    for channel in labelled:
        label, score, plane = states[..., channel], found[..., channel], result[..., channel]
        if known.misses:
            plane[(label == 0) & (score >= DOUBT)] = IGNORE
        if known.blocks:
            plane[(label == 1) & (score < DOUBT)] = IGNORE
            plane[(label == 1) & (score <= NO)] = 0
    return result


def coded(states: Labels) -> Labels:
    """States (h, w, 2) as the values of a mask."""
    first, second = states[..., 0], states[..., 1]
    found = [(first == 1) & (second != 1), (second == 1) & (first != 1), (first == 0) & (second == 0),
             (first == 0) & (second == IGNORE), (second == 0) & (first == IGNORE)]  # fmt: skip
    return np.select(found, [1, 2, 0, 3, 4], IGNORE).astype(np.uint8)


def label_set(recipe: Recipe, data: DataSet, ask_teacher: Ask, known: Known) -> Iterator[tuple[str, Labels]]:
    """The names of a set's images with their masks."""
    labelled = [recipe.class_names.index(name) for name in data.classes]
    for part in PARTS:
        items = [item for item in catalog(recipe, part) if item.data is data]
        for picture in pictures(recipe, items):
            pixels, valid, labels = joined(recipe, picture, whole(picture.shape))
            truth = targets(labels, data.classes, recipe.class_names, recipe.network.activation, data.alone)
            if part == "train":
                truth = known.seed(picture, truth)
            both = truth
            chosen = [
                part == "train" and (known.only is None or tile.item.name in known.only)
                for tile in picture.tiles
            ]
            if any(chosen):
                found = ask_teacher(pixels, valid, picture.pixel_m)
                both = known.correct(picture, filled(truth, found, known, labelled))
            for tile, use in zip(picture.tiles, chosen, strict=True):
                here = tile.window.within(whole(picture.shape))
                states = (both if use else truth)[here]
                yield tile.item.name, np.where(valid[here], coded(states), IGNORE).astype(np.uint8)


def seeds(recipe: Recipe, given: str) -> Change:
    """What knows of a class around the points of `CLASS,FILE`; nothing more without it."""
    if not given:
        return lambda picture, states: states
    name, _, file = given.partition(",")
    channel, points = recipe.class_names.index(name), read_points(recipe.path(file))

    def seed(picture: Picture, states: Labels) -> Labels:
        for tile in picture.tiles:
            here = tile.window.within(whole(picture.shape))
            if tile.item.name in points:
                states[here] = seeded(states[here], points[tile.item.name], channel, RADIUS)
        return states

    return seed


def corrections(recipe: Recipe, file: str) -> Change:
    """What puts into labels what somebody saw in the discs of a table; nothing without it."""
    discs: dict[str, list[dict[str, str]]] = defaultdict(list)
    if file:
        with Path(file).open(encoding="utf-8", newline="") as table:
            for row in csv.DictReader(table):
                discs[row["image"]].append(row)

    def correct(picture: Picture, states: Labels) -> Labels:
        for tile in picture.tiles:
            seen = discs[tile.item.name]
            here = tile.window.within(whole(picture.shape))
            for channel, name in enumerate(recipe.class_names):
                if seen and name in seen[0]:
                    states[(*here, channel)] = corrected(states[(*here, channel)], seen, name)
        return states

    return correct


def corrected(plane: Labels, discs: Sequence[dict[str, str]], name: str) -> Labels:
    """One class's states (h, w) with the discs in it, and around them nothing that contradicts them."""

    def drawn(times: int, value: str) -> Bytes:
        picture = np.zeros(plane.shape, np.uint8)
        for disc in discs:
            if disc[name] == value:
                centre = int(disc["x"]), int(disc["y"])
                cv2.circle(picture, centre, times * int(disc["radius"]), 1, cv2.FILLED)
        return picture

    result = plane.copy()
    for state in (0, 1):
        result[(drawn(AROUND, str(state)) == 1) & (plane == 1 - state)] = IGNORE
    for state in (0, 1):
        result[drawn(1, str(state)) == 1] = state
    return result


def teacher(bundle: Bundle) -> Engine:
    """The bundle's network, a patch a call: most pictures are no larger."""
    return load_engine(bundle, batch_size=1)


def by_set(texts: Sequence[str]) -> dict[str, str]:
    """What is given for each set as `SET=…`."""
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def main(arguments: Sequence[str]) -> None:
    """Write the masks of the sets that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("bundle")
    parser.add_argument("folder", type=Path)
    parser.add_argument("sets", nargs="+", metavar="SET=METRES")
    parser.add_argument("--only", nargs="*", default=[], metavar="SET=FILE")
    parser.add_argument("--distrust", nargs="*", default=[])
    parser.add_argument("--blocks", nargs="*", default=[])
    parser.add_argument("--points", nargs="*", default=[], metavar="SET=CLASS,FILE")
    parser.add_argument("--places", nargs="*", default=[], metavar="SET=FILE")
    given = parser.parse_args(arguments)
    recipe, engine = load_recipe(given.recipe), teacher(find_bundle(given.bundle))
    only = {
        name: set(Path(file).read_text(encoding="utf-8").split()) for name, file in by_set(given.only).items()
    }
    points, places = by_set(given.points), by_set(given.places)
    for name, metres in by_set(given.sets).items():
        data = next(data for data in recipe.data if data.name == name)
        folder = given.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        known = Known(
            only.get(name), name in given.distrust, name in given.blocks, seeds(recipe, points.get(name, "")),
            corrections(recipe, places.get(name, "")),
        )  # fmt: skip
        for stem, mask in label_set(recipe, data, partial(ask, engine, float(metres)), known):
            if not cv2.imwrite(str(folder / f"{stem}.png"), mask):
                raise OSError(f"cannot write {folder / stem}.png; make room")


if __name__ == "__main__":
    main(sys.argv[1:])
