"""What the pipeline asks of an inference engine."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from geoseg.core.stitch import Probabilities


class Engine(Protocol):
    """A network ready to run on batches of one fixed shape.

    Attributes:
        name: engine and device, e.g. `tensorflow (CPU)`.
        precision: what it computes in, e.g. `float32`.
        classes: channels of the result.
        stride: period of the network's shift equivariance, pixels.
        halo: context beyond which no input pixel matters, pixels.
        batch_size: patches per call that suits it.
        streams: calls that may run at once, from threads of their own.
    """

    name: str
    precision: str
    classes: int
    stride: int
    halo: int
    batch_size: int
    streams: int

    def __call__(self, batch: NDArray[Any]) -> Probabilities:
        """Probabilities (n, size, size, classes) float32 of (n, size, size, bands) pixels, 0 … 255."""
