"""Write rows as they are finished; end with a Cloud-Optimized GeoTIFF."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.windows import Window as RioWindow

from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox

BLOCK = 512


@dataclass(frozen=True, slots=True, eq=False)
class RasterSpec:
    """What a raster to be written looks like.

    Attributes:
        geobox: its pixel plane.
        names: a description per band.
        dtype: numpy name of its pixels.
        nodata: the value of pixels without data.
        overviews: how overviews are made, `mode` for classes and `average` for quantities.
        colors: value → (r, g, b, a) of band 1, for class masks.
        categories: names of the values 0, 1, 2 … of band 1, for class masks.
        tags: text stored in the file.
        options: GDAL COG creation options that replace the defaults.
    """

    geobox: GeoBox
    names: tuple[str, ...]
    dtype: str = "uint8"
    nodata: float = 255
    overviews: Literal["mode", "average"] = "average"
    colors: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


class StripWriter:
    """Collects strips until they fill whole rows of blocks, so that each block is compressed once."""

    def __init__(self, dataset: Any, columns: Window) -> None:
        self._dataset = dataset
        self._columns = columns
        self._row = columns.row
        self._held: list[NDArray[Any]] = []

    def append(self, rows: NDArray[Any]) -> None:
        """Take the next (height, width, bands) or (height, width) rows."""
        self._held.append(rows if rows.ndim == 3 else rows[..., None])
        held = sum(map(len, self._held))
        if self._row + held >= self._columns.stop_row:
            self._write(held)
        elif held >= BLOCK:
            self._write(held - held % BLOCK)

    def _write(self, count: int) -> None:
        rows = np.concatenate(self._held) if len(self._held) > 1 else self._held[0]
        window = RioWindow(self._columns.col, self._row, self._columns.width, count)
        with _writing(Path(self._dataset.name)):
            self._dataset.write(rows[:count].transpose(2, 0, 1), window=window)
        self._held = [rows[count:]] if count < len(rows) else []
        self._row += count


@contextmanager
def draft(path: Path, spec: RasterSpec) -> Iterator[Any]:
    """An open, plainly tiled GeoTIFF at `path` to fill by windows; `to_cog` turns it into the result.

    Raises:
        OutputError: when it cannot be written.
    """
    box = spec.geobox
    profile = dict(
        driver="GTiff", height=box.shape[0], width=box.shape[1], count=len(spec.names), dtype=spec.dtype,
        nodata=spec.nodata, crs=box.crs, tiled=True, blockxsize=BLOCK, blockysize=BLOCK,
        compress="zstd", zstd_level=1, interleave="band", sparse_ok=True, bigtiff="if_safer",
    )  # fmt: skip
    with _writing(path):
        dataset = rasterio.open(path, "w", **profile, **_place(box))
    with dataset:
        _describe(dataset, spec)
        yield dataset


def to_cog(source: Path, target: Path, spec: RasterSpec) -> None:
    """Copy a finished draft to a Cloud-Optimized GeoTIFF with overviews and category names.

    Raises:
        OutputError: when it cannot be written, or GDAL does not know a creation option.
    """
    options = {
        "compress": "deflate", "blocksize": str(BLOCK), "bigtiff": "if_safer", "num_threads": "all_cpus",
        "overview_resampling": spec.overviews, "predictor": "no" if spec.overviews == "mode" else "yes",
    }  # fmt: skip
    options |= {key.lower(): value for key, value in spec.options.items()}
    with _writing(target):
        rasterio.shutil.copy(source, target, driver="COG", **options)
    if spec.categories:
        _write_categories(target, spec.categories)


def _writing(path: Path) -> AbstractContextManager[None]:
    remedy = "is the disk full, or a creation option wrong?"
    return translated(OutputError, f"cannot write {path.name}", remedy)


def _place(box: GeoBox) -> dict[str, Any]:
    if box.gcps:
        return {"gcps": list(box.gcps)}
    return {"transform": box.transform} if box.georeferenced else {}


def _describe(dataset: Any, spec: RasterSpec) -> None:
    for band, name in enumerate(spec.names, 1):
        dataset.set_band_description(band, name)
    if spec.colors:
        dataset.write_colormap(1, dict(spec.colors))
    dataset.update_tags(**spec.tags)


def _write_categories(path: Path, names: tuple[str, ...]) -> None:
    """GDAL keeps category names of a GeoTIFF in its side file (PAM), nowhere else."""
    lines = "".join(f"<Category>{escape(name)}</Category>" for name in names)
    band = f'<PAMRasterBand band="1"><CategoryNames>{lines}</CategoryNames></PAMRasterBand>'
    path.with_name(path.name + ".aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>\n", encoding="utf-8")
