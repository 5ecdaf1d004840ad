"""Which of a machine's cores a worker uses, and how it treats memory."""

from __future__ import annotations

import contextlib
import ctypes
import os

from geoseg.core.prefetch import cores

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT = 32 * 2**20  # bytes up to which glibc keeps what is freed, in the end, when it is not told anything


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


def keep_freed_memory() -> None:
    """Have glibc treat memory as it does by itself.

    Dask's nanny sets MALLOC_TRIM_THRESHOLD_, so that workers give back at once what they free. Every patch is
    then asked of the system again, page by page, and a job takes up to half as long again.
    """
    with contextlib.suppress(OSError, AttributeError):  # another system, another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, KEPT)
        mallopt(M_TRIM_THRESHOLD, 2 * KEPT)
