"""Cutting a large segment into packets, compiled: for devices that cannot take a GSO packet.

A kernel hands over TCP segments and UDP trains of up to 64 kB with the size of the parts in the vnet header. Each part
gets a copy of the headers with lengths, IPv4 identification, TCP sequence number and flags of its own, and complete
checksums (what net/ipv4/tcp_offload.c and udp_offload.c do).
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit

from jackfield.netdev.compiled import (
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    HEADROOM,
    META_L3,
    META_LENGTH,
    META_OFFSET,
    META_VNET,
    SCRATCH,
    VNET_CSUM_START_SHIFT,
    VNET_GSO_SHIFT,
    VNET_GSO_SIZE_SHIFT,
    VNET_NEEDS_CSUM,
)
from jackfield.netdev.jit_checksum import fold, sum_bytes
from jackfield.netdev.jit_memory import get8, get16, get32, move, put8, put16, put32

_FIN_PSH: Final = 0x09
_CWR: Final = 0x80
_TCP: Final = 6
_UDP: Final = 17


@njit(nogil=True, error_model="numpy", _nrt=False)
def segment_layout(arena: Any, buffers: Any, meta: int) -> Any:
    """Bytes of headers in front of the payload of a GSO packet; 0 when it is not one that can be cut.

    The packet must have been parsed; headers that do not fit together (a virtual machine may write anything into its
    vnet headers) give 0.
    """
    vnet = arena[meta + META_VNET]
    kind = vnet >> VNET_GSO_SHIFT & 0xFF & ~GSO_ECN
    start = arena[meta + META_OFFSET]
    length = arena[meta + META_LENGTH]
    l3 = arena[meta + META_L3]
    l4 = vnet >> VNET_CSUM_START_SHIFT & 0xFFFF
    if not vnet & VNET_NEEDS_CSUM or vnet >> VNET_GSO_SIZE_SHIFT & 0xFFFF == 0 or l3 < 0 or l4 < l3 + 20:
        return 0
    if kind == GSO_TCPV4 or kind == GSO_TCPV6:
        if l4 + 20 > length:
            return 0
        header = (get8(buffers, start + l4 + 12) >> 4) * 4
        headers = l4 + header if header >= 20 else 0
    elif kind == GSO_UDP_L4:
        headers = l4 + 8
    else:
        return 0
    return headers if headers < length else 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def segment(arena: Any, buffers: Any, meta: int, headers: int, number: int) -> Any:
    """Build part `number` of a GSO packet in the scratch memory; its length, 0 behind the last part.

    Args:
        arena: int64.
        buffers: the packet memory; the part lies at SCRATCH + HEADROOM.
        meta: index of the row's description.
        headers: what `segment_layout` gave, not 0.
        number: from 0 on.
    """
    vnet = arena[meta + META_VNET]
    size = vnet >> VNET_GSO_SIZE_SHIFT & 0xFFFF
    start = arena[meta + META_OFFSET]
    length = arena[meta + META_LENGTH]
    l3 = arena[meta + META_L3]
    l4 = vnet >> VNET_CSUM_START_SHIFT & 0xFFFF
    done = headers + number * size
    payload = min(size, length - done)
    if payload <= 0:
        return 0
    out = SCRATCH + HEADROOM
    move(buffers, out, start, headers)
    move(buffers, out + headers, start + done, payload)
    total = headers + payload
    is_ipv4 = get8(buffers, out + l3) >> 4 == 4
    l4_length = total - l4
    is_udp = vnet >> VNET_GSO_SHIFT & 0xFF & ~GSO_ECN == GSO_UDP_L4
    if is_udp:
        put16(buffers, out + l4 + 4, l4_length)
    else:
        put32(buffers, out + l4 + 4, get32(buffers, out + l4 + 4) + number * size)
        flags = get8(buffers, out + l4 + 13)
        if done + payload < length:
            flags &= ~_FIN_PSH
        if number:
            flags &= ~_CWR
        put8(buffers, out + l4 + 13, flags)
    if is_ipv4:
        put16(buffers, out + l3 + 2, total - l3)
        put16(buffers, out + l3 + 4, get16(buffers, out + l3 + 4) + number)
        put16(buffers, out + l3 + 10, 0)
        put16(buffers, out + l3 + 10, ~sum_bytes(buffers, out + l3, (get8(buffers, out + l3) & 0xF) * 4) & 0xFFFF)
        pseudo = sum_bytes(buffers, out + l3 + 12, 8)
    else:
        put16(buffers, out + l3 + 4, total - l3 - 40)
        pseudo = sum_bytes(buffers, out + l3 + 8, 32)
    field = out + l4 + (6 if is_udp else 16)
    put16(buffers, field, 0)
    pseudo += (_UDP if is_udp else _TCP) + l4_length + sum_bytes(buffers, out + l4, l4_length)
    checksum = ~fold(pseudo) & 0xFFFF
    put16(buffers, field, 0xFFFF if is_udp and checksum == 0 else checksum)
    return total
