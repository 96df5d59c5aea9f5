"""The interpreter of action programs, compiled.

The program's form is in `actions_code`, the plain twin in `rewrite`. `execute` runs a program on a row and gives the
packet to the outputs' queues (`jit_io.tx`). Compiled code cannot call the datapath back: at a userspace action it
returns UPCALL, and `resume` goes on behind it. Packets to be looked up again wait in a list that `next_recirc` empties.
Samples and clones keep what they return to on a small stack in the I/O area, so that an interruption may come anywhere.
"""

from __future__ import annotations

from typing import Any, Final

from numba import njit

from jackfield.dpif.userspace import actions_code as code
from jackfield.dpif.userspace.jit_parse import (
    DATAPATH_WORDS,
    FIRST_WIDE_WORD,
    LAST_WIDE_WORD,
    W_ADDRESS,
    W_NW,
    W_V6_SRC,
    parse,
)
from jackfield.dpif.userspace.jit_set import set_word
from jackfield.flow import fields as f
from jackfield.netdev.compiled import (
    IO_ACTION_DROPS,
    IO_COPY_DROPS,
    IO_DEPTH,
    IO_KEYS,
    IO_LENGTH,
    IO_META,
    IO_NO_PORT_DROPS,
    IO_PC,
    IO_PORT_COUNT,
    IO_PORTS,
    IO_RANDOM,
    IO_RECIRC,
    IO_RECIRC_DROPS,
    IO_RECIRC_TAKEN,
    IO_RECIRC_USED,
    IO_ROW,
    IO_STACK,
    IO_TRUNCATE,
    IO_USERSPACE,
    MAX_DEPTH,
    MAX_RECIRCULATIONS,
    META_LENGTH,
    META_RECIRCULATIONS,
    META_VNET,
    META_WORDS,
    STACK_WORDS,
)
from jackfield.netdev.jit_checksum import complete
from jackfield.netdev.jit_io import tx, tx_flush
from jackfield.netdev.jit_rows import copy_row, insert_tag, remove_tag

DONE: Final = 0
UPCALL: Final = 1

_END: Final = code.OP_END
_OUTPUT: Final = code.OP_OUTPUT
_OUTPUT_COPY: Final = code.OP_OUTPUT_COPY
_USERSPACE: Final = code.OP_USERSPACE
_SET: Final = code.OP_SET
_PUSH_VLAN: Final = code.OP_PUSH_VLAN
_POP_VLAN: Final = code.OP_POP_VLAN
_TRUNCATE: Final = code.OP_TRUNCATE
_HASH: Final = code.OP_HASH
_RECIRC: Final = code.OP_RECIRC
_RECIRC_LAST: Final = code.OP_RECIRC_LAST
_BLOCK: Final = code.OP_BLOCK
_EVERY: Final = code.EVERY
_MULTIPLIER: Final = code.HASH_MULTIPLIER
_NW_HASHED: Final = code.signed((f.NW_PROTO.mask | f.TP_SRC.mask | f.TP_DST.mask) >> 64 * f.TP_SRC.word)
_W_RECIRC: Final = f.RECIRC_ID.word
_RECIRC_SHIFT: Final = f.RECIRC_ID.shift
_W_DP_HASH: Final = f.DP_HASH.word
_LOW32: Final = 0xFFFF_FFFF


@njit(nogil=True, error_model="numpy", _nrt=False)
def execute(arena: Any, buffers: Any, io: int, row: int, pc: int) -> Any:
    """Run a program on a packet that has been parsed.

    Args:
        arena: int64; holds the I/O area at `io`, the program, the port table, the queue rows and the keys.
        buffers: uint8, the packet memory.
        io: see `jackfield.netdev.compiled`.
        row: the packet. Its bytes and key may be changed, and belong to `tx_flush` from then on.
        pc: index of the program.

    Returns:
        DONE, or UPCALL: user space shall see the first IO_LENGTH bytes of row IO_ROW as it is now, for the action
        numbered IO_USERSPACE; then `resume` must be called.
    """
    arena[io + IO_DEPTH] = 0
    arena[io + IO_TRUNCATE] = 0
    return _run(arena, buffers, io, row, pc)


@njit(nogil=True, error_model="numpy", _nrt=False)
def resume(arena: Any, buffers: Any, io: int) -> Any:
    """Go on behind the userspace action at which `execute` or `resume` stopped; as `execute`."""
    return _run(arena, buffers, io, arena[io + IO_ROW], arena[io + IO_PC])


@njit(nogil=True, error_model="numpy", _nrt=False)
def next_recirc(arena: Any, io: int) -> Any:
    """The next row to be looked up again, -1 when there is none.

    The row's key is current: `recirc_id` is set and the packet has been parsed anew.
    """
    taken = arena[io + IO_RECIRC_TAKEN]
    if taken == arena[io + IO_RECIRC_USED]:
        arena[io + IO_RECIRC_TAKEN] = 0
        arena[io + IO_RECIRC_USED] = 0
        return -1
    arena[io + IO_RECIRC_TAKEN] = taken + 1
    return arena[io + IO_RECIRC + taken]


@njit(nogil=True, error_model="numpy", _nrt=False)
def _run(arena: Any, buffers: Any, io: int, row: int, pc: int) -> Any:
    arena[io + IO_ROW] = row
    while True:
        operation = arena[pc]
        if operation == _OUTPUT:
            if arena[io + IO_TRUNCATE]:
                _output_copy(arena, buffers, io, row, arena[pc + 1])
            else:
                _output(arena, buffers, io, row, arena[pc + 1])
            pc += 2
        elif operation == _END:
            depth = arena[io + IO_DEPTH]
            if depth == 0:
                arena[io + IO_ROW] = -1
                return DONE
            frame = io + IO_STACK + (depth - 1) * STACK_WORDS
            row = arena[frame]
            pc = arena[frame + 1]
            arena[io + IO_TRUNCATE] = arena[frame + 2]
            arena[io + IO_DEPTH] = depth - 1
            arena[io + IO_ROW] = row
        elif operation == _SET:
            meta = io + IO_META + row * META_WORDS
            key = arena[io + IO_KEYS] + row * DATAPATH_WORDS
            set_word(arena, buffers, meta, key, arena[pc + 1], arena[pc + 2], arena[pc + 3])
            pc += 4
        elif operation == _OUTPUT_COPY:
            _output_copy(arena, buffers, io, row, arena[pc + 1])
            pc += 2
        elif operation == _USERSPACE:
            length = arena[io + IO_META + row * META_WORDS + META_LENGTH]
            limit = arena[io + IO_TRUNCATE]
            arena[io + IO_LENGTH] = min(length, limit) if limit else length
            arena[io + IO_TRUNCATE] = 0
            arena[io + IO_USERSPACE] = arena[pc + 1]
            arena[io + IO_PC] = pc + 2
            return UPCALL
        elif operation == _BLOCK:
            row, pc = _enter(arena, buffers, io, row, pc)
        elif operation == _PUSH_VLAN:
            _push_vlan(arena, buffers, io, row, arena[pc + 1], arena[pc + 2])
            pc += 3
        elif operation == _POP_VLAN:
            meta = io + IO_META + row * META_WORDS
            if remove_tag(arena, buffers, meta):
                _parse_again(arena, buffers, io, row)
            pc += 1
        elif operation == _TRUNCATE:
            arena[io + IO_TRUNCATE] = arena[pc + 1]
            pc += 2
        elif operation == _HASH:
            _hash(arena, arena[io + IO_KEYS] + row * DATAPATH_WORDS, arena[pc + 1])
            pc += 2
        elif operation == _RECIRC or operation == _RECIRC_LAST:
            _recirculate(arena, buffers, io, row, arena[pc + 1], operation == _RECIRC)
            pc += 2
        else:
            arena[io + IO_ACTION_DROPS] += 1
            pc += 2


@njit(nogil=True, error_model="numpy", _nrt=False)
def _output(arena: Any, buffers: Any, io: int, row: int, port: int) -> None:
    if 0 <= port < arena[io + IO_PORT_COUNT]:
        q = arena[arena[io + IO_PORTS] + port]
        if q:
            tx(arena, buffers, io, q, row)
            return
    arena[io + IO_NO_PORT_DROPS] += 1


@njit(nogil=True, error_model="numpy", _nrt=False)
def _copy(arena: Any, buffers: Any, io: int, row: int) -> Any:
    """A copy of a row with its key; -1, counted, when there is no memory even after what is pending was sent."""
    copy = copy_row(arena, buffers, io, row)
    if copy < 0:
        tx_flush(arena, buffers, io)
        copy = copy_row(arena, buffers, io, row)
        if copy < 0:
            arena[io + IO_COPY_DROPS] += 1
            return -1
    keys = arena[io + IO_KEYS]
    for word in range(DATAPATH_WORDS):
        arena[keys + copy * DATAPATH_WORDS + word] = arena[keys + row * DATAPATH_WORDS + word]
    return copy


@njit(nogil=True, error_model="numpy", _nrt=False)
def _output_copy(arena: Any, buffers: Any, io: int, row: int, port: int) -> None:
    """Send a copy, cut short where the truncation that is due says so."""
    limit = arena[io + IO_TRUNCATE]
    arena[io + IO_TRUNCATE] = 0
    copy = _copy(arena, buffers, io, row)
    if copy < 0:
        return
    meta = io + IO_META + copy * META_WORDS
    if limit and arena[meta + META_LENGTH] > limit:
        # What a checksum covers is gone afterwards, and a part of a large segment is none any more.
        if arena[meta + META_VNET]:
            complete(arena, buffers, meta)
        arena[meta + META_LENGTH] = limit
    _output(arena, buffers, io, copy, port)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _enter(arena: Any, buffers: Any, io: int, row: int, pc: int) -> tuple[int, int]:
    """Begin the body of a sample or clone, or pass it by; the row and pc to go on with."""
    probability = arena[pc + 1]
    after = pc + 4 + arena[pc + 3]
    if probability != _EVERY:
        x = arena[io + IO_RANDOM]
        x ^= x << 13
        x ^= (x >> 7) & 0x01FF_FFFF_FFFF_FFFF
        x ^= x << 17
        arena[io + IO_RANDOM] = x
        if (x >> 16) & _LOW32 >= probability:
            return row, after
    depth = arena[io + IO_DEPTH]
    if depth == MAX_DEPTH:
        arena[io + IO_COPY_DROPS] += 1
        return row, after
    inner = row
    if arena[pc + 2]:
        inner = _copy(arena, buffers, io, row)
        if inner < 0:
            return row, after
    frame = io + IO_STACK + depth * STACK_WORDS
    arena[frame] = row
    arena[frame + 1] = after
    arena[frame + 2] = arena[io + IO_TRUNCATE]
    arena[io + IO_DEPTH] = depth + 1
    arena[io + IO_ROW] = inner
    return inner, pc + 4


@njit(nogil=True, error_model="numpy", _nrt=False)
def _push_vlan(arena: Any, buffers: Any, io: int, row: int, tpid: int, tci: int) -> None:
    if insert_tag(arena, buffers, io + IO_META + row * META_WORDS, tpid, tci & 0xEFFF):
        _parse_again(arena, buffers, io, row)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _parse_again(arena: Any, buffers: Any, io: int, row: int) -> None:
    key = arena[io + IO_KEYS] + row * DATAPATH_WORDS
    for word in range(FIRST_WIDE_WORD, LAST_WIDE_WORD + 1):
        arena[key + word] = 0
    parse(arena, buffers, io, row, key)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _hash(arena: Any, key: int, basis: int) -> None:
    """Set dp_hash to a hash of addresses, protocol and ports (actions_code.hash_l4 is the twin)."""
    value = basis ^ (arena[key + W_NW] & _NW_HASHED)
    value = _mix(value)
    value = _mix(value ^ arena[key + W_ADDRESS])
    for word in range(W_V6_SRC, W_V6_SRC + 4):
        value = _mix(value ^ arena[key + word])
    value &= _LOW32
    arena[key + _W_DP_HASH] = (arena[key + _W_DP_HASH] & ~_LOW32) | (value or 1)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _mix(value: int) -> Any:
    value *= _MULTIPLIER
    return value ^ (value >> 29 & 0x7_FFFF_FFFF)


@njit(nogil=True, error_model="numpy", _nrt=False)
def _recirculate(arena: Any, buffers: Any, io: int, row: int, recirc_id: int, copies: bool) -> None:
    if arena[io + IO_META + row * META_WORDS + META_RECIRCULATIONS] >= MAX_RECIRCULATIONS:
        arena[io + IO_RECIRC_DROPS] += 1
        return
    if copies:
        row = _copy(arena, buffers, io, row)
        if row < 0:
            return
    _parse_again(arena, buffers, io, row)
    key = arena[io + IO_KEYS] + row * DATAPATH_WORDS
    arena[key + _W_RECIRC] = (arena[key + _W_RECIRC] & ~(_LOW32 << _RECIRC_SHIFT)) | recirc_id << _RECIRC_SHIFT
    arena[io + IO_META + row * META_WORDS + META_RECIRCULATIONS] += 1
    arena[io + IO_RECIRC + arena[io + IO_RECIRC_USED]] = row
    arena[io + IO_RECIRC_USED] += 1
