"""Tiles from a server, which is asked again when it stumbles: only what is not there counts as absent.

GDAL's own driver for servers asks once, throws the neighbours of a failed tile away, and does not name it.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import geoseg
from geoseg.errors import SceneError
from geoseg.geo.tile_files import Get, filled

ABSENT = (204, 404, 410)  # answers that mean: there is no such tile
AGAIN = (408, 425, 429, 500, 502, 503, 504)  # answers that may be others in a while
CONNECTIONS = 8
TRIES = 5
BACK_OFF = 0.5  # seconds before the third try; twice as many before each further one
PATIENCE = 60  # seconds that a server's Retry-After is obeyed for
TIMEOUT = 30.0  # seconds to connect, and without a byte


def check_template(template: str) -> None:
    """Refuse what is no address of tiles.

    Raises:
        SceneError: when it is not http(s), or has other places than {z}, {x} and {y} or {-y}.
    """
    if urlsplit(template).scheme.lower() not in ("http", "https"):
        raise SceneError(f"{template}: tiles come over http and https; give such an address, or a folder")
    places = sorted(re.findall(r"\{[^{}]*\}", template))
    if places not in (["{x}", "{y}", "{z}"], ["{-y}", "{x}", "{z}"]):
        found = ", ".join(places)
        raise SceneError(f"an address of tiles has {{z}}, {{x}} and {{y}} or {{-y}}, got {found}; mend it")


@contextmanager
def tile_server(template: str, cache: Path | None = None) -> Iterator[Get]:
    """What fetches tiles, from as many threads as you like, until the `with` block ends.

    Args:
        template: `https://…/{z}/{x}/{y}.png`, or with {-y} for rows that count from the south.
        cache: a folder in which what was fetched is kept and looked for, as z/x/y files.

    Yields:
        A function that returns a tile, None when the server has none, and raises a `SceneError` that names
        the tile when it is not to be had.
    """
    pool = _pool(template)
    home = cache and cache / hashlib.sha256(template.encode()).hexdigest()[:12]

    def get(zoom: int, col: int, row: int) -> bytes | None:
        kept = home and home / f"{zoom}/{col}/{row}"
        if kept and kept.is_file():
            return kept.read_bytes()
        data = _fetched(pool, template, zoom, col, row)
        if kept and data is not None:
            _keep(kept, data)
        return data

    try:
        yield get
    finally:
        pool.clear()


def _pool(template: str) -> Any:
    """Connections that are kept and retried, through the proxy that the environment names."""
    import urllib3

    retry = urllib3.Retry(
        total=TRIES - 1, backoff_factor=BACK_OFF, status_forcelist=AGAIN, raise_on_status=False,
        retry_after_max=PATIENCE,
    )  # fmt: skip
    options: dict[str, Any] = dict(
        maxsize=CONNECTIONS, block=True, retries=retry, timeout=TIMEOUT,
        headers={"User-Agent": f"geoseg/{geoseg.__version__}"},
    )  # fmt: skip
    address = urlsplit(template)
    proxy = None if proxy_bypass(address.hostname or "") else getproxies().get(address.scheme.lower())
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _fetched(pool: Any, template: str, zoom: int, col: int, row: int) -> bytes | None:
    from urllib3.exceptions import HTTPError

    where = f"tile {zoom}/{col}/{row} of {label(template)}"
    try:
        answer = pool.request("GET", filled(template, zoom, col, row))
    except HTTPError as error:
        reason = getattr(error, "reason", None) or error
        raise SceneError(
            f"{where} failed {TRIES} times: {_without_query(str(reason))}; try again later"
        ) from error
    if answer.status in ABSENT:
        return None
    if answer.status == 200:
        return bytes(answer.data)
    tries = f"{TRIES} times " if answer.status in AGAIN else ""
    raise SceneError(f"{where} failed {tries}with HTTP status {answer.status}; try again, or ask its owner")


def _keep(path: Path, data: bytes) -> None:
    """Write a file that is whole for whoever sees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    draft.write_bytes(data)
    draft.replace(path)


def label(template: str) -> str:
    """A template without what may be a secret: its query, and user and password."""
    address = urlsplit(template)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


def _without_query(text: str) -> str:
    return re.sub(r"\?\S+", "?…", text)
