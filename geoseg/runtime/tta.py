"""Test-time augmentation: the mean over flipped and turned views of each patch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.stitch import Probabilities
from geoseg.runtime.engine import Engine

View = tuple[int, bool]  # quarter turns, then whether to mirror left to right
VIEWS: dict[str, list[View]] = {
    "none": [(0, False)],
    "flips": [(0, False), (0, True), (2, False), (2, True)],
    "d4": [(turns, mirror) for turns in range(4) for mirror in (False, True)],
}


class Augmented:
    """An engine that averages another engine's answers over several views of the same patches."""

    def __init__(self, engine: Engine, kind: str) -> None:
        self.inner, self.views = engine, VIEWS[kind]
        self.name = f"{engine.name}, {len(self.views)} views"
        self.precision, self.classes = engine.precision, engine.classes
        self.stride, self.halo = engine.stride, engine.halo
        self.batch_size, self.streams = engine.batch_size, engine.streams

    def __call__(self, batch: NDArray[Any]) -> Probabilities:
        """See `Engine`."""
        total = np.zeros((*batch.shape[:3], self.classes), np.float32)
        for view in self.views:
            total += restored(self.inner(turned(batch, view)), view)
        total /= len(self.views)
        return total


def turned(batch: NDArray[Any], view: View) -> NDArray[Any]:
    """A view of (n, size, size, …) patches."""
    quarters = np.rot90(batch, view[0], axes=(1, 2))
    return np.ascontiguousarray(quarters[:, :, ::-1] if view[1] else quarters)


def restored(batch: NDArray[Any], view: View) -> NDArray[Any]:
    """What was said of a view, as the patches lie."""
    mirrored = batch[:, :, ::-1] if view[1] else batch
    return np.rot90(mirrored, -view[0], axes=(1, 2))


def augmented(engine: Engine, kind: str) -> Engine:
    """`engine` itself for `none`, else its average over `flips` (4 views) or `d4` (8)."""
    return engine if kind == "none" else Augmented(engine, kind)
