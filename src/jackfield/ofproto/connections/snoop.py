"""Listening in: what passes between the switch and its controllers, copied to whoever connects to the snoop socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from jackfield.errors import ProtocolError
from jackfield.openflow.connection import Closed, Connection

if TYPE_CHECKING:
    from jackfield.clock import Clock
    from jackfield.io.stream import Stream

_LIMIT: Final = 1024 * 1024
"""Bytes waiting for a listener above which it misses messages."""


class SnoopSession:
    """One listener; it says hello as any peer does, and what else it says is not heard."""

    def __init__(self, clock: Clock, versions: frozenset[int], on_end: Callable[[SnoopSession], None]) -> None:
        self._connection = Connection(clock.now(), versions, probe_interval=0)
        self._on_end = on_end
        self._stream: Stream | None = None

    def opened(self, stream: Stream) -> None:
        """The connection is up."""
        self._stream = stream
        stream.send(self._connection.to_send())

    def received(self, data: bytes, now: int) -> None:
        """Agree on a version; ignore the rest."""
        for event in self._connection.receive(data, now):
            if isinstance(event, Closed):
                raise ProtocolError(event.reason)
        if self._stream is not None:
            self._stream.send(self._connection.to_send())

    def closed(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._stream = None
        self._on_end(self)

    def copy(self, data: bytes) -> None:
        """Send whole messages that passed."""
        if self._stream is not None and self._connection.version is not None and self._stream.queued < _LIMIT:
            self._stream.send(data)
