"""A bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click


def quiet() -> bool:
    """Whether nothing but errors is wanted."""
    return bool((click.get_current_context().obj or {}).get("quiet"))


class Bar:
    """What is told of the work; without a bar to show it, nothing comes of it."""

    def __init__(self, title: str, shown: Any = None) -> None:
        self._title, self._shown = title, shown

    def __call__(self, done: int, total: int) -> None:
        """Go on by what was finished since the last call, of `total`."""
        if self._shown is not None:
            self._shown.bar_format = None
            self._shown.total = total
            self._shown.update(done)

    def stage(self, name: str) -> None:
        """Say what is being done."""
        if self._shown is not None:
            self._shown.set_description_str(f"{self._title}: {name}")


@contextmanager
def bar(title: str, unit: str = "px", smoothing: float = 0.3) -> Iterator[Bar]:
    """Yield what shows share, rate, time left and stage of the work.

    Args:
        title: before the bar.
        unit: of what is finished.
        smoothing: of the rate, from 0 for its mean since the beginning to 1 for the last step's.
    """
    if quiet() or not sys.stderr.isatty():
        yield Bar(title)
        return
    from tqdm import tqdm

    with tqdm(
        desc=title, unit=unit, unit_scale=True, file=sys.stderr, leave=False, smoothing=smoothing,
        bar_format="{desc}", dynamic_ncols=True,
    ) as shown:  # fmt: skip
        yield Bar(title, shown)
