"""What compiled code sees of devices and packets: the layout of its memory, in numbers.

A polling thread has one arena of 64-bit words. In it lie *queue rows*, one for each queue of a device that the thread
receives from or sends to, and one *I/O area*, which describes the packets that are in hand. The bytes of the packets
are in a second array, the packet memory. `jit_io` works on all three; `jackfield.dpif.userspace` adds its tables to
the same arena. Nothing here imports numba.

Packet rows
    A packet in hand is a *row*: a number below `ROWS`. Rows 0 to `BATCH` - 1 hold what was received, the others are
    spare rows for copies and injected packets. A row has `META_WORDS` words of description in the I/O area and
    `ROW_BYTES` bytes of packet memory of its own; a packet that does not fit there (a segment of up to 64 kB, a jumbo
    frame) takes one of `BIG_ROWS` pieces of big memory. In front of every packet there is `HEADROOM` for VLAN tags and
    for the vnet header that Linux wants before it.

vnet headers
    A packet's ``struct virtio_net_hdr`` (linux/virtio_net.h), as it would stand in front of the packet, is kept as
    two words: `META_VNET` has its first eight bytes (flags, gso_type, hdr_len, gso_size, csum_start; little endian),
    `META_CSUM_OFFSET` its last two. Both are zero for a packet without offloads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from jackfield.netdev.provider import CompiledQueue, QueueKind

Arena = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# -- packet memory -----------------------------------------------------------------------------------------------------

BATCH: Final = 64
"""Rows for received packets: the most that one call of `jit_io.rx` gives."""
SPARE_ROWS: Final = 32
"""Rows for copies and injected packets."""
ROWS: Final = BATCH + SPARE_ROWS
BIG_ROWS: Final = 12
"""Pieces of big memory."""
BIG_ROWS_RX: Final = 8
"""How many of those one call of `jit_io.rx` may take; the rest is for copies."""
HEADROOM: Final = 128
"""Bytes in front of a received packet."""
ROW_BYTES: Final = 2240
"""Bytes of a row's own memory: 35 cache lines, so that the headers of different rows do not share a cache set."""
ROW_ROOM: Final = ROW_BYTES - HEADROOM
"""Longest packet that fits in a row's own memory."""
BIG_BYTES: Final = 66_112
"""Bytes of one piece of big memory (1,033 cache lines)."""
BIG_ROOM: Final = BIG_BYTES - HEADROOM
"""Longest packet at all: 64 kB of IP with Ethernet header and tags, and some."""
BIG_START: Final = ROWS * ROW_BYTES
SCRATCH: Final = BIG_START + BIG_ROWS * BIG_BYTES
"""Where `jit_segment` builds the parts of a packet."""
BUFFER_BYTES: Final = SCRATCH + BIG_BYTES
"""Size of the packet memory of one thread."""

# -- description of a row ----------------------------------------------------------------------------------------------

META_WORDS: Final = 16
META_OFFSET: Final = 0
"""Index of the packet's first byte in the packet memory."""
META_LENGTH: Final = 1
META_VNET: Final = 2
META_CSUM_OFFSET: Final = 3
META_L3: Final = 4
"""Where the IP or ARP header begins, from the packet's first byte; -1 unknown. Set by `jit_parse.parse`."""
META_L4: Final = 5
"""Where the transport header begins; -1 when there is none or it is not complete."""
META_START: Final = 6
"""Index of the first byte of the memory the packet lies in."""
META_END: Final = 7
"""Index behind its last byte."""
META_L4_PROTOCOL: Final = 8
"""IP protocol of the header at META_L4, 0 when there is none."""
META_ROUTED: Final = 9
"""1 when an IPv6 routing header with segments left keeps the destination out of the pseudo header."""
META_BIG_MARK: Final = 10
"""Pieces of big memory in use once this row was made (spare rows)."""
META_RECIRCULATIONS: Final = 11
META_IP_END: Final = 12
"""End of the IP packet by its own length, from the packet's first byte; what follows is padding.
Words 13 to 15 belong to the datapath."""

# The first vnet word.
VNET_BYTES: Final = 10
VNET_NEEDS_CSUM: Final = 1
VNET_GSO_SHIFT: Final = 8
VNET_HDR_LEN_SHIFT: Final = 16
VNET_GSO_SIZE_SHIFT: Final = 32
VNET_CSUM_START_SHIFT: Final = 48
GSO_NONE: Final = 0
GSO_TCPV4: Final = 1
GSO_UDP: Final = 3
GSO_TCPV6: Final = 4
GSO_UDP_L4: Final = 5
GSO_ECN: Final = 0x80

# -- I/O area ----------------------------------------------------------------------------------------------------------

PENDING: Final = 256
"""Outputs that may wait for `jit_io.tx_flush`; one more flushes."""
MAX_DEPTH: Final = 16
"""Nested sample and clone actions."""
MAX_RECIRCULATIONS: Final = 6
"""How often one packet may be looked up again."""

IO_BUFFERS: Final = 0
"""Address of the packet memory."""
IO_PORTS: Final = 1
"""Index in the arena of the port table: the queue row of each datapath port, 0 for none."""
IO_PORT_COUNT: Final = 2
IO_SPARE_USED: Final = 3
IO_BIG_USED: Final = 4
IO_BIG_RX: Final = 5
IO_PENDING_USED: Final = 6
IO_DIRTY_USED: Final = 7
"""Queues with something pending."""
IO_RECIRC_USED: Final = 8
IO_ROW: Final = 9
"""The packet that `jit_actions.execute` works on or stopped at, -1 for none."""
IO_PC: Final = 10
IO_DEPTH: Final = 11
IO_USERSPACE: Final = 12
"""Which userspace action it stopped for."""
IO_LENGTH: Final = 13
"""How many bytes of the packet user space shall see."""
IO_RANDOM: Final = 14
"""State of the generator of sample actions; not zero."""
IO_TRUNCATE: Final = 15
"""Limit of the next output or userspace action, 0 for none."""
IO_NO_PORT_DROPS: Final = 16
"""Counter: outputs to a port that is not there."""
IO_COPY_DROPS: Final = 17
"""Counter: copies that found no memory."""
IO_RECIRC_DROPS: Final = 18
"""Counter: packets that would have been looked up too often."""
IO_ACTION_DROPS: Final = 19
"""Counter: packets that a drop action ended."""
IO_RX_LENGTH: Final = 20
"""Scratch: a length that a system call gave."""
IO_KEYS: Final = 21
"""Index in the arena of the key of row 0; the keys of the others follow."""
IO_RECIRC_TAKEN: Final = 22
"""How many of the rows that wait for recirculation were taken."""
IO_META: Final = 32
IO_STACK: Final = IO_META + ROWS * META_WORDS
STACK_WORDS: Final = 3
IO_RECIRC: Final = IO_STACK + MAX_DEPTH * STACK_WORDS
IO_PENDING: Final = IO_RECIRC + SPARE_ROWS + BATCH
PENDING_WORDS: Final = 2
"""Of an entry: the row, and the next entry of the same queue."""
IO_DIRTY: Final = IO_PENDING + PENDING * PENDING_WORDS
IO_IOV: Final = IO_DIRTY + PENDING
"""``struct iovec`` times PENDING."""
IO_MSG: Final = IO_IOV + 2 * PENDING
"""``struct mmsghdr`` times PENDING, each pointing at its iovec."""
IO_WORDS: Final = IO_MSG + 8 * PENDING
"""Size of the I/O area."""

# -- queue rows --------------------------------------------------------------------------------------------------------

QUEUE_WORDS: Final = 16
"""Words that a device may give."""
QUEUE_ROW: Final = 40
"""Words of a queue row: the device's, then these."""
QUEUE_KIND: Final = 16
QUEUE_TX_FIRST: Final = 17
"""First pending entry, PENDING when there is none."""
QUEUE_TX_LAST: Final = 18
QUEUE_TX_COUNT: Final = 19
QUEUE_RX_POSITION: Final = 20
"""Where the next packet is: ring frame (packet socket), number of the packet (replay)."""
QUEUE_RX_LOSING: Final = 21
"""1 once the kernel said that it had to drop packets for want of room in the ring."""
QUEUE_RX_PACKETS: Final = 24
QUEUE_RX_BYTES: Final = 25
QUEUE_RX_DROPS: Final = 26
"""Packets that were there but could not be taken: cut short by a full socket, longer than BIG_ROOM."""
QUEUE_TX_PACKETS: Final = 27
QUEUE_TX_BYTES: Final = 28
QUEUE_TX_DROPS: Final = 29
"""No room at the device, or the device is down or gone."""
QUEUE_TX_ERRORS: Final = 30
"""Packets the device refused (too long, bad header)."""
QUEUE_RX_ERRNO: Final = 31
"""The last unexpected errno of a receive call, 0 when there was none."""
QUEUE_TX_ERRNO: Final = 32

# Words of each kind.
PACKET_FD: Final = 0
PACKET_RING: Final = 1
"""Address of the TPACKET_V2 receive ring."""
PACKET_FRAME_BYTES: Final = 2
PACKET_FRAMES: Final = 3

TAP_FD: Final = 0

REPLAY_DATA: Final = 0
"""Address of the frames; each is followed by at least 64 readable bytes."""
REPLAY_INDEX: Final = 1
"""Address of (offset, length) pairs of 64-bit words."""
REPLAY_COUNT: Final = 2
REPLAY_ENDLESS: Final = 3

RING_RX: Final = 0
"""Address of the memory ring that gives packets (layout: `jit_ring`)."""
RING_TX: Final = 1
RING_RX_FD: Final = 2
"""eventfd the other end writes when the receive ring was empty; -1 for none."""
RING_TX_FD: Final = 3
"""eventfd to write when the send ring was empty; -1 for none."""


def init_io_area(arena: Arena, io: int, buffers: Bytes, seed: int = 1) -> None:
    """Fill an I/O area at index `io` of an arena for a packet memory of BUFFER_BYTES.

    Args:
        arena: words of a polling thread; must not move afterwards, since addresses into it are noted.
        io: first word of the area, which is IO_WORDS long.
        buffers: the packet memory.
        seed: of the generator behind sample actions.

    Raises:
        ValueError: an array is too short.
    """
    if len(buffers) < BUFFER_BYTES or len(arena) < io + IO_WORDS:
        raise ValueError(f"need {BUFFER_BYTES} bytes and {IO_WORDS} words from index {io} on")
    arena[io : io + IO_WORDS] = 0
    arena[io + IO_BUFFERS] = buffers.ctypes.data
    arena[io + IO_ROW] = -1
    arena[io + IO_RANDOM] = (seed & 0x7FFF_FFFF_FFFF_FFFF) or 1
    for row in range(ROWS):
        meta = io + IO_META + row * META_WORDS
        arena[meta + META_START] = row * ROW_BYTES
        arena[meta + META_END] = (row + 1) * ROW_BYTES
        arena[meta + META_OFFSET] = row * ROW_BYTES + HEADROOM
        arena[meta + META_L3] = arena[meta + META_L4] = -1
    for i in range(PENDING):
        message = io + IO_MSG + 8 * i
        arena[message + 2] = arena.ctypes.data + 8 * (io + IO_IOV + 2 * i)
        arena[message + 3] = 1


def init_queue_row(arena: Arena, q: int, queue: CompiledQueue) -> None:
    """Fill the queue row at index `q` of an arena for a device's queue.

    Raises:
        ValueError: the queue has more than QUEUE_WORDS words.
    """
    if len(queue.words) > QUEUE_WORDS:
        raise ValueError(f"a queue has {len(queue.words)} words (expected at most {QUEUE_WORDS})")
    arena[q : q + QUEUE_ROW] = 0
    arena[q : q + len(queue.words)] = queue.words
    arena[q + QUEUE_KIND] = int(queue.kind)
    arena[q + QUEUE_TX_FIRST] = PENDING


def null_queue() -> CompiledQueue:
    """A queue that gives nothing and swallows everything."""
    return CompiledQueue(QueueKind.NULL, ())


def replay_queue(frames: Sequence[bytes], *, endless: bool) -> CompiledQueue:
    """A queue that gives `frames` in order, once or over and over, and swallows what is sent.

    Raises:
        ValueError: there is no frame, or one is longer than BIG_ROOM.
    """
    if not frames:
        raise ValueError("nothing to replay (expected at least one frame)")
    if longest := next((len(frame) for frame in frames if len(frame) > BIG_ROOM), 0):
        raise ValueError(f"a frame of {longest} bytes cannot be replayed (expected at most {BIG_ROOM})")
    starts, total = [], 0
    for frame in frames:
        starts.append(total)
        total += -(-len(frame) // 64) * 64
    data = np.zeros(total + 64, np.uint8)
    for start, frame in zip(starts, frames, strict=True):
        data[start : start + len(frame)] = np.frombuffer(frame, np.uint8)
    index = np.array([(start, len(frame)) for start, frame in zip(starts, frames, strict=True)], np.int64)
    owner: tuple[Any, ...] = (data, index)
    words = (data.ctypes.data, index.ctypes.data, len(frames), int(endless))
    return CompiledQueue(QueueKind.REPLAY, words, owner=owner)
