"""Rows that pass by, with the context that they need above and below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_margin(strips: Iterable[NDArray[Any]], margin: int) -> Iterator[tuple[NDArray[Any], slice]]:
    """Bands of rows with context: every row once, with `margin` rows around it as far as there are.

    Args:
        strips: (…, h, width) arrays from top to bottom, of any heights.
        margin: rows of context above and below.

    Yields:
        (…, rows, width) bands, and the slice of their rows that were not in a slice before.
    """
    held, above = None, 0  # rows held; the first `above` of them have been in a slice
    for strip in strips:
        held = strip if held is None else np.concatenate([held, strip], -2)
        ready = held.shape[-2] - margin
        if ready > above:
            yield held, slice(above, ready)
            kept = max(0, ready - margin)
            held, above = held[..., kept:, :], ready - kept
    if held is not None and held.shape[-2] > above:
        yield held, slice(above, held.shape[-2])
