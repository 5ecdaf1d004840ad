"""Labels on a scene's pixel plane, from a raster or from polygons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.features import rasterize
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RioWindow

from geoseg.core.mask import NODATA
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.aligned import reprojected
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.reach import open_input
from geoseg.geo.reach_vectors import read_frame

Labels = Callable[[Window], NDArray[np.uint8]]
RASTERS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".vrt", ".jp2")


@contextmanager
def open_labels(path: Path, box: GeoBox, class_field: str = "class") -> Iterator[Labels]:
    """Open labels on the pixel plane of a scene.

    Args:
        path: a single-band raster of class numbers, or a vector file of polygons.
        box: the scene's pixel plane.
        class_field: the attribute with the class of a polygon. Numbers are burnt as they are, texts as
            1 … n in alphabetical order; without the attribute every polygon is class 1.

    Yields:
        A function from a window inside the scene to (height, width) uint8 classes; 255 where a raster of
        labels has no data.

    Raises:
        SceneError: when the file cannot be read.
    """
    if path.suffix.lower() in RASTERS:
        with _raster(path, box) as read:
            yield read
    else:
        yield _polygons(path, box, class_field)


@contextmanager
def _raster(path: Path, box: GeoBox) -> Iterator[Labels]:
    with ExitStack() as stack:
        with _reading(path):
            dataset = stack.enter_context(open_input(path))
        if dataset.crs is not None and box.crs is not None:
            with _reading(path):
                dataset = stack.enter_context(_aligned(dataset, box))
        elif dataset.shape != box.shape:
            raise SceneError(
                f"{path}: labels without a CRS must have the scene's {box.shape} px, "
                f"got {dataset.shape}; georeference them or cut them to it"
            )
        yield lambda window: _read(dataset, window)


def _aligned(dataset: Any, box: GeoBox) -> Any:
    """A view of labels on the scene's pixels, the nearest label for each."""
    return WarpedVRT(
        dataset, crs=box.crs, transform=box.transform, height=box.shape[0], width=box.shape[1],
        resampling=Resampling.nearest, nodata=NODATA,
    )  # fmt: skip


def _reading(path: Path) -> AbstractContextManager[None]:
    return translated(
        SceneError, f"cannot read labels {path}", "give a raster or vector file that GDAL can read"
    )


def _read(dataset: Any, window: Window) -> NDArray[np.uint8]:
    with _reading(Path(dataset.name)):
        values = dataset.read(1, window=RioWindow(window.col, window.row, window.width, window.height))
    return np.asarray(values, np.uint8)


def _polygons(path: Path, box: GeoBox, class_field: str) -> Labels:
    box.require_transform("a vector file of labels")
    polygons = read_polygons(path, box.crs, lambda frame: _classes(frame, class_field, path))

    def burn(window: Window) -> NDArray[np.uint8]:
        labels = np.zeros(window.shape, np.uint8)
        polygons.burn(labels, box.window(window))
        return labels

    return burn


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """Polygons and the number that each burns, in one CRS; may be shared by threads.

    Attributes:
        shapes: shapely geometries, later ones over earlier ones.
        values: 0 … 255 for each.
        index: their spatial index.
    """

    shapes: Sequence[Any]
    values: Sequence[int]
    index: Any

    def burn(self, labels: NDArray[np.uint8], plane: GeoBox, *, all_touched: bool = False) -> None:
        """Burn the polygons into (h, w) labels of a pixel plane, in place.

        Args:
            labels: what is below the polygons.
            plane: where the labels lie, in the polygons' CRS.
            all_touched: burn every pixel that a polygon touches, not only those whose centre it holds.
        """
        height, width = plane.shape
        xs, ys = zip(*(plane.transform * (x, y) for x in (0, width) for y in (0, height)), strict=True)
        near = np.sort(self.index.intersection((min(xs), min(ys), max(xs), max(ys))))
        if len(near):
            pairs = [(self.shapes[k], self.values[k]) for k in near]
            rasterize(pairs, transform=plane.transform, all_touched=all_touched, out=labels)


def read_polygons(path: Path, crs: Any, valued: Callable[[Any], Sequence[int]]) -> Polygons:
    """Read a vector file of polygons.

    Args:
        path: a file that geopandas reads.
        crs: the CRS wanted; polygons without one, and all when it is None, stay as they are.
        valued: the number of each polygon, 0 … 255, from the `GeoDataFrame`.

    Raises:
        SceneError: when the file cannot be read.
    """
    with _reading(path):
        frame = read_frame(path)
        frame = reprojected(frame[~(frame.geometry.isna() | frame.geometry.is_empty)], crs)
    return Polygons(frame.geometry.to_numpy(), valued(frame), frame.sindex)


def _classes(frame: Any, class_field: str, path: Path) -> list[int]:
    if class_field not in frame:
        return [1] * len(frame)
    column = frame[class_field]
    if column.dtype.kind in "iu":
        values = column.to_numpy()
    else:
        names = sorted(set(column.astype(str)))
        values = np.array([names.index(str(name)) + 1 for name in column])
    if len(values) and not (values.min() >= 0 and values.max() < NODATA):
        raise SceneError(f"{path}: classes are from 0 to 254, got {values.min()} to {values.max()}")
    return [int(value) for value in values]
