"""One netlink socket: requests and their answers, message framing, attributes.

The wire is that of netlink(7) and linux/netlink.h, in the byte order of the machine. What the kernel refuses is an
``OSError`` with its errno and, where the kernel gives one, its explanation (extended acknowledgement). A message whose
lengths lie is a `NetlinkError`.
"""

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

from jackfield.errors import ProtocolError, refuse

NETLINK_ROUTE: Final = 0
NETLINK_NETFILTER: Final = 12

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3

F_REQUEST: Final = 0x1
F_ACK: Final = 0x4
F_DUMP_INTR: Final = 0x10
F_DUMP: Final = 0x300
F_CREATE: Final = 0x400
F_CAPPED: Final = 0x100
F_ACK_TLVS: Final = 0x200

NESTED: Final = 0x8000
_TYPE_MASK: Final = 0x3FFF

_SOL_NETLINK: Final = 270
_CAP_ACK: Final = 10
_EXT_ACK: Final = 11
_SO_RCVBUFFORCE: Final = 33

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_ERRNO: Final = struct.Struct("=i")
_TLV_MESSAGE: Final = 1  # NLMSGERR_ATTR_MSG
_DATAGRAM: Final = 1 << 17
_PATIENCE: Final = 10.0  # seconds; the kernel answers at once unless somebody else holds its lock


class NetlinkError(ProtocolError):
    """A netlink message that cannot be what it says it is."""


class Message(NamedTuple):
    """One netlink message.

    Attributes:
        type: what it is (RTM_NEWLINK, NLMSG_DONE ...).
        flags: NLM_F_* bits.
        seq: number of the request it answers; 0 for a notification.
        body: all after the 16-byte header.
    """

    type: int
    flags: int
    seq: int
    body: bytes


def messages(datagram: bytes) -> Iterator[Message]:
    """The messages in a datagram.

    Raises:
        NetlinkError: a length does not fit; the messages before it have been given.
    """
    offset, end = 0, len(datagram)
    while offset < end:
        if end - offset < _HEADER.size:
            raise NetlinkError(f"netlink: {end - offset} bytes after the last message")
        length, kind, flags, seq, _ = _HEADER.unpack_from(datagram, offset)
        if length < _HEADER.size or length > end - offset:
            raise NetlinkError(f"netlink: a message of {length} bytes in a space of {end - offset}")
        yield Message(kind, flags, seq, datagram[offset + _HEADER.size : offset + length])
        offset += (length + 3) & ~3


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Attributes by type, from `offset` to the end; the last of a type wins.

    Raises:
        NetlinkError: a length does not fit.
    """
    found: dict[int, bytes] = {}
    end = len(data)
    unpack = _ATTRIBUTE.unpack_from
    while end - offset >= 4:
        length, kind = unpack(data, offset)
        if length < 4 or length > end - offset:
            raise NetlinkError(f"netlink: an attribute of {length} bytes in a space of {end - offset}")
        found[kind & _TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def frame(kind: int, flags: int, seq: int, body: bytes) -> bytes:
    """One message, ready to send."""
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, seq, 0) + body + bytes(-len(body) % 4)


class NetlinkSocket:
    """A netlink socket of one protocol.

    Args:
        protocol: NETLINK_ROUTE, NETLINK_NETFILTER ...
        groups: bits of the multicast groups to listen to.
        receive_buffer: bytes of room for notifications; None leaves the machine's default.

    Raises:
        OSError: the kernel has no such protocol.
    """

    def __init__(self, protocol: int, groups: int = 0, receive_buffer: int | None = None) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        try:
            for option in (_CAP_ACK, _EXT_ACK):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            if receive_buffer is not None:
                self._enlarge(receive_buffer)
            self._socket.bind((0, groups))
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise
        self._seq = 0

    def _enlarge(self, size: int) -> None:
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, size)
        except PermissionError:  # in a user namespace net.core.rmem_max is the limit
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    @property
    def port_id(self) -> int:
        """The socket's address, unique for its protocol in the network namespace."""
        address: tuple[int, int] = self._socket.getsockname()
        return address[0]

    def fileno(self) -> int:
        """The descriptor, for a loop to watch."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket; may be repeated."""
        self._socket.close()

    def next_seq(self) -> int:
        """A number for the next request, never 0."""
        self._seq = (self._seq % 0xFFFFFFFF) + 1
        return self._seq

    def send(self, data: bytes) -> None:
        """Send framed messages.

        Raises:
            OSError: the kernel's receive side refused them.
        """
        self._socket.send(data)

    def receive(self) -> bytes | None:
        """The next datagram, or None when there is none.

        Raises:
            OSError: ENOBUFS: notifications were lost.
        """
        try:
            return self._socket.recv(_DATAGRAM)
        except BlockingIOError:
            return None

    def wait(self) -> bytes:
        """The next datagram, waited for.

        Raises:
            OSError: ENOBUFS as `receive`; ETIMEDOUT when the kernel does not answer.
        """
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        deadline = time.monotonic() + _PATIENCE
        while (data := self.receive()) is None:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise refuse(errno.ETIMEDOUT, "netlink: no answer from the kernel")
        return data

    def request(self, kind: int, flags: int, body: bytes) -> list[Message]:
        """Send one request and return what it is answered with, without the acknowledgement.

        Raises:
            OSError: what the kernel answered.
        """
        seq = self.next_seq()
        if not flags & F_DUMP:
            flags |= F_ACK
        self.send(frame(kind, flags | F_REQUEST, seq, body))
        return self.answers(seq)

    def answers(self, seq: int) -> list[Message]:
        """Everything that answers request `seq`, up to its acknowledgement or the end of its dump.

        Raises:
            OSError: what the kernel answered.
        """
        found: list[Message] = []
        while True:
            for message in messages(self.wait()):
                if message.seq != seq:
                    continue
                if message.type in (NLMSG_ERROR, NLMSG_DONE):
                    check(message)
                    return found
                found.append(message)


def check(message: Message) -> None:
    """Raise what an acknowledgement or the end of a dump says.

    Raises:
        OSError: the errno, with the kernel's explanation if it gives one.
        NetlinkError: the message is too short to say anything.
    """
    if len(message.body) < 4:
        raise NetlinkError(f"netlink: an answer of {len(message.body)} bytes")
    number = -_ERRNO.unpack_from(message.body)[0]
    if number == 0:
        return
    text = os.strerror(number)
    if message.type == NLMSG_ERROR and message.flags & F_ACK_TLVS:
        start = 20 if message.flags & F_CAPPED else 4 + ((_HEADER.unpack_from(message.body, 4)[0] + 3) & ~3)
        why = attributes(message.body, start).get(_TLV_MESSAGE, b"").rstrip(b"\0").decode(errors="replace")
        if why:
            text = f"{text} ({why})"
    raise refuse(number, text)
