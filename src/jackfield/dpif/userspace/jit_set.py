"""Setting fields of a packet, compiled: one word of the key at a time, bytes and checksums with it.

The plain twin is `jackfield.dpif.userspace.rewrite`. The packet must have been parsed. A field whose header is not
there, or is cut short, stays unset. The row's key follows what really changed, so that it stays the packet's key.

Checksums are updated by the difference (RFC 1624), so a wrong one stays wrong. A partial checksum, which another
kernel has begun and the device ends, only holds the pseudo header's sum and follows that alone. A UDP checksum of zero
means none and stays so.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from jackfield.dpif.userspace.jit_parse import (
    W_ADDRESS,
    W_DST,
    W_LABEL,
    W_MPLS,
    W_NW,
    W_SHA,
    W_SRC,
    W_TARGET,
    W_THA,
    W_V6_DST,
    W_V6_SRC,
)
from jackfield.flow import fields as f
from jackfield.flow import parse as p
from jackfield.netdev.compiled import (
    META_CSUM_OFFSET,
    META_IP_END,
    META_L3,
    META_L4,
    META_L4_PROTOCOL,
    META_LENGTH,
    META_OFFSET,
    META_ROUTED,
    META_VNET,
    VNET_CSUM_START_SHIFT,
    VNET_NEEDS_CSUM,
)
from jackfield.netdev.jit_checksum import crc32c, fold_few, put_crc32c, updated, updated_partial
from jackfield.netdev.jit_memory import get8, get16, get32, get64u, put8, put16, put32, put64

_MAC: Final = np.uint64(0xFFFF_FFFF_FFFF)
_U48: Final = np.uint64(48)
_IPV4: Final = p.ETH_TYPE_IPV4
_IPV6: Final = p.ETH_TYPE_IPV6
_ARP: Final = p.ETH_TYPE_ARP
_RARP: Final = p.ETH_TYPE_RARP
_MPLS: Final = p.ETH_TYPE_MPLS
_MPLS_MULTICAST: Final = p.ETH_TYPE_MPLS_MULTICAST
_ICMP: Final = p.IPPROTO_ICMP
_IGMP: Final = p.IPPROTO_IGMP
_TCP: Final = p.IPPROTO_TCP
_UDP: Final = p.IPPROTO_UDP
_ICMPV6: Final = p.IPPROTO_ICMPV6
_SCTP: Final = p.IPPROTO_SCTP
_CFI: Final = f.VLAN_CFI
_TOS_SHIFT: Final = f.IP_TOS.shift
_TTL_SHIFT: Final = f.NW_TTL.shift
_TP_SRC_SHIFT: Final = f.TP_SRC.shift
_TP_DST_SHIFT: Final = f.TP_DST.shift
_TOS_TTL: Final = 0xFF << _TOS_SHIFT | 0xFF << _TTL_SHIFT
# As signed words: an unsigned constant would make the arithmetic around it unsigned, too.
_PORTS: Final = (0xFFFF << _TP_SRC_SHIFT | 0xFFFF << _TP_DST_SHIFT) - (1 << 64)
_ABOVE_ICMP: Final = (0xFF00 << _TP_SRC_SHIFT | 0xFF00 << _TP_DST_SHIFT) - (1 << 64)
"""Type and code have eight bits where ports have sixteen."""
_LOW32: Final = 0xFFFF_FFFF
_LOW48: Final = 0xFFFF_FFFF_FFFF
_HIGH16: Final = ~_LOW48
_FIRST_METADATA: Final = f.DP_HASH.word
_LAST_METADATA: Final = f.PKT_MARK.word


@njit(nogil=True, error_model="numpy", _nrt=False)
def set_word(arena: Any, buffers: Any, meta: int, key: int, word: int, value: int, mask: int) -> None:
    """Set the bits of `mask` in a word of the key, and in the packet.

    Args:
        arena: int64.
        buffers: the packet memory.
        meta: index of the row's description.
        key: index of the row's key.
        word: number of the word.
        value: 64 bits, none outside `mask`.
        mask: 64 bits, only of `actions_code.SETTABLE_FIELDS`.
    """
    old = arena[key + word]
    new = (old & ~mask) | value
    if old == new:
        return
    if arena[meta + META_LENGTH] < 14 and (word < _FIRST_METADATA or word > _LAST_METADATA):
        return
    start = arena[meta + META_OFFSET]
    eth_type = np.int64(np.uint64(arena[key + W_DST]) >> _U48)
    l3 = arena[meta + META_L3]
    if word == W_DST:
        put32(buffers, start, new >> 16)
        put16(buffers, start + 4, new)
    elif word == W_SRC:
        new = _set_source_and_tag(arena, buffers, start, key, old, new)
    elif word == W_NW:
        new = _set_nw(arena, buffers, meta, start, l3, eth_type, old, new)
    elif word == W_ADDRESS:
        new = _set_addresses(arena, buffers, meta, start, l3, eth_type, old, new)
    elif word == W_LABEL:
        if eth_type != _IPV6 or l3 < 0 or arena[key + W_NW] & 0xFF == 0:
            return
        put32(buffers, start + l3, (get32(buffers, start + l3) & 0xFFF0_0000) | (new & 0xF_FFFF))
    elif W_V6_SRC <= word <= W_V6_DST + 1:
        if eth_type != _IPV6 or l3 < 0:
            return
        _set_ipv6_address(arena, buffers, meta, start, l3, word, old, new)
    elif word == W_SHA or word == W_THA:
        new = _set_link_address(arena, buffers, meta, start, l3, eth_type, word, old, new)
    elif word == W_TARGET or word == W_TARGET + 1:
        l4 = _neighbour_discovery(arena, buffers, meta, start, eth_type)
        # A message that is cut short or contradicts itself has no target in its key.
        if (
            l4 < 0
            or start + arena[meta + META_IP_END] < l4 + 24
            or np.int64(get64u(buffers, l4 + 8)) != arena[key + W_TARGET + 1]
            or np.int64(get64u(buffers, l4 + 16)) != arena[key + W_TARGET]
        ):
            return
        put64(buffers, l4 + (16 if word == W_TARGET else 8), new)
        _update_l4(arena, buffers, meta, start, _sum64(old), _sum64(new), False)
    elif word == W_MPLS:
        if (eth_type != _MPLS and eth_type != _MPLS_MULTICAST) or l3 < 0 or arena[meta + META_LENGTH] < l3 + 4:
            return
        put32(buffers, start + l3, new)
    elif word < _FIRST_METADATA or word > _LAST_METADATA:
        return
    arena[key + word] = new


@njit(nogil=True, error_model="numpy", _nrt=False)
def _sum64(word: int) -> Any:
    """The sum of the four 16-bit parts of a word."""
    total = (word & _LOW32) + (word >> 32 & _LOW32)
    return fold_few((total & 0xFFFF) + (total >> 16))


@njit(nogil=True, error_model="numpy", _nrt=False)
def _set_source_and_tag(arena: Any, buffers: Any, start: int, key: int, old: int, new: int) -> Any:
    put16(buffers, start + 6, new >> 32)
    put32(buffers, start + 8, new)
    if (old >> 48) & _CFI == 0:
        return (new & _LOW48) | (old & _HIGH16)
    # Bit 12 of the tag on the wire is not in the key, which has the present bit in its place.
    put16(buffers, start + 14, (get16(buffers, start + 14) & _CFI) | (new >> 48 & 0xEFFF))
    return new


@njit(nogil=True, error_model="numpy", _nrt=False)
def _set_nw(arena: Any, buffers: Any, meta: int, start: int, l3: int, eth_type: int, old: int, new: int) -> Any:
    """Type of service, time to live, ports or ICMP type and code; ARP operation."""
    if l3 < 0:
        return old
    place = start + l3
    if eth_type == _IPV4:
        if (old ^ new) & _TOS_TTL:
            # One is the low byte of a summed word, the other the high byte.
            before = (old >> _TOS_SHIFT & 0xFF) + (old >> _TTL_SHIFT & 0xFF) * 256
            after = (new >> _TOS_SHIFT & 0xFF) + (new >> _TTL_SHIFT & 0xFF) * 256
            put8(buffers, place + 1, new >> _TOS_SHIFT)
            put8(buffers, place + 8, new >> _TTL_SHIFT)
            put16(buffers, place + 10, updated(get16(buffers, place + 10), before, after))
    elif eth_type == _IPV6:
        # Without a protocol the extension headers do not fit, and only the addresses are held.
        if old & 0xFF == 0:
            return old
        put32(
            buffers,
            place,
            (get32(buffers, place) & ~(0xFF << 20)) | (new >> _TOS_SHIFT & 0xFF) << 20,
        )
        put8(buffers, place + 7, new >> _TTL_SHIFT)
    elif eth_type == _ARP or eth_type == _RARP:
        if (old ^ new) & 0xFF:
            put16(buffers, place + 6, new & 0xFF)
        return (old & ~0xFF) | (new & 0xFF)
    else:
        return old
    protocol = arena[meta + META_L4_PROTOCOL]
    if arena[meta + META_L4] < 0 or protocol == 0:
        new = (old & _PORTS) | (new & ~_PORTS)
    elif (old ^ new) & _PORTS:
        if protocol == _ICMP or protocol == _ICMPV6 or protocol == _IGMP:
            new &= ~_ABOVE_ICMP
        _set_ports(arena, buffers, meta, start, protocol, new)
    # The protocol and what says "fragment" are not to be set.
    return (new & (_TOS_TTL | _PORTS)) | (old & ~(_TOS_TTL | _PORTS))


@njit(nogil=True, error_model="numpy", _nrt=False)
def _set_ports(arena: Any, buffers: Any, meta: int, start: int, protocol: int, new: int) -> None:
    l4 = start + arena[meta + META_L4]
    first = new >> _TP_SRC_SHIFT & 0xFFFF
    second = new >> _TP_DST_SHIFT & 0xFFFF
    if protocol == _SCTP:
        length = start + arena[meta + META_IP_END] - l4
        partial = _is_partial(arena, meta, 8)
        before = 0 if partial else crc32c(buffers, l4, length, l4 + 8)
        put32(buffers, l4, first << 16 | second)
        if not partial:
            after = crc32c(buffers, l4, length, l4 + 8)
            field = get32(buffers, l4 + 8)
            swapped = (field & 0xFF) << 24 | (field & 0xFF00) << 8 | (field >> 8 & 0xFF00) | field >> 24
            put_crc32c(buffers, l4 + 8, swapped ^ before ^ after)
    elif protocol == _ICMP or protocol == _ICMPV6 or protocol == _IGMP:
        old_sum = get16(buffers, l4)
        put8(buffers, l4, first)
        put8(buffers, l4 + 1, second)
        _update_l4(arena, buffers, meta, start, old_sum, get16(buffers, l4), False)
    else:
        old_sum = fold_few(get16(buffers, l4) + get16(buffers, l4 + 2))
        put32(buffers, l4, first << 16 | second)
        _update_l4(arena, buffers, meta, start, old_sum, fold_few(first + second), False)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _set_addresses(arena: Any, buffers: Any, meta: int, start: int, l3: int, eth_type: int, old: int, new: int) -> Any:
    """Source and destination of IPv4, sender and target of ARP."""
    if l3 < 0:
        return old
    place = start + l3
    if eth_type == _IPV4:
        put32(buffers, place + 12, new)
        put32(buffers, place + 16, new >> 32)
        old_sum = _sum64(old)
        new_sum = _sum64(new)
        put16(buffers, place + 10, updated(get16(buffers, place + 10), old_sum, new_sum))
        _update_l4(arena, buffers, meta, start, old_sum, new_sum, True)
        return new
    if eth_type == _ARP or eth_type == _RARP:
        put32(buffers, place + 14, new)
        put32(buffers, place + 24, new >> 32)
        return new
    return old


@njit(nogil=True, error_model="numpy", _nrt=False)
def _set_ipv6_address(arena: Any, buffers: Any, meta: int, start: int, l3: int, word: int, old: int, new: int) -> None:
    """Half of an IPv6 address; a destination that a routing header will replace is not in the pseudo header."""
    is_source = word < W_V6_DST
    low_half = word == W_V6_SRC or word == W_V6_DST
    put64(buffers, start + l3 + (8 if is_source else 24) + (8 if low_half else 0), new)
    if is_source or arena[meta + META_ROUTED] == 0:
        _update_l4(arena, buffers, meta, start, _sum64(old), _sum64(new), True)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _neighbour_discovery(arena: Any, buffers: Any, meta: int, start: int, eth_type: int) -> Any:
    """Where a neighbour solicitation or advertisement begins, in the packet memory; -1 when it is something else."""
    if eth_type != _IPV6 or arena[meta + META_L4_PROTOCOL] != _ICMPV6:
        return -1
    l4 = start + arena[meta + META_L4]
    kind = get16(buffers, l4)
    return l4 if kind == 135 << 8 or kind == 136 << 8 else -1


@njit(nogil=True, error_model="numpy", _nrt=False)
def _set_link_address(
    arena: Any, buffers: Any, meta: int, start: int, l3: int, eth_type: int, word: int, old: int, new: int
) -> Any:
    """Hardware addresses of ARP; the link address option of neighbour discovery."""
    if eth_type == _ARP or eth_type == _RARP:
        if l3 < 0:
            return old
        place = start + l3 + (8 if word == W_SHA else 18)
        put16(buffers, place, new >> 32)
        put32(buffers, place + 2, new)
        return (new & _LOW48) | (old & _HIGH16)
    l4 = _neighbour_discovery(arena, buffers, meta, start, eth_type)
    if l4 < 0:
        return old
    wanted = 1 if word == W_SHA else 2
    place = l4 + 24
    end = start + arena[meta + META_IP_END]
    while end - place >= 8:
        length = get8(buffers, place + 1) * 8
        if length == 0 or length > end - place:
            break
        # The option whose address the key has.
        address = get64u(buffers, place) & _MAC
        if get8(buffers, place) == wanted and length == 8 and address == np.uint64(old & _LOW48):
            put16(buffers, place + 2, new >> 32)
            put32(buffers, place + 4, new)
            _update_l4(arena, buffers, meta, start, _sum64(old & _LOW48), _sum64(new & _LOW48), False)
            return (new & _LOW48) | (old & _HIGH16)
        place += length
    return old


@njit(nogil=True, error_model="numpy", _nrt=False)
def _is_partial(arena: Any, meta: int, offset: int) -> Any:
    """Whether the checksum at `offset` of the transport header is partial."""
    vnet = arena[meta + META_VNET]
    return (
        vnet & VNET_NEEDS_CSUM != 0
        and vnet >> VNET_CSUM_START_SHIFT & 0xFFFF == arena[meta + META_L4]
        and arena[meta + META_CSUM_OFFSET] == offset
    )


@njit(nogil=True, error_model="numpy", _nrt=False)
def _update_l4(
    arena: Any, buffers: Any, meta: int, start: int, old_sum: int, new_sum: int, pseudo_header: bool
) -> None:
    """Let the transport checksum follow a change of what it sums."""
    protocol = arena[meta + META_L4_PROTOCOL]
    if protocol == _TCP:
        offset = 16
    elif protocol == _UDP:
        offset = 6
    elif protocol == _ICMPV6 or ((protocol == _ICMP or protocol == _IGMP) and not pseudo_header):
        offset = 2
    else:
        return
    field = start + arena[meta + META_L4] + offset
    checksum = get16(buffers, field)
    if _is_partial(arena, meta, offset):
        if pseudo_header:
            put16(buffers, field, updated_partial(checksum, old_sum, new_sum))
    elif protocol != _UDP:
        put16(buffers, field, updated(checksum, old_sum, new_sum))
    elif checksum:
        checksum = updated(checksum, old_sum, new_sum)
        put16(buffers, field, checksum or 0xFFFF)
