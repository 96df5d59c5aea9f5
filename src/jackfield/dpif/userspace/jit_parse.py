"""From a packet's bytes to the words of its key, compiled.

The plain twin is `jackfield.flow.parse.parse_packet`, which says what each rule is for; the two agree on every string
of bytes. Positions of fields are taken from the table of `jackfield.flow.fields` when this module is imported.

Frequent packets (Ethernet, VLAN, IPv4, TCP and UDP) are handled in `parse` itself, the others in functions of their
own, so that the frequent path stays small. The result says whether any word above the twelfth is in use: most tables
need not look at the others then.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from jackfield.flow import fields as f
from jackfield.flow import parse as p
from jackfield.netdev.compiled import (
    IO_META,
    META_IP_END,
    META_L3,
    META_L4,
    META_L4_PROTOCOL,
    META_LENGTH,
    META_OFFSET,
    META_ROUTED,
    META_WORDS,
)
from jackfield.netdev.jit_memory import get8, get16, get32, get32u, get64u

DATAPATH_WORDS: Final = f.DATAPATH_WORDS
FIRST_WIDE_WORD: Final = f.IPV6_SRC.word
"""Words from here to LAST_WIDE_WORD belong to headers other than Ethernet, VLAN, ARP-less IPv4 and its transport."""
LAST_WIDE_WORD: Final = f.NSH_C3.word

# The words that are composed at once below; the unit test holds these to the table.
W_DST: Final = f.ETH_DST.word
W_SRC: Final = f.ETH_SRC.word
W_NW: Final = f.NW_PROTO.word
W_ADDRESS: Final = f.IP_SRC.word
W_FLAGS: Final = f.TCP_FLAGS.word
W_LABEL: Final = f.IPV6_LABEL.word
W_V6_SRC: Final = f.IPV6_SRC.word
W_V6_DST: Final = f.IPV6_DST.word
W_SHA: Final = f.ARP_SHA.word
W_THA: Final = f.ARP_THA.word
W_TARGET: Final = f.ND_TARGET.word
W_MPLS: Final = f.MPLS_LSES[0].word
W_RESERVED: Final = f.ND_RESERVED.word
W_OPTIONS: Final = f.ND_OPTIONS_TYPE.word
W_NSH: Final = f.NSH_FLAGS.word
W_NSH_C: Final = f.NSH_C1.word

_U16: Final = np.uint64(16)
_U32: Final = np.uint64(32)
_U48: Final = np.uint64(48)
_MAC: Final = np.uint64(0xFFFF_FFFF_FFFF)
_RESERVED_SHIFT: Final = np.uint64(f.ND_RESERVED.shift)
_IGMP_SHIFT: Final = np.uint64(f.IGMP_GROUP.shift)
_ZERO: Final = np.uint64(0)

_TOS_SHIFT: Final = f.IP_TOS.shift
_TTL_SHIFT: Final = f.NW_TTL.shift
_FRAG_SHIFT: Final = f.NW_FRAG.shift
_TP_SRC_SHIFT: Final = f.TP_SRC.shift
_TP_DST_SHIFT: Final = f.TP_DST.shift
_TPID_SHIFT: Final = f.VLAN_TPID.shift
_TPID2_SHIFT: Final = f.VLAN2_TPID.shift
_TCI2_SHIFT: Final = f.VLAN2_TCI.shift
_EXTHDR_SHIFT: Final = f.IPV6_EXTHDR.shift

_CFI: Final = f.VLAN_CFI
_ETH_TYPE_MIN: Final = p.ETH_TYPE_MIN
_ETH_TYPE_NONE: Final = p.ETH_TYPE_NONE
_VLAN: Final = p.ETH_TYPE_VLAN
_QINQ: Final = p.ETH_TYPE_QINQ
_IPV4: Final = p.ETH_TYPE_IPV4
_IPV6: Final = p.ETH_TYPE_IPV6
_ARP: Final = p.ETH_TYPE_ARP
_RARP: Final = p.ETH_TYPE_RARP
_MPLS: Final = p.ETH_TYPE_MPLS
_MPLS_MULTICAST: Final = p.ETH_TYPE_MPLS_MULTICAST
_NSH: Final = p.ETH_TYPE_NSH
_HOPOPTS: Final = p.IPPROTO_HOPOPTS
_ICMP: Final = p.IPPROTO_ICMP
_IGMP: Final = p.IPPROTO_IGMP
_TCP: Final = p.IPPROTO_TCP
_UDP: Final = p.IPPROTO_UDP
_ROUTING: Final = p.IPPROTO_ROUTING
_FRAGMENT: Final = p.IPPROTO_FRAGMENT
_ESP: Final = p.IPPROTO_ESP
_AH: Final = p.IPPROTO_AH
_ICMPV6: Final = p.IPPROTO_ICMPV6
_NONE: Final = p.IPPROTO_NONE
_DSTOPTS: Final = p.IPPROTO_DSTOPTS
_SCTP: Final = p.IPPROTO_SCTP
_SOLICIT: Final = p.ND_NEIGHBOR_SOLICIT
_ADVERT: Final = p.ND_NEIGHBOR_ADVERT
_SLL: Final = p.ND_OPT_SOURCE_LINKADDR
_TLL: Final = p.ND_OPT_TARGET_LINKADDR
_MAX_MPLS: Final = p.MAX_MPLS_LABELS
_UNREP: Final = p.EXTHDR_UNREP
_UNSEQ: Final = p.EXTHDR_UNSEQ
_LAST_RANK: Final = 6
_SNAP_HIGH: Final = 0xAAAA_0300


@njit(nogil=True, error_model="numpy", _nrt=False)
def parse(arena: Any, buffers: Any, io: int, row: int, key: int) -> Any:
    """Fill the packet's words of the key of a row, and where its headers are.

    Words W_DST to W_LABEL of the key are written, whatever was there. Words FIRST_WIDE_WORD to LAST_WIDE_WORD must be
    zero on entry; headers that need them fill them in. The others (input port, recirculation, marks, tunnel) are the
    caller's. META_L3, META_L4, META_L4_PROTOCOL, META_ROUTED and META_IP_END of the row are written.

    Args:
        arena: int64, with the I/O area at index `io`.
        buffers: uint8, the packet memory.
        io: see `jackfield.netdev.compiled`.
        row: the packet.
        key: index in the arena of the row's key, DATAPATH_WORDS long.

    Returns:
        0 when the words from FIRST_WIDE_WORD on are all zero, else 1.
    """
    meta = io + IO_META + row * META_WORDS
    start = arena[meta + META_OFFSET]
    length = arena[meta + META_LENGTH]
    arena[meta + META_L4_PROTOCOL] = 0
    arena[meta + META_ROUTED] = 0
    arena[key + W_LABEL] = _ZERO
    if length < 14:
        for word in range(W_DST, W_LABEL):
            arena[key + word] = _ZERO
        arena[meta + META_L3] = -1
        arena[meta + META_L4] = -1
        return 0

    end = start + length
    place = start + 12
    eth_type = get16(buffers, place)
    tci = 0
    flags = 0
    if (eth_type == _VLAN or eth_type == _QINQ) and end - place >= 6:
        tci = get16(buffers, place + 2) | _CFI
        flags = eth_type << _TPID_SHIFT
        place += 4
        eth_type = get16(buffers, place)
        if (eth_type == _VLAN or eth_type == _QINQ) and end - place >= 6:
            flags |= eth_type << _TPID2_SHIFT | (get16(buffers, place + 2) | _CFI) << _TCI2_SHIFT
            place += 4
            eth_type = get16(buffers, place)
    l3 = place + 2
    if eth_type < _ETH_TYPE_MIN:
        eth_type = _ETH_TYPE_NONE
        if end - l3 >= 8 and get32(buffers, l3) == _SNAP_HIGH and get16(buffers, l3 + 4) == 0:
            if get16(buffers, l3 + 6) >= _ETH_TYPE_MIN:
                eth_type = get16(buffers, l3 + 6)
            l3 += 8
    arena[key + W_DST] = get64u(buffers, start) >> _U16 | np.uint64(eth_type) << _U48
    arena[key + W_SRC] = get64u(buffers, start + 4) & _MAC | np.uint64(tci) << _U48
    arena[meta + META_L3] = l3 - start

    if eth_type != _IPV4:
        arena[key + W_NW] = _ZERO
        arena[key + W_ADDRESS] = _ZERO
        arena[key + W_FLAGS] = np.uint64(flags)
        arena[meta + META_L4] = -1
        return _parse_other(arena, buffers, meta, key, start, l3, end, eth_type)

    room = end - l3
    if room < 20:
        return _no_ip(arena, meta, key, flags)
    header = (get8(buffers, l3) & 0xF) * 4
    total = get16(buffers, l3 + 2)
    if header < 20 or header > total or total > room:
        return _no_ip(arena, meta, key, flags)
    addresses = get64u(buffers, l3 + 12)
    protocol = get8(buffers, l3 + 9)
    fragment = get16(buffers, l3 + 6)
    nw = protocol | get8(buffers, l3 + 1) << _TOS_SHIFT | get8(buffers, l3 + 8) << _TTL_SHIFT
    arena[key + W_ADDRESS] = addresses >> _U32 | addresses << _U32
    arena[meta + META_IP_END] = l3 + total - start
    l4 = l3 + header
    wide = 0
    l4_offset = -1
    if fragment & 0x1FFF:
        nw |= 3 << _FRAG_SHIFT
    else:
        if fragment & 0x2000:
            nw |= 1 << _FRAG_SHIFT
        rest = total - header
        if (protocol == _UDP and rest >= 8) or (protocol == _TCP and rest >= 20) or (protocol == _SCTP and rest >= 12):
            ports = get32(buffers, l4)
            nw |= ports >> 16 << _TP_SRC_SHIFT | (ports & 0xFFFF) << _TP_DST_SHIFT
            l4_offset = l4 - start
            arena[meta + META_L4_PROTOCOL] = protocol
            if protocol == _TCP:
                flags |= get16(buffers, l4 + 12) & 0xFFF
        elif (protocol == _ICMP or protocol == _IGMP) and rest >= 8:
            kind = get16(buffers, l4)
            nw |= kind >> 8 << _TP_SRC_SHIFT | (kind & 0xFF) << _TP_DST_SHIFT
            l4_offset = l4 - start
            arena[meta + META_L4_PROTOCOL] = protocol
            if protocol == _IGMP:
                arena[key + W_OPTIONS] = get32u(buffers, l4 + 4) << _IGMP_SHIFT
                wide = 1
    arena[meta + META_L4] = l4_offset
    arena[key + W_NW] = np.uint64(nw)
    arena[key + W_FLAGS] = np.uint64(flags)
    return wide


@njit(nogil=True, error_model="numpy", _nrt=False)
def _no_ip(arena: Any, meta: int, key: int, flags: int) -> Any:
    """An IPv4 header that is cut or lies: nothing of it is held."""
    arena[key + W_NW] = _ZERO
    arena[key + W_ADDRESS] = _ZERO
    arena[key + W_FLAGS] = np.uint64(flags)
    arena[meta + META_L4] = -1
    arena[meta + META_L3] = -1
    return 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def _parse_other(arena: Any, buffers: Any, meta: int, key: int, start: int, l3: int, end: int, eth_type: int) -> Any:
    """Everything but IPv4; the words of its headers are zero on entry."""
    if eth_type == _IPV6:
        return _parse_ipv6(arena, buffers, meta, key, start, l3, end)
    if eth_type == _ARP or eth_type == _RARP:
        return _parse_arp(arena, buffers, meta, key, l3, end)
    if eth_type == _MPLS or eth_type == _MPLS_MULTICAST:
        return _parse_mpls(arena, buffers, key, l3, end)
    if eth_type == _NSH:
        return _parse_nsh(arena, buffers, key, l3, end)
    return 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def _parse_arp(arena: Any, buffers: Any, meta: int, key: int, l3: int, end: int) -> Any:
    if end - l3 < 28 or get32(buffers, l3) != 1 << 16 | _IPV4 or get16(buffers, l3 + 4) != 0x0604:
        arena[meta + META_L3] = -1
        return 0
    operation = get16(buffers, l3 + 6)
    if operation <= 0xFF:
        arena[key + W_NW] = np.uint64(operation)
    arena[key + W_ADDRESS] = get32u(buffers, l3 + 14) | get32u(buffers, l3 + 24) << _U32
    arena[key + W_SHA] = get64u(buffers, l3 + 8) >> _U16
    arena[key + W_THA] = get64u(buffers, l3 + 18) >> _U16
    return 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def _parse_mpls(arena: Any, buffers: Any, key: int, place: int, end: int) -> Any:
    count = 0
    while count < _MAX_MPLS and end - place >= 4:
        entry = get32u(buffers, place)
        word = key + W_MPLS + (count >> 1)
        arena[word] = np.uint64(arena[word]) | (entry << _U32 if count & 1 else entry)
        if get8(buffers, place + 2) & 1:
            break
        count += 1
        place += 4
    return 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def _parse_nsh(arena: Any, buffers: Any, key: int, l3: int, end: int) -> Any:
    if end - l3 < 8:
        return 0
    first = get16(buffers, l3)
    length = (first & 0x3F) * 4
    md_type = get8(buffers, l3 + 2) & 0xF
    least = 24 if md_type == 1 else 8 if md_type == 2 else 0
    if first >> 14 or length > end - l3 or length < least:
        return 0
    base = first >> 12 & 3 | (first >> 6 & 0x3F) << 8 | md_type << 16 | get8(buffers, l3 + 3) << 24
    arena[key + W_NSH] = np.uint64(base) | get32u(buffers, l3 + 4) << _U32
    if md_type == 1:
        arena[key + W_NSH_C] = get32u(buffers, l3 + 8) | get32u(buffers, l3 + 12) << _U32
        arena[key + W_NSH_C + 1] = get32u(buffers, l3 + 16) | get32u(buffers, l3 + 20) << _U32
    return 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def _parse_ipv6(arena: Any, buffers: Any, meta: int, key: int, start: int, l3: int, end: int) -> Any:
    room = end - l3 - 40
    if room < 0 or get16(buffers, l3 + 4) > room or room - get16(buffers, l3 + 4) > 0xFFFF:
        arena[meta + META_L3] = -1
        return 0
    end = l3 + 40 + get16(buffers, l3 + 4)
    arena[meta + META_IP_END] = end - start
    arena[key + W_V6_SRC] = get64u(buffers, l3 + 16)
    arena[key + W_V6_SRC + 1] = get64u(buffers, l3 + 8)
    arena[key + W_V6_DST] = get64u(buffers, l3 + 32)
    arena[key + W_V6_DST + 1] = get64u(buffers, l3 + 24)
    first = get32(buffers, l3)
    l4 = l3 + 40
    protocol = get8(buffers, l3 + 6)
    fragment = 0
    if _exthdr_bit(protocol):
        l4, protocol, fragment, present, routed = _walk_extension_headers(buffers, l4, end, protocol)
        arena[meta + META_ROUTED] = routed
        if l4 < 0:
            # Only the addresses are held; they may still be rewritten.
            return 1
        arena[key + W_OPTIONS] = np.uint64(present << _EXTHDR_SHIFT)
    arena[key + W_LABEL] = np.uint64(first & 0xFFFFF)
    nw = protocol | (first >> 20 & 0xFF) << _TOS_SHIFT | get8(buffers, l3 + 7) << _TTL_SHIFT | fragment << _FRAG_SHIFT
    rest = end - l4
    if not fragment & 2:
        if (protocol == _UDP and rest >= 8) or (protocol == _TCP and rest >= 20) or (protocol == _SCTP and rest >= 12):
            ports = get32(buffers, l4)
            nw |= ports >> 16 << _TP_SRC_SHIFT | (ports & 0xFFFF) << _TP_DST_SHIFT
            if protocol == _TCP:
                arena[key + W_FLAGS] |= get16(buffers, l4 + 12) & 0xFFF
            arena[meta + META_L4] = l4 - start
            arena[meta + META_L4_PROTOCOL] = protocol
        elif protocol == _ICMPV6 and rest >= 4:
            kind = get16(buffers, l4)
            nw |= kind >> 8 << _TP_SRC_SHIFT | (kind & 0xFF) << _TP_DST_SHIFT
            if kind == _SOLICIT << 8 or kind == _ADVERT << 8:
                _parse_nd(arena, buffers, key, l4 + 4, end)
            arena[meta + META_L4] = l4 - start
            arena[meta + META_L4_PROTOCOL] = protocol
    arena[key + W_NW] = np.uint64(nw)
    return 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def _exthdr_bit(protocol: int) -> Any:
    """The bit of an extension header in ipv6_exthdr (OpenFlow 1.3.5 table 12), 0 for another protocol."""
    if protocol == _HOPOPTS:
        return 1 << 6
    if protocol == _DSTOPTS:
        return 1 << 3
    if protocol == _ROUTING:
        return 1 << 5
    if protocol == _FRAGMENT:
        return 1 << 4
    if protocol == _AH:
        return 1 << 2
    if protocol == _ESP:
        return 1 << 1
    return 1 if protocol == _NONE else 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def _exthdr_rank(protocol: int) -> Any:
    """The place of an extension header in the order of RFC 8200 section 4.1."""
    if protocol == _HOPOPTS:
        return 0
    if protocol == _DSTOPTS:
        return 1
    if protocol == _ROUTING:
        return 2
    if protocol == _FRAGMENT:
        return 3
    if protocol == _AH:
        return 4
    return 5 if protocol == _ESP else 7


@njit(nogil=True, error_model="numpy", _nrt=False)
def _walk_extension_headers(buffers: Any, place: int, end: int, protocol: int) -> Any:
    """Where the chain ends (-1: it does not fit), protocol there, fragment bits, ipv6_exthdr, routed."""
    fragment = 0
    present = 0
    routed = 0
    highest = -1
    bit = _exthdr_bit(protocol)
    while bit:
        rank = _exthdr_rank(protocol)
        if present & bit:
            if protocol != _DSTOPTS or highest == _LAST_RANK:
                present |= _UNREP
            if protocol == _DSTOPTS:
                rank = _LAST_RANK
        elif protocol == _DSTOPTS and highest > rank:
            rank = _LAST_RANK
        if rank < highest:
            present |= _UNSEQ
        highest = max(highest, rank)
        present |= bit
        if protocol == _ESP or protocol == _NONE:
            break
        if end - place < 8:
            return -1, protocol, fragment, present, routed
        length = 8
        if protocol == _FRAGMENT:
            offset_and_flags = get16(buffers, place + 2)
            if offset_and_flags:
                fragment = 1
                if offset_and_flags & 0xFFF8:
                    return place + 8, _FRAGMENT, 3, present, routed
        elif protocol == _AH:
            length = (get8(buffers, place + 1) + 2) * 4
        else:
            length = (get8(buffers, place + 1) + 1) * 8
            if protocol == _ROUTING and get8(buffers, place + 3) > 0:
                routed = 1
        if end - place < length:
            return -1, protocol, fragment, present, routed
        protocol = get8(buffers, place)
        place += length
        bit = _exthdr_bit(protocol)
    return place, protocol, fragment, present, routed


@njit(nogil=True, error_model="numpy", _nrt=False)
def _parse_nd(arena: Any, buffers: Any, key: int, place: int, end: int) -> None:
    """Neighbour solicitation and advertisement (RFC 4861 sections 4.3, 4.4), from the reserved word on."""
    if end - place < 4:
        return
    arena[key + W_RESERVED] = np.uint64(arena[key + W_RESERVED]) | get32u(buffers, place) << _RESERVED_SHIFT
    if end - place < 20:
        return
    target = place + 4
    place += 20
    source_address = _ZERO
    target_address = _ZERO
    first = 0
    while end - place >= 8:
        option = get8(buffers, place)
        length = get8(buffers, place + 1) * 8
        if length == 0 or length > end - place:
            break
        if length == 8 and (option == _SLL or option == _TLL):
            if (source_address if option == _SLL else target_address) != _ZERO:
                return
            address = get64u(buffers, place) & _MAC
            if option == _SLL:
                source_address = address
            else:
                target_address = address
            if first == 0:
                first = option
        place += length
    arena[key + W_OPTIONS] |= first
    arena[key + W_TARGET] = get64u(buffers, target + 8)
    arena[key + W_TARGET + 1] = get64u(buffers, target)
    arena[key + W_SHA] = source_address
    arena[key + W_THA] = target_address
