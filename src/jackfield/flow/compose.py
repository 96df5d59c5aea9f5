"""From a key to a packet that has it: valid lengths and checksums, everything the key does not say zero.

The inverse of `parse`: the key of a composed packet composes the same packet again, and is the key one started with
wherever that describes a packet (it says a TPID where there is a tag, has no ports in a later fragment, and so on).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import Final

from jackfield.flow import fields as f
from jackfield.flow import parse as p
from jackfield.flow.checksum import crc32c, internet_checksum

_MAX_8023_LENGTH: Final = 1500
_MAX_IP_LENGTH: Final = 0xFFFF
_LLC_STP: Final = b"\x42\x42\x03"
_MPLS_BOS: Final = 0x100

# Where a fragment that is not the first claims to begin, in 8-byte units; any number but 0 will do.
_LATER_OFFSET: Final = 100


def compose_packet(key: int, length: int | None = None) -> bytes:
    """A packet with this key.

    Args:
        key: headers are made as far as it says what they are; a packet type other than Ethernet makes a packet
            without an Ethernet header.
        length: bytes the packet shall have; payload of zeros makes up for what the headers lack. A shorter packet than
        its
            headers is not made, nor an IP packet whose own length would not fit its field.
    """
    packet_type = f.PACKET_TYPE.get(key)
    if packet_type:
        eth_type, link = packet_type & 0xFFFF, b""
    else:
        eth_type, link = f.ETH_TYPE.get(key), _compose_link(key)
    is_8023 = not packet_type and eth_type < p.ETH_TYPE_MIN
    if not packet_type and not is_8023:
        link += pack(">H", eth_type)
    compose_l3 = _L3.get(eth_type)
    wanted = max(0, (length or 0) - len(link))
    if is_8023:
        body = _LLC_STP + bytes(max(0, wanted - 2 - len(_LLC_STP)))
        return link + pack(">H", min(len(body), _MAX_8023_LENGTH)) + body
    body = compose_l3(key, wanted) if compose_l3 is not None else b""
    return link + body + bytes(max(0, wanted - len(body)))


def _compose_link(key: int) -> bytes:
    """Ethernet addresses and up to two tags, without the type behind them."""
    link = f.ETH_DST.get(key).to_bytes(6, "big") + f.ETH_SRC.get(key).to_bytes(6, "big")
    for tci_field, tpid_field in ((f.VLAN_TCI, f.VLAN_TPID), (f.VLAN2_TCI, f.VLAN2_TPID)):
        tci = tci_field.get(key)
        if not tci & f.VLAN_CFI:
            break
        link += pack(">HH", tpid_field.get(key) or p.ETH_TYPE_VLAN, tci & ~f.VLAN_CFI)
    return link


def _compose_mpls(key: int, _wanted: int) -> bytes:
    """The label stack down to its bottom, at most three entries."""
    stack = b""
    for field in f.MPLS_LSES:
        lse = field.get(key)
        stack += lse.to_bytes(4, "big")
        if lse & _MPLS_BOS:
            break
    return stack


def _compose_arp(key: int, _wanted: int) -> bytes:
    return pack(
        ">HHBBH6sI6sI",
        1,
        p.ETH_TYPE_IPV4,
        6,
        4,
        f.ARP_OP.get(key),
        f.ARP_SHA.get(key).to_bytes(6, "big"),
        f.ARP_SPA.get(key),
        f.ARP_THA.get(key).to_bytes(6, "big"),
        f.ARP_TPA.get(key),
    )


def _compose_nsh(key: int, _wanted: int) -> bytes:
    mdtype = f.NSH_MDTYPE.get(key) & 0xF
    contexts = [field.get(key) for field in (f.NSH_C1, f.NSH_C2, f.NSH_C3, f.NSH_C4)] if mdtype == 1 else []
    words = 2 + len(contexts)
    first = (f.NSH_FLAGS.get(key) & 3) << 12 | (f.NSH_TTL.get(key) & 0x3F) << 6 | words
    base = pack(">HBBI", first, mdtype, f.NSH_NP.get(key), f.NSH_PATH_HEADER.get(key))
    return base + b"".join(context.to_bytes(4, "big") for context in contexts)


def _compose_ipv4(key: int, wanted: int) -> bytes:
    proto = f.NW_PROTO.get(key)
    fragment = f.NW_FRAG.get(key)
    addresses = pack(">II", f.IP_SRC.get(key), f.IP_DST.get(key))
    room = max(0, min(wanted, _MAX_IP_LENGTH) - 20)
    body = _compose_l4(key, proto, _L4_OF_IPV4, addresses, room)
    offset = (0x2000 if fragment & f.NW_FRAG_ANY else 0) | (_LATER_OFFSET if fragment & f.NW_FRAG_LATER else 0)
    header = bytearray(
        pack(">BBHHHBBH", 0x45, f.IP_TOS.get(key), 20 + len(body), 0, offset, f.NW_TTL.get(key), proto, 0) + addresses
    )
    header[10:12] = internet_checksum(header).to_bytes(2, "big")
    return bytes(header) + body


def _compose_ipv6(key: int, wanted: int) -> bytes:
    proto = f.NW_PROTO.get(key)
    fragment = f.NW_FRAG.get(key)
    first = 6 << 28 | f.IP_TOS.get(key) << 20 | f.IPV6_LABEL.get(key)
    addresses = f.IPV6_SRC.get(key).to_bytes(16, "big") + f.IPV6_DST.get(key).to_bytes(16, "big")
    # Of a later fragment the key holds the fragment header as the protocol; what its first part was is not known.
    last = p.IPPROTO_NONE if fragment & f.NW_FRAG_LATER else proto
    next_header, extensions = _compose_extension_headers(key, fragment, last)
    room = max(0, min(wanted - 40, _MAX_IP_LENGTH) - len(extensions))
    body = extensions + _compose_l4(key, proto, _L4_OF_IPV6, addresses, room)
    return pack(">IHBB", first, len(body), next_header, f.NW_TTL.get(key)) + addresses + body


def _compose_extension_headers(key: int, fragment: int, last: int) -> tuple[int, bytes]:
    """The first header's number and the chain, in the order of RFC 8200 section 4.1; `last` follows it."""
    present = f.IPV6_EXTHDR.get(key)
    chain: list[tuple[int, bytes]] = []
    for bit, number in ((6, p.IPPROTO_HOPOPTS), (3, p.IPPROTO_DSTOPTS), (5, p.IPPROTO_ROUTING)):
        if present & 1 << bit:
            # Eight bytes: no segments left, or one PadN option.
            chain.append((number, b"\x00\x01\x04\x00\x00\x00\x00" if number != p.IPPROTO_ROUTING else bytes(7)))
    if fragment or present & 1 << 4:
        offset = _LATER_OFFSET << 3 if fragment & f.NW_FRAG_LATER else 0
        chain.append((p.IPPROTO_FRAGMENT, pack(">BHI", 0, offset | (1 if fragment else 0), 0)))
    if present & 1 << 2 and not fragment & f.NW_FRAG_LATER:
        chain.append((p.IPPROTO_AH, b"\x01" + bytes(10)))
    following, extensions = last, b""
    for number, rest in reversed(chain):
        extensions = bytes([following]) + rest + extensions
        following = number
    return following, extensions


def _compose_l4(key: int, proto: int, kinds: dict[int, _ComposeL4], addresses: bytes, room: int) -> bytes:
    """The transport header and zeros up to `room` bytes; a later fragment has only the zeros, and a few at least."""
    compose = kinds.get(proto)
    if f.NW_FRAG.get(key) & f.NW_FRAG_LATER:
        return bytes(max(8, room))
    if compose is None:
        return bytes(room)
    return compose(key, addresses, room)


def _with_checksum(segment: bytes, place: int, addresses: bytes, proto: int) -> bytes:
    """A segment with the checksum over it and, where there are addresses, its pseudo header (RFC 8200 8.1)."""
    pseudo = addresses + pack(">II", len(segment), proto) if addresses else b""
    checksum = internet_checksum(pseudo + segment + bytes(len(segment) & 1))
    if checksum == 0 and proto == p.IPPROTO_UDP:
        checksum = 0xFFFF
    return segment[:place] + checksum.to_bytes(2, "big") + segment[place + 2 :]


def _compose_tcp(key: int, addresses: bytes, room: int) -> bytes:
    flags = 5 << 12 | f.TCP_FLAGS.get(key)
    header = pack(">HHIIHHHH", f.TP_SRC.get(key), f.TP_DST.get(key), 0, 0, flags, 0, 0, 0)
    return _with_checksum(header.ljust(room, b"\0"), 16, addresses, p.IPPROTO_TCP)


def _compose_udp(key: int, addresses: bytes, room: int) -> bytes:
    header = pack(">HHHH", f.TP_SRC.get(key), f.TP_DST.get(key), max(8, room), 0)
    return _with_checksum(header.ljust(room, b"\0"), 6, addresses, p.IPPROTO_UDP)


def _compose_sctp(key: int, _addresses: bytes, room: int) -> bytes:
    header = pack(">HHII", f.TP_SRC.get(key), f.TP_DST.get(key), 0, 0)
    segment = header.ljust(room, b"\0")
    return segment[:8] + crc32c(segment).to_bytes(4, "little") + segment[12:]


def _compose_icmp(key: int, _addresses: bytes, room: int) -> bytes:
    header = pack(">BBHI", f.TP_SRC.get(key) & 0xFF, f.TP_DST.get(key) & 0xFF, 0, 0)
    return _with_checksum(header.ljust(room, b"\0"), 2, b"", p.IPPROTO_ICMP)


def _compose_igmp(key: int, _addresses: bytes, room: int) -> bytes:
    header = pack(">BBHI", f.TP_SRC.get(key) & 0xFF, f.TP_DST.get(key) & 0xFF, 0, f.IGMP_GROUP.get(key))
    return _with_checksum(header.ljust(room, b"\0"), 2, b"", p.IPPROTO_IGMP)


def _compose_icmpv6(key: int, addresses: bytes, room: int) -> bytes:
    kind, code = f.TP_SRC.get(key) & 0xFF, f.TP_DST.get(key) & 0xFF
    message = pack(">BBH", kind, code, 0)
    if code == 0 and kind in (p.ND_NEIGHBOR_SOLICIT, p.ND_NEIGHBOR_ADVERT):
        message += f.ND_RESERVED.get(key).to_bytes(4, "big") + f.ND_TARGET.get(key).to_bytes(16, "big")
        first = f.ND_OPTIONS_TYPE.get(key)
        options = ((p.ND_OPT_SOURCE_LINKADDR, f.ND_SLL), (p.ND_OPT_TARGET_LINKADDR, f.ND_TLL))
        for option, field in reversed(options) if first == p.ND_OPT_TARGET_LINKADDR else options:
            address = field.get(key)
            if address or option == first:
                message += bytes([option, 1]) + address.to_bytes(6, "big")
    else:
        message += bytes(4)
    return _with_checksum(message.ljust(room, b"\0"), 2, addresses, p.IPPROTO_ICMPV6)


_ComposeL4 = Callable[[int, bytes, int], bytes]
_L4_OF_ANY: Final[dict[int, _ComposeL4]] = {
    p.IPPROTO_TCP: _compose_tcp,
    p.IPPROTO_UDP: _compose_udp,
    p.IPPROTO_SCTP: _compose_sctp,
}
_L4_OF_IPV4: Final = {**_L4_OF_ANY, p.IPPROTO_ICMP: _compose_icmp, p.IPPROTO_IGMP: _compose_igmp}
_L4_OF_IPV6: Final = {**_L4_OF_ANY, p.IPPROTO_ICMPV6: _compose_icmpv6}
_L3: Final[dict[int, Callable[[int, int], bytes]]] = {
    p.ETH_TYPE_IPV4: _compose_ipv4,
    p.ETH_TYPE_IPV6: _compose_ipv6,
    p.ETH_TYPE_ARP: _compose_arp,
    p.ETH_TYPE_RARP: _compose_arp,
    p.ETH_TYPE_MPLS: _compose_mpls,
    p.ETH_TYPE_MPLS_MULTICAST: _compose_mpls,
    p.ETH_TYPE_NSH: _compose_nsh,
}
