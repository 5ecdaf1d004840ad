"""A bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def bar(title: str, unit: str = "px") -> Iterator[Callable[[int], object]]:
    """Yield a function that counts finished units; the bar shows them with their rate."""
    context = click.get_current_context()
    if (context.obj or {}).get("quiet") or not sys.stderr.isatty():
        yield lambda count: None
        return
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, unit_scale=True, file=sys.stderr, leave=False) as shown:
        yield shown.update
