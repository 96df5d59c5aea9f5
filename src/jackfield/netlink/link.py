"""Network interfaces as the kernel describes them (rtnetlink(7), linux/if_link.h), and requests about them.

Requests are synchronous: the kernel answers in some ten microseconds.
"""

import errno
import struct
from typing import Final, NamedTuple

from jackfield.errors import refuse
from jackfield.netlink.socket import (
    F_DUMP,
    NETLINK_ROUTE,
    NetlinkError,
    NetlinkSocket,
    attribute,
    attributes,
)

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18

IFF_UP: Final = 0x1
IFF_LOOPBACK: Final = 0x8
IFF_RUNNING: Final = 0x40
IFF_PROMISC: Final = 0x100

ARPHRD_ETHER: Final = 1
IFNAMSIZ: Final = 16

_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFLA_MTU: Final = 4
_IFLA_LINK: Final = 5
_IFLA_MASTER: Final = 10
_IFLA_OPERSTATE: Final = 16
_IFLA_LINKINFO: Final = 18
_IFLA_STATS64: Final = 23
_IFLA_EXT_MASK: Final = 29
_IFLA_PROMISCUITY: Final = 30
_IFLA_CARRIER_CHANGES: Final = 35
_IFLA_MIN_MTU: Final = 50
_IFLA_MAX_MTU: Final = 51
_IFLA_INFO_KIND: Final = 1

_SKIP_STATS: Final = attribute(_IFLA_EXT_MASK, struct.pack("=I", 1 << 3))
_HEADER: Final = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_U32: Final = struct.Struct("=I")
_ZERO: Final = bytes(4)

#: The leading counters of struct rtnl_link_stats64, in its order; names as in `jackfield.netdev.provider.DeviceStats`.
STATS64: Final = (
    "rx_packets",
    "tx_packets",
    "rx_bytes",
    "tx_bytes",
    "rx_errors",
    "tx_errors",
    "rx_dropped",
    "tx_dropped",
    "multicast",
    "collisions",
    "rx_length_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_frame_errors",
    "rx_fifo_errors",
    "rx_missed_errors",
    "tx_aborted_errors",
    "tx_carrier_errors",
    "tx_fifo_errors",
    "tx_heartbeat_errors",
    "tx_window_errors",
)
_STATS64: Final = struct.Struct(f"={len(STATS64)}Q")


class Link(NamedTuple):
    """One interface; two of them are equal when nothing that we look at has changed.

    Attributes:
        ifindex: the interface index.
        name: its name; bytes that are not UTF-8 are kept as surrogates.
        mac: the link-layer address as an integer when it has 6 bytes, else 0.
        mtu: bytes.
        flags: IFF_* bits (netdevice(7)).
        hardware: ARPHRD_* type; 1 is Ethernet.
        kind: the driver's word for it ("veth", "tun", ...); empty for hardware.
        operstate: RFC 2863 state (IF_OPER_*; 6 is up).
        master: index of the bond, bridge ... it belongs to, or 0.
        parent: index of the device it sits on or is paired with, or 0.
        carrier_changes: how often the kernel saw the carrier come or go.
        promiscuity: how many users asked for promiscuous mode.
        min_mtu: smallest MTU that may be set.
        max_mtu: largest MTU that may be set; 0 when the kernel names none.
    """

    ifindex: int
    name: str
    mac: int
    mtu: int
    flags: int
    hardware: int
    kind: str
    operstate: int
    master: int
    parent: int
    carrier_changes: int
    promiscuity: int
    min_mtu: int
    max_mtu: int

    @property
    def up(self) -> bool:
        """Whether it is administratively up."""
        return bool(self.flags & IFF_UP)

    @property
    def carrier(self) -> bool:
        """Whether it is up and its link is."""
        return bool(self.flags & IFF_RUNNING)


def _text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode(errors="surrogateescape")


def parse_link(body: bytes) -> Link | None:
    """The interface of an RTM_NEWLINK or RTM_DELLINK message; None when the message is about something else.

    Messages of another address family (AF_BRIDGE) tell what happened to a bridge port, not to the interface.

    Raises:
        NetlinkError: the message is cut short or has no name.
    """
    if len(body) < _HEADER.size:
        raise NetlinkError(f"rtnetlink: a link message of {len(body)} bytes")
    family, hardware, index, flags, _ = _HEADER.unpack_from(body)
    if family:
        return None
    found = attributes(body, _HEADER.size)
    get = found.get
    name = get(_IFLA_IFNAME)
    if name is None:
        raise NetlinkError(f"rtnetlink: link {index} without a name")

    def number(kind: int) -> int:
        value = get(kind, _ZERO)
        return int(_U32.unpack_from(value)[0]) if len(value) >= 4 else 0

    address = get(_IFLA_ADDRESS, b"")
    info = get(_IFLA_LINKINFO)
    return Link(
        ifindex=index,
        name=_text(name),
        mac=int.from_bytes(address) if len(address) == 6 else 0,
        mtu=number(_IFLA_MTU),
        flags=flags,
        hardware=hardware,
        kind=_text(attributes(info).get(_IFLA_INFO_KIND, b"")) if info else "",
        operstate=int.from_bytes(get(_IFLA_OPERSTATE, b"")),
        master=number(_IFLA_MASTER),
        parent=number(_IFLA_LINK),
        carrier_changes=number(_IFLA_CARRIER_CHANGES),
        promiscuity=number(_IFLA_PROMISCUITY),
        min_mtu=number(_IFLA_MIN_MTU),
        max_mtu=number(_IFLA_MAX_MTU),
    )


def link_request(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    """A struct ifinfomsg for a request about one interface (0: all, or named by an attribute)."""
    return _HEADER.pack(0, 0, index, flags, change)


#: The body of a request to dump all links, without their statistics.
DUMP_REQUEST: Final = link_request() + _SKIP_STATS


def _named(name: str) -> bytes:
    encoded = name.encode(errors="surrogateescape")
    if not 0 < len(encoded) < IFNAMSIZ:
        raise refuse(errno.ENODEV, f"{name}: an interface name has 1 to {IFNAMSIZ - 1} bytes")
    return attribute(_IFLA_IFNAME, encoded + b"\0")


class LinkSocket:
    """Synchronous requests about links."""

    def __init__(self) -> None:
        self._socket = NetlinkSocket(NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket; may be repeated."""
        self._socket.close()

    def find(self, name: str) -> Link | None:
        """The interface of that name, or None.

        Raises:
            OSError: the kernel refused for another reason than that there is none.
        """
        try:
            return self._one(link_request() + _named(name) + _SKIP_STATS)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def get(self, index: int) -> Link:
        """The interface of that index.

        Raises:
            OSError: ENODEV.
        """
        return self._one(link_request(index) + _SKIP_STATS)

    def dump(self) -> list[Link]:
        """All interfaces."""
        answers = self._socket.request(RTM_GETLINK, F_DUMP, DUMP_REQUEST)
        return [link for answer in answers if (link := parse_link(answer.body)) is not None]

    def stats(self, index: int) -> dict[str, int]:
        """Counters of an interface, by the names of `STATS64`.

        Raises:
            OSError: ENODEV.
        """
        answer = self._socket.request(RTM_GETLINK, 0, link_request(index))[0]
        raw = attributes(answer.body, _HEADER.size).get(_IFLA_STATS64, b"")
        if len(raw) < _STATS64.size:
            raise NetlinkError(f"rtnetlink: link {index} with {len(raw)} bytes of statistics")
        return dict(zip(STATS64, _STATS64.unpack_from(raw), strict=True))

    def set_up(self, index: int, up: bool) -> None:
        """Bring an interface up or down.

        Raises:
            OSError: ENODEV, EPERM.
        """
        self._socket.request(RTM_NEWLINK, 0, link_request(index, IFF_UP if up else 0, IFF_UP))

    def set_mtu(self, index: int, mtu: int) -> None:
        """Set the MTU.

        Raises:
            OSError: ENODEV, EPERM, EINVAL (out of range).
        """
        self._socket.request(RTM_NEWLINK, 0, link_request(index) + attribute(_IFLA_MTU, _U32.pack(mtu)))

    def set_mac(self, index: int, mac: int) -> None:
        """Set the Ethernet address.

        Raises:
            OSError: ENODEV, EPERM, EADDRNOTAVAIL (multicast or zero), EBUSY (must be down), EOPNOTSUPP.
        """
        self._socket.request(RTM_NEWLINK, 0, link_request(index) + attribute(_IFLA_ADDRESS, mac.to_bytes(6)))

    def _one(self, body: bytes) -> Link:
        answers = self._socket.request(RTM_GETLINK, 0, body)
        link = parse_link(answers[0].body) if answers else None
        if link is None:
            raise NetlinkError("rtnetlink: a request for one link was answered with none")
        return link
