"""Checksums, compiled: sums, incremental updates and the completion of partial ones.

The plain twin is `jackfield.flow.checksum`. A *sum* here is a ones' complement sum folded to 16 bits and not yet
inverted (RFC 1071); the field of a header holds the inverted sum, except where the checksum is *partial*: then it holds
the sum of the pseudo header alone and whoever puts the packet on a wire adds the rest (``NEEDS_CSUM`` in
linux/virtio_net.h).
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from jackfield.netdev.compiled import (
    META_CSUM_OFFSET,
    META_IP_END,
    META_L4,
    META_L4_PROTOCOL,
    META_LENGTH,
    META_OFFSET,
    META_VNET,
    VNET_CSUM_START_SHIFT,
    VNET_NEEDS_CSUM,
)
from jackfield.netdev.jit_memory import get8, get16, get32, put16, put32

_SCTP: Final = 132
_SCTP_CSUM_OFFSET: Final = 8


def _crc32c_table() -> Any:
    table = np.zeros(256, np.int64)
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table[byte] = value
    return table


_CRC32C: Final = _crc32c_table()


@njit(nogil=True, error_model="numpy", _nrt=False)
def fold(total: int) -> Any:
    """A sum of many 16- or 32-bit words (not negative, below 2**48), folded to 16 bits."""
    total = (total & 0xFFFF_FFFF) + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@njit(nogil=True, error_model="numpy", _nrt=False)
def fold_few(total: int) -> Any:
    """A sum of a few words of 16 bits (not negative, below 2**31), folded to 16 bits."""
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


@njit(nogil=True, error_model="numpy", _nrt=False)
def sum_bytes(buffers: Any, start: int, length: int) -> Any:
    """The sum of `length` bytes from `start` on; an odd last byte counts as the high half of a word."""
    total = 0
    place = start
    end = start + length
    while end - place >= 4:
        total += get32(buffers, place)
        place += 4
    if end - place >= 2:
        total += get16(buffers, place)
        place += 2
    if place < end:
        total += get8(buffers, place) << 8
    return fold(total)


@njit(nogil=True, error_model="numpy", _nrt=False)
def updated(checksum: int, old: int, new: int) -> Any:
    """A checksum after a change of summed words from sum `old` to sum `new` (RFC 1624, equation 3)."""
    return ~fold_few((~checksum & 0xFFFF) + (~old & 0xFFFF) + new) & 0xFFFF


@njit(nogil=True, error_model="numpy", _nrt=False)
def updated_partial(checksum: int, old: int, new: int) -> Any:
    """The same for a partial checksum, which is a sum."""
    return fold_few(checksum + (~old & 0xFFFF) + new)


@njit(nogil=True, error_model="numpy", _nrt=False)
def crc32c(buffers: Any, start: int, length: int, field: int) -> Any:
    """CRC32c of `length` bytes from `start` on, the four bytes at `field` counting as zero (RFC 9260 appendix A)."""
    crc = 0xFFFF_FFFF
    for place in range(start, start + length):
        byte = 0 if field <= place < field + 4 else get8(buffers, place)
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFF_FFFF


@njit(nogil=True, error_model="numpy", _nrt=False)
def put_crc32c(buffers: Any, field: int, crc: int) -> None:
    """Store a CRC32c as SCTP wants it, lowest byte first."""
    swapped = (crc & 0xFF) << 24 | (crc & 0xFF00) << 8 | crc >> 8 & 0xFF00 | crc >> 24 & 0xFF
    put32(buffers, field, swapped)


@njit(nogil=True, error_model="numpy", _nrt=False)
def complete(arena: Any, buffers: Any, meta: int) -> None:
    """Complete a partial checksum in the packet, whose vnet header then asks for nothing; for packets without GSO.

    A vnet header that points outside the packet is dropped: there is nothing to complete.
    """
    vnet = arena[meta + META_VNET]
    start = vnet >> VNET_CSUM_START_SHIFT & 0xFFFF
    offset = arena[meta + META_CSUM_OFFSET]
    length = arena[meta + META_LENGTH]
    arena[meta + META_VNET] = 0
    arena[meta + META_CSUM_OFFSET] = 0
    if not vnet & VNET_NEEDS_CSUM or start + offset + 2 > length:
        return
    first = arena[meta + META_OFFSET]
    if is_sctp(arena, meta, start, offset):
        put_crc32c(
            buffers,
            first + start + offset,
            crc32c(buffers, first + start, arena[meta + META_IP_END] - start, first + start + offset),
        )
        return
    checksum = ~sum_bytes(buffers, first + start, length - start) & 0xFFFF
    put16(buffers, first + start + offset, checksum or 0xFFFF)


@njit(nogil=True, error_model="numpy", _nrt=False)
def is_sctp(arena: Any, meta: int, start: int, offset: int) -> Any:
    """Whether a partial checksum is SCTP's CRC32c: vnet headers do not say, and readers take it for another."""
    return (
        offset == _SCTP_CSUM_OFFSET
        and arena[meta + META_L4_PROTOCOL] == _SCTP
        and arena[meta + META_L4] == start
        and arena[meta + META_IP_END] <= arena[meta + META_LENGTH]
    )
