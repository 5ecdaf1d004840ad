"""Map tiles made in code, and a server of them that stumbles as it is told."""

import io
import socket
import sqlite3
import struct
import threading
from collections import Counter
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from geoseg.geo.tile_grid import HALF, TileRange, latitude

SIZE = 32
EXTENT = TileRange(18, 193000, 110400, 4, 3)  # about 27.6° north: pixels of 4.2 m at 32 px a tile


def degrees(bounds):
    """Left, bottom, right, top in degrees, from metres."""
    left, bottom, right, top = bounds
    return left / HALF * 180, latitude(bottom), right / HALF * 180, latitude(top)


def inner(extent=EXTENT):
    """Bounds in degrees, a metre inside the tiles."""
    left, bottom, right, top = extent.bounds
    return degrees((left + 1, bottom + 1, right - 1, top - 1))


def mosaic(extent=EXTENT, size=SIZE, seed=0):
    """The pixels of all tiles together."""
    return np.random.default_rng(seed).integers(1, 256, (*extent.shape(size), 3), np.uint8)


def encoded(pixels, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def cut(pixels, extent=EXTENT, size=SIZE, without=(), **options):
    """A table of (col, row) to files."""
    return {
        (col, row): encoded(
            pixels[(row - extent.row) * size :, (col - extent.col) * size :][:size, :size], **options
        )
        for col, row in extent
        if (col, row) not in without
    }


def write_folder(folder, files, zoom=EXTENT.zoom, tms=False, ending=".png"):
    for (col, row), data in files.items():
        path = folder / str(zoom) / str(col) / f"{2**zoom - 1 - row if tms else row}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_mbtiles(path, files, zoom=EXTENT.zoom, kind="png"):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE metadata (name TEXT, value TEXT)")
        connection.execute("CREATE TABLE tiles (zoom_level INT, tile_column INT, tile_row INT, tile_data)")
        connection.execute("INSERT INTO metadata VALUES ('format', ?)", (kind,))
        rows = [(zoom, col, 2**zoom - 1 - row, data) for (col, row), data in files.items()]
        connection.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    return path


class Served:
    """What a server was asked for, and where it is.

    Attributes:
        template: its address of tiles.
        asked: how often, by (col, row).
    """

    def __init__(self, port):
        self.template = f"http://127.0.0.1:{port}/map/{{z}}/{{x}}/{{y}}.png"
        self.asked = Counter()


@contextmanager
def served(files, stumble=lambda place, times: None, zoom=EXTENT.zoom):
    """A server of tiles in a thread.

    `stumble` gets a tile's (col, row) and how often it has been asked for, and returns None for a proper
    answer, a status, `reset` to hang up, `half` to hang up in the middle, or bytes to send instead.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words):
            pass

        def do_GET(self):
            parts = Path(self.path.split("?")[0]).with_suffix("").parts
            place, found = (int(parts[-2]), int(parts[-1])), int(parts[-3]) == zoom
            told.asked[place] += 1
            answer = stumble(place, told.asked[place])
            if answer == "reset":
                self.hang_up()
                return
            data = answer if isinstance(answer, bytes) else files.get(place, b"") if found else b""
            status = answer if isinstance(answer, int) else 200 if data else 404
            self.send_response(status)
            self.send_header("Content-Length", str(len(data) if status == 200 else 0))
            self.end_headers()
            if status == 200:
                self.wfile.write(data[: len(data) // 2] if answer == "half" else data)
            if answer == "half":
                self.hang_up()

        def hang_up(self):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def finish(self):
            try:
                super().finish()
            except (OSError, ValueError):
                self.close_connection = True

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        told = Served(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
