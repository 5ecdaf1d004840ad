"""The state of a file, to find out whether it has changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import SceneError
from geoseg.geo.tiles import Tiles


def fingerprint(dataset: str) -> str:
    """What changes when a file does: its size and time, as `make` and `rsync` look at them.

    What lies elsewhere has none: its address has to do.
    """
    tiles = Tiles.parse(dataset)
    try:
        state = (Path(dataset) if tiles is None else tiles.place).stat()
    except (OSError, ValueError):
        return ""
    return f"{state.st_size}-{state.st_mtime_ns}"


@contextmanager
def unchanged(dataset: str) -> Iterator[None]:
    """Refuse what was read of a file that somebody writes to, replaces or removes inside the `with` block.

    Raises:
        SceneError: when the block ends well and the file is not what it was.
    """
    before = fingerprint(dataset)
    yield
    if fingerprint(dataset) != before:
        raise SceneError(f"{dataset} was changed while it was read; run it again when it is finished")
