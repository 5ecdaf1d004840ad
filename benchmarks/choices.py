"""What each choice of a recipe's variants is worth on its test data, with seed 2's two statistical tests.

    python benchmarks/choices.py pipelines/recipes/buildings_unetpp.toml BUNDLES

BUNDLES is the folder that `geoseg train RECIPE -o BUNDLES` made. Blocks of the tests are the test images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from geoseg.core.blocks import chi_square_test, ks_test
from geoseg.core.metrics import Confusion
from geoseg.models.bundle import find_bundle
from geoseg.recipe.recipe import load_recipe, variants
from geoseg.runtime.keras_engine import import_keras

FIGURES = ("iou", "precision", "recall", "dice")


def row(recipe_path: str, folder: Path, variant: str) -> str:
    """The test figures of a variant's bundle as a row of Markdown."""
    from geoseg.training.dataset import open_part
    from geoseg.training.losses import loss
    from geoseg.training.validate import answers, measure

    recipe, bundle = load_recipe(recipe_path, variant=variant), find_bundle(folder / variant)
    found = answers(bundle.load_keras(), open_part(recipe, "test"), recipe)
    tally = measure(found, recipe, loss(recipe)).tally
    counts = tally.counts(bundle.card.thresholds)[:, 0]
    total = Confusion(2, counts.sum(0))
    true, predicted = (counts[..., 1, :].sum(-1), counts[..., 1].sum(-1)) / counts.sum((1, 2))
    ks, chi = ks_test(true, predicted), chi_square_test(true, predicted)
    cells = [f"{getattr(total, name)[1]:.4f}" for name in FIGURES]
    cells += [f"{test.statistic:.3f} ({test.p:.2g})" for test in (ks, chi)]
    return f"| {variant} | {bundle.card.parameters:,} | {' | '.join(cells)} |"


def minutes(folder: Path) -> str:
    """Epochs and times of the trainings, from the comparison that they left."""
    trained = json.loads((folder / "comparison.json").read_text())
    return ", ".join(f"{one['name']} {one['epochs']} epochs {one['seconds'] / 60:.1f} min" for one in trained)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("bundles", type=Path)
    options = parser.parse_args()
    import_keras()
    print(f"| variant | parameters | {' | '.join(FIGURES)} | Kolmogorov–Smirnov (p) | chi-square (p) |")
    print("|" + "---|" * (len(FIGURES) + 4))
    for variant in variants(options.recipe):
        print(row(options.recipe, options.bundles, variant), flush=True)
    print(minutes(options.bundles))


if __name__ == "__main__":
    np.seterr(invalid="ignore")
    main()
