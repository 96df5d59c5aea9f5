"""What the main thread asks of a polling thread: commands in a ring, done in order.

A command is `CMD_WORDS` words: what (`C_*` in `state`), then its arguments. `CMD_TAIL` says how many are done; it moves
only when what they sent has left, so that who waits for it finds everything in force.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit

from jackfield.dpif.userspace.jit_forward import FLAGS_WORD, TCP_FLAGS, act, count, forward_again, parse_again
from jackfield.dpif.userspace.jit_lookup import grow, link, lookup, unlink
from jackfield.dpif.userspace.jit_upcall import claim_waiting, free_record, take_record, wake_main
from jackfield.dpif.userspace.state import (
    BASE,
    C_AGAIN,
    C_EXECUTE,
    C_LINK,
    C_PORT_SET,
    C_PROGRAM,
    C_REPLY,
    C_RX_ADD,
    C_RX_DEL,
    C_TABLE_ADD,
    C_TABLE_DEL,
    C_TABLE_GROW,
    C_UNLINK,
    CMD_HEAD,
    CMD_RING,
    CMD_SLOTS,
    CMD_TAIL,
    CMD_WORDS,
    F_BYTES,
    F_PACKETS,
    F_PROGRAM,
    F_TCP_FLAGS,
    F_USED,
    IO,
    META_PORT,
    N_HIT,
    N_MASK_HIT,
    N_MISS,
    PORT_MAP,
    RX_COUNT,
    RX_LIST,
    TABLE_COUNT,
    TABLE_LIST,
    U_FRAME_LENGTH,
    U_KEY,
    U_KIND,
    U_PORT,
    U_WORDS,
    UP_HEAD,
    UPCALL_WORDS,
    UPCALLS,
)
from jackfield.netdev.compiled import IO_META, META_WORDS
from jackfield.netdev.jit_io import tx_flush
from jackfield.netdev.jit_memory import load_acquire64, store_release64

_MAX_WAITING: Final = 1024


@njit(nogil=True, error_model="numpy", _nrt=False)
def run_commands(a: Any, buffers: Any) -> Any:
    """Do all commands that wait; how many that were."""
    first = a[CMD_TAIL]
    end = load_acquire64(a[BASE] + 8 * CMD_HEAD)
    if first == end:
        return 0
    for number in range(first, end):
        c = CMD_RING + (number & (CMD_SLOTS - 1)) * CMD_WORDS
        what = a[c]
        if what == C_REPLY or what == C_EXECUTE:
            if a[c + 2] != 0 and a[a[c + 1] + U_KIND] != -1:
                execute_record(a, buffers, a[c + 1], a[c + 2])
            if what == C_REPLY:
                free_record(a, a[c + 1])
        elif what == C_LINK:
            link(a, a[c + 1], a[c + 2])
        elif what == C_AGAIN:
            forward_waiting(a, buffers, a[c + 1])
        elif what == C_UNLINK:
            unlink(a, a[c + 1])
        elif what == C_PROGRAM:
            set_program(a, a[c + 1], a[c + 2], a[c + 3])
        elif what == C_TABLE_GROW:
            grow(a, a[c + 1], a[c + 2], a[c + 3])
        elif what == C_TABLE_ADD:
            a[TABLE_LIST + a[TABLE_COUNT]] = a[c + 1]
            a[TABLE_COUNT] += 1
        elif what == C_TABLE_DEL:
            remove_table(a, a[c + 1])
        elif what == C_PORT_SET:
            a[PORT_MAP + a[c + 1]] = a[c + 2]
        elif what == C_RX_ADD:
            place = RX_LIST + 2 * a[RX_COUNT]
            a[place] = a[c + 1]
            a[place + 1] = a[c + 2]
            a[RX_COUNT] += 1
        elif what == C_RX_DEL:
            remove_rx(a, a[c + 1])
    tx_flush(a, buffers, IO)
    wake_main(a)
    store_release64(a[BASE] + 8 * CMD_TAIL, end)
    return end - first


@njit(nogil=True, error_model="numpy", _nrt=False)
def execute_record(a: Any, buffers: Any, record: int, program: int) -> None:
    """Run a program on the packet of a record."""
    row = take_record(a, buffers, record)
    if row < 0:
        tx_flush(a, buffers, IO)
        row = take_record(a, buffers, record)
    if row >= 0:
        port = a[record + U_PORT]
        a[IO + IO_META + row * META_WORDS + META_PORT] = port
        parse_again(a, buffers, row)
        act(a, buffers, row, program, port)
        forward_again(a, buffers)


@njit(nogil=True, error_model="numpy", _nrt=False)
def forward_waiting(a: Any, buffers: Any, position: int) -> None:
    """Forward what waits in the upcall ring and fits a flow by now, before packets that came later.

    At the first that the main thread has in its hands the rest is left to it: its replies come in order.
    """
    looked = 0
    mask_hits = a[N_MASK_HIT]
    while position < a[UP_HEAD] and looked < _MAX_WAITING:
        record = UPCALLS + (position & (UPCALL_WORDS - 1))
        words = a[record + U_WORDS]
        if words < 0:
            position -= words
            continue
        position += words
        looked += 1
        if a[record + U_KIND] < -1:
            break
        if a[record + U_KIND] == 0:
            flow = lookup(a, record + U_KEY)
            if flow != 0:
                if not claim_waiting(a, record):
                    break
                a[N_MISS] -= 1
                a[N_HIT] += 1
                count(a, flow, a[record + U_FRAME_LENGTH], a[record + U_KEY + FLAGS_WORD] & TCP_FLAGS)
                execute_record(a, buffers, record, a[flow + F_PROGRAM])
    a[N_MASK_HIT] = mask_hits


@njit(nogil=True, error_model="numpy", _nrt=False)
def set_program(a: Any, flow: int, program: int, zero: int) -> None:
    """Give a flow another program, and zero its counters if asked."""
    a[flow + F_PROGRAM] = program
    if zero:
        a[flow + F_PACKETS] = 0
        a[flow + F_BYTES] = 0
        a[flow + F_USED] = 0
        a[flow + F_TCP_FLAGS] = 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def remove_table(a: Any, table: int) -> None:
    """Take a table, which is empty, out of the list; the others keep their order."""
    n = a[TABLE_COUNT] - 1
    place = TABLE_LIST
    while a[place] != table:
        place += 1
    while place < TABLE_LIST + n:
        a[place] = a[place + 1]
        place += 1
    a[TABLE_COUNT] = n


@njit(nogil=True, error_model="numpy", _nrt=False)
def remove_rx(a: Any, queue: int) -> None:
    """Take a receive queue out of the list."""
    last = RX_LIST + 2 * (a[RX_COUNT] - 1)
    place = RX_LIST
    while a[place] != queue:
        place += 2
    a[place] = a[last]
    a[place + 1] = a[last + 1]
    a[RX_COUNT] -= 1
