"""Protobuf messages read without their library, for the little that is looked up before anything is trusted.

Encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5  # wire types; groups are not used any more
FIXED = {FIXED64: 8, FIXED32: 4}


def wire_fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of a message's texts, bytes and inner messages, in the order of the file.

    Raises:
        ValueError: where it is cut off, or no message.
    """
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            _, at = _varint(message, at)
            continue
        if kind == DELIMITED:
            size, at = _varint(message, at)
        elif kind in FIXED:
            size = FIXED[kind]
        else:
            raise ValueError(f"wire type {kind} is not used")
        if at + size > len(message):
            raise ValueError("the message is cut off")
        if kind == DELIMITED:
            yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, least first, and the place behind it."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
    raise ValueError("the message is cut off")
