"""Connecting, and connecting again.

The waits are those of Open vSwitch's reconnect module: the first attempt at once, then 1 s, 2 s, 4 s, 8 s, 8 s ... A
connection that outlived its wait resets it to 1 s. An attempt is given up after as long as the last wait, at least 1 s.
"""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from typing import Final

from jackfield.clock import Clock, Timer, spawn
from jackfield.errors import describe, refuse
from jackfield.io import unixsocket
from jackfield.io.address import Address
from jackfield.io.stream import DEFAULT_LIMIT, Stream, StreamProtocol
from jackfield.io.tls import TlsFiles
from jackfield.log import get_logger

log = get_logger("reconnect")

MIN_BACKOFF: Final = 1_000
MAX_BACKOFF: Final = 8_000


class Backoff:
    """How long to wait before the next attempt, in ms.

    Args:
        least: the first wait.
        most: the longest wait.
    """

    def __init__(self, least: int = MIN_BACKOFF, most: int = MAX_BACKOFF) -> None:
        self._least = least
        self._most = max(least, most)
        self.wait = 0
        """The wait before the current attempt."""

    def failed(self) -> int:
        """The attempt failed: the wait before the next one."""
        self.wait = min(self._most, max(self._least, self.wait * 2))
        return self.wait

    def ended(self, lasted: int) -> int:
        """A connection ended after `lasted` ms: the wait before the next attempt."""
        if lasted >= max(self.wait, self._least):
            self.wait = self._least
            return self.wait
        return self.failed()


class Connector:
    """An active end that stays connected.

    Args:
        address: where to connect; `passive` is not set in it.
        factory: makes the protocol of each connection.
        clock: for the waits and the protocols.
        tls: the files for "ssl".
        limit: bytes that may be queued for the peer.
        backoff: the waits.
    """

    def __init__(
        self,
        address: Address,
        factory: Callable[[], StreamProtocol],
        clock: Clock,
        *,
        tls: TlsFiles | None = None,
        limit: int = DEFAULT_LIMIT,
        backoff: Backoff | None = None,
    ) -> None:
        if address.passive:
            raise ValueError(f"{address} is not an active connection")
        if address.transport == "ssl" and tls is None:
            raise ValueError(f"{address} needs a private key, a certificate and a CA certificate")
        self.address = address
        self.state = "VOID"
        """VOID (not started), BACKOFF, CONNECTING or ACTIVE, as in the Controller table's status."""
        self.last_error: str | None = None
        self.state_since = clock.now()
        self._factory = factory
        self._clock = clock
        self._tls = tls
        self._limit = limit
        self._backoff = backoff or Backoff()
        self._timer: Timer | None = None
        self._attempt: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self._connected_at = 0

    @property
    def stream(self) -> Stream | None:
        """The connection, while there is one."""
        return self._stream

    def start(self) -> None:
        """Connect as soon as possible and stay connected until `stop`."""
        if self.state == "VOID":
            self._enter("BACKOFF")
            self._try()

    async def stop(self) -> None:
        """End the connection and stay so; the protocol's `closed` has been called on return."""
        self._enter("VOID")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._attempt is not None:
            self._attempt.cancel()
            await asyncio.wait([self._attempt])
            self._attempt = None
            # It may have succeeded in the same pass of the loop.
            self._enter("VOID")
        if self._stream is not None:
            stream = self._stream
            stream.close()
            try:
                await asyncio.wait_for(stream.wait_closed(), 0.5)
            except TimeoutError:
                stream.abort()
                await stream.wait_closed()

    def reconnect(self) -> None:
        """Drop the connection, if there is one, and make another after the usual wait."""
        if self._stream is not None:
            self._stream.abort()

    def _enter(self, state: str) -> None:
        self.state = state
        self.state_since = self._clock.now()

    def _try(self) -> None:
        self._timer = None
        self._enter("CONNECTING")
        log.info("%s: connecting...", self.address)
        self._attempt = spawn(self._connect(), name=f"{self.address}: connecting")

    async def _connect(self) -> None:
        timeout = self._clock.call_later(max(MIN_BACKOFF, self._backoff.wait), self._give_up)
        try:
            await self._connect_once()
        except (OSError, ValueError) as error:
            self._failed(describe(error))
        except asyncio.CancelledError:
            if self.state == "VOID":
                raise
            self._failed(describe(refuse(errno.ETIMEDOUT, "Connection timed out")))
        finally:
            timeout.cancel()
            self._attempt = None

    def _give_up(self) -> None:
        if self._attempt is not None:
            self._attempt.cancel()

    async def _connect_once(self) -> None:
        loop = asyncio.get_running_loop()
        context = None
        if self.address.transport == "ssl" and self._tls is not None:
            context = self._tls.context(server=False)
        sock = await self._connect_socket()
        try:
            await loop.create_connection(
                lambda: _Connected(self, self._factory()),
                sock=sock,
                ssl=context,
                server_hostname="" if context is not None else None,
            )
        except BaseException:
            sock.close()
            raise

    async def _connect_socket(self) -> socket.socket:
        if self.address.transport == "unix":
            return await unixsocket.connect(self.address.path)
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(self.address.host, self.address.port, type=socket.SOCK_STREAM)
        failure: OSError = refuse(errno.EHOSTUNREACH, f"{self.address.host} has no address")
        for family, kind, protocol, _, where in infos:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                await loop.sock_connect(sock, where)
            except OSError as error:
                sock.close()
                failure = OSError(error.errno, os.strerror(error.errno or 0))  # asyncio's text repeats the address
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure

    def _failed(self, why: str) -> None:
        self.last_error = why
        wait = self._backoff.failed()
        log.info("%s: connection attempt failed (%s); waiting %d seconds", self.address, why, wait // 1000)
        self._wait(wait)

    def _wait(self, wait: int) -> None:
        self._enter("BACKOFF")
        self._timer = self._clock.call_later(wait, self._try)

    def connected(self, stream: Stream) -> None:
        """The stream tells us that it is up."""
        self._stream = stream
        self._connected_at = self._clock.now()
        self.last_error = None
        self._enter("ACTIVE")
        log.info("%s: connected", self.address)

    def disconnected(self, error: Exception | None) -> None:
        """The stream tells us that it is gone."""
        self._stream = None
        if self.state == "VOID":
            return
        self.last_error = describe(error) if error is not None else "connection closed by peer"
        wait = self._backoff.ended(self._clock.now() - self._connected_at)
        log.info("%s: connection dropped (%s); waiting %d seconds", self.address, self.last_error, wait // 1000)
        self._wait(wait)


class _Connected(Stream):
    """A stream that tells its connector when it comes and goes."""

    def __init__(self, connector: Connector, protocol: StreamProtocol) -> None:
        super().__init__(protocol, connector._clock, str(connector.address), connector._limit)
        self._connector = connector

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connector.connected(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._connector.disconnected(self._error or exc)
