"""AF_PACKET sockets for compiled code: receive rings with vnet headers, one for each queue of a device.

See packet(7) and Documentation/networking/packet_mmap.rst in the kernel's source. Rings are TPACKET_V2, which wakes a
sleeper for each packet (V3 does so up to a millisecond late). Packets that are too long for a ring frame, segments of
up to 64 kB among them, wait on the socket itself (``PACKET_COPY_THRESH``) with their ring frame as a mark. What this
machine sends by the device is not received (``PACKET_IGNORE_OUTGOING``). The device is promiscuous as long as a queue
is open.

``PACKET_QDISC_BYPASS`` is left off on purpose: with it the kernel drops every large segment that the device cannot cut
itself (``__dev_direct_xmit``), and it saves only two hundredths of the cost of sending.

A packet socket refuses packets beyond the device's MTU (EMSGSIZE), but for the four bytes of an 802.1Q tag: those of an
802.1ad tag need a larger MTU.
"""

from __future__ import annotations

import errno
import mmap
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from jackfield.errors import refuse
from jackfield.netdev.provider import CompiledQueue, QueueKind

# linux/if_packet.h
_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP: Final = 1
_RX_RING: Final = 5
_STATISTICS: Final = 6
_COPY_THRESH: Final = 7
_VERSION: Final = 10
_VNET_HDR: Final = 15
_FANOUT: Final = 18
_IGNORE_OUTGOING: Final = 23
_TPACKET_V2: Final = 1
_MR_PROMISC: Final = 1
_FANOUT_HASH: Final = 0
_FANOUT_FLAG_UNIQUEID: Final = 0x2000
_ETH_P_ALL: Final = 3

# asm-generic/socket.h
_SO_ATTACH_FILTER: Final = 26
_SO_DETACH_FILTER: Final = 27
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33

FRAME_BYTES: Final = 2048
"""A ring frame: room for a packet of an ordinary MTU and the headers of the ring."""
FRAMES: Final = 2048
_BLOCK_BYTES: Final = 1 << 18
_RECEIVE_BUFFER: Final = 16 << 20
"""Room for the packets that are too long for the ring."""
_SEND_BUFFER: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class _Owner:
    """What lives as long as a queue."""

    socket: socket.socket
    ring: mmap.mmap


def open_queues(name: str, ifindex: int, n: int = 1, frames: int = FRAMES) -> list[CompiledQueue]:
    """Open `n` receive queues on a device; all packets of a connection come by the same one.

    Args:
        name: of the device, in the caller's network namespace.
        ifindex: its index; a device that has taken over the name meanwhile is refused.
        n: 1 or more; with several, the kernel spreads packets by a hash of their flow (PACKET_FANOUT).
        frames: of each ring, a multiple of 128.

    Raises:
        OSError: ENODEV no such device, EPERM without CAP_NET_RAW, ENOMEM no memory for the ring.
    """
    queues: list[CompiledQueue] = []
    try:
        group = 0
        for i in range(n):
            queues.append(_open_socket(name, ifindex, frames, silent=n > 1))
            if n > 1:
                unique = _FANOUT_FLAG_UNIQUEID if i == 0 else 0
                sock = _owner(queues[-1]).socket
                sock.setsockopt(_SOL_PACKET, _FANOUT, group | (_FANOUT_HASH | unique) << 16)
                group = sock.getsockopt(_SOL_PACKET, _FANOUT) & 0xFFFF
        if n > 1:
            for queue in queues:
                _owner(queue).socket.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)
    except OSError as error:
        close_queues(queues)
        raise refuse(error.errno or errno.EIO, f"{name}: cannot open a packet socket: {error.strerror}") from error
    return queues


def close_queues(queues: Sequence[CompiledQueue]) -> None:
    """Close sockets and rings; no thread may touch the queues any more. Never fails and may be repeated."""
    for queue in queues:
        owner = _owner(queue)
        owner.socket.close()
        owner.ring.close()


def read_drops(queues: Sequence[CompiledQueue]) -> int:
    """How many packets the kernel dropped for want of room in the rings since this was last asked."""
    drops = 0
    for queue in queues:
        _, dropped = struct.unpack("II", _owner(queue).socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        drops += dropped
    return drops


def _owner(queue: CompiledQueue) -> _Owner:
    assert isinstance(queue.owner, _Owner)
    return queue.owner


def _open_socket(name: str, ifindex: int, frames: int, *, silent: bool) -> CompiledQueue:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        sock.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        for option in (_VNET_HDR, _COPY_THRESH, _IGNORE_OUTGOING):
            sock.setsockopt(_SOL_PACKET, option, 1)
        _set_buffer(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        _set_buffer(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, _SEND_BUFFER)
        size = FRAME_BYTES * frames
        ring_request = struct.pack("IIII", _BLOCK_BYTES, size // _BLOCK_BYTES, FRAME_BYTES, frames)
        sock.setsockopt(_SOL_PACKET, _RX_RING, ring_request)
        if silent:
            _attach_deaf_filter(sock)
        ring = mmap.mmap(sock.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        try:
            sock.bind((name, _ETH_P_ALL))
            if socket.if_nametoindex(name) != ifindex:
                raise refuse(errno.ENODEV, "another device has that name now")
            sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, struct.pack("iHH8s", ifindex, _MR_PROMISC, 0, b""))
        except OSError:
            ring.close()
            raise
    except OSError:
        sock.close()
        raise
    address = int(np.frombuffer(ring, np.uint8).ctypes.data)
    words = (sock.fileno(), address, FRAME_BYTES, frames)
    return CompiledQueue(QueueKind.PACKET_SOCKET, words, fd=sock.fileno(), owner=_Owner(sock, ring))


def _set_buffer(sock: socket.socket, force: int, ordinary: int, size: int) -> None:
    """Set a buffer's size past the system's limit, or up to it where that takes a capability we lack."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, ordinary, size)


def _attach_deaf_filter(sock: socket.socket) -> None:
    """Receive nothing until all sockets of a group are in it: before that, each would get every packet."""
    program = np.array([0x0006, 0], np.uint32)  # BPF_RET | BPF_K, 0: accept no byte
    fprog = struct.pack("HxxxxxxP", 1, program.ctypes.data)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
