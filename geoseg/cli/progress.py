"""A bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def bar(title: str, unit: str = "px", smoothing: float = 0.3) -> Iterator[Callable[[int, int], object]]:
    """Yield a function of (finished since the last call, all); the bar shows share, rate and time left.

    Args:
        title: before the bar.
        unit: of what is finished.
        smoothing: of the rate, from 0 for its mean since the beginning to 1 for the last step's.
    """
    context = click.get_current_context()
    if (context.obj or {}).get("quiet") or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from tqdm import tqdm

    with tqdm(
        desc=title, unit=unit, unit_scale=True, file=sys.stderr, leave=False, smoothing=smoothing
    ) as shown:

        def advance(done: int, total: int) -> None:
            shown.total = total
            shown.update(done)

        yield advance
