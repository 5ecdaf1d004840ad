"""A scene with its mask, probabilities and polygons, made here; and what a page was told, read back."""

import base64
import json
import re
import zlib

import geopandas
import numpy as np
import rasterio
import shapely
from conftest import NORTH_UP, UTM, write_raster

SHAPE = (240, 320)
TAGS = {"GEOSEG_CLASSES": "building tree", "GEOSEG_MODEL": "buildings-trees", "GEOSEG_STITCH": "blend"}
# class, window (row, col, height, width) and confidence of each polygon
PLACES = [
    ("building", (20, 30, 60, 80), 0.9),
    ("building", (130, 40, 50, 50), 0.6),
    ("tree", (60, 200, 70, 90), 0.75),
]
COLORS = {"building": (228, 87, 46), "tree": (46, 158, 79)}
DTYPES = {"u1": "<u1", "i2": "<i2", "u2": "<u2", "u4": "<u4", "f4": "<f4"}


def labels():
    """(240, 320) uint8 labels: rectangles of buildings (1) and a tree (2), and a corner without data."""
    mask = np.zeros(SHAPE, np.uint8)
    for name, (row, col, height, width), _ in PLACES:
        mask[row : row + height, col : col + width] = 1 + (name == "tree")
    mask[200:, 280:] = 255
    return mask


def write_mask(path, tags=TAGS, **profile):
    """A class mask as geoseg writes them, colours and tags included."""
    write_raster(path, labels()[..., None], nodata=255, **profile)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {1: (*COLORS["building"], 255), 2: (*COLORS["tree"], 255)})
        file.update_tags(**tags)
    return path


def write_all(folder, name="scene", classes=("building", "tree")):
    """`NAME.tif`, `NAME_mask.tif`, `NAME_probabilities.tif` and `NAME_polygons.gpkg`; returns the mask."""
    mask, renamed = labels(), dict(zip(("building", "tree"), classes, strict=True))
    grey = np.full((*SHAPE, 3), 110, np.uint8)
    grey[..., 2] = np.arange(SHAPE[1]) % 200
    write_raster(folder / f"{name}.tif", grey)
    codes = np.stack([np.where(mask == k, 200, 20) for k in (1, 2)], -1).astype(np.uint8)
    codes[mask == 255] = 255
    probabilities = folder / f"{name}_probabilities.tif"
    write_raster(probabilities, codes, nodata=255, names=classes)
    with rasterio.open(probabilities, "r+") as file:
        file.update_tags(**TAGS, GEOSEG_THRESHOLDS="0.5 0.5", GEOSEG_PROBABILITY="value / 254")
    corners = [shapely.box(col, row, col + width, row + height) for _, (row, col, height, width), _ in PLACES]
    a, _, c, _, e, f = tuple(NORTH_UP)[:6]
    shapes = shapely.transform(np.array(corners), lambda points: points * (a, e) + (c, f))
    table = {"class": [renamed[one] for one, _, _ in PLACES], "area_m2": shapely.area(shapes),
             "confidence": [sure for _, _, sure in PLACES]}  # fmt: skip
    geopandas.GeoDataFrame(table, geometry=shapes, crs=UTM).to_file(folder / f"{name}_polygons.gpkg")
    return write_mask(folder / f"{name}_mask.tif")


def told(page):
    """What a page's script is told."""
    found = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def unpacked(array):
    """What the page's script does with a packed array."""
    return np.frombuffer(zlib.decompress(base64.b64decode(array["bytes"])), DTYPES[array["type"]])
