"""Single patches from all over a scene, to measure on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from geoseg.core.filters import Valid
from geoseg.core.grid import Grid
from geoseg.core.window import Window


def scattered(grid: Grid, area: Window, most: int) -> Iterator[Window]:
    """Some cells of a grid that meet an area, in an order that is all over it, the same each time."""
    cells = list(product(*grid.touching(area)))
    for place in np.random.default_rng(0).permutation(len(cells))[:most]:
        yield grid.window(cells[place])


def inside(window: Window, shape: tuple[int, int]) -> Valid:
    """(height, width) of a window, bool: True inside a scene, whose reflection is no more than context."""
    found = np.zeros(window.shape, bool)
    found[window.clip(shape).within(window)] = True
    return found
