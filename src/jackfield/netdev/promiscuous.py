"""Promiscuous mode for as long as somebody here wants it.

It is asked for by membership of a packet socket (packet(7)), which the kernel counts for each interface and takes back
when the interface or the process ends. One socket serves all interfaces: closing a packet socket waits for every CPU
to have left the network code, some 13 ms, while giving up one membership takes 10 µs.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Final

from jackfield.netlink.background import close_in_background

_SOL_PACKET: Final = 263
_ADD_MEMBERSHIP: Final = 1
_DROP_MEMBERSHIP: Final = 2
_MR_PROMISC: Final = 1


class PromiscuousMode:
    """The interfaces that are promiscuous for our sake."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._interfaces: set[int] = set()

    def add(self, ifindex: int) -> None:
        """Make an interface promiscuous; does nothing when it is for our sake already.

        Raises:
            OSError: ENODEV, EPERM.
        """
        if ifindex in self._interfaces:
            return
        if self._socket is None:  # protocol 0: it receives nothing
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        try:
            self._change(_ADD_MEMBERSHIP, ifindex)
        except OSError:
            self._close_if_unused()
            raise
        self._interfaces.add(ifindex)

    def remove(self, ifindex: int) -> None:
        """Take the request back; does nothing when there is none.

        Raises:
            OSError: the kernel refused.
        """
        if ifindex not in self._interfaces:
            return
        self._interfaces.remove(ifindex)
        try:
            self._change(_DROP_MEMBERSHIP, ifindex)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.EADDRNOTAVAIL):  # it went with the interface
                raise
        finally:
            self._close_if_unused()

    def _change(self, option: int, ifindex: int) -> None:
        if self._socket is not None:
            self._socket.setsockopt(_SOL_PACKET, option, struct.pack("=iHH8x", ifindex, _MR_PROMISC, 0))

    def _close_if_unused(self) -> None:
        if self._socket is not None and not self._interfaces:
            close_in_background(self._socket.close)
            self._socket = None
