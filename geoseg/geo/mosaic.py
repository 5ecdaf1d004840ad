"""Write rows as they are finished; end with a Cloud-Optimized GeoTIFF.

Rows go into plainly tiled drafts, one for the raster and one for each of its overviews. At the end GDAL's
COG driver copies them, in the order that a COG wants, into the final file; it neither reads the result
again nor resamples anything.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import rasterio.shutil
from rasterio.crs import CRS
from rasterio.windows import Window as RioWindow

from geoseg.errors import OutputError
from geoseg.geo.gdal import open_raster
from geoseg.geo.geobox import GeoBox
from geoseg.geo.strip_writer import BLOCK, RasterSpec, StripWriter, pyramid, writing

LARGE = 2**30  # pixels above which a draft is worth compressing: it no longer fits into the page cache


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
    with writing(path):
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
    with writing(path):
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


def _place(box: GeoBox) -> dict[str, Any]:
    if box.gcps:
        return {"gcps": list(box.gcps), "crs": box.crs or CRS()}  # rasterio asks any CRS for its name
    return {"crs": box.crs} | ({"transform": box.transform} if box.georeferenced else {})


def _write_categories(path: Path, names: tuple[str, ...]) -> None:
    """GDAL keeps category names of a GeoTIFF in its side file (PAM), nowhere else."""
    lines = "".join(f"<Category>{escape(name)}</Category>" for name in names)
    band = f'<PAMRasterBand band="1"><CategoryNames>{lines}</CategoryNames></PAMRasterBand>'
    path.with_name(path.name + ".aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>\n", encoding="utf-8")
