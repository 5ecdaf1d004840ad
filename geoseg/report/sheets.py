"""Contact sheets: image, truth and prediction of some patches side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from geoseg.core.mask import NODATA

DPI = 100
SIDE = 160  # of a picture, pixels
GAP, CAPTION, LEGEND = 4, 16, 28
COLUMNS = 3  # patches beside each other
IGNORED = (120, 120, 120)
SHOWN = 0.55  # how much of a class's colour covers the image

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A patch to show.

    Attributes:
        name: written above it.
        pixels: (size, size, bands) uint8; the first three bands are shown as red, green and blue.
        truth: (size, size, classes) uint8, 1 yes, 0 no, 255 ignore.
        probabilities: (size, size, classes) float32, 0 … 1.
    """

    name: str
    pixels: Bytes
    truth: Bytes
    probabilities: NDArray[np.float32]


def draw_sheet(
    examples: Sequence[Example], names: Sequence[str], colors: Sequence[str], exclusive: bool, picture: Path
) -> None:
    """Draw image | truth | prediction of each patch as PNG.

    Truth lies in colours over the image, what is ignored is grey. The prediction is the likeliest class
    where classes exclude each other, else each class's colour as bright as it is probable.

    Args:
        examples: the patches.
        names: of the classes.
        colors: `#rrggbb` of the classes.
        exclusive: whether classes exclude each other.
        picture: the PNG to write.
    """
    palette = np.array([list(bytes.fromhex(color[1:])) for color in colors], np.float32)
    strips = [_strip(example, palette, exclusive) for example in examples]
    rows = math.ceil(len(strips) / COLUMNS)
    height, width = strips[0].shape[:2]
    legend = LEGEND * math.ceil(len(names) / 8)
    sheet = np.full((rows * (height + GAP), COLUMNS * (width + 3 * GAP), 3), 255, np.uint8)
    for k, strip in enumerate(strips):
        row, col = k // COLUMNS * (height + GAP), k % COLUMNS * (width + 3 * GAP)
        sheet[row : row + height, col : col + width] = strip
    figure = Figure(figsize=(sheet.shape[1] / DPI, (sheet.shape[0] + legend) / DPI), dpi=DPI)
    figure.figimage(sheet, 0, legend, origin="upper")
    keys = [Patch(color=color, label=name) for color, name in zip(colors, names, strict=True)]
    figure.legend(handles=keys, loc="lower center", ncols=min(8, len(names)), frameon=False, fontsize=8)
    figure.savefig(picture, format="png", dpi=DPI)


def _strip(example: Example, palette: NDArray[np.float32], exclusive: bool) -> Bytes:
    """Image, truth and prediction under the patch's name."""
    image = _rgb(example.pixels)
    truth = (example.truth == 1).astype(np.float32)
    known = truth.any(-1) if exclusive else (example.truth != NODATA).any(-1)
    labels = _covered(image, truth * SHOWN, palette)
    labels[~known] = IGNORED
    if exclusive:
        likeliest = np.eye(len(palette), dtype=np.float32)[example.probabilities.argmax(-1)]
        guess = _covered(image, likeliest * SHOWN, palette)
    else:
        guess = _covered(np.zeros_like(image), example.probabilities, palette)
    shown = [cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for part in (image, labels, guess)]
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    strip = np.concatenate([shown[0], gap, shown[1], gap, shown[2]], 1)
    caption = np.full((CAPTION, strip.shape[1], 3), 255, np.uint8)
    cv2.putText(
        caption, example.name[:70], (0, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (40, 40, 40), 1, cv2.LINE_AA
    )
    return np.concatenate([caption, strip], 0)


def _rgb(pixels: Bytes) -> Bytes:
    """Three bands, the first one thrice where there are fewer."""
    return pixels[..., :3] if pixels.shape[-1] >= 3 else np.repeat(pixels[..., :1], 3, -1)


def _covered(image: Bytes, cover: NDArray[np.float32], palette: NDArray[np.float32]) -> Bytes:
    """The image under the colours of the classes, one after the other; `cover` is (…, classes), 0 … 1."""
    painted = image.astype(np.float32)
    for color, share in zip(palette, np.moveaxis(cover, -1, 0), strict=True):
        painted += share[..., None] * (color - painted)
    return np.clip(painted, 0, 255).astype(np.uint8)
