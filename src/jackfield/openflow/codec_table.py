"""The form of the codec's tables: one row says how one kind of message is read and written in a range of versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jackfield.openflow.dialect import OF10, OF15, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import Message

Reader = Callable[[bytes, int, Dialect], Message]
"""Makes a message of a body; takes the body, the version and the dialect."""

Writer = Callable[[Any, int, Dialect], bytes]
"""Makes the body of a message."""


@dataclass(frozen=True, slots=True)
class Row:
    """How a kind of message travels.

    Attributes:
        message: the message's type.
        number: its type number (or experimenter subtype, or multipart type) in versions `first` to `last`.
        length: bytes that a body has; at least, if `longer`.
        step: what is longer is so by a multiple of this many bytes.
    """

    message: type[Message]
    number: int
    read: Reader
    write: Writer
    length: int = 0
    longer: bool = False
    first: int = OF10
    last: int = OF15
    step: int = 1

    def check_length(self, body: bytes) -> None:
        """Hold a body to the row's length.

        Raises:
            OpenFlowError: OFPBRC_BAD_LEN.
        """
        n_bytes = len(body)
        if n_bytes < self.length or (n_bytes > self.length and not self.longer) or (n_bytes - self.length) % self.step:
            at_least = "at least " if self.longer else ""
            raise OpenFlowError(
                "OFPBRC_BAD_LEN", f"{self.message.__name__} body of {n_bytes} bytes, expected {at_least}{self.length}"
            )


def by_number(rows: tuple[Row, ...]) -> dict[tuple[int, int], Row]:
    """Rows by (version, number)."""
    return {(version, row.number): row for row in rows for version in range(row.first, row.last + 1)}


def by_message(rows: tuple[Row, ...]) -> dict[tuple[type[Message], int], Row]:
    """Rows by (message type, version)."""
    return {(row.message, version): row for row in rows for version in range(row.first, row.last + 1)}


def empty(message: type[Message]) -> tuple[Reader, Writer]:
    """Reader and writer of a message that has no body."""
    value = message()
    return (lambda _body, _version, _dialect: value), (lambda _message, _version, _dialect: b"")
