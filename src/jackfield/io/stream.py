"""One connection: a socket on one side, a protocol that does no I/O on the other.

A protocol is an object with three methods (`StreamProtocol`), all called on the loop, never re-entered:

* `opened(stream)` once, when the connection is up (TLS included); the protocol keeps `stream` to send.
* `received(data, now)` for each piece of the byte stream, split anywhere; `now` is the clock's time in ms.
* `closed(error)` once, after `opened`; None when the peer or we ended it in order. Nothing is called afterwards.

A protocol answers a peer's mistakes itself and raises `ProtocolError` only for what no answer can mend: that ends the
connection, is logged under a rate limit, and reaches `closed`. Any other exception is a defect of ours: it is logged
with its traceback and ends this connection only.

Sending: `send` writes at once as far as the kernel takes it. What is sent during one `received` call leaves together at
its end, so that a batch of replies is one system call. What the kernel does not take is queued up to a limit; a peer
that lets the queue pass it is dropped with ENOBUFS. A protocol with much to say looks at `queued`, or waits for
`drained()` between pieces. `pause_receiving` pushes back on a peer that says too much.

Receiving: at most 32 KiB are handed over in one pass of the loop, so that one busy peer cannot hold the others up.
"""

import asyncio
import errno
import socket
from typing import Final, Protocol, cast

from jackfield import log as logging
from jackfield.clock import Clock
from jackfield.errors import ProtocolError, describe, refuse
from jackfield.log import get_logger

log = get_logger("stream")

_RECEIVE_SIZE: Final = 32 * 1024
DEFAULT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes that may wait for a peer that does not read."""

_CLOSE_TIMEOUT: Final = 5_000
"""How long, in ms, a closed stream waits for its peer to take what is queued."""

_LOW_WATER: Final = 64 * 1024
_HIGH_WATER: Final = 256 * 1024

_limit = logging.RateLimit(60, 10)


class StreamProtocol(Protocol):
    """What a stream drives; see above."""

    def opened(self, stream: "Stream") -> None:
        """The connection is up."""

    def received(self, data: bytes, now: int) -> None:
        """The next piece of the byte stream has arrived at `now` ms."""

    def closed(self, error: Exception | None) -> None:
        """The connection is gone."""


class Stream(asyncio.BufferedProtocol):
    """A connection as its protocol sees it.

    Args:
        protocol: what the bytes go to.
        clock: gives `now`.
        name: the connection in log lines, like "tcp:127.0.0.1:6653".
        limit: bytes that may be queued for the peer.
    """

    def __init__(self, protocol: StreamProtocol, clock: Clock, name: str, limit: int = DEFAULT_LIMIT) -> None:
        self.name = name
        self.limit = limit
        self._protocol = protocol
        self._clock = clock
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_RECEIVE_SIZE)
        self._corked: list[bytes] | None = None
        self._corked_bytes = 0
        self._at_most = 0
        self._error: Exception | None = None
        self._ended = False
        self._drained = asyncio.Event()
        self._drained.set()
        self._gone = asyncio.Event()

    # -- for the protocol

    def send(self, data: bytes) -> None:
        """Send bytes; does nothing once the connection has ended."""
        if self._ended or self._transport is None or not data:
            return
        if self._corked is not None:
            self._corked.append(data)
            self._corked_bytes += len(data)
        else:
            self._transport.write(data)
        # Asking the transport may take time in proportion to its queue, so it is asked only when the limit may be near.
        self._at_most += len(data)
        if self._at_most > self.limit:
            self._flush()
            self._at_most = self.queued
            if self._at_most > self.limit:
                self.abort(refuse(errno.ENOBUFS, f"the peer does not read: {self._at_most} bytes are waiting for it"))

    @property
    def queued(self) -> int:
        """Bytes given to `send` that the kernel has not taken yet."""
        if self._transport is None or self._ended:
            return 0
        return self._transport.get_write_buffer_size() + self._corked_bytes

    async def drained(self) -> None:
        """Wait until little is queued, or the connection has ended."""
        await self._drained.wait()

    def pause_receiving(self) -> None:
        """Take no more from the peer until `resume_receiving`; the kernel then holds it back."""
        if self._transport is not None and not self._ended and self._transport.is_reading():
            self._transport.pause_reading()

    def resume_receiving(self) -> None:
        """Undo `pause_receiving`."""
        if self._transport is not None and not self._ended and not self._transport.is_reading():
            self._transport.resume_reading()

    def close(self, error: Exception | None = None) -> None:
        """End the connection after what is queued has been sent; does nothing when it has ended.

        `error` is what `closed` is told.
        """
        if self._transport is not None and not self._ended:
            self._error = self._error or error
            self._flush()
            if self.queued:
                self._clock.call_later(_CLOSE_TIMEOUT, self.abort)
            self._ended = True
            self._transport.close()

    def abort(self, error: Exception | None = None) -> None:
        """End the connection now; `error` is what `closed` is told."""
        if self._transport is not None and not self._gone.is_set():
            self._error = self._error or error
            self._corked = None if self._corked is None else []
            self._corked_bytes = 0
            self._ended = True
            self._transport.abort()

    async def wait_closed(self) -> None:
        """Wait until the protocol has been told that the connection is gone."""
        await self._gone.wait()

    @property
    def peer(self) -> tuple[str, int] | None:
        """Address and port of the peer; None for a Unix socket or before the connection is up."""
        return self._inet("peername")

    @property
    def local(self) -> tuple[str, int] | None:
        """Address and port of our end; None for a Unix socket or before the connection is up."""
        return self._inet("sockname")

    def _inet(self, which: str) -> tuple[str, int] | None:
        found = None if self._transport is None else self._transport.get_extra_info(which)
        return (str(found[0]), int(found[1])) if isinstance(found, tuple) and len(found) >= 2 else None

    # -- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The event loop has connected us."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER, _LOW_WATER)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._call(lambda: self._protocol.opened(self))

    def get_buffer(self, sizehint: int) -> bytearray:
        """Where the event loop puts the next bytes."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """The event loop has put `nbytes` bytes there."""
        if not self._ended:
            data = bytes(memoryview(self._buffer)[:nbytes])
            self._call(lambda: self._protocol.received(data, self._clock.now()))

    def eof_received(self) -> bool:
        """The peer has ended its side: so do we."""
        return False

    def pause_writing(self) -> None:
        """More than the high-water mark is queued."""
        self._drained.clear()

    def resume_writing(self) -> None:
        """Less than the low-water mark is queued."""
        self._drained.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The event loop has closed the socket."""
        self._ended = True
        self._drained.set()
        try:
            self._protocol.closed(self._error or exc)
        except Exception:
            log.exception("%s: the protocol failed at the end", self.name)
        finally:
            self._gone.set()

    def _call(self, call: "_Call") -> None:
        """Run a method of the protocol, holding back what it sends until it returns."""
        self._corked, self._corked_bytes = [], 0
        try:
            call()
        except ProtocolError as error:
            _limit.log(log, logging.WARN, "%s: protocol error: %s", self.name, describe(error))
            self.abort(error)
        except Exception as error:
            log.exception("%s: the protocol failed", self.name)
            self.abort(error)
        finally:
            self._flush()
            self._corked = None

    def _flush(self) -> None:
        if self._corked and self._transport is not None and not self._ended:
            data = b"".join(self._corked)
            self._corked, self._corked_bytes = [], 0
            self._transport.write(data)


class _Call(Protocol):
    def __call__(self) -> None: ...
