"""Tiles on disk: a folder of z/x/y files, or an MBTiles file. Rows count from the north throughout.

GDAL's own drivers are not asked for them: its MBTiles driver takes a damaged tile for one without data, its
TMS driver a grey one for a black one.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from geoseg.errors import SceneError
from geoseg.geo.tile_grid import DEEPEST, TileRange

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".PNG", ".JPG", ".JPEG", ".WEBP")
MBTILES = ".mbtiles"
SAMPLES = 4  # tiles to learn their size from, should some be damaged

Get = Callable[[int, int, int], bytes | None]


def folder_zooms(folder: Path) -> list[int]:
    """The zooms of a folder of z/x/y tiles, in order; none for any other folder."""
    return sorted(zoom for zoom, inner in _numbered(folder) if _has_tiles(inner))


def folder_extent(folder: Path, zoom: int, tms: bool) -> TileRange:
    """The smallest rectangle around the tiles of a zoom. Their names are passed by, not kept."""
    cols, rows = list[int](), list[int]()
    for col, inner in _numbered(folder / str(zoom)):
        found = [int(Path(file.name).stem) for file in os.scandir(inner) if _is_tile(file.name)]
        if found:
            cols.append(col)
            rows += min(found), max(found)
    if not cols:
        raise SceneError(f"{folder} has no tiles at zoom {zoom}; give one of its zooms")
    return _around(zoom, min(cols), max(cols), min(rows), max(rows), tms)


def folder_samples(folder: Path, zoom: int) -> list[bytes]:
    """Some tiles of a zoom."""
    columns = (os.scandir(inner) for _, inner in _numbered(folder / str(zoom)))
    files = (file.path for column in columns for file in column if _is_tile(file.name))
    return [Path(file).read_bytes() for file in islice(files, SAMPLES)]


def folder_tile(template: str) -> Get:
    """What reads tiles from files like `/folder/{z}/{x}/{y}` (`{-y}` in TMS order) of any ending."""
    folder, *places = template.rsplit("/", 3)  # the folder may have braces in its name

    def get(zoom: int, col: int, row: int) -> bytes | None:
        name = f"{folder}/{filled('/'.join(places), zoom, col, row)}"
        for ending in ENDINGS:
            try:
                return Path(name + ending).read_bytes()
            except FileNotFoundError:
                continue
        return None

    return get


def mbtiles_zooms(path: Path) -> list[int]:
    """The zooms of an MBTiles file, in order.

    Raises:
        SceneError: when it is none, or of vector tiles.
    """
    kind = _rows(path, "SELECT value FROM metadata WHERE name = 'format'")
    if kind and kind[0][0] == "pbf":
        raise SceneError(f"{path} holds vector tiles; give one of pictures")
    asked = "SELECT 1 FROM tiles WHERE zoom_level = ? LIMIT 1"  # one for all would pass by every tile
    zooms = [zoom for zoom in range(DEEPEST + 1) if _rows(path, asked, zoom)]
    if not zooms:
        raise SceneError(f"{path} holds no tile; make it again")
    return zooms


def mbtiles_extent(path: Path, zoom: int) -> TileRange:
    """The smallest rectangle around the tiles of a zoom; the file's own bounds may be those of a country."""
    asked = "min(tile_column), max(tile_column), min(tile_row), max(tile_row)"
    (found,) = _rows(path, f"SELECT {asked} FROM tiles WHERE zoom_level = ?", zoom)
    if found[0] is None:
        raise SceneError(f"{path} has no tiles at zoom {zoom}; give one of its zooms")
    west, east, low, high = found
    return _around(zoom, west, east, low, high, True)


def mbtiles_samples(path: Path, zoom: int) -> list[bytes]:
    """Some tiles of a zoom."""
    found = _rows(path, f"SELECT tile_data FROM tiles WHERE zoom_level = ? LIMIT {SAMPLES}", zoom)
    return [bytes(row[0]) for row in found]


def mbtiles_tile(path: Path) -> Get:
    """What reads tiles from an MBTiles file."""

    def get(zoom: int, col: int, row: int) -> bytes | None:
        asked = "SELECT tile_data FROM tiles WHERE zoom_level = ? AND tile_column = ? AND tile_row = ?"
        found = _rows(path, asked, zoom, col, 2**zoom - 1 - row)
        return bytes(found[0][0]) if found else None

    return get


def filled(template: str, zoom: int, col: int, row: int) -> str:
    """A template with the numbers of a tile in the places of {z}, {x}, and {y} or {-y}."""
    numbers = {"{z}": zoom, "{x}": col, "{y}": row, "{-y}": 2**zoom - 1 - row}
    for place, number in numbers.items():
        template = template.replace(place, str(number))
    return template


def _rows(path: Path, asked: str, *values: int) -> list[Any]:
    """Ask an SQLite file; a connection costs less than a tile, and threads do not share it."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(asked, values).fetchall()
    except sqlite3.Error as error:
        raise SceneError(f"cannot read {path} as MBTiles: {error}; make it again") from error


def _numbered(folder: Path) -> Iterator[tuple[int, str]]:
    """The folders below that are called by a number, with it."""
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if _is_number(entry.name) and entry.is_dir():
                    yield int(entry.name), entry.path


def _has_tiles(folder: str) -> bool:
    columns = (os.scandir(inner) for _, inner in _numbered(Path(folder)))
    return any(_is_tile(file.name) for column in columns for file in column)


def _is_tile(name: str) -> bool:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - a Path for each of millions takes seconds
    return _is_number(stem) and ending in ENDINGS


def _is_number(text: str) -> bool:
    return text.isdecimal() and str(int(text)) == text


def _around(zoom: int, west: int, east: int, low: int, high: int, tms: bool) -> TileRange:
    north = 2**zoom - 1 - high if tms else low
    return TileRange(zoom, west, north, east - west + 1, high - low + 1)
