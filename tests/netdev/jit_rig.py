"""One thread's memory and the compiled entry points that tests call, for tests of kernels.

Kernels are compiled once for all tests and kept in the same folder as the datapath's own.
"""

import os
import sys

from jackfield.dpif.userspace import warm

os.environ["NUMBA_CACHE_DIR"] = str(warm.cache_folder())
if "numba" in sys.modules:
    sys.modules["numba"].config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]

import numpy as np  # the cache's place must be known first
from numba import njit

from jackfield.dpif.userspace import jit_actions, jit_parse
from jackfield.flow.fields import DATAPATH_WORDS
from jackfield.netdev import compiled as c
from jackfield.netdev import jit_checksum, jit_io, jit_memory, jit_rows, jit_segment
from jackfield.netdev.provider import CompiledQueue

IO = 64
KEYS = IO + c.IO_WORDS
PORTS = KEYS + c.ROWS * DATAPATH_WORDS
N_PORTS = 16
QUEUES = PORTS + N_PORTS
CODE = QUEUES + N_PORTS * c.QUEUE_ROW
WORDS = CODE + 4096


@njit(cache=True, _nrt=False)
def rx(arena, buffers, io, q, limit):
    return jit_io.rx(arena, buffers, io, q, limit)


@njit(cache=True, _nrt=False)
def tx(arena, buffers, io, q, row):
    jit_io.tx(arena, buffers, io, q, row)


@njit(cache=True, _nrt=False)
def tx_flush(arena, buffers, io):
    jit_io.tx_flush(arena, buffers, io)


@njit(cache=True, _nrt=False)
def parse(arena, buffers, io, row, key):
    return jit_parse.parse(arena, buffers, io, row, key)


@njit(cache=True, _nrt=False)
def execute(arena, buffers, io, row, pc):
    return jit_actions.execute(arena, buffers, io, row, pc)


@njit(cache=True, _nrt=False)
def resume(arena, buffers, io):
    return jit_actions.resume(arena, buffers, io)


@njit(cache=True, _nrt=False)
def next_recirc(arena, io):
    return jit_actions.next_recirc(arena, io)


@njit(cache=True, _nrt=False)
def load_row(arena, buffers, io, address, length, vnet, csum_offset):
    return jit_rows.load_row(arena, buffers, io, address, length, vnet, csum_offset)


@njit(cache=True, _nrt=False)
def store_row(arena, buffers, io, row, address, max_length):
    return jit_rows.store_row(arena, buffers, io, row, address, max_length)


@njit(cache=True, _nrt=False)
def copy_row(arena, buffers, io, row):
    return jit_rows.copy_row(arena, buffers, io, row)


@njit(cache=True, _nrt=False)
def insert_tag(arena, buffers, meta, tpid, tci):
    return jit_rows.insert_tag(arena, buffers, meta, tpid, tci)


@njit(cache=True, _nrt=False)
def remove_tag(arena, buffers, meta):
    return jit_rows.remove_tag(arena, buffers, meta)


@njit(cache=True, _nrt=False)
def complete(arena, buffers, meta):
    jit_checksum.complete(arena, buffers, meta)


@njit(cache=True, _nrt=False)
def sum_bytes(buffers, start, length):
    return jit_checksum.sum_bytes(buffers, start, length)


@njit(cache=True, _nrt=False)
def crc32c(buffers, start, length, field):
    return jit_checksum.crc32c(buffers, start, length, field)


@njit(cache=True, _nrt=False)
def segment_layout(arena, buffers, meta):
    return jit_segment.segment_layout(arena, buffers, meta)


@njit(cache=True, _nrt=False)
def segment(arena, buffers, meta, headers, number):
    return jit_segment.segment(arena, buffers, meta, headers, number)


@njit(cache=True, nogil=True, _nrt=False)
def serve(arena, buffers, io, qs, programs, n, pollfds, stop):
    """A switch of `n` queues at `qs`, until the word at address `stop` is set.

    Args:
        programs: index of `n` words, the places of the programs for each queue's packets; 0: what comes in by a queue
            goes out by the next.
        pollfds: address of `n` ``struct pollfd``.
    """
    idle = 0
    while jit_memory.load_acquire64(stop) == 0:
        total = 0
        for i in range(n):
            q = qs + i * c.QUEUE_ROW
            got = jit_io.rx(arena, buffers, io, q, c.BATCH)
            total += got
            for row in range(got):
                if programs == 0:
                    jit_io.tx(arena, buffers, io, qs + (i + 1) % n * c.QUEUE_ROW, row)
                    continue
                key = arena[io + c.IO_KEYS] + row * DATAPATH_WORDS
                for word in range(DATAPATH_WORDS):
                    arena[key + word] = 0
                jit_parse.parse(arena, buffers, io, row, key)
                jit_actions.execute(arena, buffers, io, row, arena[programs + i])
            jit_io.tx_flush(arena, buffers, io)
        idle = 0 if total else idle + 1
        if idle > 20:
            jit_memory.poll(pollfds, n, 100)
            idle = 0


class Rig:
    """The memory of one polling thread: an arena with an I/O area, queue rows, keys, a port table; packet memory."""

    def __init__(self) -> None:
        self.arena = np.zeros(WORDS, np.int64)
        self.buffers = np.zeros(c.BUFFER_BYTES, np.uint8)
        c.init_io_area(self.arena, IO, self.buffers, seed=12345)
        self.arena[IO + c.IO_KEYS] = KEYS
        self.arena[IO + c.IO_PORTS] = PORTS
        self.arena[IO + c.IO_PORT_COUNT] = N_PORTS
        self._alive = []

    def add(self, number: int, queue: CompiledQueue) -> int:
        """Make a queue the port of a number; index of its row."""
        q = QUEUES + number * c.QUEUE_ROW
        c.init_queue_row(self.arena, q, queue)
        self.arena[PORTS + number] = q
        self._alive.append(queue)
        return q

    def meta(self, row: int) -> int:
        return IO + c.IO_META + row * c.META_WORDS

    def put(self, packet: bytes, vnet: int = 0, csum_offset: int = 0) -> int:
        """Load a packet into a spare row and parse it."""
        padded = np.frombuffer(packet.ljust(64, b"\0"), np.uint8)
        row = load_row(self.arena, self.buffers, IO, padded.ctypes.data, len(packet), vnet, csum_offset)
        if row >= 0:
            key = KEYS + row * DATAPATH_WORDS
            self.arena[key : key + DATAPATH_WORDS] = 0
            parse(self.arena, self.buffers, IO, row, key)
        return row

    def packet(self, row: int) -> bytes:
        start = self.arena[self.meta(row) + c.META_OFFSET]
        return self.buffers[start : start + self.arena[self.meta(row) + c.META_LENGTH]].tobytes()

    def vnet(self, row: int) -> tuple[int, int]:
        meta = self.meta(row)
        return int(self.arena[meta + c.META_VNET]), int(self.arena[meta + c.META_CSUM_OFFSET])

    def key(self, row: int) -> int:
        key = KEYS + row * DATAPATH_WORDS
        return int.from_bytes(self.arena[key : key + DATAPATH_WORDS].tobytes(), "little")

    def set_key(self, row: int, value: int) -> None:
        key = KEYS + row * DATAPATH_WORDS
        self.arena[key : key + DATAPATH_WORDS] = np.frombuffer(value.to_bytes(8 * DATAPATH_WORDS, "little"), np.int64)

    def flush(self) -> None:
        tx_flush(self.arena, self.buffers, IO)

    def counter(self, q: int, word: int) -> int:
        return int(self.arena[q + word])
