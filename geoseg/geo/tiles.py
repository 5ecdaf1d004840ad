"""Map tiles as a scene: a z/x/y folder, an MBTiles file or a server, and which of its tiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from geoseg.geo.tile_files import MBTILES, Get, folder_tile, mbtiles_tile
from geoseg.geo.tile_grid import TileRange
from geoseg.geo.tile_server import label, tile_server
from geoseg.geo.tile_stage import Fetch, staged_tiles

MARK = "TILES:"


@dataclass(frozen=True, slots=True)
class Tiles:
    """A rectangle of tiles of a source: plain data, with a text form that `open_scene` takes for a name.

    Attributes:
        location: an MBTiles file, a folder's `/path/{z}/{x}/{y}`, or an address with such places.
        extent: which tiles, counted from the north whatever the source does.
        size: pixels of a tile each way.
        name: what outputs are called after.
        cache: a folder that keeps what a server sends.
    """

    location: str
    extent: TileRange
    size: int
    name: str
    cache: str = ""

    def __str__(self) -> str:
        e = self.extent  # the name comes last: it is to a path's last part what a file's name is
        numbers = (e.zoom, e.col, e.row, e.cols, e.rows, self.size, quote(self.cache, safe=""), self.name)
        return f"{MARK}{self.location}|{'/'.join(map(str, numbers))}"

    @classmethod
    def parse(cls, text: str) -> Tiles | None:
        """The tiles of a text form; None of anything else."""
        match = re.fullmatch(rf"{MARK}(.+)\|((?:\d+/){{6}})([^/|]*)/([^/|]+)", text, re.DOTALL)
        if match is None:
            return None
        *extent, size = map(int, match[2].split("/")[:-1])
        return cls(match[1], TileRange(*extent), size, match[4], unquote(match[3]))

    @property
    def place(self) -> Path:
        """The MBTiles file, or the template as a path, at which there is nothing."""
        return Path(self.location)

    @property
    def label(self) -> str:
        """What errors call it: no part of an address that may be secret."""
        place = label(self.location) if is_address(self.location) else self.location
        return f"{place} at zoom {self.extent.zoom}"

    @contextmanager
    def get(self) -> Iterator[Get]:
        """What reads single tiles, until the `with` block ends."""
        if is_address(self.location):
            with tile_server(self.location, Path(self.cache) if self.cache else None) as get:
                yield get
        else:
            of_file = self.place.suffix.lower() == MBTILES
            yield mbtiles_tile(self.place) if of_file else folder_tile(self.location)

    @contextmanager
    def open(self) -> Iterator[tuple[Any, Fetch]]:
        """As `tile_stage.staged_tiles`."""
        with self.get() as get, staged_tiles(self.extent, self.size, get, self.label) as opened:
            yield opened


def is_address(location: str) -> bool:
    """Whether a location is not a path."""
    return "://" in location
