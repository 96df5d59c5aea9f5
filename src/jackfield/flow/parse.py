"""From a packet to its key: what Open vSwitch's flow extraction makes of the same bytes.

This is the plain twin of the compiled extractor of the userspace datapath: the two agree bit for bit. Whatever the
bytes, nothing is raised: a header that is cut short, or lies about its length, leaves its fields (and those of all
inner headers) zero.

The literal shifts are the positions of `fields`, one word of the key at a time; the tests hold them to the table.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

from jackfield.flow import fields as f

ETH_TYPE_IPV4: Final = 0x0800
ETH_TYPE_ARP: Final = 0x0806
ETH_TYPE_RARP: Final = 0x8035
ETH_TYPE_VLAN: Final = 0x8100
ETH_TYPE_IPV6: Final = 0x86DD
ETH_TYPE_MPLS: Final = 0x8847
ETH_TYPE_MPLS_MULTICAST: Final = 0x8848
ETH_TYPE_QINQ: Final = 0x88A8
ETH_TYPE_NSH: Final = 0x894F
ETH_TYPE_MIN: Final = 0x0600
"""Smallest value that is a type and not an 802.3 length."""
ETH_TYPE_NONE: Final = 0x05FF
"""What the key holds for an 802.2 frame without SNAP (ovs-fields(7), "eth_type")."""
VLAN_ETH_TYPES: Final = frozenset((ETH_TYPE_VLAN, ETH_TYPE_QINQ))
MPLS_ETH_TYPES: Final = frozenset((ETH_TYPE_MPLS, ETH_TYPE_MPLS_MULTICAST))

IPPROTO_HOPOPTS: Final = 0
IPPROTO_ICMP: Final = 1
IPPROTO_IGMP: Final = 2
IPPROTO_TCP: Final = 6
IPPROTO_UDP: Final = 17
IPPROTO_ROUTING: Final = 43
IPPROTO_FRAGMENT: Final = 44
IPPROTO_ESP: Final = 50
IPPROTO_AH: Final = 51
IPPROTO_ICMPV6: Final = 58
IPPROTO_NONE: Final = 59
IPPROTO_DSTOPTS: Final = 60
IPPROTO_SCTP: Final = 132

ND_NEIGHBOR_SOLICIT: Final = 135
ND_NEIGHBOR_ADVERT: Final = 136
ND_OPT_SOURCE_LINKADDR: Final = 1
ND_OPT_TARGET_LINKADDR: Final = 2

EXTHDR_UNREP: Final = 1 << 7
"""In ipv6_exthdr: a header came more often than expected (OpenFlow 1.3.5 table 12)."""
EXTHDR_UNSEQ: Final = 1 << 8
"""In ipv6_exthdr: headers came in another order than RFC 8200 section 4.1 prefers."""

_ND_ADDRESS_SHIFTS: Final = {ND_OPT_SOURCE_LINKADDR: 1088, ND_OPT_TARGET_LINKADDR: 1152}

MAX_VLANS: Final = 2
MAX_MPLS_LABELS: Final = 3

Data = bytes | bytearray | memoryview

_MPLS_BOS: Final = 1 << 8
_LLC_SNAP: Final = b"\xaa\xaa\x03\x00\x00\x00"

_Unpack = Callable[[Data, int], tuple[int, ...]]
_U16: Final[_Unpack] = Struct(">H").unpack_from
_U32: Final[_Unpack] = Struct(">I").unpack_from
_PORTS: Final[_Unpack] = Struct(">HH").unpack_from
_IPV4: Final[_Unpack] = Struct(">BBHHHBBHII").unpack_from
_IPV6: Final[_Unpack] = Struct(">IHBBQQQQ").unpack_from
_ARP: Final[Callable[[Data, int], tuple[int, int, int, int, int, bytes, int, bytes, int]]] = Struct(
    ">HHBBH6sI6sI"
).unpack_from
_NSH: Final[_Unpack] = Struct(">HBBI").unpack_from
_NSH_CONTEXTS: Final[_Unpack] = Struct(">IIII").unpack_from

_ARP_ETHERNET_IPV4: Final = (1, ETH_TYPE_IPV4, 6, 4)

# Extension header -> (bit in ipv6_exthdr, its rank in the order of RFC 8200 section 4.1). Destination options may come
# before a routing header and once more at the end.
_EXTHDR: Final = {
    IPPROTO_HOPOPTS: (1 << 6, 0),
    IPPROTO_DSTOPTS: (1 << 3, 1),
    IPPROTO_ROUTING: (1 << 5, 2),
    IPPROTO_FRAGMENT: (1 << 4, 3),
    IPPROTO_AH: (1 << 2, 4),
    IPPROTO_ESP: (1 << 1, 5),
    IPPROTO_NONE: (1 << 0, 7),
}
_LAST_DSTOPTS_RANK: Final = 6
_WALKED: Final = frozenset((IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_AH, IPPROTO_FRAGMENT))


class Parsed(NamedTuple):
    """A packet's key, and where its headers are: offsets in bytes from the start, -1 for what is not there.

    Attributes:
        key: the packet's key with the metadata that was passed in.
        l2_5: first MPLS label.
        l3: the header after Ethernet, VLAN tags and MPLS labels.
        l4: the header after IPv4 or IPv6 and its extension headers, in later fragments too.
        end: end of the IP packet by its own length, else of the data; what lies beyond is padding.
    """

    key: int
    l2_5: int
    l3: int
    l4: int
    end: int


def parse_packet(data: Data, dp_in_port: int = 0, metadata: int = 0, vlan_limit: int = MAX_VLANS) -> Parsed:
    """The key of a packet.

    Args:
        data: the packet from its first byte, without a frame check sequence.
        dp_in_port: the datapath port it came in by.
        metadata: a key with what is known from elsewhere (tunnel, mark, recirc_id ...). With a `packet_type` of an
            Ethertype the data begins with that header instead of Ethernet's.
        vlan_limit: tags to look behind, at most 2; a tag beyond stays the Ethertype (ovs-vswitchd.conf.db(5),
        "vlan-limit").
    """
    key = metadata | dp_in_port
    size = len(data)
    if metadata and (packet_type := f.PACKET_TYPE.get(metadata)):
        offset, eth_type = 0, packet_type & 0xFFFF
        key |= eth_type << 112
    elif size < 14:
        return Parsed(key, -1, -1, -1, size)
    else:
        key |= int.from_bytes(data[0:6], "big") << 64 | int.from_bytes(data[6:12], "big") << 128
        offset = 12
        (eth_type,) = _U16(data, 12)
        if eth_type in VLAN_ETH_TYPES:
            offset, eth_type, tags = _parse_vlans(data, size, vlan_limit)
            key |= tags
        if eth_type < ETH_TYPE_MIN:
            eth_type, header_end = _parse_llc(data, offset + 2, size)
            offset = header_end - 2
        offset += 2
        key |= eth_type << 112

    if eth_type == ETH_TYPE_IPV4:
        return _parse_ipv4(data, offset, size, key)
    if eth_type == ETH_TYPE_IPV6:
        return _parse_ipv6(data, offset, size, key)
    if eth_type in MPLS_ETH_TYPES:
        labels, l3 = _parse_mpls(data, offset, size)
        return Parsed(key | labels, offset, l3, -1, size)
    other = _OTHER_L3.get(eth_type)
    if other is not None:
        key |= other(data, offset, size)
    return Parsed(key, -1, offset, -1, size)


def _parse_vlans(data: Data, size: int, limit: int) -> tuple[int, int, int]:
    """Up to two tags from offset 12 on: offset of the type behind them, that type, and the bits of the key."""
    offset, bits = 12, 0
    for tci_shift, tpid_shift in ((176, 336), (368, 352))[:limit]:
        if size - offset < 6:
            break
        tpid, tci = _PORTS(data, offset)
        if tpid not in VLAN_ETH_TYPES:
            break
        bits |= (tci | f.VLAN_CFI) << tci_shift | tpid << tpid_shift
        offset += 4
    return offset, _U16(data, offset)[0], bits


def _parse_llc(data: Data, offset: int, size: int) -> tuple[int, int]:
    """The type out of an LLC and SNAP header (IEEE 802) and where that header ends; without one, ETH_TYPE_NONE."""
    if size - offset < 8 or data[offset : offset + 6] != _LLC_SNAP:
        return ETH_TYPE_NONE, offset
    (eth_type,) = _U16(data, offset + 6)
    return (eth_type if eth_type >= ETH_TYPE_MIN else ETH_TYPE_NONE), offset + 8


def _parse_mpls(data: Data, offset: int, size: int) -> tuple[int, int]:
    """The first three label stack entries (RFC 3032), and where the stack ends."""
    bits, count = 0, 0
    while size - offset >= 4:
        (lse,) = _U32(data, offset)
        if count < MAX_MPLS_LABELS:
            bits |= lse << 1344 + 32 * count
        count += 1
        offset += 4
        if lse & _MPLS_BOS:
            break
    return bits, offset


def _parse_arp(data: Data, offset: int, size: int) -> int:
    """ARP and RARP for IPv4 over Ethernet (RFC 826); an operation above 255 is not held."""
    if size - offset < 28:
        return 0
    hardware, protocol, hlen, plen, op, sha, spa, tha, tpa = _ARP(data, offset)
    if (hardware, protocol, hlen, plen) != _ARP_ETHERNET_IPV4:
        return 0
    return (
        (op if op <= 0xFF else 0) << 192
        | spa << 256
        | tpa << 288
        | int.from_bytes(sha, "big") << 1088
        | int.from_bytes(tha, "big") << 1152
    )


def _parse_nsh(data: Data, offset: int, size: int) -> int:
    """A network service header of version 0 (RFC 8300); contexts only of MD type 1."""
    if size - offset < 8:
        return 0
    first, mdtype, next_protocol, path_header = _NSH(data, offset)
    length = (first & 0x3F) * 4
    mdtype &= 0xF
    if first >> 14 or length > size - offset or length < (24 if mdtype == 1 else 8 if mdtype == 2 else 0):
        return 0
    bits = (
        (first >> 12 & 3) << 1536
        | (first >> 6 & 0x3F) << 1544
        | mdtype << 1552
        | next_protocol << 1560
        | path_header << 1568
    )
    if mdtype == 1:
        c1, c2, c3, c4 = _NSH_CONTEXTS(data, offset + 8)
        bits |= c1 << 1600 | c2 << 1632 | c3 << 1664 | c4 << 1696
    return bits


_OTHER_L3: Final[dict[int, Callable[[Data, int, int], int]]] = {
    ETH_TYPE_ARP: _parse_arp,
    ETH_TYPE_RARP: _parse_arp,
    ETH_TYPE_NSH: _parse_nsh,
}


def _parse_ipv4(data: Data, l3: int, size: int, key: int) -> Parsed:
    """IPv4 (RFC 791), whose own lengths must fit the data."""
    room = size - l3
    if room < 20:
        return Parsed(key, -1, l3, -1, size)
    version_ihl, tos, total, _, fragment, ttl, proto, _, src, dst = _IPV4(data, l3)
    header = (version_ihl & 0xF) * 4
    if not 20 <= header <= total <= room or room - total > 0xFFFF:
        return Parsed(key, -1, l3, -1, size)
    w3 = proto | tos << 8 | ttl << 16
    l4, end = l3 + header, l3 + total
    key |= src << 256 | dst << 288
    if fragment & 0x3FFF:
        if fragment & 0x1FFF:
            return Parsed(key | (w3 | 3 << 24) << 192, -1, l3, l4, end)
        w3 |= 1 << 24
    parse_l4 = _L4_OF_IPV4.get(proto)
    if parse_l4 is not None:
        key |= parse_l4(data, l4, end)
    return Parsed(key | w3 << 192, -1, l3, l4, end)


def _parse_ipv6(data: Data, l3: int, size: int, key: int) -> Parsed:
    """IPv6 (RFC 8200). With extension headers that do not fit, only the addresses are held."""
    room = size - l3 - 40
    if room < 0:
        return Parsed(key, -1, l3, -1, size)
    first, length, proto, ttl, src_high, src_low, dst_high, dst_low = _IPV6(data, l3)
    if not 0 <= room - length <= 0xFFFF:
        return Parsed(key, -1, l3, -1, size)
    l4, end = l3 + 40, l3 + 40 + length
    key |= src_low << 832 | src_high << 896 | dst_low << 960 | dst_high << 1024
    fragment = 0
    if proto in _EXTHDR:
        walked = _walk_extension_headers(data, l4, end, proto)
        if walked is None:
            return Parsed(key, -1, l3, -1, end)
        l4, proto, fragment, present = walked
        key |= present << 1488
    key |= (first & 0xFFFFF) << 384 | (proto | (first >> 20 & 0xFF) << 8 | ttl << 16 | fragment << 24) << 192
    if not fragment & f.NW_FRAG_LATER:
        parse_l4 = _L4_OF_IPV6.get(proto)
        if parse_l4 is not None:
            key |= parse_l4(data, l4, end)
    return Parsed(key, -1, l3, l4, end)


def _walk_extension_headers(data: Data, offset: int, end: int, proto: int) -> tuple[int, int, int, int] | None:
    """The chain from `offset` on: where it ends, protocol there, fragment bits, ipv6_exthdr; None if it does not fit.

    At a later fragment the walk ends with the fragment header as the protocol.
    """
    fragment = present = 0
    rank = -1
    while proto in _EXTHDR:
        bit, header_rank = _EXTHDR[proto]
        if present & bit:
            # Destination options are expected twice: before a routing header and last.
            if proto != IPPROTO_DSTOPTS or rank == _LAST_DSTOPTS_RANK:
                present |= EXTHDR_UNREP
            header_rank = _LAST_DSTOPTS_RANK if proto == IPPROTO_DSTOPTS else header_rank
        elif proto == IPPROTO_DSTOPTS and rank > header_rank:
            header_rank = _LAST_DSTOPTS_RANK
        if header_rank < rank:
            present |= EXTHDR_UNSEQ
        rank = max(rank, header_rank)
        present |= bit
        if proto not in _WALKED:
            break
        if end - offset < 8:
            return None
        if proto == IPPROTO_FRAGMENT:
            length = 8
            (offset_and_flags,) = _U16(data, offset + 2)
            if offset_and_flags:
                fragment = f.NW_FRAG_ANY
                if offset_and_flags & 0xFFF8:
                    return offset + 8, IPPROTO_FRAGMENT, f.NW_FRAG_ANY | f.NW_FRAG_LATER, present
        elif proto == IPPROTO_AH:
            length = (data[offset + 1] + 2) * 4
        else:
            length = (data[offset + 1] + 1) * 8
        if end - offset < length:
            return None
        proto = data[offset]
        offset += length
    return offset, proto, fragment, present


def _parse_tcp(data: Data, l4: int, end: int) -> int:
    """TCP (RFC 9293): ports and 12 bits of flags."""
    if end - l4 < 20:
        return 0
    src, dst = _PORTS(data, l4)
    return src << 224 | dst << 240 | (data[l4 + 12] << 8 & 0xF00 | data[l4 + 13]) << 320


def _parse_udp(data: Data, l4: int, end: int) -> int:
    """UDP (RFC 768)."""
    if end - l4 < 8:
        return 0
    src, dst = _PORTS(data, l4)
    return src << 224 | dst << 240


def _parse_sctp(data: Data, l4: int, end: int) -> int:
    """SCTP (RFC 9260)."""
    if end - l4 < 12:
        return 0
    src, dst = _PORTS(data, l4)
    return src << 224 | dst << 240


def _parse_icmp(data: Data, l4: int, end: int) -> int:
    """ICMP (RFC 792): type and code."""
    if end - l4 < 8:
        return 0
    return data[l4] << 224 | data[l4 + 1] << 240


def _parse_igmp(data: Data, l4: int, end: int) -> int:
    """IGMP (RFC 3376): type, the byte behind it, and group."""
    if end - l4 < 8:
        return 0
    return data[l4] << 224 | data[l4 + 1] << 240 | _U32(data, l4 + 4)[0] << 1504


def _parse_icmpv6(data: Data, l4: int, end: int) -> int:
    """ICMPv6 (RFC 4443): type and code, and what neighbour discovery carries."""
    if end - l4 < 4:
        return 0
    kind, code = data[l4], data[l4 + 1]
    bits = kind << 224 | code << 240
    if code == 0 and kind in (ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT):
        bits |= _parse_nd(data, l4 + 4, end)
    return bits


def _parse_nd(data: Data, offset: int, end: int) -> int:
    """Neighbour solicitation and advertisement (RFC 4861 sections 4.3, 4.4): reserved word, target, link addresses.

    Both link addresses are held in either message; nd_options_type is that of the first. One that comes twice makes the
    message invalid: neither target nor addresses are held.
    """
    if end - offset < 4:
        return 0
    reserved = _U32(data, offset)[0] << 1440
    if end - offset < 20:
        return reserved
    bits = int.from_bytes(data[offset + 4 : offset + 20], "big") << 1216
    offset += 20
    seen = options_type = 0
    while end - offset >= 8:
        kind, length = data[offset], data[offset + 1] * 8
        if length == 0 or length > end - offset:
            break
        if kind in _ND_ADDRESS_SHIFTS and length == 8:
            address = int.from_bytes(data[offset + 2 : offset + 8], "big")
            if seen & kind:
                return reserved
            # As in Open vSwitch, an address of zeros does not count as seen.
            seen |= kind if address else 0
            options_type = options_type or kind
            bits |= address << _ND_ADDRESS_SHIFTS[kind]
        offset += length
    return reserved | bits | options_type << 1472


_L4_OF_ANY: Final[dict[int, Callable[[Data, int, int], int]]] = {
    IPPROTO_TCP: _parse_tcp,
    IPPROTO_UDP: _parse_udp,
    IPPROTO_SCTP: _parse_sctp,
}
_L4_OF_IPV4: Final = {**_L4_OF_ANY, IPPROTO_ICMP: _parse_icmp, IPPROTO_IGMP: _parse_igmp}
_L4_OF_IPV6: Final = {**_L4_OF_ANY, IPPROTO_ICMPV6: _parse_icmpv6}
