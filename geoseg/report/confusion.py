"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from geoseg.core.metrics import ratio

DARK = 0.5  # share above which text is white


def draw_confusion(counts: Sequence[Sequence[int]], names: Sequence[str], picture: Path) -> None:
    """Draw a confusion matrix as PNG: shares of each true class as shades, with the counts of pixels.

    Args:
        counts: (classes, classes), rows truth, columns prediction.
        names: of the classes.
        picture: the PNG to write.
    """
    table = np.array(counts)
    shares = ratio(table, table.sum(1, keepdims=True))
    side = 2.2 + 1.1 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(names))
    axes.set(xlabel="predicted", ylabel="true", xticks=places, yticks=places)
    axes.set_xticklabels(names, rotation=30, ha="right")
    axes.set_yticklabels(names)
    for row, col in np.ndindex(*table.shape):
        share = shares[row, col]
        text = f"{table[row, col]:,}" if np.isnan(share) else f"{share:.2%}\n{table[row, col]:,}"
        axes.text(
            col, row, text, ha="center", va="center", fontsize=9, color="white" if share > DARK else "black"
        )
    figure.colorbar(image, ax=axes, label="share of the true class")
    figure.savefig(picture, format="png", dpi=120, bbox_inches="tight")
