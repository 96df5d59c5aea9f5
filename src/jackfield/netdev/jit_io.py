"""Packets into rows and out of them, compiled: one `rx` and one `tx_flush` for every kind of queue.

A batch goes: `rx`, whatever is done with the rows, `tx` for each output, `tx_flush`. `tx` only notes the row, so its
bytes must stay as they are until the flush: who wants to change a packet after an output sends a copy
(`jit_rows.copy_row`). What a device does not take is dropped and counted in its queue row; a switch does not wait.
"""

from __future__ import annotations

from errno import EAGAIN, EINTR, EIO, ENETDOWN, ENOBUFS, ENODEV, ENOMEM, ENXIO
from typing import Any, Final

from numba import njit

from jackfield.netdev import compiled
from jackfield.netdev.compiled import (
    BATCH,
    BIG_BYTES,
    BIG_ROOM,
    BIG_ROWS_RX,
    BIG_START,
    HEADROOM,
    IO_BIG_RX,
    IO_BIG_USED,
    IO_BUFFERS,
    IO_DIRTY,
    IO_DIRTY_USED,
    IO_IOV,
    IO_META,
    IO_MSG,
    IO_PENDING,
    IO_PENDING_USED,
    IO_RECIRC_TAKEN,
    IO_RECIRC_USED,
    IO_ROW,
    IO_SPARE_USED,
    META_CSUM_OFFSET,
    META_END,
    META_LENGTH,
    META_OFFSET,
    META_RECIRCULATIONS,
    META_START,
    META_VNET,
    META_WORDS,
    PENDING,
    PENDING_WORDS,
    QUEUE_KIND,
    QUEUE_RX_BYTES,
    QUEUE_RX_DROPS,
    QUEUE_RX_ERRNO,
    QUEUE_RX_LOSING,
    QUEUE_RX_PACKETS,
    QUEUE_RX_POSITION,
    QUEUE_TX_BYTES,
    QUEUE_TX_COUNT,
    QUEUE_TX_DROPS,
    QUEUE_TX_ERRNO,
    QUEUE_TX_ERRORS,
    QUEUE_TX_FIRST,
    QUEUE_TX_LAST,
    QUEUE_TX_PACKETS,
    ROW_BYTES,
    ROW_ROOM,
    VNET_BYTES,
    VNET_CSUM_START_SHIFT,
    VNET_GSO_SHIFT,
)
from jackfield.netdev.jit_checksum import complete, is_sctp
from jackfield.netdev.jit_memory import (
    address_of,
    copy_in,
    get_errno,
    load_acquire,
    move,
    peek16,
    peek32,
    peek64,
    put16_native,
    put64_native,
    readv,
    recv,
    sendmmsg,
    store_release,
    write,
)
from jackfield.netdev.jit_ring import ring_drop, ring_lock, ring_next, ring_put, ring_settle, ring_signal, ring_unlock
from jackfield.netdev.jit_rows import insert_tag, release_spares, set_vnet
from jackfield.netdev.jit_segment import segment, segment_layout
from jackfield.netdev.provider import QueueKind

# Plain numbers of the enumeration: kernels take those for constants.
_PACKET_SOCKET: Final = int(QueueKind.PACKET_SOCKET)
_TAP: Final = int(QueueKind.TAP)
_REPLAY: Final = int(QueueKind.REPLAY)
_MEMORY_RING: Final = int(QueueKind.MEMORY_RING)
_FD: Final = compiled.PACKET_FD
_RING: Final = compiled.PACKET_RING
_FRAME_BYTES: Final = compiled.PACKET_FRAME_BYTES
_FRAMES: Final = compiled.PACKET_FRAMES
_TAP_FD: Final = compiled.TAP_FD
_DATA: Final = compiled.REPLAY_DATA
_INDEX: Final = compiled.REPLAY_INDEX
_COUNT: Final = compiled.REPLAY_COUNT
_ENDLESS: Final = compiled.REPLAY_ENDLESS
_RING_RX: Final = compiled.RING_RX
_RING_TX: Final = compiled.RING_TX
_RING_RX_FD: Final = compiled.RING_RX_FD
_RING_TX_FD: Final = compiled.RING_TX_FD

# linux/if_packet.h: struct tpacket2_hdr and its status bits.
_TP_LEN: Final = 4
_TP_SNAPLEN: Final = 8
_TP_MAC: Final = 12
_TP_VLAN_TCI: Final = 24
_TP_VLAN_TPID: Final = 26
_STATUS_USER: Final = 1
_STATUS_COPY: Final = 2
_STATUS_LOSING: Final = 4
_STATUS_VLAN_VALID: Final = 0x10
_STATUS_VLAN_TPID_VALID: Final = 0x40
_MSG_TRUNC: Final = 0x20
_MSG_DONTWAIT: Final = 0x40
_VLAN: Final = 0x8100


@njit(nogil=True, error_model="numpy", _nrt=False)
def rx(arena: Any, buffers: Any, io: int, q: int, limit: int) -> Any:
    """Take packets from a queue into rows 0, 1, ...

    All rows of the batch before are free afterwards: nothing may be pending for `tx_flush`, on the stack or waiting for
    recirculation. META_OFFSET, META_LENGTH and the vnet words of the rows are set.

    Args:
        arena: int64, with the I/O area at `io` and the queue row at `q`.
        buffers: uint8, the packet memory.
        io: see `jackfield.netdev.compiled`.
        q: the queue.
        limit: most packets to take, at most BATCH.

    Returns:
        How many packets were taken, 0 when none is there.
    """
    if arena[io + IO_BIG_RX]:
        for row in range(BATCH):
            meta = io + IO_META + row * META_WORDS
            arena[meta + META_START] = row * ROW_BYTES
            arena[meta + META_END] = (row + 1) * ROW_BYTES
        arena[io + IO_BIG_RX] = 0
    arena[io + IO_BIG_USED] = 0
    arena[io + IO_SPARE_USED] = 0
    arena[io + IO_RECIRC_USED] = 0
    arena[io + IO_RECIRC_TAKEN] = 0
    arena[io + IO_ROW] = -1
    kind = arena[q + QUEUE_KIND]
    if kind == _PACKET_SOCKET:
        n = _rx_packet_socket(arena, buffers, io, q, min(limit, BATCH))
    elif kind == _REPLAY:
        n = _rx_replay(arena, buffers, io, q, min(limit, BATCH))
    elif kind == _TAP:
        n = _rx_tap(arena, buffers, io, q, min(limit, BATCH))
    elif kind == _MEMORY_RING:
        n = _rx_memory_ring(arena, buffers, io, q, min(limit, BATCH))
    else:
        n = 0
    arena[io + IO_BIG_RX] = arena[io + IO_BIG_USED]
    return n


@njit(nogil=True, error_model="numpy", _nrt=False)
def _fill_row(arena: Any, meta: int, row: int, length: int) -> None:
    """A packet of `length` bytes is in the row's own memory, without a vnet header."""
    arena[meta + META_OFFSET] = row * ROW_BYTES + HEADROOM
    arena[meta + META_LENGTH] = length
    arena[meta + META_VNET] = 0
    arena[meta + META_CSUM_OFFSET] = 0
    arena[meta + META_RECIRCULATIONS] = 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def _fill_big_row(arena: Any, io: int, meta: int, length: int) -> None:
    """A packet of `length` bytes is in the next piece of big memory."""
    big = arena[io + IO_BIG_USED]
    arena[io + IO_BIG_USED] = big + 1
    start = BIG_START + big * BIG_BYTES
    arena[meta + META_START] = start
    arena[meta + META_END] = start + BIG_BYTES
    arena[meta + META_OFFSET] = start + HEADROOM
    arena[meta + META_LENGTH] = length
    arena[meta + META_VNET] = 0
    arena[meta + META_CSUM_OFFSET] = 0
    arena[meta + META_RECIRCULATIONS] = 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def _copy_to_row(arena: Any, buffers: Any, io: int, row: int, source: int, length: int) -> Any:
    """Copy a packet from an address into a row; False when it needs big memory and there is none."""
    meta = io + IO_META + row * META_WORDS
    if length <= ROW_ROOM:
        _fill_row(arena, meta, row, length)
    elif arena[io + IO_BIG_USED] < BIG_ROWS_RX:
        _fill_big_row(arena, io, meta, length)
    else:
        return False
    copy_in(buffers, arena[meta + META_OFFSET], source, length)
    return True


@njit(nogil=True, error_model="numpy", _nrt=False)
def _rx_replay(arena: Any, buffers: Any, io: int, q: int, limit: int) -> Any:
    count = arena[q + _COUNT]
    position = arena[q + QUEUE_RX_POSITION]
    total = 0
    n = 0
    while n < limit:
        if position == count:
            if arena[q + _ENDLESS] == 0:
                break
            position = 0
        entry = arena[q + _INDEX] + 16 * position
        length = peek64(entry + 8)
        if not _copy_to_row(arena, buffers, io, n, arena[q + _DATA] + peek64(entry), length):
            break
        total += length
        position += 1
        n += 1
    arena[q + QUEUE_RX_POSITION] = position
    arena[q + QUEUE_RX_PACKETS] += n
    arena[q + QUEUE_RX_BYTES] += total
    return n


@njit(nogil=True, error_model="numpy", _nrt=False)
def _rx_memory_ring(arena: Any, buffers: Any, io: int, q: int, limit: int) -> Any:
    ring = arena[q + _RING_RX]
    total = 0
    n = 0
    while n < limit:
        entry = ring_next(ring)
        if entry == 0:
            scratch = arena[io + IO_BUFFERS] + compiled.SCRATCH
            if n == 0 and ring_settle(ring, arena[q + _RING_RX_FD], scratch):
                continue
            break
        length = peek64(entry)
        if length > BIG_ROOM:
            arena[q + QUEUE_RX_DROPS] += 1
        elif _copy_to_row(arena, buffers, io, n, entry + 8, length):
            total += length
            n += 1
        else:
            break
        ring_drop(ring)
    arena[q + QUEUE_RX_PACKETS] += n
    arena[q + QUEUE_RX_BYTES] += total
    return n


@njit(nogil=True, error_model="numpy", _nrt=False)
def _rx_packet_socket(arena: Any, buffers: Any, io: int, q: int, limit: int) -> Any:
    """TPACKET_V2 (packet(7), Documentation/networking/packet_mmap.rst): a frame is ours while its status says so."""
    ring = arena[q + _RING]
    frame_bytes = arena[q + _FRAME_BYTES]
    frames = arena[q + _FRAMES]
    position = arena[q + QUEUE_RX_POSITION]
    total = 0
    n = 0
    while n < limit:
        frame = ring + position * frame_bytes
        status = load_acquire(frame)
        if status & _STATUS_USER == 0:
            break
        if status & _STATUS_COPY and arena[io + IO_BIG_USED] >= BIG_ROWS_RX:
            break
        tag = 0
        if status & _STATUS_VLAN_VALID:
            tpid = peek16(frame + _TP_VLAN_TPID) if status & _STATUS_VLAN_TPID_VALID else _VLAN
            tag = tpid << 16 | peek16(frame + _TP_VLAN_TCI)
        if status & _STATUS_LOSING:
            arena[q + QUEUE_RX_LOSING] = 1
        meta = io + IO_META + n * META_WORDS
        if status & _STATUS_COPY:
            taken = _receive_copy(arena, buffers, io, q, meta)
        else:
            taken = _receive_frame(arena, buffers, io, n, frame)
        store_release(frame, 0)
        position = position + 1 if position + 1 < frames else 0
        if not taken:
            arena[q + QUEUE_RX_DROPS] += 1
            continue
        if tag:
            insert_tag(arena, buffers, meta, tag >> 16, tag & 0xFFFF)
        total += arena[meta + META_LENGTH]
        n += 1
    arena[q + QUEUE_RX_POSITION] = position
    arena[q + QUEUE_RX_PACKETS] += n
    arena[q + QUEUE_RX_BYTES] += total
    return n


@njit(nogil=True, error_model="numpy", _nrt=False)
def _receive_frame(arena: Any, buffers: Any, io: int, row: int, frame: int) -> Any:
    """Copy a packet out of its ring frame; False when the kernel had to cut it short."""
    length = peek32(frame + _TP_SNAPLEN)
    source = frame + peek16(frame + _TP_MAC)
    if length < peek32(frame + _TP_LEN) or not _copy_to_row(arena, buffers, io, row, source, length):
        return False
    meta = io + IO_META + row * META_WORDS
    set_vnet(arena, meta, peek64(source - VNET_BYTES), peek16(source - 2))
    return True


@njit(nogil=True, error_model="numpy", _nrt=False)
def _receive_copy(arena: Any, buffers: Any, io: int, q: int, meta: int) -> Any:
    """Read a packet that is too long for the ring from the socket; False when it is lost."""
    place = BIG_START + arena[io + IO_BIG_USED] * BIG_BYTES + HEADROOM - VNET_BYTES
    address = arena[io + IO_BUFFERS] + place
    while True:
        length = recv(arena[q + _FD], address, BIG_ROOM + VNET_BYTES, _MSG_DONTWAIT | _MSG_TRUNC)
        if length >= 0:
            break
        error = get_errno()
        if error != EINTR:
            arena[q + QUEUE_RX_ERRNO] = error
            return False
    if length <= VNET_BYTES or length > BIG_ROOM + VNET_BYTES:
        return False
    _fill_big_row(arena, io, meta, length - VNET_BYTES)
    set_vnet(arena, meta, peek64(address), peek16(address + 8))
    return True


@njit(nogil=True, error_model="numpy", _nrt=False)
def _rx_tap(arena: Any, buffers: Any, io: int, q: int, limit: int) -> Any:
    """Read from /dev/net/tun: into the row, and what does not fit into big memory, where the beginning follows."""
    fd = arena[q + _TAP_FD]
    iov = io + IO_IOV
    iov_address = address_of(arena) + 8 * iov
    total = 0
    n = 0
    while n < limit and arena[io + IO_BIG_USED] < BIG_ROWS_RX:
        own = n * ROW_BYTES + HEADROOM
        big = BIG_START + arena[io + IO_BIG_USED] * BIG_BYTES + HEADROOM
        arena[iov] = arena[io + IO_BUFFERS] + own - VNET_BYTES
        arena[iov + 1] = ROW_ROOM + VNET_BYTES
        arena[iov + 2] = arena[io + IO_BUFFERS] + big + ROW_ROOM
        arena[iov + 3] = BIG_ROOM - ROW_ROOM
        got = readv(fd, iov_address, 2)
        if got < 0:
            error = get_errno()
            if error == EINTR:
                continue
            # EIO: the device is down.
            if error != EAGAIN and error != EIO:
                arena[q + QUEUE_RX_ERRNO] = error
            break
        length = got - VNET_BYTES
        if length < 0:
            arena[q + QUEUE_RX_DROPS] += 1
            continue
        meta = io + IO_META + n * META_WORDS
        if length <= ROW_ROOM:
            _fill_row(arena, meta, n, length)
        else:
            move(buffers, big, own, ROW_ROOM)
            _fill_big_row(arena, io, meta, length)
        header = arena[io + IO_BUFFERS] + own - VNET_BYTES
        set_vnet(arena, meta, peek64(header), peek16(header + 8))
        total += length
        n += 1
    arena[q + QUEUE_RX_PACKETS] += n
    arena[q + QUEUE_RX_BYTES] += total
    return n


# -- sending -----------------------------------------------------------------------------------------------------------


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def tx(arena: Any, buffers: Any, io: int, q: int, row: int) -> None:
    """Send a row by a queue at the next `tx_flush`; until then the row's bytes must stay as they are.

    Args:
        arena: int64.
        buffers: uint8, the packet memory.
        io: see `compiled`.
        q: the queue.
        row: the packet.
    """
    kind = arena[q + QUEUE_KIND]
    if kind != _PACKET_SOCKET and kind != _TAP and kind != _MEMORY_RING:
        arena[q + QUEUE_TX_PACKETS] += 1
        arena[q + QUEUE_TX_BYTES] += arena[io + IO_META + row * META_WORDS + META_LENGTH]
        return
    used = arena[io + IO_PENDING_USED]
    if used == PENDING:
        tx_flush(arena, buffers, io)
        used = 0
    entry = io + IO_PENDING + used * PENDING_WORDS
    arena[entry] = row
    arena[entry + 1] = PENDING
    count = arena[q + QUEUE_TX_COUNT]
    if count == 0:
        arena[io + IO_DIRTY + arena[io + IO_DIRTY_USED]] = q
        arena[io + IO_DIRTY_USED] += 1
        arena[q + QUEUE_TX_FIRST] = used
    else:
        arena[io + IO_PENDING + arena[q + QUEUE_TX_LAST] * PENDING_WORDS + 1] = used
    arena[q + QUEUE_TX_LAST] = used
    arena[q + QUEUE_TX_COUNT] = count + 1
    arena[io + IO_PENDING_USED] = used + 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def tx_flush(arena: Any, buffers: Any, io: int) -> None:
    """Send everything that `tx` noted, in its order for each queue, and free the spare rows nobody needs any more."""
    for i in range(arena[io + IO_DIRTY_USED]):
        q = arena[io + IO_DIRTY + i]
        kind = arena[q + QUEUE_KIND]
        if kind == _PACKET_SOCKET:
            _tx_packet_socket(arena, buffers, io, q)
        elif kind == _TAP:
            _tx_tap(arena, buffers, io, q)
        else:
            _tx_memory_ring(arena, buffers, io, q)
        arena[q + QUEUE_TX_COUNT] = 0
        arena[q + QUEUE_TX_FIRST] = PENDING
    arena[io + IO_DIRTY_USED] = 0
    arena[io + IO_PENDING_USED] = 0
    release_spares(arena, io)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _put_vnet(arena: Any, buffers: Any, meta: int) -> Any:
    """Write a row's vnet header in front of its packet; where that begins."""
    vnet = arena[meta + META_VNET]
    if vnet:
        start = vnet >> VNET_CSUM_START_SHIFT & 0xFFFF
        if is_sctp(arena, meta, start, arena[meta + META_CSUM_OFFSET]):
            complete(arena, buffers, meta)
    place = arena[meta + META_OFFSET] - VNET_BYTES
    put64_native(buffers, place, arena[meta + META_VNET])
    put16_native(buffers, place + 8, arena[meta + META_CSUM_OFFSET])
    return place


@njit(nogil=True, error_model="numpy", _nrt=False)
def _tx_packet_socket(arena: Any, buffers: Any, io: int, q: int) -> None:
    entry = arena[q + QUEUE_TX_FIRST]
    count = 0
    while entry != PENDING:
        at = io + IO_PENDING + entry * PENDING_WORDS
        meta = io + IO_META + arena[at] * META_WORDS
        iov = io + IO_IOV + 2 * count
        arena[iov] = arena[io + IO_BUFFERS] + _put_vnet(arena, buffers, meta)
        arena[iov + 1] = arena[meta + META_LENGTH] + VNET_BYTES
        count += 1
        entry = arena[at + 1]
    messages = address_of(arena) + 8 * (io + IO_MSG)
    done = 0
    believed = False
    while done < count:
        sent = sendmmsg(arena[q + _FD], messages + 64 * done, count - done, _MSG_DONTWAIT)
        if sent > 0:
            for i in range(done, done + sent):
                arena[q + QUEUE_TX_BYTES] += arena[io + IO_IOV + 2 * i + 1] - VNET_BYTES
            arena[q + QUEUE_TX_PACKETS] += sent
            done += sent
            continue
        error = get_errno()
        if error == ENETDOWN and not believed:
            # The socket keeps this error from when the link went down, and tells it once, even if the link is up again.
            believed = True
            continue
        done += _count_refusal(arena, q, error, count - done)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _count_refusal(arena: Any, q: int, error: int, left: int) -> Any:
    """Count packets that a device did not take; how many of the `left` to give up.

    0 after a signal; one when the device refused or dropped this packet; all when it takes none at the moment.
    """
    if error == EINTR:
        return 0
    if error == ENOBUFS or error == ENOMEM:
        arena[q + QUEUE_TX_DROPS] += 1
        return 1
    if error == EAGAIN or error == ENETDOWN or error == ENXIO or error == ENODEV or error == EIO:
        arena[q + QUEUE_TX_DROPS] += left
        return left
    arena[q + QUEUE_TX_ERRNO] = error
    arena[q + QUEUE_TX_ERRORS] += 1
    return 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def _tx_tap(arena: Any, buffers: Any, io: int, q: int) -> None:
    entry = arena[q + QUEUE_TX_FIRST]
    left = arena[q + QUEUE_TX_COUNT]
    while left > 0:
        at = io + IO_PENDING + entry * PENDING_WORDS
        meta = io + IO_META + arena[at] * META_WORDS
        length = arena[meta + META_LENGTH]
        address = arena[io + IO_BUFFERS] + _put_vnet(arena, buffers, meta)
        if write(arena[q + _TAP_FD], address, length + VNET_BYTES) > 0:
            arena[q + QUEUE_TX_PACKETS] += 1
            arena[q + QUEUE_TX_BYTES] += length
            given_up = 1
        else:
            given_up = _count_refusal(arena, q, get_errno(), left)
        if given_up:
            entry = arena[at + 1]
            left -= given_up


@njit(nogil=True, error_model="numpy", _nrt=False)
def _tx_memory_ring(arena: Any, buffers: Any, io: int, q: int) -> None:
    """Into memory go packets as a wire would carry them: checksums complete, large segments cut."""
    ring = arena[q + _RING_TX]
    base = arena[io + IO_BUFFERS]
    entry = arena[q + QUEUE_TX_FIRST]
    ring_lock(ring)
    while entry != PENDING:
        at = io + IO_PENDING + entry * PENDING_WORDS
        meta = io + IO_META + arena[at] * META_WORDS
        entry = arena[at + 1]
        vnet = arena[meta + META_VNET]
        headers = segment_layout(arena, buffers, meta) if vnet >> VNET_GSO_SHIFT & 0xFF else 0
        if headers:
            number = 0
            length = segment(arena, buffers, meta, headers, number)
            while length:
                _put_counted(arena, q, ring, base + compiled.SCRATCH + HEADROOM, length)
                number += 1
                length = segment(arena, buffers, meta, headers, number)
            continue
        if vnet:
            complete(arena, buffers, meta)
        _put_counted(arena, q, ring, base + arena[meta + META_OFFSET], arena[meta + META_LENGTH])
    ring_unlock(ring)
    ring_signal(ring, arena[q + _RING_TX_FD])


@njit(nogil=True, error_model="numpy", _nrt=False)
def _put_counted(arena: Any, q: int, ring: int, address: int, length: int) -> None:
    if ring_put(ring, address, length):
        arena[q + QUEUE_TX_PACKETS] += 1
        arena[q + QUEUE_TX_BYTES] += length
    else:
        arena[q + QUEUE_TX_DROPS] += 1
