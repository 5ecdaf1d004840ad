"""Event files for TensorBoard, without TensorFlow or TensorBoard.

The format is public: a file of TFRecords (length, checksum, bytes, checksum), each a protocol-buffer `Event`
of which scalars need four fields (tensorflow/core/util/event.proto and framework/summary.proto).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # wire types


class EventFile:
    """A new event file in a folder; TensorBoard reads all files of a folder as one run."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        now = time.time()
        self.path = folder / f"events.out.tfevents.{now:.6f}.geoseg"
        self._append(_field(1, DOUBLE, struct.pack("<d", now)) + _text(3, "brain.Event:2"))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Add the scalars of a step; names with a slash are grouped by what is before it."""
        values = b"".join(
            _message(1, _text(1, name) + _field(2, FLOAT, struct.pack("<f", value)))
            for name, value in scalars.items()
        )
        event = _field(1, DOUBLE, struct.pack("<d", time.time())) + _field(2, VARINT, _varint(step))
        self._append(event + _message(5, values))

    def _append(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        with self.path.open("ab") as file:
            file.write(length + _checksum(length) + event + _checksum(event))


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _varint(number << 3 | kind) + content


def _message(number: int, content: bytes) -> bytes:
    return _field(number, BYTES, _varint(len(content)) + content)


def _text(number: int, content: str) -> bytes:
    return _message(number, content.encode())


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _checksum(content: bytes) -> bytes:
    """CRC-32C, rotated and shifted as TFRecords have it."""
    table, crc = _table(), 0xFFFFFFFF
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        return value

    return tuple(entry(value) for value in range(256))
