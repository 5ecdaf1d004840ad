"""The map of a page: a scene, classes over it, polygons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from geoseg.geo.geobox import GeoBox
from geoseg.report.page_pack import Polygons, fitted, packed
from geoseg.report.page_parts import webp

SCENE_BYTES, POLYGON_BYTES = 5_000_000, 5_500_000  # of what they may take of a page, in base64
QUALITIES = (84, 74, 62, 48)  # of the scene as WebP; the first that fits, else the scene is made smaller
RAMP = "magma"  # for probabilities, in 32 steps

Bytes = NDArray[np.uint8]
Named = tuple[str, str]  # a class: its name and its colour as #rrggbb


@dataclass(frozen=True, slots=True, eq=False)
class Map:
    """What a map shows; all but the plane and the classes may be missing.

    Attributes:
        box: the plane of the polygons, all of which the map shows.
        shape: (height, width) of its preview, pixels.
        classes: in the order of labels (from 1) and of the kinds of polygons (from 0).
        scene: (h, w, 3) uint8 of the same ground and (h, w) bool, True = has data.
        codes: `shape` uint8 labels, 0 for none of the classes, 255 for no data.
        codes_name: what the layer of labels is called.
        empty: what pixels of label 0 are called.
        certainty: (h, w) uint8, the highest probability of a class as round(254·p), 255 for no data.
        polygons: the polygons.
        unit: of their areas.
        hint: what the line below the map says at first.
    """

    box: GeoBox
    shape: tuple[int, int]
    classes: Sequence[Named]
    scene: tuple[Bytes, NDArray[np.bool_]] | None = None
    codes: Bytes | None = None
    codes_name: str = "mask"
    empty: str = "background"
    certainty: Bytes | None = None
    polygons: Polygons | None = None
    unit: str = "m²"
    hint: str = "Point at the map, or move it with the arrow keys, to see what is there."

    def told(self) -> tuple[dict[str, Any], int]:
        """What the page's script is told, ready for JSON, and the number of polygons in it."""
        polygons, count = None, 0
        if self.polygons is not None and len(self.polygons.shapes):
            polygons, count = fitted(self.polygons, self.box.shape, self.shape, POLYGON_BYTES)
        side = self.box.side_m()
        factor = self.box.shape[1] / self.shape[1]
        return {
            "shape": self.shape, "factor": factor, "metres": side and side * factor,
            "transform": _transform(self.box, self.shape), "crs": _crs(self.box),
            "decimals": 6 if self.box.crs is not None and self.box.crs.is_geographic else 1,
            "classes": [{"name": name, "color": color} for name, color in self.classes],
            "image": None if self.scene is None else scene_picture(*self.scene),
            "codes": None if self.codes is None else packed(self.codes),
            "codesName": self.codes_name, "empty": self.empty,
            "certainty": None if self.certainty is None else {
                **packed(self.certainty), "shape": self.certainty.shape},
            "polygons": polygons, "unit": self.unit, "ramp": ramp(),
        }, count  # fmt: skip


def ramp(steps: int = 32) -> list[list[int]]:
    """Colours from low to high as [red, green, blue], dark ends left out."""
    colors = colormaps[RAMP](np.linspace(0.15, 0.95, steps))[:, :3]
    return [[int(channel) for channel in color] for color in np.rint(255 * colors)]


def scene_picture(pixels: Bytes, valid: NDArray[np.bool_], most: int = SCENE_BYTES) -> str:
    """The address that is the scene itself, as good as fits into `most` bytes; clear where it has no data."""
    image = Image.fromarray(pixels if valid.all() else np.dstack([pixels, np.uint8(255) * valid]))
    while True:
        for quality in QUALITIES:
            if len(source := webp(image, quality, method=3)) <= most:
                return source
        image = image.resize((max(1, image.width * 3 // 4), max(1, image.height * 3 // 4)))


def _transform(box: GeoBox, shape: tuple[int, int]) -> list[float] | None:
    """From (x, y) in the preview to map coordinates, as a, b, c, d, e, f; None without any."""
    if box.gcps or not box.georeferenced:
        return None
    zoomed = box.transform * Affine.scale(box.shape[1] / shape[1], box.shape[0] / shape[0])
    return [float(value) for value in tuple(zoomed)[:6]]


def _crs(box: GeoBox) -> str:
    if box.crs is None:
        return "no CRS"
    code = box.crs.to_epsg()
    return f"EPSG:{code}" if code else "the raster's CRS"
