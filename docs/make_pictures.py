"""Draw the pictures of the documentation from the sample scene: `python docs/make_pictures.py`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import geopandas
import matplotlib as mpl
import numpy as np
import rasterio
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from rasterio.io import DatasetReader
from rasterio.windows import Window, bounds

import geoseg

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
SCENE = ROOT / "sample_data" / "suburb.tif"
PART = Window(420, 250, 400, 400)  # columns and rows of the scene that are shown
JOINT = Window(176, 688, 160, 160)  # around the corner that four patches of 256 px share
STITCHED: dict[str, dict[str, Any]] = {
    "side by side": {"patch_size": 256, "overlap": 0},
    "blended": {"patch_size": 256, "overlap": 64},
    "exact": {"stitch": "exact", "max_memory": 3 * 2**30},
}
PAPER = 242  # grey of the background
PANEL = 3.3  # inches, at DPI
DPI = 100
COLOURS = 256  # a picture of a palette has a third of the bytes

Panels = dict[str, tuple[NDArray[Any], Any]]


def main() -> None:
    """Predict the sample scene, and draw it beside what was found, and what stitching does."""
    _draw_result()
    _draw_seams()


def _draw_result() -> None:
    """Scene, mask and polygons."""
    with TemporaryDirectory() as folder:
        mask, polygons = Path(folder, "mask.tif"), Path(folder, "polygons.gpkg")
        geoseg.predict(SCENE, mask, polygons=polygons)
        found = geopandas.read_file(polygons)
        with rasterio.open(SCENE) as scene, rasterio.open(mask) as classes:
            pixels = scene.read(window=PART).transpose(1, 2, 0)
            place = bounds(PART, scene.transform)
            colours = _colours(classes)
            codes = classes.read(1, window=PART)
    table = np.full((256, 3), PAPER, np.uint8)
    for value, (_, colour) in colours.items():
        table[value] = colour
    named = {name: np.array(colour) / 255 for name, colour in colours.values()}
    panels = {
        "scene": (pixels, None),
        "mask: building, tree": (table[codes], None),
        "polygons": (pixels, found.assign(colour=found["class"].map(named))),
    }
    _draw(panels, place, "suburb.png")


def _draw_seams() -> None:
    """Probabilities of buildings where four patches meet."""
    panels: Panels = {}
    with TemporaryDirectory() as folder:
        for title, options in STITCHED.items():
            result = Path(folder, "p.tif")
            geoseg.predict(SCENE, Path(folder, "mask.tif"), probabilities=result, overwrite=True, **options)
            with rasterio.open(result) as probabilities:
                shades = probabilities.read(1, window=JOINT) / 254
                place = bounds(JOINT, probabilities.transform)
            panels[title] = (mpl.colormaps["magma"](shades)[..., :3], None)
    _draw(panels, place, "seams.png")


def _colours(mask: DatasetReader) -> dict[int, tuple[str, tuple[int, ...]]]:
    """Name and colour (red, green, blue) of each class, by its value in the mask."""
    names = mask.tags()["GEOSEG_CLASSES"].split()
    table = mask.colormap(1)
    return {value: (name, table[value][:3]) for value, name in enumerate(names, 1)}


def _draw(panels: Panels, place: tuple[float, ...], name: str) -> None:
    """Panels side by side, polygons over their scene."""
    left, bottom, right, top = place
    figure = Figure(figsize=(len(panels) * PANEL, PANEL + 0.3), dpi=DPI)
    axes = figure.subplots(1, len(panels))
    figure.subplots_adjust(0, 0, 1, PANEL / (PANEL + 0.3), wspace=0.02)
    for axis, (title, (pixels, polygons)) in zip(axes, panels.items(), strict=True):
        axis.imshow(pixels, extent=(left, right, bottom, top), interpolation="lanczos")
        if polygons is not None:
            polygons.plot(ax=axis, facecolor="none", edgecolor=polygons["colour"], linewidth=1.4)
        axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], xlabel="", ylabel="")
        axis.set_title(title, fontsize=10)
        axis.spines[:].set_visible(False)
    with TemporaryDirectory() as folder:
        figure.savefig(raw := Path(folder, "raw.png"))
        Image.open(raw).convert("RGB").quantize(COLOURS).save(PICTURES / name, optimize=True)


if __name__ == "__main__":
    mpl.use("Agg")
    main()
