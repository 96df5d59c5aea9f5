"""A small blocking OpenFlow 1.3 client over a switch's management socket, for the verbs that read and change flows."""

from __future__ import annotations

import errno
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from jackfield.io import unixsocket
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.dialect import OF13
from jackfield.openflow.framing import Framer
from jackfield.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    EchoReply,
    EchoRequest,
    ErrorMsg,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    Hello,
    Message,
    MultipartReply,
    MultipartRequest,
)

TIMEOUT = 30.0

Reply = TypeVar("Reply", bound=Message)


class _Part(Protocol):
    more: bool


class Client:
    """A connection to one bridge; a context manager."""

    def __init__(self, path: Path) -> None:
        self._socket: socket.socket = unixsocket.connect_blocking(str(path), TIMEOUT)
        self._framer = Framer()
        self._xids = itertools.count(1)
        self._send(Hello(frozenset({OF13})))
        self._expect(0, Hello)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def features(self) -> FeaturesReply:
        """Who the switch is."""
        return self._expect(self._send(FeaturesRequest()), FeaturesReply)

    def dump(self, request: MultipartRequest, reply: type[Reply]) -> Iterator[Reply]:
        """The parts of the reply to a multipart request, as they come."""
        xid = self._send(request)
        while True:
            part = self._expect(xid, reply)
            yield part
            if not (isinstance(part, MultipartReply) and getattr(part, "more", False)):
                return

    def flow_mod(self, change: FlowMod) -> None:
        """Change flows, and wait until the change is in force.

        Raises:
            ValueError: the switch refused; the text has the OpenFlow error's name.
        """
        self._send(change)
        self._expect(self._send(BarrierRequest()), BarrierReply)

    def _send(self, message: Message) -> int:
        xid = 0 if isinstance(message, Hello) else next(self._xids)
        self._write(message, xid)
        return xid

    def _write(self, message: Message, xid: int) -> None:
        try:
            self._socket.sendall(encode(message, OF13, xid))
        except BrokenPipeError:
            raise _closed() from None

    def _expect(self, xid: int, kind: type[Reply]) -> Reply:
        """The reply of a kind to the request `xid`; errors of earlier requests count."""
        for got_xid, message in self._messages():
            if isinstance(message, ErrorMsg):
                name = message.name or f"error type {message.type} code {message.code}"
                raise ValueError(f"the switch refused: {name}")
            if isinstance(message, EchoRequest):
                self._write(EchoReply(message.data), got_xid)
            elif isinstance(message, kind) and (got_xid == xid or kind is Hello):
                return message
        raise _closed()

    def _messages(self) -> Iterator[tuple[int, Message]]:
        while True:
            for frame in self._framer.frames():
                yield decode(frame, OF13)
            try:
                data = self._socket.recv(1 << 18)
            except ConnectionResetError:
                return
            except TimeoutError:
                raise OSError(errno.ETIMEDOUT, f"the switch did not answer within {TIMEOUT:.0f} s") from None
            if not data:
                return
            self._framer.feed(data)


def _closed() -> OSError:
    return OSError(errno.ECONNRESET, "the switch closed the connection")
