"""What happens to packets that are in hand: look up, count, act; up to the main thread where nothing fits."""

from __future__ import annotations

from typing import Any, Final

from numba import njit

from jackfield.dpif.userspace import actions_code
from jackfield.dpif.userspace.jit_actions import UPCALL, execute, next_recirc, resume
from jackfield.dpif.userspace.jit_intrinsics import prefetch
from jackfield.dpif.userspace.jit_lookup import cache_insert, cache_probe, cache_set, connection_hash, fits, lookup
from jackfield.dpif.userspace.jit_parse import FIRST_WIDE_WORD, LAST_WIDE_WORD, parse
from jackfield.dpif.userspace.jit_upcall import upcall
from jackfield.dpif.userspace.state import (
    BASE,
    F_BYTES,
    F_PACKETS,
    F_PROGRAM,
    F_TCP_FLAGS,
    F_USED,
    IO,
    KEY_WORDS,
    KEYS,
    KEYS_DIRTY,
    MAX_PORTS,
    META_FLOW,
    META_HASH,
    META_PORT,
    N_CACHE_HIT,
    N_HIT,
    N_MISS,
    NOW,
    P_NUMBER,
    PORT_MAP,
)
from jackfield.netdev.compiled import (
    BATCH,
    IO_LENGTH,
    IO_META,
    IO_RECIRC_USED,
    IO_ROW,
    IO_USERSPACE,
    META_LENGTH,
    META_RECIRCULATIONS,
    META_WORDS,
)
from jackfield.netdev.jit_io import tx

_OUTPUT: Final = actions_code.OP_OUTPUT
_END: Final = actions_code.OP_END
FLAGS_WORD: Final = 5
_FIRST_METADATA: Final = 7
TCP_FLAGS: Final = 0xFFF


@njit(nogil=True, error_model="numpy", _nrt=False)
def act(a: Any, buffers: Any, row: int, program: int, port: int) -> None:
    """Run a program on a packet, user space actions included."""
    status = execute(a, buffers, IO, row, program)
    while status == UPCALL:
        upcall(a, buffers, a[IO + IO_ROW], port, 1 + a[IO + IO_USERSPACE], a[IO + IO_LENGTH])
        status = resume(a, buffers, IO)
    # Taking off a tag may show headers that were not parsed before.
    key = KEYS + row * KEY_WORDS
    used = 0
    for i in range(FIRST_WIDE_WORD, LAST_WIDE_WORD + 1):
        used |= a[key + i]
    if used != 0:
        a[KEYS_DIRTY] = 1


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def count(a: Any, flow: int, length: int, tcp_flags: int) -> None:
    """Count a packet for a megaflow."""
    a[flow + F_PACKETS] += 1
    a[flow + F_BYTES] += length
    a[flow + F_USED] = a[NOW]
    a[flow + F_TCP_FLAGS] |= tcp_flags


@njit(nogil=True, error_model="numpy", _nrt=False, forceinline=True)
def forward_one(a: Any, buffers: Any, row: int, flow: int, port: int) -> None:
    """Act on a packet whose hash is known; `flow` is what the cache suggests."""
    meta = IO + IO_META + row * META_WORDS
    key = KEYS + row * KEY_WORDS
    if flow != 0 and fits(a, flow, key):
        a[N_CACHE_HIT] += 1
    else:
        flow = lookup(a, key)
        if flow == 0:
            a[N_MISS] += 1
            upcall(a, buffers, row, port, 0, a[meta + META_LENGTH])
            return
        cache_insert(a, a[meta + META_HASH], flow)
    a[N_HIT] += 1
    count(a, flow, a[meta + META_LENGTH], a[key + FLAGS_WORD] & TCP_FLAGS)
    program = a[flow + F_PROGRAM]
    # Most flows send the packet to one port as it is.
    if a[program] == _OUTPUT and a[program + 2] == _END and 0 <= a[program + 1] < MAX_PORTS:
        queue = a[PORT_MAP + a[program + 1]]
        if queue != 0:
            tx(a, buffers, IO, queue, row)
            return
    act(a, buffers, row, program, port)


@njit(nogil=True, error_model="numpy", _nrt=False)
def forward_batch(a: Any, buffers: Any, n: int, port: int) -> None:
    """Forward the packets of rows 0 to n - 1, which came in on `port`."""
    number = a[port + P_NUMBER]
    base = a[BASE]
    if a[KEYS_DIRTY]:
        clean_keys(a)
    dirty = 0
    for row in range(n):
        meta = IO + IO_META + row * META_WORDS
        key = KEYS + row * KEY_WORDS
        a[meta + META_RECIRCULATIONS] = 0
        a[meta + META_PORT] = port
        a[key] = number
        for i in range(_FIRST_METADATA, FIRST_WIDE_WORD):
            a[key + i] = 0
        wide = parse(a, buffers, IO, row, KEYS + row * KEY_WORDS)
        dirty |= wide
        h = connection_hash(a, key, wide)
        a[meta + META_HASH] = h
        prefetch(base + 8 * cache_set(a, h))
    a[KEYS_DIRTY] |= dirty
    for row in range(n):
        meta = IO + IO_META + row * META_WORDS
        flow = cache_probe(a, a[meta + META_HASH])
        a[meta + META_FLOW] = flow
        prefetch(base + 8 * flow)
    for row in range(n):
        forward_one(a, buffers, row, a[IO + IO_META + row * META_WORDS + META_FLOW], port)
    if a[IO + IO_RECIRC_USED]:
        forward_again(a, buffers)


@njit(nogil=True, error_model="numpy", _nrt=False)
def clean_keys(a: Any) -> None:
    """Zero the words of all rows' keys that only some packets use, as `parse` wants to find them."""
    for row in range(BATCH):
        key = KEYS + row * KEY_WORDS
        for i in range(FIRST_WIDE_WORD, KEY_WORDS):
            a[key + i] = 0
    a[KEYS_DIRTY] = 0


@njit(nogil=True, error_model="numpy", _nrt=False)
def parse_again(a: Any, buffers: Any, row: int) -> Any:
    """Parse a packet whose key is in use already: its metadata stays."""
    key = KEYS + row * KEY_WORDS
    for i in range(FIRST_WIDE_WORD, LAST_WIDE_WORD + 1):
        a[key + i] = 0
    wide = parse(a, buffers, IO, row, key)
    if row < BATCH:
        a[KEYS_DIRTY] |= wide
    return wide


@njit(nogil=True, error_model="numpy", _nrt=False)
def forward_again(a: Any, buffers: Any) -> None:
    """Look up what asked to be recirculated, in order, until nothing does any more."""
    row = next_recirc(a, IO)
    while row >= 0:
        meta = IO + IO_META + row * META_WORDS
        key = KEYS + row * KEY_WORDS
        h = connection_hash(a, key, a[key + FIRST_WIDE_WORD] | a[key + FIRST_WIDE_WORD + 2])
        a[meta + META_HASH] = h
        a[KEYS_DIRTY] = 1
        forward_one(a, buffers, row, cache_probe(a, h), a[meta + META_PORT])
        row = next_recirc(a, IO)
