"""A bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def bar(title: str, unit: str = "px") -> Iterator[Callable[[int, int], object]]:
    """Yield a function of (finished since the last call, all); the bar shows share, rate and time left."""
    context = click.get_current_context()
    if (context.obj or {}).get("quiet") or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, unit_scale=True, file=sys.stderr, leave=False) as shown:

        def advance(done: int, total: int) -> None:
            shown.total = total
            shown.update(done)

        yield advance
