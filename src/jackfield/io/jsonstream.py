"""JSON values out of a byte stream.

JSON-RPC over a stream (RFC 7047 section 4) has no separators but the values' own braces. The splitter follows nesting
and strings, keeps its place between pieces, and decodes each value once it is whole.
"""

import json
import re
from collections.abc import Iterator
from typing import Final

from jackfield.errors import ProtocolError

_OUTSIDE: Final = re.compile(rb'[\[\]{}"]')
_INSIDE: Final = re.compile(rb'["\\]')
_BLANK: Final = b" \t\r\n"


class JsonSplitter:
    """Splits a stream of JSON objects and arrays.

    Args:
        limit: the most bytes that a value may take.
        depth: the deepest nesting.
    """

    def __init__(self, limit: int = 64 * 1024 * 1024, depth: int = 100) -> None:
        self._limit = limit
        self._most = depth
        self._buffer = bytearray()
        self._position = 0
        self._depth = 0
        self._in_string = False

    def feed(self, data: bytes) -> Iterator[object]:
        """Take the next piece and yield each value that is now whole.

        Raises:
            ProtocolError: what came is not JSON, or exceeds the limits; the stream cannot be followed any further.
        """
        self._buffer += data
        while (end := self._scan()) is not None:
            text = bytes(self._buffer[:end])
            del self._buffer[:end]
            self._position = 0
            yield _decode(text)
        if len(self._buffer) > self._limit:
            raise ProtocolError(f"a JSON value of more than {self._limit} bytes")

    def _scan(self) -> int | None:
        """Go on to the end of the first value; None when it is not there yet."""
        buffer = self._buffer
        if self._depth == 0:
            # Between values only blanks may stand.
            start = len(buffer) - len(buffer.lstrip(_BLANK))
            del buffer[:start]
            self._position = 0
            if buffer and buffer[0] not in b"[{":
                raise ProtocolError(f"expected a JSON object, found {bytes(buffer[:20])!r}")
        while True:
            found = (_INSIDE if self._in_string else _OUTSIDE).search(buffer, self._position)
            if found is None:
                self._position = len(buffer)
                return None
            character = found.group()
            if character == b"\\":
                if found.end() == len(buffer):
                    self._position = found.start()
                    return None
                self._position = found.end() + 1
                continue
            self._position = found.end()
            if character == b'"':
                self._in_string = not self._in_string
            elif character in b"[{":
                self._depth += 1
                if self._depth > self._most:
                    raise ProtocolError(f"JSON nested more than {self._most} deep")
            else:
                self._depth -= 1
                if self._depth == 0:
                    return self._position


def _decode(text: bytes) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error
