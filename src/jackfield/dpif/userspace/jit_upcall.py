"""Packets to and from the main thread: records in a ring, one after the other.

A record (`U_*` in `state`) has the packet's key and its bytes. It stays where it is until the main thread has replied:
the reply runs on the packet in the record, so that no byte travels twice. Replies come in the order of the upcalls,
therefore the ring is freed in order.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from jackfield.dpif.userspace.state import (
    BASE,
    IO,
    KEY_WORDS,
    KEYS,
    N_LOST,
    N_UPCALLS,
    P_UP_DONE,
    P_UP_LIMIT,
    P_UP_LOST,
    P_UP_SENT,
    U_CSUM,
    U_FRAME_LENGTH,
    U_KEY,
    U_KIND,
    U_LENGTH,
    U_PACKET,
    U_PORT,
    U_SLACK,
    U_VNET,
    U_WORDS,
    UP_FD,
    UP_HEAD,
    UP_PENDING,
    UP_TAIL,
    UPCALL_WORDS,
    UPCALLS,
    UPCALLS_ON,
)
from jackfield.netdev.compiled import (
    IO_META,
    META_CSUM_OFFSET,
    META_LENGTH,
    META_OFFSET,
    META_VNET,
    META_WORDS,
    VNET_CSUM_START_SHIFT,
    VNET_NEEDS_CSUM,
)
from jackfield.netdev.jit_checksum import is_sctp, sum_bytes
from jackfield.netdev.jit_memory import eventfd_write, exchange64, load_acquire64, store_release64
from jackfield.netdev.jit_rows import load_row, store_row


@njit(nogil=True, error_model="numpy", _nrt=False)
def upcall(a: Any, buffers: Any, row: int, port: int, kind: int, length: int) -> None:
    """Hand a packet to the main thread, or count it as lost where the ring or the port's share is full.

    Args:
        a: the arena.
        buffers: the packet memory.
        row: the packet.
        port: block of the port it came in on, 0 for none.
        kind: 0 for a miss, else 1 + the number of the Userspace action.
        length: how many bytes to hand over.
    """
    meta = IO + IO_META + row * META_WORDS
    frame_length = a[meta + META_LENGTH]
    length = min(length, frame_length)
    words = U_PACKET + (length + 7) // 8 + U_SLACK
    head = a[UP_HEAD]
    place = head & (UPCALL_WORDS - 1)
    gap = UPCALL_WORDS - place if place + words > UPCALL_WORDS else 0
    full = head + gap + words - a[UP_TAIL] > UPCALL_WORDS
    if port != 0 and a[port + P_UP_SENT] - a[port + P_UP_DONE] >= a[port + P_UP_LIMIT]:
        full = True
    if full or load_acquire64(a[BASE] + 8 * UPCALLS_ON) == 0:
        a[N_LOST] += 1
        if port != 0:
            a[port + P_UP_LOST] += 1
        return
    if gap:
        a[UPCALLS + place + U_WORDS] = -gap
        place = 0
    record = UPCALLS + place
    a[record + U_WORDS] = words
    a[record + U_PORT] = port
    a[record + U_KIND] = kind
    a[record + U_LENGTH] = length
    a[record + U_FRAME_LENGTH] = frame_length
    vnet = a[meta + META_VNET]
    a[record + U_VNET] = vnet
    a[record + U_VNET + 1] = a[meta + META_CSUM_OFFSET]
    a[record + U_CSUM] = -1
    if vnet & VNET_NEEDS_CSUM:
        start = (vnet >> VNET_CSUM_START_SHIFT) & 0xFFFF
        at = start + a[meta + META_CSUM_OFFSET]
        if at + 2 <= length and not is_sctp(a, meta, start, a[meta + META_CSUM_OFFSET]):
            first = a[meta + META_OFFSET] + start
            checksum = ~sum_bytes(buffers, first, frame_length - start) & 0xFFFF
            a[record + U_CSUM] = at << 16 | (checksum or 0xFFFF)
    key = KEYS + row * KEY_WORDS
    for i in range(KEY_WORDS):
        a[record + U_KEY + i] = a[key + i]
    store_row(a, buffers, IO, row, a[BASE] + 8 * (record + U_PACKET), length)
    if port != 0:
        a[port + P_UP_SENT] += 1
    a[N_UPCALLS] += 1
    a[UP_PENDING] += 1
    store_release64(a[BASE] + 8 * UP_HEAD, head + gap + words)


@njit(nogil=True, error_model="numpy", _nrt=False)
def wake_main(a: Any) -> None:
    """Tell the main thread of new upcalls, once for all of a batch."""
    if a[UP_PENDING]:
        a[UP_PENDING] = 0
        if a[UP_FD] >= 0:
            eventfd_write(a[UP_FD], 1)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def claim(a: Any, position: int, limit: int) -> Any:
    """On the main thread: take the next records of the ring, those that the polling thread has not forwarded itself.

    Args:
        a: the arena.
        position: where the first record is, in words written since the start.
        limit: how many records at most.

    Returns:
        The position behind the last one.
    """
    base = a[BASE]
    head = load_acquire64(base + 8 * UP_HEAD)
    taken = 0
    while position < head and taken < limit:
        record = UPCALLS + (position & (UPCALL_WORDS - 1))
        words = a[record + U_WORDS]
        if words < 0:
            position -= words
            continue
        position += words
        taken += 1
        kind = a[record + U_KIND]
        if kind >= 0 and exchange64(base + 8 * (record + U_KIND), -2 - kind) == -1:
            a[record + U_KIND] = -1
    return position


@njit(nogil=True, error_model="numpy", _nrt=False)
def claim_waiting(a: Any, record: int) -> Any:
    """On the polling thread: take a miss that the main thread has not taken; False when it has."""
    if a[record + U_KIND] != 0:
        return False
    before = exchange64(a[BASE] + 8 * (record + U_KIND), -1)
    if before != 0:
        a[record + U_KIND] = before
    return before == 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def take_record(a: Any, buffers: Any, record: int) -> Any:
    """Put the packet of a record into a row, with its key and vnet header; the row, or -1 when all are taken."""
    address = a[BASE] + 8 * (record + U_PACKET)
    row = load_row(a, buffers, IO, address, a[record + U_LENGTH], a[record + U_VNET], a[record + U_VNET + 1])
    if row >= 0:
        key = KEYS + row * KEY_WORDS
        for i in range(KEY_WORDS):
            a[key + i] = a[record + U_KEY + i]
    return row


@njit(nogil=True, error_model="numpy", _nrt=False)
def free_record(a: Any, record: int) -> None:
    """Give a record's memory back, and a gap before it."""
    tail = a[UP_TAIL]
    gap = a[UPCALLS + (tail & (UPCALL_WORDS - 1)) + U_WORDS]
    if gap < 0:
        tail -= gap
    port = a[record + U_PORT]
    if port != 0:
        a[port + P_UP_DONE] += 1
    a[UP_TAIL] = tail + a[record + U_WORDS]
