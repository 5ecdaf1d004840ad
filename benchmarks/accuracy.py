"""What a model reaches on the held-out parts of a recipe's data, predicted as a user would predict them.

    python benchmarks/accuracy.py RECIPE MODEL [--part test] [--res METRES] [--spoil HOW] [--coarse METRES]
        [--json FILE]

Every held-out picture (neighbouring tiles joined) becomes a scene, goes through `geoseg.predict` with the
defaults of the model's card, and its class mask is compared with the labels on their own pixels. Intersection
over union, precision and recall with 95 % confidence intervals over tiles, for every set and each of its
classes; where a set has tree points beside its masks (`points.csv`), the share of the points on what is
marked as tree, and the share of the ground that is. `--spoil` makes all pictures worse first, about
as much as augmentation does to some: what a model is worth on dark, blurred, hazy or grey imagery. `--coarse`
averages finer pixels to that size first: what it is worth on imagery that shows less.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

import geoseg
from geoseg.api import Loaded, load
from geoseg.core.mask import NODATA
from geoseg.core.window import whole
from geoseg.evaluation.points import PointCounts
from geoseg.recipe.data import DataSet
from geoseg.recipe.recipe import Recipe, load_recipe
from geoseg.training.catalog import catalog
from geoseg.training.codes import targets
from geoseg.training.pictures import Picture, pictures
from geoseg.training.points import read_points
from geoseg.training.samples import joined
from geoseg.training.scores import Tally, score_rows

CRS = "EPSG:32633"  # any plane in metres: the sets without georeference only need a pixel size
Bytes = NDArray[np.uint8]
# what is done to the pixels; each takes the size of one in metres
SPOILT: Mapping[str, Callable[[Bytes, float], Any]] = {
    "dark": lambda pixels, size: pixels * 0.35,
    "gamma": lambda pixels, size: 255 * (pixels / 255) ** 1.8,
    "blur": lambda pixels, size: cv2.GaussianBlur(pixels, (0, 0), 0.45 / size),
    "haze": lambda pixels, size: np.minimum(pixels * 0.5 + 110, 255),
    "gray": lambda pixels, size: cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2),
}


def predicted(pixels: Bytes, valid: NDArray[np.bool_], pixel_m: tuple[float, float], model: Loaded) -> Bytes:
    """The class mask of a picture."""
    with tempfile.TemporaryDirectory() as folder:
        scene, mask = Path(folder, "scene.tif"), Path(folder, "mask.tif")
        plane = Affine(pixel_m[1], 0, 500000, 0, -pixel_m[0], 5000000)
        shape = {"height": len(pixels), "width": pixels.shape[1], "count": 3, "dtype": "uint8"}
        with rasterio.open(scene, "w", driver="GTiff", crs=CRS, transform=plane, **shape) as output:
            output.write(pixels.transpose(2, 0, 1))
            output.write_mask(valid)
        geoseg.predict(scene, mask, model=model)
        with rasterio.open(mask) as found:
            return np.asarray(found.read(1, out_shape=valid.shape))


def seen_from_afar(
    pixels: Bytes, valid: NDArray[np.bool_], pixel_m: tuple[float, float], metres: float
) -> tuple[Bytes, NDArray[np.bool_], tuple[float, float]]:
    """A picture, its validity and pixel size, averaged to pixels of `metres`; as it is if they are larger."""
    if pixel_m[0] >= metres:
        return pixels, valid, pixel_m
    size = [max(1, round(n * own / metres)) for n, own in zip(valid.shape, pixel_m, strict=True)]
    small, known = (
        cv2.resize(plane, size[::-1], interpolation=cv2.INTER_AREA)
        for plane in (pixels, valid.astype("uint8"))
    )
    down, across = (n * own / m for n, own, m in zip(valid.shape, pixel_m, size, strict=True))
    return np.asarray(small, np.uint8), known > 0, (down, across)


def points_of(recipe: Recipe, data: DataSet) -> dict[str, NDArray[np.int64]]:
    """(n, 2) rows and columns of the tree points in each image of a set; empty for a set without."""
    path = recipe.path(data.images.partition("/")[0]) / "points.csv"
    return read_points(path) if path.is_file() else {}


def point_row(data: DataSet, counts: PointCounts) -> dict[str, Any]:
    """A row of the table for the tree points of a set."""
    recall, marked = counts.found / counts.points, counts.marked / counts.pixels
    return {"set": data.name, "class": "tree points", "points": counts.points, "recall": round(recall, 4),
            "marked": round(marked, 4)}  # fmt: skip


def measured(
    recipe: Recipe,
    data: DataSet,
    held: Sequence[Picture],
    model: Loaded,
    spoil: str | None = None,
    coarse: float = 0.0,
) -> Iterator[dict[str, Any]]:
    """The table's rows of one set."""
    tally, points = Tally(recipe.class_names, exclusive=False), points_of(recipe, data)
    total = PointCounts(np.zeros(0, np.int64), np.zeros(0, np.int64), 0.0)
    numbers = np.arange(1, len(recipe.class_names) + 1)
    for picture in held:
        pixels, valid, labels = joined(recipe, picture, whole(picture.shape))
        assert picture.pixel_m is not None
        if spoil:
            worse = SPOILT[spoil](pixels, picture.pixel_m[0])
            pixels = np.where(valid[..., None], worse, pixels).astype(np.uint8)
        mask = predicted(*seen_from_afar(pixels, valid, picture.pixel_m, coarse), model)
        mask = cv2.resize(mask, valid.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        marked = mask[..., None] == numbers
        truth = targets(labels, data.classes, recipe.class_names, "sigmoid")
        for tile in picture.tiles:
            here = tile.window.within(whole(picture.shape))
            tally.add(truth[here][None], marked[here][None].astype(np.float32), [tile.item.name], [data.name])
            if len(places := points.get(tile.item.name, np.zeros((0, 2), np.int64))):
                counts = PointCounts(places[:, 1], places[:, 0], 0.0)
                tree = marked[here][..., recipe.class_names.index("tree")]
                shown = np.where(valid[here], tree, NODATA)
                counts.add(0, shown.astype(np.uint8), slice(0, tile.window.height))
                for name in ("points", "found", "pixels", "marked"):
                    setattr(total, name, getattr(total, name) + getattr(counts, name))
    yield from (row for row in score_rows(tally, [0.5] * len(recipe.class_names)) if row["class"] != "all")
    if total.points:
        yield point_row(data, total)


def main(arguments: Sequence[str]) -> None:
    """Measure, print, and write JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("model")
    parser.add_argument("--part", choices=("val", "test"), default="test")
    parser.add_argument("--set", action="append", default=[], dest="changes")
    parser.add_argument("--sets", nargs="*", help="only these")
    parser.add_argument("--res", default="model")
    parser.add_argument("--patch-size", type=int)
    parser.add_argument("--median-blur", type=int)
    parser.add_argument("--tta", default="none", help="flips or d4: average over mirrored and turned views")
    parser.add_argument("--spoil", choices=SPOILT)
    parser.add_argument("--coarse", type=float, default=0.0, metavar="METRES")
    parser.add_argument("--threshold", type=float, nargs="*", help="of each class; else the card's")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    recipe = load_recipe(given.recipe, [tuple(text.split("=", 1)) for text in given.changes])
    res = given.res if given.res in ("model", "native") else float(given.res)
    model = load(
        given.model, res=res, patch_size=given.patch_size, median_blur=given.median_blur,
        threshold=given.threshold, tta=given.tta,
    )  # fmt: skip
    rows = []
    for data in recipe.data:
        if given.sets and data.name not in given.sets:
            continue
        items = catalog(replace(recipe, data=(data,)), given.part)
        if not items:
            continue
        for row in measured(recipe, data, pictures(recipe, items), model, given.spoil, given.coarse):
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
