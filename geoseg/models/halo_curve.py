"""The part of a model's card that says what a halo smaller than the network's own costs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from geoseg.errors import BundleError


@dataclass(frozen=True, slots=True)
class HaloCurve:
    """Errors by halo, as measured on real scenes in float32; empty when they were not.

    An error is the largest difference of any probability of any class, at any pixel that is kept, from the
    exact result: that of one pass over the whole scene. It was seen, not proved: other scenes may have pixels
    that are a little worse.

    Attributes:
        measured_on: the scenes, and how many pixels of them.
        halos: px, rising.
        largest: the error of each, 0 … 1.
        flipped: share of the kept pixels that belong to another class than in the exact result, 0 … 1.
    """

    measured_on: str = ""
    halos: tuple[int, ...] = ()
    largest: tuple[float, ...] = ()
    flipped: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.halos) == len(self.largest) == len(self.flipped):
            raise BundleError(f"a halo curve has an error for each halo, got {len(self.halos)} halos, "
                              f"{len(self.largest)} and {len(self.flipped)} errors")  # fmt: skip
        if any(type(halo) is not int or halo < 0 for halo in self.halos):
            raise BundleError(f"halos are whole numbers of px from 0 up, got {self.halos}")
        if any(a >= b for a, b in pairwise(self.halos)) or any(a < b for a, b in pairwise(self.largest)):
            raise BundleError(f"a halo curve's halos rise and its largest errors never do, got {self.halos} "
                              f"and {self.largest}")  # fmt: skip
        if not all(0 <= error <= 1 for error in (*self.largest, *self.flipped)):
            raise BundleError(f"errors are from 0 to 1, got {self.largest} and {self.flipped}")

    def __bool__(self) -> bool:
        """Whether anything was measured."""
        return bool(self.halos)

    def smallest(self, tolerance: float, whole: int) -> int:
        """The smallest halo whose error was at most `tolerance`.

        Args:
            tolerance: largest error of any probability, 0 … 1.
            whole: the network's own halo, px, whose result is exact; the answer when no smaller one will do.
        """
        kept = (halo for halo, error in zip(self.halos, self.largest, strict=True) if error <= tolerance)
        return min(next(kept, whole), whole)
