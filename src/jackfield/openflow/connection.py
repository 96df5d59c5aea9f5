"""One OpenFlow connection, switch's or controller's, as a state machine: bytes and time in, events and bytes out.

It opens with hello, agrees on a version (OpenFlow 1.3.5 section 6.3.1), answers echo requests, probes a silent peer,
and answers what cannot be understood with the protocol's error; everything else is an event. The caller carries
bytes, takes `to_send` after each call, and calls `run` at `next_timer`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from jackfield.openflow.codec import decode, encode, error_reply
from jackfield.openflow.dialect import OF10, OF13, STANDARD, VERSION_TEXT, Dialect
from jackfield.openflow.errors import OpenFlowError, wire_error
from jackfield.openflow.framing import HEADER_LEN, Framer
from jackfield.openflow.messages import EchoReply, EchoRequest, ErrorMsg, Hello, Message
from jackfield.openflow.session_codec import decode_hello

DEFAULT_VERSIONS: Final = frozenset({OF10, OF13})
DEFAULT_PROBE_INTERVAL: Final = 5000
"""Milliseconds of silence after which the peer is probed, and then given up."""

_HELLO: Final = 0
_ERROR: Final = 1


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The peers agreed on a version; messages may be sent."""

    version: int


@dataclass(frozen=True, slots=True)
class Received:
    """A message came."""

    xid: int
    message: Message


@dataclass(frozen=True, slots=True)
class Refused:
    """A message came that was answered with an error; for a (rate-limited) log line."""

    xid: int
    error: OpenFlowError


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection must be closed, after `to_send` was sent; nothing more comes out of it."""

    reason: str


Event = Negotiated | Received | Refused | Closed


class _State(Enum):
    HELLO = "waiting for hello"
    OPEN = "open"
    CLOSED = "closed"


class Connection:
    """A connection from its first byte to its last.

    Args:
        now: milliseconds.
        versions: wire versions to offer.
        probe_interval: milliseconds of silence until a probe, and again until the peer is given up; 0 never probes.

    Attributes:
        dialect: how messages are written and read; the caller changes it when the peer's requests ask for it.
        request: the message that the latest event came from; what `send_error` wants.
    """

    def __init__(
        self,
        now: int,
        versions: Iterable[int] = DEFAULT_VERSIONS,
        probe_interval: int = DEFAULT_PROBE_INTERVAL,
    ) -> None:
        self._versions = frozenset(versions)
        if not self._versions <= VERSION_TEXT.keys() or not self._versions:
            raise ValueError(f"versions {sorted(self._versions)}: expected some of {sorted(VERSION_TEXT)}")
        self.dialect: Dialect = STANDARD
        self.request = b""
        self.probe_interval = probe_interval
        self._state = _State.HELLO
        self._version = 0
        self._framer = Framer()
        self._out: list[bytes] = []
        self._next_xid = 1
        self._last_heard = now
        self._probe_xid: int | None = None
        self._probed_at = now
        highest = max(self._versions)
        self._out.append(encode(Hello(self._versions), highest, self.new_xid()))

    @property
    def version(self) -> int | None:
        """The version agreed on, None before."""
        return self._version or None

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over."""
        return self._state is _State.CLOSED

    def new_xid(self) -> int:
        """A transaction id not used before (for four billion messages)."""
        xid = self._next_xid
        self._next_xid = xid % 0xFFFFFFFF + 1
        return xid

    def to_send(self) -> bytes:
        """The bytes to send now, which are then forgotten here."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def send(self, message: Message, xid: int | None = None) -> int:
        """Queue a message; its xid.

        Raises:
            ValueError: there is no version yet, or it cannot say this.
        """
        if self._state is not _State.OPEN:
            raise ValueError(f"cannot send {type(message).__name__}: connection is {self._state.value}")
        used = self.new_xid() if xid is None else xid
        self._out.append(encode(message, self._version, used, self.dialect))
        return used

    def send_bytes(self, data: bytes) -> None:
        """Queue whole messages that are bytes already."""
        if self._state is _State.OPEN:
            self._out.append(data)

    def send_error(self, error: OpenFlowError, request: bytes) -> None:
        """Queue the answer to a request (its bytes, at least the first 64) that must be refused."""
        self.send_bytes(error_reply(error, self._version, request))

    # Time

    def next_timer(self) -> int | None:
        """When `run` has something to do, None for never."""
        if self._state is _State.CLOSED or not self.probe_interval:
            return None
        since = self._last_heard if self._probe_xid is None else self._probed_at
        return since + self.probe_interval

    def run(self, now: int) -> list[Event]:
        """Probe a silent peer, or give it up."""
        due = self.next_timer()
        if due is None or now < due:
            return []
        if self._state is _State.HELLO:
            return [self._close(f"no hello within {self.probe_interval / 1000:g} seconds")]
        if self._probe_xid is not None:
            return [self._close(f"no response to inactivity probe after {self.probe_interval / 1000:g} seconds")]
        self._probe_xid = self.send(EchoRequest())
        self._probed_at = now
        return []

    # Bytes

    def receive(self, data: bytes, now: int) -> list[Event]:
        """Take bytes from the peer, and all events they make."""
        self.feed(data, now)
        events: list[Event] = []
        while (event := self.next_event()) is not None:
            events.append(event)
        return events

    def feed(self, data: bytes, now: int) -> None:
        """Take bytes from the peer; `next_event` makes events of them."""
        if self._state is not _State.CLOSED:
            self._last_heard = now
            self._probe_xid = None
            self._framer.feed(data)

    def next_event(self) -> Event | None:
        """The next event, None when no whole message is left.

        Messages are understood, and answered where the connection itself does it, one at a time: a caller that stops
        asking keeps what follows from overtaking, and a change of `dialect` counts for the next message.
        """
        if self._state is _State.CLOSED:
            return None
        try:
            for frame in self._framer.frames():
                self.request = frame
                event = self._open(frame) if self._state is _State.HELLO else self._message(frame)
                if event is not None:
                    return event
        except OpenFlowError as error:
            return self._close(f"bad framing: {error}")
        return None

    @property
    def pending(self) -> int:
        """Bytes fed that no event was made of yet."""
        return self._framer.pending

    def end_of_stream(self) -> list[Event]:
        """The peer closed."""
        return [] if self._state is _State.CLOSED else [self._close("connection closed by peer")]

    def _close(self, reason: str) -> Closed:
        self._state = _State.CLOSED
        return Closed(reason)

    def _open(self, frame: bytes) -> Event | None:
        version, kind = frame[0], frame[1]
        if kind == _ERROR:
            text = frame[HEADER_LEN + 4 :].decode("utf-8", "replace")
            return self._close(f"peer refused hello: {text}" if text else "peer refused hello")
        if kind != _HELLO:
            return self._close(f"expected hello, got message type {kind}")
        theirs = decode_hello(frame[HEADER_LEN:], version).versions
        common = self._versions & theirs
        if common:
            self._version = max(common)
            self._state = _State.OPEN
            return Negotiated(self._version)
        return self._refuse_hello(theirs, version, int.from_bytes(frame[4:8], "big"))

    def _refuse_hello(self, theirs: frozenset[int], version: int, xid: int) -> Closed:
        text = f"We support {_version_list(self._versions)}, you support {_version_list(theirs)}, no common versions."
        answered = max(OF10, min(version, max(self._versions)))
        wire = wire_error("OFPHFC_INCOMPATIBLE", answered)
        refusal = ErrorMsg("OFPHFC_INCOMPATIBLE", wire.type, wire.code, text.encode())
        self._out.append(encode(refusal, answered, xid))
        return self._close(
            f"version negotiation failed (we support {_version_list(self._versions)}, "
            f"peer supports {_version_list(theirs)})"
        )

    def _message(self, frame: bytes) -> Event | None:
        try:
            xid, message = decode(frame, self._version, self.dialect)
        except OpenFlowError as error:
            xid = int.from_bytes(frame[4:8], "big")
            # An error is never answered with an error: two peers would talk for ever.
            if frame[1] != _ERROR:
                self._out.append(error_reply(error, self._version, frame))
            return Refused(xid, error)
        if isinstance(message, EchoRequest):
            self._out.append(encode(EchoReply(message.data), self._version, xid))
            return None
        if isinstance(message, EchoReply | Hello):
            return None
        return Received(xid, message)


def _version_list(versions: Iterable[int]) -> str:
    names = [VERSION_TEXT.get(version, f"0x{version:02x}") for version in sorted(versions)]
    return f"version{'s' if len(names) > 1 else ''} {', '.join(names)}" if names else "no version"
