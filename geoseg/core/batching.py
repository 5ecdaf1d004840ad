"""From patches to batches of one fixed shape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from geoseg.core.filters import Pixels
from geoseg.core.patches import Patch
from geoseg.core.scaling import Scaling


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Patches that go through the network together.

    Attributes:
        patches: the patches, at most the batch size.
        pixels: (batch size, size, size, bands), 0 … 255, uint8 or float32; zeros past the last patch.
    """

    patches: list[Patch]
    pixels: Pixels


def batches(patches: Iterable[Patch], size: int, scaling: Scaling | None = None) -> Iterator[Batch]:
    """Group patches by `size`; the last batch is padded, so that no engine ever sees a second shape."""
    scale = scaling or Scaling()
    remaining = iter(patches)
    while group := list(islice(remaining, size)):
        pixels = scale(np.stack([patch.pixels for patch in group]))
        padding = [(0, size - len(group))] + [(0, 0)] * (pixels.ndim - 1)
        yield Batch(group, np.pad(pixels, padding) if len(group) < size else pixels)
