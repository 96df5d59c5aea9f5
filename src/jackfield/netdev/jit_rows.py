"""Packet rows, compiled: copies, memory, VLAN tags, and the way in and out for packets from elsewhere.

See `jackfield.netdev.compiled` for what a row is. Everything here keeps a row consistent: its vnet header and the
offsets of its headers move with its bytes.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit

from jackfield.netdev.compiled import (
    BATCH,
    BIG_BYTES,
    BIG_ROOM,
    BIG_ROWS,
    BIG_START,
    HEADROOM,
    IO_BIG_RX,
    IO_BIG_USED,
    IO_COPY_DROPS,
    IO_DEPTH,
    IO_META,
    IO_RECIRC,
    IO_RECIRC_TAKEN,
    IO_RECIRC_USED,
    IO_ROW,
    IO_SPARE_USED,
    IO_STACK,
    META_BIG_MARK,
    META_CSUM_OFFSET,
    META_END,
    META_IP_END,
    META_L3,
    META_L4,
    META_LENGTH,
    META_OFFSET,
    META_START,
    META_VNET,
    META_WORDS,
    ROW_BYTES,
    ROW_ROOM,
    SPARE_ROWS,
    STACK_WORDS,
    VNET_CSUM_START_SHIFT,
    VNET_HDR_LEN_SHIFT,
    VNET_NEEDS_CSUM,
)
from jackfield.netdev.jit_memory import address_of, copy_in, copy_out, get16, move, put32

MIN_HEADROOM: Final = 16
"""What must stay free in front of a packet: the vnet header is written there."""


@njit(nogil=True, error_model="numpy", _nrt=False)
def meta_of(io: int, row: int) -> Any:
    """Index in the arena of a row's description."""
    return io + IO_META + row * META_WORDS


@njit(nogil=True, error_model="numpy", _nrt=False)
def set_vnet(arena: Any, meta: int, first: int, csum_offset: int) -> None:
    """Note a packet's vnet header (compiled.META_VNET), without what nobody needs to know."""
    if first & (VNET_NEEDS_CSUM | 0xFF00):
        arena[meta + META_VNET] = first & ~0xFE
        arena[meta + META_CSUM_OFFSET] = csum_offset
    else:
        arena[meta + META_VNET] = 0
        arena[meta + META_CSUM_OFFSET] = 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def spare_row(arena: Any, io: int, length: int) -> Any:
    """A free spare row with memory for a packet of `length` bytes, its META_OFFSET set; -1 when there is none."""
    spare = arena[io + IO_SPARE_USED]
    if spare >= SPARE_ROWS or length > BIG_ROOM:
        return -1
    row = BATCH + spare
    meta = meta_of(io, row)
    if length <= ROW_ROOM:
        arena[meta + META_START] = row * ROW_BYTES
        arena[meta + META_END] = (row + 1) * ROW_BYTES
    else:
        big = arena[io + IO_BIG_USED]
        if big >= BIG_ROWS:
            return -1
        arena[io + IO_BIG_USED] = big + 1
        arena[meta + META_START] = BIG_START + big * BIG_BYTES
        arena[meta + META_END] = BIG_START + (big + 1) * BIG_BYTES
    arena[io + IO_SPARE_USED] = spare + 1
    arena[meta + META_BIG_MARK] = arena[io + IO_BIG_USED]
    arena[meta + META_OFFSET] = arena[meta + META_START] + HEADROOM
    return row


@njit(nogil=True, error_model="numpy", _nrt=False)
def release_spares(arena: Any, io: int) -> None:
    """Free the spare rows behind the last one still in hand (executing, on the stack, waiting for recirculation)."""
    last = arena[io + IO_ROW]
    for i in range(arena[io + IO_DEPTH]):
        last = max(last, arena[io + IO_STACK + i * STACK_WORDS])
    for i in range(arena[io + IO_RECIRC_TAKEN], arena[io + IO_RECIRC_USED]):
        last = max(last, arena[io + IO_RECIRC + i])
    if last < BATCH:
        arena[io + IO_SPARE_USED] = 0
        arena[io + IO_BIG_USED] = arena[io + IO_BIG_RX]
    else:
        arena[io + IO_SPARE_USED] = last - BATCH + 1
        arena[io + IO_BIG_USED] = arena[meta_of(io, last) + META_BIG_MARK]


@njit(nogil=True, error_model="numpy", _nrt=False)
def copy_row(arena: Any, buffers: Any, io: int, row: int) -> Any:
    """Copy a packet to a spare row; the new row, or -1 when there is none.

    The copy keeps the packet's place among the cache lines, so that headers stay as aligned as they were.
    """
    meta = meta_of(io, row)
    length = arena[meta + META_LENGTH]
    copy = spare_row(arena, io, length)
    if copy < 0:
        return -1
    target = meta_of(io, copy)
    start = arena[target + META_START]
    end = arena[target + META_END]
    mark = arena[target + META_BIG_MARK]
    for word in range(META_WORDS):
        arena[target + word] = arena[meta + word]
    arena[target + META_START] = start
    arena[target + META_END] = end
    arena[target + META_BIG_MARK] = mark
    arena[target + META_OFFSET] = start + HEADROOM
    copy_in(buffers, start + HEADROOM, address_of(buffers) + arena[meta + META_OFFSET], length)
    return copy


@njit(nogil=True, error_model="numpy", _nrt=False)
def load_row(arena: Any, buffers: Any, io: int, address: int, length: int, vnet: int, csum_offset: int) -> Any:
    """Copy a packet from elsewhere into a spare row.

    The row is free again after the next `tx_flush` or `rx` once it has been executed: load and execute one at a time.

    Args:
        arena: int64, with the I/O area at `io`.
        buffers: the packet memory.
        io: see `compiled`.
        address: of the packet's first byte; 64 bytes must be readable there even if the packet is shorter.
        length: bytes.
        vnet: the words of META_VNET
        csum_offset: and META_CSUM_OFFSET.

    Returns:
        The row, or -1 (counted in IO_COPY_DROPS) when the packet is too long or all rows are taken.
    """
    row = spare_row(arena, io, length)
    if row < 0:
        arena[io + IO_COPY_DROPS] += 1
        return -1
    meta = meta_of(io, row)
    for word in range(META_LENGTH, META_START):
        arena[meta + word] = 0
    for word in range(META_END + 1, META_WORDS):
        if word != META_BIG_MARK:
            arena[meta + word] = 0
    arena[meta + META_L3] = arena[meta + META_L4] = -1
    arena[meta + META_LENGTH] = length
    set_vnet(arena, meta, vnet, csum_offset)
    copy_in(buffers, arena[meta + META_OFFSET], address, length)
    return row


@njit(nogil=True, error_model="numpy", _nrt=False)
def store_row(arena: Any, buffers: Any, io: int, row: int, address: int, max_length: int) -> Any:
    """Copy a packet's bytes, as they are, to an address with room for at least 64; how many were copied."""
    meta = meta_of(io, row)
    length = min(arena[meta + META_LENGTH], max_length)
    copy_out(buffers, arena[meta + META_OFFSET], address, length)
    return length


@njit(nogil=True, error_model="numpy", _nrt=False)
def _shift_headers(arena: Any, meta: int, by: int) -> None:
    """Note that everything behind the Ethernet addresses moved by `by` bytes."""
    for word in (META_L3, META_L4):
        if arena[meta + word] >= 0:
            arena[meta + word] += by
    arena[meta + META_IP_END] += by
    vnet = arena[meta + META_VNET]
    if vnet:
        hdr_len = ((vnet >> VNET_HDR_LEN_SHIFT & 0xFFFF) + by) & 0xFFFF if vnet >> VNET_HDR_LEN_SHIFT & 0xFFFF else 0
        csum_start = (vnet >> VNET_CSUM_START_SHIFT & 0xFFFF) + by if vnet & VNET_NEEDS_CSUM else 0
        kept = vnet & 0x0000_FFFF_0000_FFFF
        arena[meta + META_VNET] = kept | hdr_len << VNET_HDR_LEN_SHIFT | (csum_start & 0xFFFF) << VNET_CSUM_START_SHIFT


@njit(nogil=True, error_model="numpy", _nrt=False)
def insert_tag(arena: Any, buffers: Any, meta: int, tpid: int, tci: int) -> Any:
    """Put a VLAN tag (IEEE 802.1Q) behind the Ethernet addresses; False without room in front, or without addresses.

    Args:
        arena: int64.
        buffers: the packet memory.
        meta: index of the row's description.
        tpid: 16 bits.
        tci: 16 bits as they go on the wire.
    """
    start = arena[meta + META_OFFSET]
    if start - 4 < arena[meta + META_START] + MIN_HEADROOM or arena[meta + META_LENGTH] < 14:
        return False
    move(buffers, start - 4, start, 12)
    put32(buffers, start + 8, tpid << 16 | tci)
    arena[meta + META_OFFSET] = start - 4
    arena[meta + META_LENGTH] += 4
    _shift_headers(arena, meta, 4)
    return True


@njit(nogil=True, error_model="numpy", _nrt=False)
def remove_tag(arena: Any, buffers: Any, meta: int) -> Any:
    """Take away the outermost VLAN tag; False when there is none."""
    start = arena[meta + META_OFFSET]
    if arena[meta + META_LENGTH] < 18:
        return False
    tpid = get16(buffers, start + 12)
    if tpid != 0x8100 and tpid != 0x88A8:
        return False
    move(buffers, start + 4, start, 12)
    arena[meta + META_OFFSET] = start + 4
    arena[meta + META_LENGTH] -= 4
    _shift_headers(arena, meta, -4)
    return True
