"""A ring of packets in memory: one thread puts, one takes, neither waits.

It carries packets between compiled code and a device in plain Python. Any number of polling threads may put into one
ring (they take turns by a lock word); one side takes.

Layout, in bytes: at 0 how much was ever put (`_HEAD`), at 64 how much was ever taken (`_TAIL`), at 128 whether the
eventfd was written and not yet read (`_SIGNALLED`), at 192 the lock, at 200 the capacity, from 256 on the packets: each
an int64 length, then the bytes, in pieces of eight and at least 64 of them, so that short packets can be copied as 64
bytes. A packet never wraps: a length of -1 says that the next one is at the beginning. Head and tail are stored with
release and loaded with acquire order.
"""

from __future__ import annotations

import mmap
import os
from typing import Any, Final

import numpy as np
from numba import njit

from jackfield.netdev.compiled import BIG_ROOM
from jackfield.netdev.jit_memory import (
    copy_packet,
    eventfd_write,
    exchange64,
    load_acquire64,
    peek64,
    poke64,
    read,
    sched_yield,
    store_release64,
)
from jackfield.netdev.provider import CompiledQueue, QueueKind

_HEAD: Final = 0
_TAIL: Final = 64
_SIGNALLED: Final = 128
_LOCK: Final = 192
_CAPACITY: Final = 200
_DATA: Final = 256


@njit(nogil=True, error_model="numpy", _nrt=False)
def ring_lock(ring: int) -> None:
    """Wait for one's turn to put."""
    while exchange64(ring + _LOCK, 1):
        sched_yield()


@njit(nogil=True, error_model="numpy", _nrt=False)
def ring_unlock(ring: int) -> None:
    """End one's turn."""
    store_release64(ring + _LOCK, 0)


@njit(nogil=True, error_model="numpy", _nrt=False)
def ring_put(ring: int, source: int, length: int) -> Any:
    """Put a packet of `length` bytes (64 must be readable at `source`); False when there is no room."""
    capacity = peek64(ring + _CAPACITY)
    head = peek64(ring + _HEAD)
    free = capacity - (head - load_acquire64(ring + _TAIL))
    size = 8 + (max(length, 64) + 7) // 8 * 8
    place = head & (capacity - 1)
    rest = capacity - place
    if rest < size:
        if free < rest + size:
            return False
        poke64(ring + _DATA + place, -1)
        head += rest
        place = 0
    elif free < size:
        return False
    poke64(ring + _DATA + place, length)
    copy_packet(ring + _DATA + place + 8, source, length)
    store_release64(ring + _HEAD, head + size)
    return True


@njit(nogil=True, error_model="numpy", _nrt=False)
def ring_next(ring: int) -> Any:
    """Address of the length word of the oldest packet, 0 when there is none."""
    tail = peek64(ring + _TAIL)
    if load_acquire64(ring + _HEAD) == tail:
        return 0
    capacity = peek64(ring + _CAPACITY)
    place = tail & (capacity - 1)
    if peek64(ring + _DATA + place) == -1:
        store_release64(ring + _TAIL, tail + capacity - place)
        place = 0
    return ring + _DATA + place


@njit(nogil=True, error_model="numpy", _nrt=False)
def ring_drop(ring: int) -> None:
    """Give back the place of the oldest packet (`ring_next` was called)."""
    tail = peek64(ring + _TAIL)
    length = peek64(ring + _DATA + (tail & (peek64(ring + _CAPACITY) - 1)))
    store_release64(ring + _TAIL, tail + 8 + (max(length, 64) + 7) // 8 * 8)


@njit(nogil=True, error_model="numpy", _nrt=False)
def ring_signal(ring: int, fd: int) -> None:
    """Wake the taker after packets were put, unless it was woken and has not looked yet."""
    if fd >= 0 and exchange64(ring + _SIGNALLED, 1) == 0:
        eventfd_write(fd, np.uint64(1))


@njit(nogil=True, error_model="numpy", _nrt=False)
def ring_settle(ring: int, fd: int, scratch: int) -> Any:
    """For a taker that found nothing: clear the signal, and say whether there is something after all.

    Args:
        ring: address of the ring.
        fd: eventfd of the taker, -1 for none.
        scratch: address of 8 bytes to write.
    """
    # The putter notes the signal first and writes then: as long as there is nothing to read, the wake-up is to come.
    if fd >= 0 and load_acquire64(ring + _SIGNALLED) and read(fd, scratch, 8) == 8:
        exchange64(ring + _SIGNALLED, 0)
    return load_acquire64(ring + _HEAD) != peek64(ring + _TAIL)


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _push(ring: int, fd: int, source: int, length: int) -> Any:
    """Put one packet and wake the taker; False when there is no room."""
    ring_lock(ring)
    done = ring_put(ring, source, length)
    ring_unlock(ring)
    ring_signal(ring, fd)
    return done


@njit(nogil=True, cache=True, error_model="numpy", _nrt=False)
def _take(ring: int, fd: int, target: int, room: int) -> Any:
    """Copy the oldest packet to an address and give back its place; its length, -1 when there is none."""
    entry = ring_next(ring)
    while entry == 0:
        if not ring_settle(ring, fd, target):
            return -1
        entry = ring_next(ring)
    length = peek64(entry)
    if length <= room:
        copy_packet(target, entry + 8, length)
    ring_drop(ring)
    return length


_frame: Final = np.zeros(BIG_ROOM, np.uint8)
"""Where `MemoryRing.pop` puts a packet before it makes bytes of it."""


class MemoryRing:
    """The Python side of a ring: either end of it. Only one thread of a process may take, from whatever ring.

    Attributes:
        fd: an eventfd that becomes readable when the ring was empty and got something; the taker sleeps on it.
        address: where the ring lies; it does not move.
    """

    def __init__(self, capacity: int = 1 << 20) -> None:
        """Make an empty ring.

        Args:
            capacity: bytes of packets and their lengths that fit, a power of two of at least 128 kB.

        Raises:
            ValueError: the capacity is another.
        """
        if capacity < 2 * BIG_ROOM - 4096 or capacity & (capacity - 1):
            raise ValueError(f"a ring of {capacity} bytes (expected a power of two of at least 131072)")
        # Pages of its own, which cost memory only once they are used.
        self._memory = np.frombuffer(mmap.mmap(-1, _DATA + capacity), np.int64)
        self._memory[_CAPACITY // 8] = capacity
        self.address = int(self._memory.ctypes.data)
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def push(self, frame: bytes) -> bool:
        """Put a packet and wake the taker; False when the ring is full or the packet is too long for any ring."""
        if len(frame) > BIG_ROOM:
            return False
        padded = np.frombuffer(frame if len(frame) >= 64 else frame.ljust(64, b"\0"), np.uint8)
        return bool(_push(self.address, self.fd, padded.ctypes.data, len(frame)))

    def pop(self, limit: int) -> list[bytes]:
        """Take up to `limit` packets; fewer means that the ring is empty and `fd` will tell when it no longer is."""
        frames: list[bytes] = []
        while len(frames) < limit:
            length = _take(self.address, self.fd, _frame.ctypes.data, len(_frame))
            if length < 0:
                break
            frames.append(_frame[:length].tobytes())
        return frames

    def close(self) -> None:
        """Close the eventfd; may be repeated. No other thread may use the ring any more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def memory_ring_queue(to_switch: MemoryRing, from_switch: MemoryRing) -> CompiledQueue:
    """The queue by which compiled code takes packets from `to_switch` and puts packets into `from_switch`."""
    words = (to_switch.address, from_switch.address, to_switch.fd, from_switch.fd)
    return CompiledQueue(QueueKind.MEMORY_RING, words, fd=to_switch.fd, owner=(to_switch, from_switch))
