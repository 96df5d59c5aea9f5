"""Listening: each connection that is accepted gets a protocol of its own."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

from jackfield.clock import Clock
from jackfield.errors import describe
from jackfield.io import unixsocket
from jackfield.io.address import Address
from jackfield.io.stream import DEFAULT_LIMIT, Stream, StreamProtocol
from jackfield.io.tls import TlsFiles
from jackfield.log import get_logger

log = get_logger("pstream")

_BACKLOG: Final = 64
_TLS_HANDSHAKE_TIMEOUT: Final = 10.0  # seconds


class Listener:
    """A passive end.

    Args:
        address: where to listen; `passive` is set in it.
        factory: makes the protocol of an accepted connection.
        clock: gives the protocols their time.
        tls: the files for "ssl".
        limit: bytes that may be queued for a peer.
        mode: permissions of a Unix socket.
    """

    def __init__(
        self,
        address: Address,
        factory: Callable[[], StreamProtocol],
        clock: Clock,
        *,
        tls: TlsFiles | None = None,
        limit: int = DEFAULT_LIMIT,
        mode: int = 0o700,
    ) -> None:
        if not address.passive:
            raise ValueError(f"{address} is not a passive connection")
        if address.transport == "ssl" and tls is None:
            raise ValueError(f"{address} needs a private key, a certificate and a CA certificate")
        self.address = address
        self._factory = factory
        self._clock = clock
        self._tls = tls
        self._limit = limit
        self._mode = mode
        self._server: asyncio.Server | None = None
        self._socket_id: tuple[int, int] | None = None
        self._streams: set[Stream] = set()
        self._accepted = 0

    @property
    def streams(self) -> list[Stream]:
        """The connections that are up."""
        return list(self._streams)

    @property
    def port(self) -> int:
        """The TCP port listened on (the kernel's choice for port 0); 0 for a Unix socket."""
        if self._server is None or self.address.transport == "unix":
            return 0
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is taken, not local, or forbidden; TLS files that cannot be used.
        """
        context = None
        if self.address.transport == "ssl" and self._tls is not None:
            context = self._tls.context(server=True)
        sock = self._bind()
        self._server = await asyncio.get_running_loop().create_server(
            self._accept,
            sock=sock,
            backlog=_BACKLOG,
            ssl=context,
            ssl_handshake_timeout=_TLS_HANDSHAKE_TIMEOUT if context else None,
        )

    def _bind(self) -> socket.socket:
        address = self.address
        if address.transport == "unix":
            sock = unixsocket.listen(address.path, self._mode)
            found = os.lstat(address.path)
            self._socket_id = (found.st_dev, found.st_ino)
            return sock
        # Binding needs a literal address: a name that has to be looked up would stall the loop.
        flags = socket.AI_PASSIVE | socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        try:
            infos = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=flags)
        except socket.gaierror as error:
            raise ValueError(f'{address}: "{address.host}" is not an IP address') from error
        # Without a host, an IPv6 socket that also takes IPv4 serves both.
        family, _, _, _, where = max(infos, key=lambda info: info[0] == socket.AF_INET6 and not address.host)
        try:
            return self._bind_inet(family, where)
        except OSError:
            if family != socket.AF_INET6 or address.host:
                raise
            return self._bind_inet(socket.AF_INET, ("0.0.0.0", address.port))

    def _bind_inet(self, family: int, where: tuple[object, ...]) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if self.address.host else 0)
            sock.bind(where)
            sock.listen(_BACKLOG)
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"{self.address}: {describe(error)}") from error
        return sock

    def _accept(self) -> Stream:
        self._accepted += 1
        return _Accepted(self, self._factory(), f"{self.address.transport}#{self._accepted}")

    def add(self, stream: Stream) -> None:
        """A connection is up."""
        self._streams.add(stream)

    def discard(self, stream: Stream) -> None:
        """A connection is gone."""
        self._streams.discard(stream)

    async def close(self) -> None:
        """Stop listening, end the connections (queued output may still leave), remove the socket file."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        self._remove_file()
        for stream in self.streams:
            stream.close()
        leaving = [stream.wait_closed() for stream in self.streams]
        if leaving:
            _, late = await asyncio.wait([asyncio.ensure_future(each) for each in leaving], timeout=0.5)
            if late:
                for stream in self.streams:
                    stream.abort()
                await asyncio.wait(late)

    def _remove_file(self) -> None:
        """Remove our socket, but not one that somebody else has put in its place."""
        if self._socket_id is None:
            return
        try:
            found = os.lstat(self.address.path)
            if (found.st_dev, found.st_ino) == self._socket_id:
                os.unlink(self.address.path)
        except FileNotFoundError:
            log.debug("%s was removed by somebody else", self.address.path)
        self._socket_id = None


class _Accepted(Stream):
    """A stream that its listener knows of while it is up."""

    def __init__(self, listener: Listener, protocol: StreamProtocol, name: str) -> None:
        super().__init__(protocol, listener._clock, name, listener._limit)
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._listener.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.discard(self)
        super().connection_lost(exc)
