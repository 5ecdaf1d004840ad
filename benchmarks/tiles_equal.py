"""The same scene as GeoTIFF, folder of map tiles, MBTiles and from a server that stumbles: the same mask?

    python benchmarks/tiles_equal.py SCENE [--zoom N] [--cut ROWS COLS] [--model NAME] [--fail 0.05]

Warps the scene to the Web Mercator grid of the zoom whose pixels are nearest to its own, so that all see the
same pixels; cuts it into lossless tiles of 256 px; runs `geoseg predict` on each and `geoseg batch` on the
server, of whose answers a share fails at random (503 or hung up). Prints the share of mask pixels that equal
those of the GeoTIFF, and the seconds. Then one tile fails for good: the batch must end with 3 and name it.
--cut takes a piece of the scene's middle, for a quick look.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from PIL import Image
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window, bounds

from geoseg.geo.geobox import geobox_of
from geoseg.geo.tile_grid import CRS, HALF, TileRange, latitude, pixel_m, touching

GEOSEG = [sys.executable, "-c", "from geoseg.cli import main; main(prog_name='geoseg')", "-q"]
SIZE = 256
ENOUGH = 0.999  # of the pixels


def warped(scene: Path, path: Path, zoom: int | None, cut: tuple[int, int] | None) -> TileRange:
    """Write the scene, or a piece of it, on the grid of a zoom with an alpha band; the tiles it covers."""
    with rasterio.open(scene) as dataset:
        rows, cols = cut or dataset.shape
        piece = Window((dataset.width - cols) // 2, (dataset.height - rows) // 2, cols, rows)
        box = transform_bounds(dataset.crs, CRS, *bounds(piece, dataset.transform))
        side = geobox_of(dataset).side_m() or 0.5
        zooms = sorted(range(10, 24), key=lambda z: abs(math.log(pixel_m(z, SIZE, box[1]) / side)))
        extent = touching(box, zooms[0] if zoom is None else zoom)
        height, width = extent.shape(SIZE)
        with WarpedVRT(
            dataset, crs=CRS, transform=extent.transform(SIZE), height=height, width=width,
            resampling=Resampling.bilinear, add_alpha="alpha" not in [k.name for k in dataset.colorinterp],
        ) as view:  # fmt: skip
            profile = dict(driver="GTiff", height=height, width=width, count=4, dtype="uint8", crs=CRS,
                           transform=extent.transform(SIZE), tiled=True, compress="zstd",
                           photometric="rgb", alpha="yes")  # fmt: skip
            with rasterio.open(path, "w", **profile) as target:
                for row in range(0, height, SIZE):
                    strip = Window(0, row, width, SIZE)
                    target.write(view.read([1, 2, 3, view.count], window=strip), window=strip)
    return extent


def tiles(path: Path, extent: TileRange) -> Iterator[tuple[int, int, bytes]]:
    """(col, row, PNG) of every tile with data."""
    with rasterio.open(path) as dataset:
        for col, row in extent:
            place = Window((col - extent.col) * SIZE, (row - extent.row) * SIZE, SIZE, SIZE)
            planes = dataset.read(window=place)
            if planes[3].any():
                stream = io.BytesIO()
                Image.fromarray(np.ascontiguousarray(planes.transpose(1, 2, 0))).save(stream, "PNG")
                yield col, row, stream.getvalue()


def write_tiles(path: Path, extent: TileRange, folder: Path, archive: Path) -> int:
    """Write a z/x/y folder and an MBTiles file; the number of tiles."""
    with closing(sqlite3.connect(archive)) as connection:
        connection.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
        connection.execute("INSERT INTO metadata VALUES ('format', 'png')")
        connection.execute(
            "CREATE TABLE tiles (zoom_level INT, tile_column INT, tile_row INT, tile_data BLOB)"
        )
        connection.execute("CREATE UNIQUE INDEX place ON tiles (zoom_level, tile_column, tile_row)")
        for col, row, data in tiles(path, extent):
            file = folder / str(extent.zoom) / str(col) / f"{row}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            numbers = (extent.zoom, col, 2**extent.zoom - 1 - row, data)
            connection.execute("INSERT INTO tiles VALUES (?, ?, ?, ?)", numbers)
        connection.commit()
        (count,) = connection.execute("SELECT count(*) FROM tiles").fetchone()
    return int(count)


@contextmanager
def server(folder: Path, fail: float, broken: str = "") -> Iterator[tuple[str, dict[str, int]]]:
    """A server of a folder of tiles; its template, and how many requests it had and failed."""
    told, dice = {"asked": 0, "failed": 0}, random.Random(0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            told["asked"] += 1
            if dice.random() < fail and not broken:
                told["failed"] += 1
                if dice.random() < 0.5:
                    self.close_connection = True  # hangs up without a word
                    return
                self.answer(503)
            elif broken and broken in self.path:
                self.answer(503)
            else:
                file = folder / self.path.lstrip("/")
                self.answer(200, file.read_bytes()) if file.is_file() else self.answer(404)

        def answer(self, status: int, data: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/{{z}}/{{x}}/{{y}}.png", told
        running.shutdown()


def degrees(extent: TileRange) -> list[str]:
    """What --bounds takes, a little inside the tiles."""
    left, bottom, right, top = extent.bounds
    box = (left + 0.1, bottom + 0.1, right - 0.1, top - 0.1)
    turned = (box[0] / HALF * 180, latitude(box[1]), box[2] / HALF * 180, latitude(box[3]))
    return ["--zoom", str(extent.zoom), "--bounds", *(f"{value:.9f}" for value in turned)]


def equal(found: Path, expected: Path) -> float:
    """The share of equal pixels where both masks are, of all pixels of the expected one."""
    with rasterio.open(found) as one, rasterio.open(expected) as other:
        place = other.window(*one.bounds).round_offsets().round_lengths()
        whole = np.full(other.shape, 255, np.uint8)
        rows, cols = place.toslices()
        whole[rows, cols] = one.read(1)
        return float((whole == other.read(1)).mean())


def main() -> None:
    """Run all variants and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scene", type=Path)
    parser.add_argument("--zoom", type=int)
    parser.add_argument("--cut", type=int, nargs=2)
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--fail", type=float, default=0.05)
    parser.add_argument("--chunk", default="2048")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        here, folder, archive = Path(name), Path(name) / "tiles", Path(name) / "scene.mbtiles"
        scene = here / "scene.tif"
        extent = warped(options.scene, scene, options.zoom, options.cut)
        count = write_tiles(scene, extent, folder, archive)
        print(f"zoom {extent.zoom}, {extent.cols}×{extent.rows} tiles, {count} with data\n")
        print("| source | s | equal pixels |\n|---|---|---|")
        model, failed = ["-m", options.model], False
        for title, source in (("GeoTIFF", scene), ("folder", folder), ("MBTiles", archive)):
            failed |= timed(title, ["predict", str(source), "-o", str(here / f"{title}.tif"), *model], here)
        with server(folder, options.fail) as (template, told):
            words = ["predict", template, *degrees(extent), "-o", str(here / "server.tif"), *model]
            failed |= timed("server", words, here)
            out = here / "batch"
            words = ["batch", template, *degrees(extent), "-o", str(out), *model, "--chunk", options.chunk,
                     "--executor", "processes", "--workers", "2"]  # fmt: skip
            failed |= timed("server, batch", words, here, out / "127_0_0_1_mask.tif")
        print(f"\n{told['failed']} of {told['asked']} requests failed")
        failed |= not names_the_broken(folder, extent, here, model, options.chunk)
    sys.exit(failed)


def timed(title: str, words: list[str], here: Path, mask: Path | None = None) -> bool:
    """Run a command, print its row of the table; whether it failed or its mask differs."""
    start = time.perf_counter()
    code = subprocess.run([*GEOSEG, *words], stdout=subprocess.DEVNULL).returncode
    seconds = time.perf_counter() - start
    share = equal(mask or here / f"{title}.tif", here / "GeoTIFF.tif") if code == 0 else 0.0
    print(f"| {title} | {seconds:.1f} | {100 * share:.4f} % |", flush=True)
    return share < ENOUGH


def names_the_broken(folder: Path, extent: TileRange, here: Path, model: list[str], chunk: str) -> bool:
    """Whether a batch with a tile that fails for good ends with 3 and names it."""
    broken = "/".join(min(folder.rglob("*.png")).with_suffix("").parts[-3:])
    with server(folder, 0, f"/{broken}.") as (template, _):
        words = ["batch", template, *degrees(extent), "-o", str(here / "broken"), *model, "--chunk", chunk]
        done = subprocess.run([*GEOSEG, *words, "--attempts", "1"], capture_output=True, text=True)
    named = [line for line in done.stderr.splitlines() if f"tile {broken} of" in line]
    print(f"a tile fails for good: exit {done.returncode}, {'named' if named else 'not named'}")
    print("\n".join([*named, done.stderr.splitlines()[-1]]))
    return done.returncode == 3 and bool(named)


if __name__ == "__main__":
    main()
