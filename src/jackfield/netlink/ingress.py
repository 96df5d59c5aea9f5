"""Keeps the host's own stack from receiving what arrives at interfaces the switch owns.

A packet socket gets a copy of each packet; the original goes on into the host's stack, which would answer ARP requests,
pings and TCP connections that are none of its business. Between the two the kernel has an ingress hook, and there an
empty nf_tables chain with the policy "drop" ends the packet's way.

The chains live in a table that belongs to our socket (NFT_TABLE_F_OWNER, Linux 5.12): when the process ends, however it
ends, the kernel removes them. Nothing needs to be cleaned up and no other firewall tool can change them. Unlike a
traffic control filter the drop counts nowhere as an interface error, and it works as root of a user namespace.

Messages as in linux/netfilter/nf_tables.h and nfnetlink.h.
"""

import errno
import struct
from typing import Final

from jackfield.netlink.background import close_in_background
from jackfield.netlink.socket import (
    F_ACK,
    F_CREATE,
    F_REQUEST,
    NESTED,
    NETLINK_NETFILTER,
    NetlinkSocket,
    attribute,
    frame,
)

_BATCH_BEGIN: Final = 16
_BATCH_END: Final = 17
_SUBSYS_NFTABLES: Final = 10
_NEWTABLE: Final = 0
_NEWCHAIN: Final = 3
_DELCHAIN: Final = 5
_FAMILY_NETDEV: Final = 5

_TABLE_NAME: Final = 1
_TABLE_FLAGS: Final = 2
_TABLE_F_OWNER: Final = 2
_CHAIN_TABLE: Final = 1
_CHAIN_NAME: Final = 3
_CHAIN_HOOK: Final = 4
_CHAIN_POLICY: Final = 5
_CHAIN_TYPE: Final = 7
_HOOK_NUMBER: Final = 1
_HOOK_PRIORITY: Final = 2
_HOOK_DEVICE: Final = 3
_HOOK_INGRESS: Final = 0
_DROP: Final = 0
_PRIORITY: Final = -500


def _be32(value: int) -> bytes:
    return struct.pack(">i", value)


def _string(value: str) -> bytes:
    return value.encode(errors="surrogateescape") + b"\0"


class IngressGuard:
    """The table of chains; one chain for each guarded interface."""

    def __init__(self) -> None:
        self._socket: NetlinkSocket | None = None
        self._table = ""
        self._guarded: dict[int, str] = {}

    def add(self, index: int, name: str) -> None:
        """Drop what arrives at interface `index`, called `name`, after packet sockets have seen it.

        Raises:
            OSError: the kernel has no nf_tables, or we may not use it.
        """
        if index in self._guarded:
            return
        chain = f"{name}-{index}"
        try:
            self._ensure_table()
            hook = (
                attribute(_HOOK_NUMBER, _be32(_HOOK_INGRESS))
                + attribute(_HOOK_PRIORITY, _be32(_PRIORITY))
                + attribute(_HOOK_DEVICE, _string(name))
            )
            self._apply(
                _NEWCHAIN,
                F_CREATE,
                attribute(_CHAIN_TABLE, _string(self._table))
                + attribute(_CHAIN_NAME, _string(chain))
                + attribute(_CHAIN_HOOK | NESTED, hook)
                + attribute(_CHAIN_POLICY, _be32(_DROP))
                + attribute(_CHAIN_TYPE, _string("filter")),
            )
        except OSError:
            self._close_if_unused()
            raise
        self._guarded[index] = chain

    def remove(self, index: int) -> None:
        """Let the host's stack have the interface's packets again; nothing happens if it was not guarded.

        Raises:
            OSError: the kernel refused.
        """
        chain = self._guarded.pop(index, None)
        if chain is None:
            return
        try:
            self._apply(
                _DELCHAIN, 0, attribute(_CHAIN_TABLE, _string(self._table)) + attribute(_CHAIN_NAME, _string(chain))
            )
        except OSError as error:
            if error.errno != errno.ENOENT:  # some kernels drop the chain with its interface
                raise
        finally:
            self._close_if_unused()

    def _ensure_table(self) -> None:
        if self._socket is not None:
            return
        self._socket = NetlinkSocket(NETLINK_NETFILTER)
        self._table = f"jackfield-{self._socket.port_id}"
        self._apply(
            _NEWTABLE,
            F_CREATE,
            attribute(_TABLE_NAME, _string(self._table)) + attribute(_TABLE_FLAGS, _be32(_TABLE_F_OWNER)),
        )

    def _close_if_unused(self) -> None:
        if self._socket is not None and not self._guarded:
            close_in_background(self._socket.close)
            self._socket = None

    def _apply(self, kind: int, flags: int, body: bytes) -> None:
        """One change, in a batch of its own, as nf_tables wants it."""
        if self._socket is None:
            raise ValueError("the table has not been made")
        seq = self._socket.next_seq()
        generic = struct.pack(">BBH", 0, 0, _SUBSYS_NFTABLES)
        self._socket.send(
            frame(_BATCH_BEGIN, F_REQUEST, seq, generic)
            + frame(
                _SUBSYS_NFTABLES << 8 | kind,
                flags | F_REQUEST | F_ACK,
                seq,
                struct.pack(">BBH", _FAMILY_NETDEV, 0, 0) + body,
            )
            + frame(_BATCH_END, F_REQUEST, seq, generic)
        )
        self._socket.answers(seq)
