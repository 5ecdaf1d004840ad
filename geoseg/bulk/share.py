"""Which of a machine's cores a worker uses."""

from __future__ import annotations

import os

from geoseg.core.prefetch import cores


def usual_workers() -> int:
    """One per four cores, which a network keeps busy, but two where there are two cores."""
    return min(cores(), max(2, cores() // 4))


def share_of_cores(number: int, count: int) -> list[int]:
    """The cores of worker `number` of `count`: equal shares, or one each in turn when there are too few."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    own = sorted(os.sched_getaffinity(0))
    if count >= len(own):
        return [own[number % len(own)]]
    return own[number * len(own) // count : (number + 1) * len(own) // count]


def pin(share: list[int]) -> None:
    """Keep this process to some cores: engines, OpenCV and GDAL start as many threads as they see cores."""
    if share:
        os.sched_setaffinity(0, share)
