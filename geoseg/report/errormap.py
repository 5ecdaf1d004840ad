"""The error map as a picture: what was found, missed and made up, in four colours."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from geoseg.geo.gdal import open_raster

# codes 0 … 4 of an error map; those of seed 2, and a fifth for several classes
MEANINGS = (
    "true negative", "false negative (missed)", "false positive (extra)", "true positive", "another class",
)  # fmt: skip
COLORS = {
    0: (32, 32, 40, 255), 1: (230, 60, 50, 255), 2: (245, 190, 40, 255), 3: (60, 160, 90, 255),
    4: (150, 80, 200, 255), 255: (0, 0, 0, 0),
}  # fmt: skip
LARGEST, SMALLEST = 4096, 512  # pixels of the longer side of the picture
DPI = 100
LEGEND_PX = 44, 22  # height of its line with one column beside another, and of each further line
COLUMN_PX = 190


def draw_errormap(raster: Path, picture: Path, confused: bool) -> None:
    """Draw an error map as PNG with a legend below, pixel for pixel, decimated to 4096 px if larger.

    Args:
        raster: an error map with the codes of `MEANINGS`, 255 for no data.
        picture: the PNG to write.
        confused: whether the legend names the fifth code.
    """
    codes = _decimated(raster)
    colors = np.full((256, 4), 255, np.uint8)
    for code, color in COLORS.items():
        colors[code] = color
    height, width = codes.shape
    canvas = max(width, 2 * COLUMN_PX)
    meanings = MEANINGS[: 5 if confused else 4]
    columns = min(len(meanings), canvas // COLUMN_PX)
    legend = LEGEND_PX[0] + LEGEND_PX[1] * (-(-len(meanings) // columns) - 1)
    figure = Figure(figsize=(canvas / DPI, (height + legend) / DPI), dpi=DPI, facecolor="white")
    figure.figimage(colors[codes], (canvas - width) // 2, legend, origin="upper")
    shades = ["#{:02x}{:02x}{:02x}".format(*COLORS[code]) for code in range(len(meanings))]
    handles = [Patch(color=shade, label=name) for shade, name in zip(shades, meanings, strict=True)]
    figure.legend(handles=handles, loc="lower center", ncol=columns, frameon=False, fontsize=9, borderpad=0.3)
    figure.savefig(picture, format="png", dpi=DPI)


def _decimated(raster: Path) -> NDArray[np.uint8]:
    """Codes of an error map, small ones enlarged by a whole number."""
    with open_raster(raster) as dataset:
        shrink = max(1.0, max(dataset.shape) / LARGEST)
        shape = tuple(max(1, round(size / shrink)) for size in dataset.shape)
        codes: NDArray[np.uint8] = dataset.read(1, out_shape=shape)
    zoom = max(1, SMALLEST // max(shape))
    return np.asarray(cv2.resize(codes, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_NEAREST))
