"""Labels on a scene's pixel plane, from a raster or from polygons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import GeoBox

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
            dataset = stack.enter_context(open_raster(path))
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
    import geopandas

    box.require_transform("a vector file of labels")
    with _reading(path):
        frame = geopandas.read_file(path)
    if frame.crs is not None and box.crs is not None:
        frame = frame.to_crs(box.crs.to_wkt())
    classes = _classes(frame, class_field, path)
    shapes, tree = frame.geometry.to_numpy(), frame.sindex

    def burn(window: Window) -> NDArray[np.uint8]:
        plane = box.window(window)
        corners = [plane.transform * corner for corner in ((0, 0), (window.width, window.height))]
        corners += [plane.transform * corner for corner in ((window.width, 0), (0, window.height))]
        xs, ys = zip(*corners, strict=True)
        near = np.sort(tree.intersection((min(xs), min(ys), max(xs), max(ys))))
        if not len(near):
            return np.zeros(window.shape, np.uint8)
        pairs = [(shapes[k], classes[k]) for k in near]
        return np.asarray(rasterize(pairs, window.shape, transform=plane.transform, dtype="uint8"), np.uint8)

    return burn


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
