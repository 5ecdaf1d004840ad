"""A web server of a folder: `python stumbling_server.py FOLDER STUMBLES` prints its port.

It serves parts of files, and answers 503 to the first STUMBLES requests.
"""

import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER, LEFT = Path(sys.argv[1]), [None] * int(sys.argv[2])


class Stumbling(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self):
        path = FOLDER / self.path[1:]
        if LEFT:
            LEFT.pop()
            self.answer(503)
        elif not path.is_file():
            self.answer(404)
        else:
            self.answer_part(path.read_bytes())

    do_HEAD = do_GET  # noqa: N815 - as the library calls it

    def answer_part(self, data):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not asked:
            self.answer(200, data)
            return
        start, stop = int(asked[1]), int(asked[2] or len(data)) + 1
        part = data[start:stop]
        self.answer(206, part, **{"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"})

    def answer(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in {"Accept-Ranges": "bytes", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *words):
        """Say nothing."""


web = ThreadingHTTPServer(("127.0.0.1", 0), Stumbling)
print(web.server_port, flush=True)  # noqa: T201 - the test reads it
web.serve_forever()
