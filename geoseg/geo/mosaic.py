"""Write rows as they are finished; end with a Cloud-Optimized GeoTIFF.

Rows go into plainly tiled drafts, one for the raster and one for each of its overviews, which are
reduced as the rows pass by. At the end GDAL's COG driver copies them, in the order that a COG wants,
into the final file; it neither reads the result again nor resamples anything.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import numpy as np
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window as RioWindow

from geoseg.core.planes import separate
from geoseg.core.pyramid import Reduction, halve
from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import GeoBox

BLOCK = 512
LARGE = 2**30  # pixels above which a draft is worth compressing: it no longer fits into the page cache
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
            with _writing(Path(self._dataset.name)):
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


@contextmanager
def cog(path: Path, spec: RasterSpec) -> Iterator[Any]:
    """A raster to fill, which becomes a Cloud-Optimized GeoTIFF at `path` when the `with` block ends well.

    Args:
        path: the file to write; drafts beside it have names that begin with its name.
        spec: what it looks like.

    Yields:
        A function from the window of a stripe of columns (from top to bottom of the raster, its first
        column a multiple of `STRIPE`) to the `StripWriter` that takes the stripe's rows.

    Raises:
        OutputError: when it cannot be written, or GDAL does not know a creation option.
    """
    specs = pyramid(spec)
    drafts = [path.with_name(f"{path.name}.{level}.draft.tif") for level in range(len(specs))]
    with ExitStack() as stack:
        datasets = [stack.enter_context(_draft(*pair)) for pair in zip(drafts, specs, strict=True)]
        yield lambda columns: StripWriter(datasets, specs, columns)
    _assemble(path, drafts, spec)
    for leftover in path.parent.glob(glob.escape(path.name) + ".*draft*"):
        leftover.unlink()
    if spec.categories:
        _write_categories(path, spec.categories)


@contextmanager
def _draft(path: Path, spec: RasterSpec) -> Iterator[Any]:
    box = spec.geobox
    profile = dict(
        driver="GTiff", height=box.shape[0], width=box.shape[1], count=len(spec.names), dtype=spec.dtype,
        nodata=spec.nodata, tiled=True, blockxsize=BLOCK, blockysize=BLOCK,
        interleave="band", sparse_ok=True, bigtiff="if_safer",
    )  # fmt: skip
    if box.shape[0] * box.shape[1] > LARGE:
        profile |= {"compress": "zstd", "zstd_level": 1}
    with _writing(path):
        dataset = open_raster(path, "w", **profile, **_place(box))
    with dataset:
        for band, name in enumerate(spec.names, 1):
            dataset.set_band_description(band, name)
        if spec.colors:
            dataset.write_colormap(1, dict(spec.colors))
        dataset.update_tags(**spec.tags)
        yield dataset


def _assemble(path: Path, drafts: list[Path], spec: RasterSpec) -> None:
    """Copy the drafts into one COG."""
    # every reader knows DEFLATE; ZSTD makes the larger probabilities smaller in half the time
    packing = ("deflate", "no") if spec.overviews == "mode" else ("zstd", "yes")
    options = {
        "compress": packing[0], "predictor": packing[1], "level": "1", "blocksize": str(BLOCK),
        "bigtiff": "if_safer", "num_threads": "all_cpus", "overview_resampling": spec.overviews,
    }  # fmt: skip
    options |= {key.lower(): value for key, value in spec.options.items()}
    _check_blocksize(options["blocksize"])
    view = path.with_name(path.name + ".draft.vrt")
    with _writing(path):
        with open_raster(drafts[0]) as dataset:
            rasterio.shutil.copy(dataset, view, driver="VRT")
        _point_to_overviews(view, drafts[1:])
        rasterio.shutil.copy(view, path, driver="COG", **options)
        for level in range(-1, len(drafts) - 1):
            check_readable(path, level)


def check_readable(path: Path, overview: int = -1) -> None:
    """Decode every block: where a disk has no room for the last of them, GDAL says nothing of it.

    Args:
        path: a raster that was just written.
        overview: number of the overview to look at; -1 for the raster itself.

    Raises:
        RasterioError: when a block is not there.
    """
    known: dict[str, Any] = {} if overview < 0 else {"overview_level": overview}
    with open_raster(path, num_threads="all_cpus", **known) as dataset:
        height = dataset.block_shapes[0][0]
        for row in range(0, dataset.height, height):
            dataset.read(window=RioWindow(0, row, dataset.width, min(height, dataset.height - row)))


def _check_blocksize(text: str) -> None:
    """GDAL takes any number, and ends the process on some."""
    if not (text.isdecimal() and int(text) >= 128 and int(text) % 16 == 0):
        raise OutputError(f"creation option BLOCKSIZE is a multiple of 16 from 128 up, got {text}")


def _point_to_overviews(view: Path, overviews: list[Path]) -> None:
    """Name the overviews' files in a VRT, for the COG driver to take them as they are."""
    tree = ElementTree.parse(view)
    for band in tree.iter("VRTRasterBand"):
        for path in overviews:
            overview = ElementTree.SubElement(band, "Overview")
            ElementTree.SubElement(overview, "SourceFilename", relativeToVRT="1").text = path.name
            ElementTree.SubElement(overview, "SourceBand").text = band.get("band")
    tree.write(view)


def _writing(path: Path) -> AbstractContextManager[None]:
    remedy = "is the disk full, or a creation option wrong?"
    return translated(OutputError, f"cannot write {path.name}", remedy)


def _place(box: GeoBox) -> dict[str, Any]:
    if box.gcps:
        return {"gcps": list(box.gcps), "crs": box.crs or CRS()}  # rasterio asks any CRS for its name
    return {"crs": box.crs} | ({"transform": box.transform} if box.georeferenced else {})


def _write_categories(path: Path, names: tuple[str, ...]) -> None:
    """GDAL keeps category names of a GeoTIFF in its side file (PAM), nowhere else."""
    lines = "".join(f"<Category>{escape(name)}</Category>" for name in names)
    band = f'<PAMRasterBand band="1"><CategoryNames>{lines}</CategoryNames></PAMRasterBand>'
    path.with_name(path.name + ".aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>\n", encoding="utf-8")
