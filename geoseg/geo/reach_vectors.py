"""Vector files that are what they look like: read without following what their content points at.

As for rasters (see `reach`): a description for OGR may name servers, and a GeoJSON may have its CRS fetched
from an address.
"""

from __future__ import annotations

import json
import mmap
import re
import warnings
from pathlib import Path
from typing import Any

from geoseg.errors import SceneError, in_a_line

HEAD = 4096  # bytes in which OGR looks for what a file is
CRS_BYTES = 4096  # of a GeoJSON's `crs`; those that programs write have 100
ROOTS = (b"kml", b"gpx", b"featurecollection")  # of XML that holds geometries
CRS_KEY = re.compile(rb"""["']crs["']\s*:\s*(?=\{)""")
SPELT = re.compile(rb"(?<!\\)(?:\\\\)*\\u00(?:4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a])", re.IGNORECASE)
PIPELINE = b"gdal_streamed_alg"
REMEDY = "save it as GeoPackage first, if you trust it"


def read_frame(path: Path) -> Any:
    """A vector file as a table of geopandas', quietly.

    Raises:
        SceneError: when its content leads elsewhere.
        ValueError: when it cannot be read, whatever the library raised for that, or has no geometries.
    """
    import geopandas

    from geoseg.vector import ogr  # noqa: F401 - before geopandas has pyogrio read

    check_vector(path)
    read = geopandas.read_parquet if path.suffix.lower() == ".parquet" else geopandas.read_file
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one a damaged feature, to everybody
            frame = read(path)
    except Exception as error:
        raise ValueError(in_a_line(error)) from None
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise ValueError("it is a table without geometries")
    return frame


def check_vector(path: Path) -> None:
    """Refuse a vector file whose content leads OGR elsewhere. What is not there is left for OGR to say.

    Raises:
        SceneError: then.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return
    if path.suffix.lower() == ".zip":
        raise SceneError(f"{path} is an archive, which may hold anything; unpack it and give a file of it")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content[:HEAD].removeprefix(b"\xef\xbb\xbf").lstrip(b"\x1e \t\r\n\0")
        if start.startswith(b"<"):
            _check_xml(path, start)
        elif start[:1] in (b"{", b"["):
            _check_json(path, content)


def _check_xml(path: Path, start: bytes) -> None:
    match = re.match(rb"(?:<[?!][^>]*>\s*)*<(?:[\w.-]+:)?([\w.-]+)", start)
    root = match[1] if match else b"?"
    if root.lower() not in ROOTS:
        raise SceneError(f"{path} holds no geometries but a description ({root.decode()}); {REMEDY}")


def _check_json(path: Path, content: mmap.mmap) -> None:
    if content.find(PIPELINE) >= 0:
        raise SceneError(f"{path} holds a command of GDAL's, which is not run; {REMEDY}")
    for match in CRS_KEY.finditer(content):
        text = content[match.end() : match.end() + CRS_BYTES].decode("utf-8", "replace")
        if _leads_away(text):
            raise SceneError(f"{path}: its CRS is said to lie at an address, which is not asked; {REMEDY}")
    if SPELT.search(content) and content.find(b"http") >= 0:
        raise SceneError(f"{path} spells letters as escapes, which no program does; {REMEDY}")


def _leads_away(text: str) -> bool:
    """Whether the JSON that `text` begins with is a CRS by link, or cannot be read."""
    try:
        crs: Any = json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return True
    return str(crs.get("type")).lower() in ("link", "url")
