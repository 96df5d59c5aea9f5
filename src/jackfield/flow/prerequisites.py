"""When a field exists: the conditions on other fields, declared as masks and values.

One condition has alternatives; it holds if one of them holds. An alternative is (mask, value, explicit): the key or
match has `value` under `mask`, and a match also matches on all of `explicit`. Positions are written here as numbers
because `fields` is built on this module; tests hold the two together.
"""

from __future__ import annotations

from enum import Enum
from functools import reduce
from operator import or_
from typing import Final, NamedTuple

_ETH_TYPE: Final = 64 * 1 + 48
_VLAN_CFI: Final = 1 << 64 * 2 + 48 + 12
_NW_PROTO: Final = 64 * 3
_LATER_FRAGMENT: Final = 2 << 64 * 3 + 24
_TP_SRC: Final = 64 * 3 + 32
_TP_DST: Final = 64 * 3 + 48
_PACKET_TYPE: Final = 64 * 6 + 32
_PACKET_TYPE_ETHERTYPE: Final = 1 << 16
_CT_STATE: Final = 64 * 9

_NOT_ETHERNET: Final = 0xFFFFFFFF << _PACKET_TYPE
_ETH_TYPE_MASK: Final = 0xFFFF << _ETH_TYPE
_NW_PROTO_MASK: Final = 0xFF << _NW_PROTO
_ICMP_MASK: Final = 0xFFFF << _TP_SRC | 0xFFFF << _TP_DST


class Alternative(NamedTuple):
    """One way to meet a prerequisite; all three are in-place masks and values."""

    mask: int
    value: int
    explicit: int = 0


def _network(eth_type: int) -> tuple[Alternative, ...]:
    """A packet of an Ethertype, which its packet type may also name (OpenFlow 1.5.1 section 7.2.3.11)."""
    return (
        Alternative(_ETH_TYPE_MASK, eth_type << _ETH_TYPE),
        Alternative(_NOT_ETHERNET, (_PACKET_TYPE_ETHERTYPE | eth_type) << _PACKET_TYPE),
    )


def _eth_type(*types: int) -> tuple[Alternative, ...]:
    return tuple(alternative for eth_type in types for alternative in _network(eth_type))


def _transport(proto: int, *eth_types: int) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(network.mask | _NW_PROTO_MASK | _LATER_FRAGMENT, network.value | proto << _NW_PROTO)
        for network in _eth_type(*eth_types)
    )


def _icmp(proto: int, eth_type: int) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(network.mask | _NW_PROTO_MASK, network.value | proto << _NW_PROTO) for network in _network(eth_type)
    )


def _neighbour_discovery(*types: int) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(icmpv6.mask | _ICMP_MASK, icmpv6.value | kind << _TP_SRC)
        for icmpv6 in _icmp(58, 0x86DD)
        for kind in types
    )


def _ct_state() -> tuple[Alternative, ...]:
    """A connection was found: one of new, est, rel, rpl, snat, dnat; or tracked and, by the match, not invalid."""
    bits = (1 << _CT_STATE + bit for bit in (0, 1, 2, 3, 6, 7))
    invalid, tracked = 1 << _CT_STATE + 4, 1 << _CT_STATE + 5
    return (*(Alternative(bit, bit) for bit in bits), Alternative(invalid | tracked, tracked, invalid))


class Prerequisite(Enum):
    """What a packet must be for a field to exist (ovs-fields(7), "Prerequisites")."""

    NONE = "none"
    ETHERNET = "Ethernet"
    ARP = "ARP"
    VLAN_VID = "VLAN VID"
    IPV4 = "IPv4"
    IPV6 = "IPv6"
    IP_ANY = "IPv4/IPv6"
    MPLS = "MPLS"
    NSH = "NSH"
    CT = "CT"
    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"
    IGMP = "IGMP"
    ICMPV4 = "ICMPv4"
    ICMPV6 = "ICMPv6"
    ND = "ND"
    ND_SOLICIT = "ND solicit"
    ND_ADVERT = "ND advert"


ALTERNATIVES: Final[dict[Prerequisite, tuple[Alternative, ...]]] = {
    Prerequisite.NONE: (Alternative(0, 0),),
    Prerequisite.ETHERNET: (Alternative(_NOT_ETHERNET, 0),),
    Prerequisite.ARP: _eth_type(0x0806, 0x8035),
    Prerequisite.VLAN_VID: (Alternative(_VLAN_CFI, _VLAN_CFI),),
    Prerequisite.IPV4: _eth_type(0x0800),
    Prerequisite.IPV6: _eth_type(0x86DD),
    Prerequisite.IP_ANY: _eth_type(0x0800, 0x86DD),
    Prerequisite.MPLS: _eth_type(0x8847, 0x8848),
    Prerequisite.NSH: _eth_type(0x894F),
    Prerequisite.CT: _ct_state(),
    Prerequisite.TCP: _transport(6, 0x0800, 0x86DD),
    Prerequisite.UDP: _transport(17, 0x0800, 0x86DD),
    Prerequisite.SCTP: _transport(132, 0x0800, 0x86DD),
    Prerequisite.IGMP: _transport(2, 0x0800),
    Prerequisite.ICMPV4: _icmp(1, 0x0800),
    Prerequisite.ICMPV6: _icmp(58, 0x86DD),
    Prerequisite.ND: _neighbour_discovery(135, 136),
    Prerequisite.ND_SOLICIT: _neighbour_discovery(135),
    Prerequisite.ND_ADVERT: _neighbour_discovery(136),
}

REQUIRED_MASK: Final[dict[Prerequisite, int]] = {
    prerequisite: reduce(or_, (alternative.mask for alternative in alternatives))
    for prerequisite, alternatives in ALTERNATIVES.items()
}
"""What a decision on a prerequisite looks at, as an in-place mask: a translation adds it to its wildcards."""


def met_by_key(prerequisite: Prerequisite, key: int) -> bool:
    """Whether a packet's key has what a field needs."""
    for mask, value, _ in ALTERNATIVES[prerequisite]:  # noqa: SIM110 - twice as fast as any() of a generator
        if key & mask == value:
            return True
    return False


def met_by_match(prerequisite: Prerequisite, value: int, mask: int) -> bool:
    """Whether every packet that a match accepts can be asked for a field; `value` is zero outside `mask`.

    As in Open vSwitch, what must be zero (a packet type other than Ethernet, a later fragment) may also be left
    unmatched.
    """
    for wanted_mask, wanted, explicit in ALTERNATIVES[prerequisite]:
        if value & wanted_mask == wanted and mask & explicit == explicit:
            return True
    return False
