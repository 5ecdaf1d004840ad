"""Tree points as the truth: how many of them lie on what was marked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.core.boundary import within
from geoseg.core.mask import NODATA
from geoseg.errors import SceneError
from geoseg.evaluation.opening import is_vector
from geoseg.geo.aligned import read_vector, to_plane
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox

CSV = ".csv"


@dataclass(slots=True, eq=False)
class PointCounts:
    """Points that are marked, added up band by band.

    Attributes:
        cols: (n,) int64 column of each point's pixel, sorted by row.
        rows: (n,) int64 row, ascending.
        radius: px; a point counts as marked when a pixel whose centre is no farther from that of its own is.
        points: points on pixels with data, so far.
        found: points of those that are marked.
        pixels: pixels with data.
        marked: pixels of those that are marked.
    """

    cols: NDArray[np.int64]
    rows: NDArray[np.int64]
    radius: float
    points: int = 0
    found: int = 0
    pixels: int = 0
    marked: int = 0

    def add(self, row: int, labels: NDArray[np.uint8], core: slice) -> None:
        """Count the rows `core` of (h, w) labels, of which 1 is marked; `row` is that of the first."""
        marked, valid = labels == 1, labels != NODATA
        self.pixels += int(valid[core].sum())
        self.marked += int(marked[core].sum())
        first, last = np.searchsorted(self.rows, [row + core.start, row + core.stop])
        if first == last:
            return
        place = self.rows[first:last] - row, self.cols[first:last]
        self.points += int(valid[place].sum())
        self.found += int((within(marked, self.radius)[place] & valid[place]).sum())


def is_points(path: Path) -> bool:
    """Whether a file holds points: a CSV, or a vector file whose first feature is one."""
    if path.suffix.lower() == CSV or not is_vector(path):
        return path.suffix.lower() == CSV
    frame = read_vector(path)
    return bool(len(frame)) and bool(frame.geometry.geom_type.isin(["Point", "MultiPoint"]).all())


def read_points(path: Path, box: GeoBox, image: str, own: GeoBox | None) -> NDArray[np.float64]:
    """(n, 2) points (col, row) in pixel coordinates of a plane; some may lie outside.

    Args:
        path: a vector file of points, or a CSV with columns x and y in pixels of the prediction's raster and
            maybe `image`, of which the rows are taken that name `image` or what it begins with and `_`.
        box: the plane.
        image: the prediction's name.
        own: the plane of the prediction's raster; None when it is a vector file.

    Raises:
        SceneError: when the file cannot be read, or no point lies on the plane.
    """
    if path.suffix.lower() == CSV:
        points = _read_csv(path, image, own)
        if own is not None and own is not box:
            to_box = ~box.transform * own.transform
            points = np.array([to_box * tuple(point) for point in points]).reshape(-1, 2)
    else:
        points = shapely.get_coordinates(to_plane(read_vector(path), box, path))
    inside = ((points >= 0) & (points < box.shape[::-1])).all(1)
    if not inside.any():
        raise SceneError(
            f"{path}: none of its {len(points)} points lies on the prediction; is it this place?"
        )
    return points


def _read_csv(path: Path, image: str, own: GeoBox | None) -> NDArray[np.float64]:
    import pandas as pd

    if own is None:
        raise SceneError(f"{path}: its points are in pixels, and the prediction is no raster; give a raster")
    with translated(SceneError, f"cannot read {path}", "give a CSV with the columns image, x, y"):
        table = pd.read_csv(path)
    if not {"x", "y"} <= set(table.columns):
        raise SceneError(
            f"{path}: a CSV of points has the columns image, x, y, got {', '.join(table.columns)}"
        )
    if "image" in table:
        table = table[table["image"].astype(str) == _image_of(path, set(table["image"].astype(str)), image)]
    return table[["x", "y"]].to_numpy(np.float64)


def _image_of(path: Path, images: set[str], name: str) -> str:
    """The image that a prediction is of: `chico_2` for `chico_2`, `chico_2.tif` or `chico_2_mask`."""
    stems = {
        Path(image).stem if Path(image).suffix in (".tif", ".png", ".jpg") else image: image
        for image in images
    }
    fitting = [stem for stem in stems if name == stem or name.startswith(stem + "_")]
    if not fitting:
        raise SceneError(f"{path}: it has no points of an image {name}; name the image with --image")
    return stems[max(fitting, key=len)]


def counts_for(points: NDArray[np.float64], box: GeoBox, radius: float) -> PointCounts:
    """Counts to fill, of the points on a plane."""
    pixels = np.floor(points).astype(np.int64)
    pixels = pixels[((pixels >= 0) & (pixels < box.shape[::-1])).all(1)]
    pixels = pixels[np.argsort(pixels[:, 1], kind="stable")]
    return PointCounts(pixels[:, 0], pixels[:, 1], radius)
