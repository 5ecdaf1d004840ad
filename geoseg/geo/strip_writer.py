"""Write the rows of a raster as they are finished, and of its overviews, reduced as the rows pass by."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window as RioWindow

from geoseg.core.planes import separate
from geoseg.core.pyramid import Reduction, halve
from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox

BLOCK = 512
STRIPE = 2**15  # columns of a stripe are a multiple of this, so that it begins on a pixel of every overview


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
    overviews: Reduction = "average"
    colors: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    def halved(self) -> RasterSpec:
        """The next overview: half as many rows and columns, rounded up."""
        height, width = (-(-size // 2) for size in self.geobox.shape)
        plain = replace(self.geobox, shape=(height, width), gcps=())
        return replace(self, geobox=plain, colors={}, categories=(), tags={})


def pyramid(spec: RasterSpec) -> list[RasterSpec]:
    """A raster and its overviews, down to the first that fits into one block."""
    levels = [spec]
    while max(levels[-1].geobox.shape) > BLOCK:
        levels.append(levels[-1].halved())
    return levels


class StripWriter:
    """Takes the rows of a stripe of columns, writes whole rows of blocks, and feeds the overview below."""

    def __init__(self, levels: list[Any], specs: list[RasterSpec], columns: Window) -> None:
        self._dataset, self._spec, self._columns = levels[0], specs[0], columns
        self._row = columns.row
        self._held: list[NDArray[Any]] = []
        halved = Window(0, columns.col // 2, -(-columns.height // 2), -(-columns.width // 2))
        self._overview = StripWriter(levels[1:], specs[1:], halved) if levels[1:] else None

    def append(self, rows: NDArray[Any]) -> None:
        """Take the next (height, width, bands) or (height, width) rows."""
        self._held.append(rows if rows.ndim == 3 else rows[..., None])
        held = sum(map(len, self._held))
        if self._row + held >= self._columns.stop_row:
            self._write(held)
        elif held >= BLOCK:
            self._write(held - held % BLOCK)

    def _write(self, count: int) -> None:
        held = np.concatenate(self._held) if len(self._held) > 1 else self._held[0]
        rows, empty = held[:count], self._empty(held[:count])
        if not empty:  # blocks that are never written read as nodata
            window = RioWindow(self._columns.col, self._row, self._columns.width, count)
            with writing(Path(self._dataset.name)):
                for band, plane in enumerate(separate(rows), 1):
                    self._dataset.write(plane, band, window=window)
        if self._overview is not None:
            self._overview.append(
                rows[::2, ::2] if empty else halve(rows, self._spec.overviews, self._spec.nodata)
            )
        self._held = [np.copy(held[count:])] if count < len(held) else []
        self._row += count

    def _empty(self, rows: NDArray[Any]) -> bool:
        """Whether no pixel has data; a look at the middle row spares most of the search."""
        nodata = self._spec.nodata
        absent = np.isnan if np.isnan(nodata) else (lambda values: values == nodata)
        return bool(absent(rows[len(rows) // 2]).all() and absent(rows).all())


def writing(path: Path) -> AbstractContextManager[None]:
    """What GDAL says while a file is written becomes an error that says what may be wrong."""
    remedy = "is the disk full, or a creation option wrong?"
    return translated(OutputError, f"cannot write {path.name}", remedy)
