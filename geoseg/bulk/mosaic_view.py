"""One raster out of many that lie side by side, without a copy: a VRT over the chunks of a giant scene."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from xml.etree import ElementTree

import rasterio.shutil

from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import GeoBox
from geoseg.staging import staged


def write_view(path: Path, box: GeoBox, pieces: Sequence[tuple[Window, Path]]) -> None:
    """Write a VRT whose colours, names, tags and nodata are those of its first piece.

    Args:
        path: the VRT, with paths relative to it inside.
        box: the pixel plane of the whole.
        pieces: where in it each raster lies; the first at its upper left corner.

    Raises:
        OutputError: when it cannot be written.
    """
    with staged(path, overwrite=True) as (draft,), translated(OutputError, f"cannot write {path}", "resume"):
        with open_raster(pieces[0][1]) as first:
            rasterio.shutil.copy(first, draft, driver="VRT")
        tree = ElementTree.parse(draft)
        root = tree.getroot()
        root.set("rasterYSize", str(box.shape[0]))
        root.set("rasterXSize", str(box.shape[1]))
        for band in root.iter("VRTRasterBand"):
            _point_to(band, path.parent, pieces)
        tree.write(draft)


def _point_to(band: ElementTree.Element, folder: Path, pieces: Sequence[tuple[Window, Path]]) -> None:
    """Replace a band's only source by one for each piece."""
    only = next(child for child in band if child.tag.endswith("Source"))
    band.remove(only)
    for window, piece in pieces:
        band.append(_source(only, window, os.path.relpath(piece, folder)))


def _source(like: ElementTree.Element, window: Window, name: str) -> ElementTree.Element:
    source, size = deepcopy(like), {"xSize": str(window.width), "ySize": str(window.height)}
    for child in source:
        if child.tag == "SourceFilename":
            child.text = Path(name).as_posix()
            child.set("relativeToVRT", "1")
        elif child.tag == "SourceProperties":
            child.set("RasterXSize", size["xSize"])
            child.set("RasterYSize", size["ySize"])
        elif child.tag == "SrcRect":
            child.attrib.update({"xOff": "0", "yOff": "0"} | size)
        elif child.tag == "DstRect":
            child.attrib.update({"xOff": str(window.col), "yOff": str(window.row)} | size)
    return source
