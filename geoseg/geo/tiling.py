"""Cut a scene into patch files for training, with an index."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.core.filters import median_blur
from geoseg.core.grid import Grid
from geoseg.core.mask import NODATA
from geoseg.core.patches import Patch, read_patches
from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.labels import Labels, open_labels
from geoseg.geo.scene import Scene, open_scene
from geoseg.staging import staged_folder

Format = Literal["tif", "png"]
PNG_DTYPES = ("uint8", "uint16")


@dataclass(frozen=True, slots=True)
class TileJob:
    """A scene to cut up.

    Attributes:
        scene: anything GDAL opens.
        folder: the folder to make, with `images/`, `labels/` if there are any, and `index.parquet`.
        patch_size: height and width of patches, pixels.
        overlap: pixels shared by neighbours.
        median_kernel: side of the median filter, pixels; 0 for none.
        format: `tif` keeps the georeference, `png` does not.
        labels: a raster or vector file of labels.
        bidx: band numbers; all but alpha when None.
        nodata: a value that means no data, beside the file's own.
        overwrite: replace the folder.
    """

    scene: str
    folder: Path
    patch_size: int = 256
    overlap: int = 0
    median_kernel: int = 5
    format: Format = "tif"
    labels: Path | None = None
    bidx: tuple[int, ...] | None = None
    nodata: float | None = None
    overwrite: bool = False


def cut_tiles(job: TileJob, progress: Callable[[int, int], object] = lambda done, total: None) -> int:
    """Write every patch with a valid pixel to `folder/images/SCENE_ROW_COL.tif`, and an index of them.

    Patches past the scene's edge are reflected, as the network would see them; labels are 255 (ignore)
    there and wherever the scene has no data. `index.parquet` is GeoParquet: file, label, row, col,
    valid (share of pixels with data) and the footprint as a polygon.

    Returns:
        The number of patches.

    Raises:
        GeosegError: when the scene or labels cannot be read, or the folder not written.
    """
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        folder = stack.enter_context(staged_folder(job.folder, overwrite=job.overwrite))
        scene = stack.enter_context(open_scene(job.scene, (), bidx=job.bidx, nodata=job.nodata))
        _check_format(job, scene)
        labels = stack.enter_context(open_labels(job.labels, scene.geobox)) if job.labels else None
        grid = Grid(scene.shape, job.patch_size, job.overlap, stride=1)
        for patch in read_patches(scene, grid, filter_=median_blur(job.median_kernel)):
            rows.append(_write_patch(job, folder, scene, grid, patch, labels))
            progress(1, len(grid))
        _write_index(folder / "index.parquet", rows, scene.geobox)
    return len(rows)


def _check_format(job: TileJob, scene: Scene) -> None:
    if job.format == "png" and (scene.dtype not in PNG_DTYPES or scene.bands not in (1, 3, 4)):
        raise OutputError(
            f"PNG holds 1, 3 or 4 bands of uint8 or uint16, got {scene.bands} of {scene.dtype}; "
            "use --format tif, or choose bands with -b"
        )


def _write_patch(
    job: TileJob, folder: Path, scene: Scene, grid: Grid, patch: Patch, labels: Labels | None
) -> dict[str, Any]:
    window = grid.window(patch.index)
    name = f"{Path(job.scene).stem}_{window.row:06d}_{window.col:06d}.{job.format}"
    box = scene.geobox.window(window)
    outside = _outside(window, scene.shape) | ~patch.valid
    _write(folder / "images" / name, patch.pixels, box, job.format)
    row = {
        "file": f"images/{name}", "row": window.row, "col": window.col,
        "valid": float(1 - outside.mean()), "geometry": _footprint(box),
    }  # fmt: skip
    if labels is None:
        return row
    inside = window.clip(scene.shape)
    classes = np.full(window.shape, NODATA, np.uint8)
    classes[inside.within(window)] = labels(inside)
    classes[outside] = NODATA
    _write(folder / "labels" / name, classes[..., None], box, job.format)
    return row | {"label": f"labels/{name}"}


def _outside(window: Window, shape: tuple[int, int]) -> NDArray[np.bool_]:
    outside = np.ones(window.shape, bool)
    outside[window.clip(shape).within(window)] = False
    return outside


def _write(path: Path, pixels: NDArray[Any], box: GeoBox, kind: Format) -> None:
    path.parent.mkdir(exist_ok=True)
    profile: dict[str, Any] = dict(
        driver="PNG" if kind == "png" else "GTiff", height=pixels.shape[0], width=pixels.shape[1],
        count=pixels.shape[2], dtype=pixels.dtype.name,
    )  # fmt: skip
    if kind == "tif":
        place = {"gcps": list(box.gcps)} if box.gcps else {"transform": box.transform}
        profile |= {
            "crs": box.crs or (CRS() if box.gcps else None),  # rasterio asks that of points for its name
            "compress": "deflate",
            "photometric": "rgb" if pixels.shape[2] == 3 else None,
        }
        profile |= place if box.georeferenced else {}
    known = {key: value for key, value in profile.items() if value is not None}
    with translated(OutputError, f"cannot write {path.name}", "is the disk full?"):  # noqa: SIM117
        with open_raster(path, "w", **known) as file:
            file.write(pixels.transpose(2, 0, 1))


def _footprint(box: GeoBox) -> Any:
    from shapely import Polygon

    height, width = box.shape
    return Polygon([box.transform * corner for corner in ((0, 0), (0, height), (width, height), (width, 0))])


def _write_index(path: Path, rows: list[dict[str, Any]], box: GeoBox) -> None:
    import geopandas

    columns = ["file", "row", "col", "valid", "geometry"]
    crs = box.crs.to_wkt() if box.crs is not None and not box.gcps else None
    frame = geopandas.GeoDataFrame(rows, columns=None if rows else columns, geometry="geometry", crs=crs)
    frame.to_parquet(path, compression="zstd")
