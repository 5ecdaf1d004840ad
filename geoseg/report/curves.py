"""Loss and scores over the epochs of a training, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

MANY = 6  # lines whose legend would hide them
PANELS = (
    ("loss", {"loss": "training", "val_loss": "validation"}),
    ("on validation data", {"val_accuracy": "accuracy", "val_iou": "mean IoU"}),
)


def draw_curves(history: Sequence[Mapping[str, float]], best: int, picture: Path) -> None:
    """Draw loss, and accuracy and IoU, over the epochs as PNG.

    Args:
        history: records of the epochs with `loss`, `val_loss`, `val_accuracy`, `val_iou` and
            `val_iou_CLASS`; what is missing is a gap.
        best: number of the best epoch, from 0; marked.
        picture: the PNG to write.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    classes = sorted({name for record in history for name in record if name.startswith("val_iou_")})
    for axes, (title, curves) in zip(figure.subplots(1, 2), PANELS, strict=True):
        _draw(axes, history, curves, linewidth=2)
        if "val_iou" in curves and len(classes) > 1:
            axes.set_prop_cycle(color=[colormaps["tab20"](k) for k in range(20)])
            _draw(axes, history, {name: name[8:] for name in classes}, linewidth=0.8)
        axes.axvline(best + 1, color="0.6", linestyle=":", linewidth=1)
        axes.set(title=title, xlabel=f"epoch (dotted: the best, {best + 1})")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        beside = dict(loc="upper left", bbox_to_anchor=(1, 1)) if len(axes.lines) > MANY else {}
        axes.legend(fontsize=8, **beside)
    figure.savefig(picture, format="png", dpi=110)


def _draw(
    axes: Axes, history: Sequence[Mapping[str, float]], curves: Mapping[str, str], **style: Any
) -> None:
    """A line for each key of the records, named as the curve; a dot where there is only one epoch."""
    epochs = np.arange(1, len(history) + 1)
    for key, name in curves.items():
        values = [record.get(key, np.nan) for record in history]
        axes.plot(epochs, values, label=name, marker="o" if len(history) == 1 else None, **style)
