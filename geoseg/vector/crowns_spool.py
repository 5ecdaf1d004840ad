"""Strips of labels that wait for their crowns: first in, first out, compressed, on disk if there are many."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from geoseg.vector.crowns_basins import Labels

IN_MEMORY = 64 << 20  # bytes
CODEC = "lz4"  # seven to nine times as fast as zlib, and at most a fifth larger


@dataclass(frozen=True, slots=True)
class _Packed:
    """A strip: `data` in memory, or None when it lies in the file from `start` on."""

    shape: tuple[int, int]
    data: bytes | None
    start: int
    size: int


class Spool:
    """A queue of label strips in at most `limit` bytes of memory, and in an empty binary file beyond."""

    def __init__(self, file: BinaryIO, limit: int = IN_MEMORY) -> None:
        self.file, self.limit = file, limit
        self.held, self.filed = 0, 0  # bytes in memory, strips in the file
        self.strips: deque[_Packed] = deque()

    def push(self, labels: Labels) -> None:
        """Append labels (h, w) int32."""
        data = pa.compress(np.ascontiguousarray(labels), CODEC, asbytes=True)
        shape, size = (labels.shape[0], labels.shape[1]), len(data)
        if self.held + size <= self.limit:
            self.held += size
            self.strips.append(_Packed(shape, data, 0, size))
        else:
            start = self.file.seek(0, 2)
            self.file.write(data)
            self.filed += 1
            self.strips.append(_Packed(shape, None, start, size))

    def pop(self) -> Labels:
        """Take out the oldest strip."""
        strip = self.strips.popleft()
        data = strip.data
        if data is None:
            self.file.seek(strip.start)
            data = self.file.read(strip.size)
            self.filed -= 1
            if not self.filed:
                self.file.truncate(0)
        else:
            self.held -= strip.size
        whole = pa.decompress(data, 4 * strip.shape[0] * strip.shape[1], CODEC)
        return np.frombuffer(whole, np.int32).reshape(strip.shape)
