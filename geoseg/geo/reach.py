"""Rasters that are what they look like: opened without following what their content points at.

A raster may be no more than a description that sends GDAL elsewhere: a VRT to files and addresses, a WMS
description to a server, a TIFF to an overview of any name. Who names an address asks for it; who opens a file
from elsewhere does not ask for what is written in it.
"""

from __future__ import annotations

import os
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from geoseg.errors import SceneError
from geoseg.geo.gdal import open_raster

# drivers whose files hold their pixels themselves, or have them beside them under their own name
PLAIN = (
    "GTiff", "COG", "PNG", "JPEG", "JP2OpenJPEG", "JP2ECW", "JP2KAK", "JPEGXL", "WEBP", "GIF", "BIGGIF",
    "BMP", "HFA", "ENVI", "EHdr", "ERS", "NITF", "ECW", "MrSID", "PCIDSK", "AAIGrid", "GRIB", "netCDF",
    "HDF5", "HDF5Image", "GPKG", "MBTiles", "SRTMHGT", "USGSDEM", "DTED", "XYZ", "SAGA", "RST", "GSBG",
    "GS7BG", "PNM", "ISIS2", "SGI", "TGA", "BT", "RMF", "SIGDEM", "TIL", "DIMAP",
)  # fmt: skip
SIDES = (".ovr", ".msk", ".msk.ovr", ".ovr.msk", ".OVR", ".MSK")  # what GDAL opens beside a file
HEAD = 4096  # bytes in which GDAL looks for what a file is
MAX_XML = 2**28  # bytes of a VRT; its tree takes ten times as many
REFERENCES = ("SourceFilename", "SourceDataset")
HARMLESS = ("SRS", "Metadata", "Description", "GeoTransform", "GCPList", "CategoryNames", "ColorTable")
POINTERS = ("OVERVIEW_FILE", "X_DATASET", "Y_DATASET")  # of metadata
BASE = ":::BASE:::"  # what a name of GDAL's beside the file begins with
FAR = re.compile(r"/vsi|://|^\w{2,}:|^\s*[<{]", re.IGNORECASE)
REMEDY = "give the files themselves, or --allow-remote if you trust it"


def open_input(path: str | Path, *, allow_remote: bool = False, **profile: Any) -> Any:
    """Open a raster that the user named, and nothing that only its content names.

    Addresses and `DRIVER:…` names are opened as they are: they were asked for. A VRT is opened when all it
    refers to are local rasters.

    Args:
        path: anything GDAL opens.
        allow_remote: open whatever GDAL can, wherever it leads.
        **profile: of `rasterio.open`.

    Raises:
        SceneError: when its content leads elsewhere.
    """
    name = str(path)
    if allow_remote or _names_a_driver(name):
        return open_raster(path, **profile)
    if not Path(name).is_file():
        return _from_elsewhere(path, **profile)
    check_reach(name)
    if _is_vrt(name):
        return open_raster(path, driver="VRT", **profile)
    dataset = _open_plain(name, **profile)
    try:
        _check_pointers(name, dataset)
    except SceneError:
        dataset.close()
        raise
    return dataset


def _from_elsewhere(name: str | Path, **profile: Any) -> Any:
    dataset = open_raster(name, **profile)
    if dataset.driver not in PLAIN:
        dataset.close()
        raise SceneError(f"{name} is no raster that holds pixels, but {dataset.driver}; {REMEDY}")
    return dataset


def _open_plain(name: str, **profile: Any) -> Any:
    """`open_raster` for a file that one of the plain drivers reads: `rasterio.open` takes one name only."""
    with rasterio.Env(), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return DatasetReader(name, driver=_plain(), **profile)


def is_remote(name: str) -> bool:
    """Whether a name is not a path: an address, or a name that only GDAL resolves."""
    return bool(re.match(r"/vsi\w+/|[A-Za-z][\w+.-]+:", name)) and not Path(name).exists()


def check_reach(path: str) -> None:
    """Refuse a local raster whose content, or what lies beside it, leads GDAL elsewhere.

    Raises:
        SceneError: then.
    """
    status = os.stat(path)  # noqa: PTH116 - of a name that may be of any form
    _checked(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=2**17)
def _checked(path: str, size: int, changed: int) -> None:
    for ending in SIDES:
        if Path(path + ending).is_file():
            _check_plain(path + ending, path)
    if _is_vrt(path):
        for source in _references(path):
            if not Path(source).is_file():
                raise SceneError(f"{path} refers to {source}, which is no file here; {REMEDY}")
            if Path(source).samefile(path):
                raise SceneError(f"{path} refers to itself; mend it")
            check_reach(source)
            if not _is_vrt(source):
                _check_plain(source, path)
    elif root := _xml_root(path):
        raise SceneError(f"{path} holds no pixels but a description ({root}) that leads elsewhere; {REMEDY}")


def _check_plain(path: str, owner: str) -> None:
    """Refuse a file that `owner` leads to when it is no plain raster."""
    try:
        with _open_plain(path) as dataset:
            _check_pointers(path, dataset)
    except RasterioError as error:
        raise SceneError(f"{owner} leads to {path}, which is no raster with pixels; {REMEDY}") from error


def _check_pointers(path: str, dataset: Any) -> None:
    target = dataset.tags(ns="OVERVIEWS").get("OVERVIEW_FILE", "")
    beside = target.startswith(BASE) and "/" not in target and "\\" not in target
    if target and not beside:
        raise SceneError(f"{path} sends readers to {target} for its overviews; {REMEDY}")


def _references(path: str) -> Iterator[str]:
    """The files that a VRT names.

    Raises:
        SceneError: when it is no XML, holds code, or names anything but files.
    """
    for element in _harmful(_tree(path)):
        text = (element.text or "").strip()
        language = element.tag == "PixelFunctionLanguage" and text.lower() != "c"
        if language or element.tag == "PixelFunctionCode":
            raise SceneError(f"{path} holds code, which is not run; apply it first with gdal_translate")
        far = next((value for value in (text, *element.attrib.values()) if FAR.search(value)), None)
        if far is not None:
            raise SceneError(f"{path} refers to {far[:100]}; {REMEDY}")
        if element.tag in REFERENCES:
            relative = element.get("relativeToVRT", "0") == "1"
            yield str(Path(path).parent / text) if relative else text


def _tree(path: str) -> ET.Element:
    content = Path(path)
    if content.stat().st_size > MAX_XML:
        raise SceneError(f"{path} is a VRT of more than {MAX_XML // 2**20} MiB; split it")
    data = content.read_bytes()
    if b"<!" in data.replace(b"<!--", b"").replace(b"<![CDATA[", b""):  # entities may explode
        raise SceneError(f"{path} is a VRT with a document type; make it anew with gdalbuildvrt")
    try:
        return ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise SceneError(f"{path} is a damaged VRT: {error}; make it anew with gdalbuildvrt") from error


def _harmful(element: ET.Element) -> Iterator[ET.Element]:
    """The elements below one that may send GDAL somewhere."""
    yield element
    for child in element:
        if child.tag not in HARMLESS:
            yield from _harmful(child)
        elif child.tag == "Metadata":
            yield from (item for item in child if item.get("key") in POINTERS)


def _is_vrt(path: str) -> bool:
    return b"<VRTDataset" in _head(path)


def _xml_root(path: str) -> str:
    """The first element of a file that is XML; empty for all others."""
    match = re.match(rb"(?:\xef\xbb\xbf)?\s*(?:<[?!][^>]*>\s*)*<([\w:]+)", _head(path))
    return match[1].decode() if match else ""


def _head(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - a name that may be of any form
        return file.read(HEAD)


def _names_a_driver(name: str) -> bool:
    """Whether it is `DRIVER:…`, and no file of that name."""
    return (
        bool(re.match(r"[A-Za-z]\w+:(?!//)", name)) and not name.lower().startswith("file:")
    ) and not Path(name).exists()


@lru_cache(maxsize=1)
def _plain() -> list[str]:
    """Those of `PLAIN` that this build of GDAL has."""
    with rasterio.Env() as env:
        return [name for name in PLAIN if name in env.drivers()]
