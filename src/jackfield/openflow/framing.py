"""From a stream of bytes to OpenFlow messages, however the stream was split.

Every message of every version begins with version, type, length and xid (OpenFlow 1.3.5 section 7.1.1); the length
counts the whole message.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jackfield.openflow.errors import OpenFlowError

HEADER_LEN: Final = 8
"""Bytes of ofp_header, and so of the shortest message."""


class Framer:
    """Collects bytes and gives out whole messages; holds less than two messages (128 kB) besides what was just fed."""

    __slots__ = ("_buffer", "_pos")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pos = 0

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        if self._pos:
            del self._buffer[: self._pos]
            self._pos = 0
        self._buffer += data

    @property
    def pending(self) -> int:
        """Bytes not given out yet."""
        return len(self._buffer) - self._pos

    def frames(self) -> Iterator[bytes]:
        """Whole messages, header included, in order.

        Raises:
            OpenFlowError: OFPBRC_BAD_LEN, a length below the header's own; the stream has lost its rhythm and must be
            closed.
        """
        buffer = self._buffer
        while len(buffer) - self._pos >= HEADER_LEN:
            start = self._pos
            length = buffer[start + 2] << 8 | buffer[start + 3]
            if length < HEADER_LEN:
                raise OpenFlowError("OFPBRC_BAD_LEN", f"message length {length}, expected at least {HEADER_LEN}")
            if len(buffer) - start < length:
                return
            self._pos = start + length
            yield bytes(buffer[start : self._pos])
