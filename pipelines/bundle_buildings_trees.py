"""Make a bundle of the package from a trained one: small files, whole card, precisions proved.

    python pipelines/bundle_buildings_trees.py RECIPE TRAINED TARGET --name NAME [--scores FILE=WHAT ...]
        [--scenes SCENE ...]

RECIPE names the held-out data on which faster precisions are proved, TRAINED is what `geoseg train` made of
it, each FILE is what `benchmarks/accuracy.py --json` wrote, of the part of the data that WHAT says, and each
SCENE is a real one, larger than the network's halo, on which the errors of smaller halos are measured. Patch
size, overlap and pixel sizes at prediction are those that did best on validation data: pixels finer than
0.35 m cost Banepa 0.03 to 0.06 of IoU and gain nothing in Accra. Thresholds are calibrated in the cities that
it was trained on; --threshold sets others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.halo import measure_halo
from geoseg.models.bundle import find_bundle, save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.recipe.recipe import Recipe, load_recipe
from geoseg.runtime.agreement import prove
from geoseg.runtime.keras_engine import import_keras
from geoseg.staging import staged_folder
from geoseg.training.dataset import open_part

TRAINING = (
    {"name": "Banepa, Nepal (drone, 0.13 m), tile rows 220235 to 220245",
     "licence": "imagery CC BY 4.0 (OpenAerialMap, HOT), labels ODbL (OpenStreetMap contributors)"},
    {"name": "Open Cities AI Challenge, Accra, Ghana (drone, 0.19 m), grid rows 10 to 27",
     "licence": "imagery CC BY 4.0 (GFDRR / World Bank), labels ODbL (OpenStreetMap contributors)"},
    {"name": "Kampala, Uganda (drone, 0.07 m), 5 of 7 blocks",
     "licence": "imagery CC BY 4.0 (OpenAerialMap), labels ODbL (OpenStreetMap contributors)"},
    {"name": "Dubai (satellite, about 0.8 m), tiles 1, 3, 5, 7 and 8",
     "licence": "CC0 (Humans in the Loop, Mohammed bin Rashid Space Centre)"},
    {"name": "Urban Tree Detection Data (NAIP, 0.6 m, California), places of its training split",
     "licence": "CC BY 4.0 (J. Ventura et al. 2024), imagery public domain (USDA)"},
    {"name": "procedural scenes of geoseg.synth", "licence": "CC0-1.0"},
)  # fmt: skip
ATTRIBUTION = (
    "OpenAerialMap contributors (HOT), CC BY 4.0",
    "GFDRR / World Bank, Open Cities Accra, CC BY 4.0",
    "OpenStreetMap contributors, ODbL",
    "Humans in the Loop and Mohammed bin Rashid Space Centre, CC0",
    "J. Ventura et al. 2024, Urban Tree Detection Data, CC BY 4.0",
)
ENCODERS = {
    "mobilenet_v2": "MobileNetV2 ImageNet weights, Google and Keras Applications, Apache-2.0",
    "efficientnet_lite0": "EfficientNet-Lite0 ImageNet weights, Google and ML Illustrated, Apache-2.0",
}
LIMITS = (
    "Parked buses and cars and bright ground (sand, sports grounds, lots) are sometimes marked as building.",
    "Courtyards and narrow lanes between roofs are closed.",
    "Large roofs of unusual shape, and brown or grey ones that look like the ground, are found in part.",
    "Trees are learnt from Californian suburbs: rough grass on slopes may be marked, dark woods missed.",
)
SUMMARY = "Buildings and trees on RGB imagery of 0.1 to 1.2 m."
KEPT = ("set", "class", "tiles", "iou", "iou_low", "iou_high", "precision", "recall", "points", "marked")


def described(card: Card, given: argparse.Namespace) -> Card:
    """The card of a trained bundle with what only people know."""
    return replace(
        card, name=given.name, summary=given.summary, licence="CC-BY-4.0",
        attribution=(*ATTRIBUTION, *encoders(card)), training=TRAINING, scores=tuple(scores_of(given.scores)),
        limits=(*LIMITS, *given.limit), patch_size=given.patch_size, overlap=given.overlap,
        pixel_sizes_m=tuple(given.pixel_sizes), classes=cut_at(card, given.threshold),
    )  # fmt: skip


def encoders(card: Card) -> Iterator[str]:
    """Whom to credit for the weights that the network began with."""
    return (credit for name, credit in ENCODERS.items() if name in card.architecture)


def scores_of(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of files of scores, each with what it was measured on."""
    for text in texts:
        path, _, what = text.partition("=")
        for row in json.loads(Path(path).read_text(encoding="utf-8")):
            yield {"measured_on": what} | {key: row[key] for key in KEPT if key in row}


def cut_at(card: Card, texts: Sequence[str]) -> tuple[ClassSpec, ...]:
    """The classes with some thresholds other than those that are best where the network was trained."""
    wanted = {name: float(value) for name, _, value in (text.partition("=") for text in texts)}
    return tuple(replace(spec, threshold=wanted.get(spec.name, spec.threshold)) for spec in card.classes)


def held_out(recipe: Recipe) -> NDArray[np.uint8]:
    """Patches of validation data, of every set."""
    dataset = open_part(recipe, "val")
    return np.concatenate([dataset.batch(0, index).pixels for index in range(len(dataset))])


def main(arguments: Sequence[str]) -> None:
    """Write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("trained", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--summary", default=SUMMARY)
    parser.add_argument("--scores", nargs="*", default=[], metavar="FILE=WHAT")
    parser.add_argument("--limit", nargs="*", default=[], metavar="TEXT", help="beside those of both models")
    parser.add_argument("--scenes", nargs="*", default=[], metavar="SCENE")
    parser.add_argument("--patch-size", type=int, default=512)
    parser.add_argument("--overlap", type=int, default=128)
    parser.add_argument("--threshold", nargs="*", default=[], metavar="CLASS=VALUE")
    parser.add_argument("--pixel-sizes", type=float, nargs=2, default=(0.3, 0.4), metavar="METRES")
    given = parser.parse_args(arguments)
    import_keras()
    trained = find_bundle(given.trained)
    card = described(trained.card, given)
    with staged_folder(given.target, overwrite=True) as draft:
        bundle = save_bundle(trained.load_keras(), card, draft, half=True)
        bundle = prove(bundle, held_out(load_recipe(given.recipe)))
        if given.scenes:
            measure_halo(bundle, given.scenes)
    print(find_bundle(given.target).card.to_toml())


if __name__ == "__main__":
    main(sys.argv[1:])
