"""The memory that a polling thread works in: one int64 array, the *arena*, laid out here.

The arena's first words are the thread's state record; fixed regions follow (rings, batches, the cache); the rest is a
heap. All arenas of a datapath have the same layout and the same heap: the main thread allocates an offset once and
writes the same bytes into each. Offsets are in words of eight bytes and count from the arena's start; 0 means "none".

Who writes what: the main thread writes heap blocks before it hands them over with a command, the words marked "main"
below, and nothing else. The polling thread writes the rest. Ring positions (`CMD_HEAD`, `CMD_TAIL`, `UP_HEAD`,
`UP_TAIL`, `STOP`, `SLEEPING`) are published with release stores and read with acquire loads.

Blocks in the heap:

Megaflow (`F_*`)
    `F_TABLE` says in which table it is linked, 0 while it is not; only the polling thread writes it, so a cache entry
    that still points at a flow that has gone, or at a block that is being filled again, finds nothing. For this, blocks
    of flows are never used for anything else. The key's words under the table's mask follow from `F_KEY`, in the
    order of the table's words.
Table (`T_*`)
    All megaflows of one mask: which words of the key count, their masks, and a hash table with open addressing whose
    buckets are ``hash << 32 | flow``, 0 when empty.
Program
    A flow's actions, as `jackfield.dpif.userspace.programs` compiles them for `jit_actions`.
Port (`P_*`)
    What the bound on its upcalls needs.
"""

from __future__ import annotations

import mmap
import secrets
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from jackfield.flow.fields import DATAPATH_WORDS
from jackfield.netdev.compiled import BUFFER_BYTES, IO_KEYS, IO_PORT_COUNT, IO_PORTS, IO_WORDS, ROWS, init_io_area

KEY_WORDS: Final = DATAPATH_WORDS
KEY_BYTES: Final = KEY_WORDS * 8

# -- the state record ----------------------------------------------------------------------------------------------
# Words of 64 bytes each are kept apart where different threads write them.

BASE: Final = 0  #: address of the arena's first word (main)
LOOP: Final = 1  #: 0: one pass, else go on until STOP (main)
CLOCK_GIVEN: Final = 2  #: 1: NOW is set by the main thread (main)
NOW: Final = 3  #: time in ms of the current pass
UP_FD: Final = 4  #: eventfd written when upcalls wait (main)
WAKE_FD: Final = 5  #: eventfd that ends the thread's sleep (main)
EPOLL_FD: Final = 6  #: what the thread sleeps on (main)
SEED0: Final = 7  #: secrets of the hashes (main)
SEED1: Final = 8
SEED2: Final = 9
SEED3: Final = 10
RX_COUNT: Final = 11  #: entries of the list of receive queues
TABLE_COUNT: Final = 12  #: entries of the list of tables
SORT_DUE: Final = 13  #: megaflow lookups left until tables are sorted again
CACHE_MASK: Final = 14  #: sets of the cache - 1 (main)
RX_FIRST: Final = 15  #: where the next pass starts in the list of receive queues
UP_PENDING: Final = 16  #: upcalls written since the eventfd was
KEYS_DIRTY: Final = 17  #: rows' keys are not zero where `parse` wants them to be

STOP: Final = 32  #: 1: leave the loop (main)
CMD_HEAD: Final = 33  #: commands written (main)
UPCALLS_ON: Final = 34  #: 0: what misses is lost (main)

CMD_TAIL: Final = 40  #: commands done
SLEEPING: Final = 41  #: 1: only the eventfd or a port ends the thread's sleep
UP_HEAD: Final = 42  #: words written to the upcall ring
UP_TAIL: Final = 43  #: words of the upcall ring given free

COUNTERS: Final = 48
N_HIT: Final = 48  #: packets that hit a megaflow, by cache or table; a recirculated packet counts each time
N_MISS: Final = 49  #: packets no megaflow fitted
N_LOST: Final = 50  #: packets that should have gone up and could not
N_CACHE_HIT: Final = 51
N_MASK_HIT: Final = 52  #: tables looked at
N_PASSES: Final = 53
N_SLEEPS: Final = 54
N_UPCALLS: Final = 55
COUNTERS_END: Final = 56

# -- fixed regions -------------------------------------------------------------------------------------------------

CMD_WORDS: Final = 8
CMD_SLOTS: Final = 4096
MAX_PORTS: Final = 65536
MAX_RXQS: Final = 16384
MAX_TABLES: Final = 4096
CACHE_WAYS: Final = 4
CACHE_SETS: Final = 32768
EXEC_WORDS: Final = 65536
UPCALL_WORDS: Final = 1 << 19  # 4 MB

CMD_RING: Final = 64
RX_LIST: Final = CMD_RING + CMD_SLOTS * CMD_WORDS  # (queue record, port)
TABLE_LIST: Final = RX_LIST + 2 * MAX_RXQS
PORT_MAP: Final = TABLE_LIST + MAX_TABLES
CACHE: Final = PORT_MAP + MAX_PORTS
KEYS: Final = CACHE + CACHE_SETS * CACHE_WAYS  # of the rows, see jackfield.netdev.compiled
IO: Final = KEYS + ROWS * KEY_WORDS
EPOLL_EVENT: Final = IO + IO_WORDS
TIMESPEC: Final = EPOLL_EVENT + 16
EXEC_RING: Final = (TIMESPEC + 8 + 7) // 8 * 8
UPCALLS: Final = EXEC_RING + EXEC_WORDS
HEAP: Final = (UPCALLS + UPCALL_WORDS + 511) // 512 * 512
HEAP_WORDS: Final = 32 << 20  # 256 MB, of which only what is used is ever touched
ARENA_WORDS: Final = HEAP + HEAP_WORDS

# -- the engine's words in a packet's description (jackfield.netdev.compiled keeps 13 to 15 free) ---------------------

META_HASH: Final = 13
META_FLOW: Final = 14  #: what the cache suggests
META_PORT: Final = 15  #: block of the port it came in on, 0 for none

# -- megaflows, tables, ports --------------------------------------------------------------------------------------

F_TABLE: Final = 0
F_PROGRAM: Final = 1
F_PACKETS: Final = 2
F_BYTES: Final = 3
F_USED: Final = 4
F_TCP_FLAGS: Final = 5
F_HASH: Final = 6
F_KEY: Final = 8

T_WORDS: Final = 0  #: words of the key that count
T_BUCKETS: Final = 1  #: where the buckets are
T_BUCKET_MASK: Final = 2  #: their number - 1
T_COUNT: Final = 3  #: flows in it
T_HITS: Final = 4  #: lately, halved at each sorting
T_PAIRS: Final = 8  #: (word, mask) pairs
TABLE_WORDS: Final = T_PAIRS + 2 * KEY_WORDS

P_NUMBER: Final = 0
P_UP_LIMIT: Final = 1  #: how many upcalls may wait (main)
P_UP_SENT: Final = 2
P_UP_DONE: Final = 3
P_UP_LOST: Final = 4
PORT_WORDS: Final = 8

# -- commands ------------------------------------------------------------------------------------------------------

C_SYNC: Final = 0
C_LINK: Final = 1  #: flow, table
C_UNLINK: Final = 2  #: flow
C_PROGRAM: Final = 3  #: flow, program, 1 to zero the counters
C_TABLE_ADD: Final = 4  #: table
C_TABLE_DEL: Final = 5  #: table
C_TABLE_GROW: Final = 6  #: table, buckets, their number - 1
C_PORT_SET: Final = 7  #: port number, queue row to send on (0: the port goes)
C_RX_ADD: Final = 8  #: queue row, port block
C_RX_DEL: Final = 9  #: queue row
C_REPLY: Final = 10  #: upcall record, program (0: drop the packet)
C_EXECUTE: Final = 11  #: where the packet's block in EXEC_RING begins, program
C_AGAIN: Final = 12  #: position in the upcall ring: misses from there on that fit a flow by now
#: and were not taken by the main thread are forwarded

# -- upcall records ------------------------------------------------------------------------------------------------

# C_EXECUTE finds a record of the same form in EXEC_RING.

U_WORDS: Final = 0  #: length of the record, negative for a gap at the ring's end
U_PORT: Final = 1  #: port block
U_KIND: Final = 2
"""0 a miss, else 1 + the number of the Userspace action. -1: done by C_AGAIN; below that, ``-2 - kind``: the main
thread has taken it. Who wants a record exchanges the word: only one of the two gets it."""
U_LENGTH: Final = 3  #: bytes of the packet in the record
U_FRAME_LENGTH: Final = 4  #: bytes it had
U_VNET: Final = 5  #: two words
U_CSUM: Final = 7  #: where a partial checksum belongs << 16 | what completes it, -1 for a packet without
U_KEY: Final = 8
U_PACKET: Final = U_KEY + KEY_WORDS
U_SLACK: Final = 8
"""Words behind a packet: short ones are copied as 64 bytes."""


class Arena:
    """The memory of one polling thread.

    Attributes:
        array: words, shape (ARENA_WORDS,), int64.
        buffers: packet memory, shape (BUFFER_BYTES,), uint8.
        words, bytes: the same memory as `array`, as views of signed 64-bit words and of bytes.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        memory = mmap.mmap(-1, ARENA_WORDS * 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.bytes = memoryview(memory)
        self.words = self.bytes.cast("q")
        self.array: npt.NDArray[np.int64] = np.frombuffer(memory, np.int64)
        self.buffers: npt.NDArray[np.uint8] = np.zeros(BUFFER_BYTES, np.uint8)
        words = self.words
        words[BASE] = self.array.ctypes.data
        words[SEED0], words[SEED1], words[SEED2], words[SEED3] = seeds
        words[CACHE_MASK] = CACHE_SETS - 1
        words[UP_FD] = words[WAKE_FD] = words[EPOLL_FD] = -1
        init_io_area(self.array, IO, self.buffers, secrets.randbits(62))
        words[IO + IO_KEYS] = KEYS
        words[IO + IO_PORTS] = PORT_MAP
        words[IO + IO_PORT_COUNT] = MAX_PORTS

    def counter(self, which: int) -> int:
        """One of `N_*`."""
        return self.words[which]


def new_seeds() -> tuple[int, ...]:
    """Secrets for the hashes of a datapath."""
    return tuple(secrets.randbits(63) | 1 for _ in range(4))
