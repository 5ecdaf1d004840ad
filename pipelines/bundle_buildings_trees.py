"""Make the bundle `buildings-trees` from a trained Keras file.

    python pipelines/bundle_buildings_trees.py TRAINED.keras geoseg/bundles/buildings-trees

TRAINED.keras is the stand-in network: MobileNetV2 0.35 (ImageNet) with a light U-Net decoder, trained for
930 s on 2 CPU cores with one seed on the open data named in the card. It is replaced by a network that
`geoseg train` makes.
"""

from __future__ import annotations

import sys
from pathlib import Path

from geoseg.models.bundle import save_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.runtime.keras_engine import import_keras

TRAINING = (
    {"name": "Banepa, Nepal (drone, 0.13 m), tile rows 220235 to 220246",
     "licence": "imagery CC BY 4.0 (OpenAerialMap, HOT), labels ODbL (OpenStreetMap contributors)"},
    {"name": "Kampala, Uganda (drone, 0.07 to 0.3 m), 5 of 7 blocks",
     "licence": "imagery CC BY 4.0 (OpenAerialMap), labels ODbL (OpenStreetMap contributors)"},
    {"name": "Dubai (satellite, about 0.8 m), without tiles 4 and 6",
     "licence": "CC0 (Humans in the Loop, Mohammed bin Rashid Space Centre)"},
    {"name": "Urban Tree Detection Data (NAIP, 0.6 m, California), places of its training split",
     "licence": "CC BY 4.0 (J. Ventura et al. 2024), imagery public domain (USDA)"},
)  # fmt: skip

SCORES = (
    {"set": "Banepa rows 220247 to 220248 at 0.35 m", "class": "building", "iou": 0.723, "precision": 0.81,
     "recall": 0.87},
    {"set": "Kampala, 2 blocks at 0.35 m", "class": "building", "iou": 0.579,
     "precision": 0.86, "recall": 0.64},
    {"set": "Dubai tile 4", "class": "building", "iou": 0.657, "precision": 0.89, "recall": 0.72},
    {"set": "NAIP test places, weak canopy masks", "class": "tree", "iou": 0.555, "point_recall": 0.787},
)  # fmt: skip

CARD = Card(
    name="buildings-trees",
    summary="Buildings and trees on RGB imagery of 0.15 to 0.9 m; a small stand-in trained in 15 minutes.",
    licence="CC-BY-4.0",
    attribution=(
        "OpenAerialMap contributors (HOT), CC BY 4.0",
        "OpenStreetMap contributors, ODbL",
        "Humans in the Loop and Mohammed bin Rashid Space Centre, CC0",
        "J. Ventura et al. 2024, Urban Tree Detection Data, CC BY 4.0",
        "MobileNetV2 ImageNet weights, Google and Keras Applications, Apache-2.0",
    ),
    architecture="mobilenet_unet (alpha 0.35, decoder to half resolution)",
    parameters=0,
    activation="sigmoid",
    bands=("red", "green", "blue"),
    pixel_sizes_m=(0.15, 0.9),
    patch_size=256,
    overlap=64,
    median_kernel=0,
    stride=1,
    halo=0,
    classes=(
        ClassSpec("building", "#e4572e", 0.5, "building"),
        ClassSpec("tree", "#2e9e4f", 0.5, "tree"),
    ),
    training=TRAINING,
    scores=SCORES,
    limits=(
        "Large flat grey roofs beside asphalt are often missed.",
        "In villa areas whole blocks may be marked, as in the Dubai labels.",
        "Leafless trees, dark and off-nadir satellite images are outside what it has seen.",
    ),
)


def main(trained: str, folder: str) -> None:
    """Convert `trained` into the bundle `folder`."""
    keras = import_keras()
    save_bundle(keras.saving.load_model(trained, compile=False, safe_mode=True), CARD, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
