"""Map tiles as a dataset of GDAL's: fetched ahead of each read, checked, and laid where GDAL finds them.

A tile that is absent is laid down as a transparent picture. So GDAL meets no missing file unless a read went
beyond what was fetched for it, which is then an error and never a hole in the scene.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.tile_files import Get
from geoseg.geo.tile_grid import CRS, TileRange
from geoseg.geo.tile_server import CONNECTIONS

KERNEL = (
    4  # pixels that resampling may look beyond a window: of the coarser plane, and as many of the scene's
)
MODES = ("RGB", "RGBA")  # Pillow's names of what GDAL's driver reads as it is

Fetch = Callable[[Window], None]


@contextmanager
def staged_tiles(extent: TileRange, size: int, get: Get, label: str) -> Iterator[tuple[Any, Fetch]]:
    """A rectangle of tiles as an open dataset of red, green, blue and alpha.

    Nothing is held per tile but a file in the temporary folder, once it has been fetched.

    Args:
        extent: which tiles.
        size: pixels of a tile each way.
        get: returns a tile's file as bytes, or None; called from several threads.
        label: what errors call the source.

    Yields:
        The dataset, and a function to be called with every window of it before it is read.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="geoseg-tiles-")))
        pool = stack.enter_context(ThreadPoolExecutor(CONNECTIONS))
        with translated(SceneError, f"cannot open {label}", "is the area too large? give smaller --bounds"):
            dataset = stack.enter_context(open_raster(_description(folder, extent, size)))
        lay = partial(_lay, folder, extent.zoom, size, get, label)

        def fetch(window: Window) -> None:
            needed = extent.under(window, size)
            for _ in pool.map(lay, needed) if needed else ():
                pass

        yield dataset, fetch


def ahead(fetch: Fetch, block: tuple[int, int], native: tuple[int, int], shape: tuple[int, int]) -> Fetch:
    """`fetch` for windows of a resampled view of the dataset.

    Args:
        fetch: takes windows of the dataset itself.
        block: (height, width) of the blocks of the view, which are resampled whole.
        native: (height, width) of the dataset.
        shape: (height, width) of the view.
    """

    def fetch_ahead(window: Window) -> None:
        row, stop_row = _reach(window.row, window.stop_row, block[0], native[0], shape[0])
        col, stop_col = _reach(window.col, window.stop_col, block[1], native[1], shape[1])
        fetch(Window(row, col, stop_row - row, stop_col - col))

    return fetch_ahead


def _reach(start: int, stop: int, block: int, native: int, view: int) -> tuple[int, int]:
    """The pixels of the dataset that pixels of the view are made of, along one axis."""
    scale = native / view
    margin = math.ceil(KERNEL * max(scale, 1)) + KERNEL
    first, last = start // block * block, min(-(-stop // block) * block, view)
    return max(0, math.floor(first * scale) - margin), min(native, math.ceil(last * scale) + margin)


def picture_size(data: bytes) -> int:
    """The side of a tile, pixels.

    Raises:
        SceneError: when it is no picture.
    """
    return int(_opened(data, "a tile").width)


def _lay(folder: Path, zoom: int, size: int, get: Get, label: str, place: tuple[int, int]) -> None:
    """Fetch a tile and write it where GDAL looks for it, once."""
    target = folder / f"{zoom}/{place[0]}/{place[1]}"
    if target.exists():
        return
    where = f"tile {zoom}/{place[0]}/{place[1]} of {label}"
    try:
        data = get(zoom, *place)
    except OSError as error:
        raise SceneError(f"{where} cannot be read: {error}; mend the file or remove it") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_transparent(size) if data is None else _checked(data, size, where))


def _checked(data: bytes, size: int, where: str) -> bytes:
    """A tile that decodes, and as colours: GDAL's driver reads grey ones and the like as black."""
    picture = _opened(data, where)
    if picture.size != (size, size):
        got = "×".join(map(str, picture.size))
        raise SceneError(f"{where} has {got} px, the others {size}×{size}; tiles of one size are needed")
    if picture.format == "PNG" and data[24] > 8:
        raise SceneError(f"{where} has {data[24]} bits a colour; give tiles of 8 bits")
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
        raise SceneError(f"{where} is damaged: {error}; fetch it again") from error
    if picture.mode in MODES and "transparency" not in picture.info:
        return data
    return _png(picture.convert("RGBA"))


def _opened(data: bytes, where: str) -> Any:
    from PIL import Image

    try:
        return Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
    except Image.DecompressionBombError as error:
        raise SceneError(f"{where} claims to be a giant picture: {error}; fetch it again") from error
    except (OSError, SyntaxError, ValueError) as error:
        start = data[:20].decode("ascii", "replace")
        raise SceneError(
            f"{where} is no PNG, JPEG or WebP, it begins with {start!r}; fetch it again"
        ) from error


def _transparent(size: int) -> bytes:
    from PIL import Image

    return _png(Image.new("RGBA", (size, size)))


def _png(picture: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _description(folder: Path, extent: TileRange, size: int) -> str:
    """GDAL's XML for tiles in a folder. Local files come to it by way of curl, as addresses."""
    address = escape(f"file://{quote(folder.absolute().as_posix())}/${{z}}/${{x}}/${{y}}")
    (left, bottom, right, top), (height, width) = extent.bounds, extent.shape(size)
    window = {
        "UpperLeftX": left, "UpperLeftY": top, "LowerRightX": right, "LowerRightY": bottom,
        "SizeX": width, "SizeY": height, "TileX": extent.col, "TileY": extent.row, "TileLevel": extent.zoom,
        "YOrigin": "top",
    }  # fmt: skip
    lines = "".join(f"<{name}>{value!r}</{name}>".replace("'", "") for name, value in window.items())
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}</ServerUrl></Service>'
        f"<DataWindow>{lines}</DataWindow><Projection>{CRS}</Projection>"
        f"<BlockSizeX>{size}</BlockSizeX><BlockSizeY>{size}</BlockSizeY>"
        "<BandsCount>4</BandsCount><OverviewCount>0</OverviewCount></GDAL_WMS>"
    )
