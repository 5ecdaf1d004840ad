"""Tiles of classes as pictures, in an MBTiles file or a folder of z/x/y files.

https://github.com/mapbox/mbtiles-spec/blob/master/1.3/spec.md
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np

from geoseg.core.mask import NODATA
from geoseg.errors import OutputError
from geoseg.geo.tile_grid import TileRange
from geoseg.geo.tile_masks import Classes, Color

APPLICATION = 0x4D504258  # "MPBX", by which other programs know an SQLite file for MBTiles
TABLES = """
CREATE TABLE metadata (name text, value text);
CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob);
"""
# in pages of the usual 4 kB a fourth of the file would be air: tiles have two
PAGES = f"PRAGMA page_size = 1024; PRAGMA application_id = {APPLICATION};"
INDEX = "CREATE UNIQUE INDEX tile_index ON tiles (zoom_level, tile_column, tile_row)"
ABOUT = "metadata.json"  # beside the zooms of a folder

Put = Callable[[TileRange, bytes], None]


def picture_of(pixels: Classes, colors: Mapping[int, Color]) -> bytes | None:
    """A tile as a PNG whose palette numbers are the classes, 0 (transparent) where there is no data.

    Args:
        pixels: (h, w) uint8, 0 background, 255 no data.
        colors: (r, g, b, a) by class.

    Returns:
        The file; None when all of it would be transparent.
    """
    from PIL import Image

    classes = np.where(pixels == NODATA, np.uint8(0), pixels)
    highest = int(classes.max())
    if highest == 0:
        return None
    table = [(0, 0, 0, 0), *(colors.get(value, (0, 0, 0, 255)) for value in range(1, highest + 1))]
    picture = Image.frombytes("P", classes.shape[::-1], classes.tobytes())
    picture.putpalette([part for color in table for part in color[:3]])
    stream = BytesIO()
    picture.save(stream, "PNG", transparency=bytes(color[3] for color in table))
    return stream.getvalue()


@contextmanager
def mbtiles_writer(path: Path, about: Mapping[str, str]) -> Iterator[Put]:
    """A new MBTiles file to put tiles into; it is complete when the `with` block ends well.

    Args:
        path: a file that is not there.
        about: its metadata.

    Raises:
        OutputError: when it cannot be written.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            # nobody reads it before it is whole, and nobody wants it when it is not
            connection.executescript(f"PRAGMA journal_mode = off; PRAGMA synchronous = off; {PAGES} {TABLES}")
            connection.executemany("INSERT INTO metadata VALUES (?, ?)", about.items())

            def put(tile: TileRange, picture: bytes) -> None:
                place = tile.zoom, tile.col, 2**tile.zoom - 1 - tile.row
                connection.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", (*place, picture))

            yield put
            connection.execute(INDEX)
    except sqlite3.Error as error:
        raise OutputError(f"cannot write tiles as MBTiles: {error}; is the disk full?") from error


@contextmanager
def folder_writer(folder: Path, about: Mapping[str, str]) -> Iterator[Put]:
    """A folder to put tiles into as `z/x/y.png`, y from the north, with `metadata.json` beside them.

    Args:
        folder: an empty one.
        about: its metadata, those of an MBTiles file.

    Raises:
        OutputError: when it cannot be written.
    """

    def put(tile: TileRange, picture: bytes) -> None:
        path = folder / str(tile.zoom) / str(tile.col) / f"{tile.row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)

    try:
        (folder / ABOUT).write_text(json.dumps(dict(about), indent=1) + "\n", encoding="utf-8")
        yield put
    except OutputError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write tiles as files: {error.strerror}; is the disk full?") from error
