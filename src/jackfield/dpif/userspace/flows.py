"""The main thread's side of the megaflow tables: it lays out blocks, the polling threads link them.

`FlowTables` keeps every flow of the datapath by UFID, writes blocks of flows and tables into all arenas, and gives the
commands that put them into force. It never waits: who sends the commands does (`jackfield.dpif.userspace.datapath`).
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from operator import itemgetter
from struct import Struct
from typing import Any, Final

from jackfield.dpif.actions import DpActions
from jackfield.dpif.provider import FlowStats
from jackfield.dpif.userspace.heap import Heap
from jackfield.dpif.userspace.programs import Program, Programs
from jackfield.dpif.userspace.state import (
    C_LINK,
    C_PROGRAM,
    C_TABLE_ADD,
    C_TABLE_DEL,
    C_TABLE_GROW,
    C_UNLINK,
    F_KEY,
    F_PACKETS,
    F_PROGRAM,
    KEY_BYTES,
    KEY_WORDS,
    MAX_TABLES,
    T_BUCKET_MASK,
    T_BUCKETS,
    T_PAIRS,
    T_WORDS,
    TABLE_WORDS,
    Arena,
)

COMMAND: Final = Struct("<8q")
_KEY: Final = Struct(f"<{KEY_WORDS}q")
_STATS: Final = Struct("<4q")
_FIRST_BUCKETS: Final = 16
_U64: Final = (1 << 64) - 1


def command(operation: int, *arguments: int) -> bytes:
    """One command as it stands in the ring."""
    return COMMAND.pack(operation, *arguments, *(0,) * (7 - len(arguments)))


def key_words(key: int) -> tuple[int, ...]:
    """A key's words, signed, as the arena holds them."""
    return _KEY.unpack(key.to_bytes(KEY_BYTES, "little"))


class Table:
    """All flows of one mask."""

    __slots__ = ("bucket_count", "buckets", "count", "mask", "offset", "pack", "pick", "size")

    def __init__(self, mask: int, offset: int, indices: Sequence[int]) -> None:
        self.mask = mask
        self.offset = offset
        self.count = 0
        self.buckets = 0
        self.bucket_count = 0
        # Two indices at least make itemgetter give a tuple; word 0 is in every mask.
        self.pick: Callable[[Sequence[int]], Any] = itemgetter(*indices) if len(indices) > 1 else lambda w: (w[0],)
        self.size = F_KEY + len(indices)
        self.pack = Struct(f"<{self.size - F_PROGRAM}q").pack


class Flow:
    """A megaflow; `offset` is its block's."""

    __slots__ = ("actions", "key", "offset", "program", "table", "ufid")

    def __init__(self, ufid: int, key: int, table: Table, actions: DpActions, offset: int, program: Program) -> None:
        self.ufid = ufid
        self.key = key
        self.table = table
        self.actions = actions
        self.offset = offset
        self.program = program


class FlowTables:
    """The flows of a datapath.

    Args:
        arenas: of all polling threads; the list may change while no thread runs.
        heap: where blocks come from.
        programs: compiles and shares action lists.
    """

    def __init__(self, arenas: list[Arena], heap: Heap, programs: Programs) -> None:
        self._arenas = arenas
        self._heap = heap
        self._programs = programs
        self.flows: dict[int, Flow] = {}
        self.tables: dict[int, Table] = {}

    def put(self, ufid: int, key: int, mask: int, actions: DpActions, commands: list[bytes]) -> Flow:
        """Make a flow that is not there yet; the commands that put it into force are appended.

        Raises:
            OSError: ENOSPC; EINVAL for actions or masks that cannot be.
        """
        program = self._programs.acquire(actions)
        table = self.tables.get(mask)
        if table is None:
            table = self._make_table(mask, commands)
        if 2 * (table.count + 1) > table.bucket_count:
            self._grow(table, commands)
        offset = self._heap.allocate(table.size, "flow")
        block = table.pack(program.offset, 0, 0, 0, 0, 0, 0, *table.pick(key_words(key)))
        at = 8 * (offset + F_PROGRAM)
        end = at + len(block)
        for arena in self._arenas:
            arena.bytes[at:end] = block
        commands.append(COMMAND.pack(C_LINK, offset, table.offset, 0, 0, 0, 0, 0))
        table.count += 1
        flow = self.flows[ufid] = Flow(ufid, key, table, actions, offset, program)
        return flow

    def change(self, flow: Flow, actions: DpActions, *, zero: bool, commands: list[bytes]) -> None:
        """Give a flow other actions; `zero` starts its counters again.

        Raises:
            OSError: ENOSPC, EINVAL.
        """
        old = flow.program
        flow.program = self._programs.acquire(actions)
        flow.actions = actions
        commands.append(command(C_PROGRAM, flow.offset, flow.program.offset, int(zero)))
        self._programs.release(old)

    def remove(self, flow: Flow, commands: list[bytes]) -> None:
        """Unlink a flow; `dispose` is due once every thread has done the command."""
        del self.flows[flow.ufid]
        commands.append(COMMAND.pack(C_UNLINK, flow.offset, 0, 0, 0, 0, 0, 0))
        table = flow.table
        table.count -= 1
        if table.count == 0:
            del self.tables[table.mask]
            commands.append(command(C_TABLE_DEL, table.offset))
            self._heap.retire(table.buckets, table.bucket_count)
            self._heap.retire(table.offset, TABLE_WORDS, "table")

    def dispose(self, flow: Flow) -> None:
        """Give a removed flow's memory back, once its counters have been read."""
        self._heap.retire(flow.offset, flow.table.size, "flow")
        self._programs.release(flow.program)

    def stats(self, flow: Flow) -> FlowStats:
        """A flow's counters, summed over the threads; `used` is in the engine's time."""
        total = FlowStats()
        at = 8 * (flow.offset + F_PACKETS)
        for arena in self._arenas:
            packets, n_bytes, used, tcp_flags = _STATS.unpack_from(arena.bytes, at)
            total.packets += packets
            total.bytes += n_bytes
            total.tcp_flags |= tcp_flags
            total.used = max(total.used, used)
        return total

    def clear_stats(self, arena: Arena) -> None:
        """Zero every flow's counters in the arena of a new thread."""
        for flow in self.flows.values():
            _STATS.pack_into(arena.bytes, 8 * (flow.offset + F_PACKETS), 0, 0, 0, 0)

    def merge_stats(self, arena: Arena, into: Arena) -> None:
        """Add every flow's counters of a thread that ended to another's, which does not run."""
        for flow in self.flows.values():
            at = 8 * (flow.offset + F_PACKETS)
            packets, n_bytes, used, tcp_flags = _STATS.unpack_from(arena.bytes, at)
            packets2, n_bytes2, used2, tcp_flags2 = _STATS.unpack_from(into.bytes, at)
            values = (packets + packets2, n_bytes + n_bytes2, max(used, used2), tcp_flags | tcp_flags2)
            _STATS.pack_into(into.bytes, at, *values)

    def check(self, key: int, mask: int, actions: DpActions) -> None:
        """Find out whether a flow could be, and leave nothing behind.

        Raises:
            OSError: EINVAL.
        """
        _check_mask(mask)
        self._programs.check(actions)

    def _make_table(self, mask: int, commands: list[bytes]) -> Table:
        if len(self.tables) >= MAX_TABLES:
            raise OSError(errno.ENOSPC, f"too many different masks (at most {MAX_TABLES})")
        _check_mask(mask)
        words = key_words(mask)
        indices = [i for i, word in enumerate(words) if word]
        offset = self._heap.allocate(TABLE_WORDS, "table")
        table = Table(mask, offset, indices)
        for arena in self._arenas:
            block = arena.words[offset : offset + TABLE_WORDS]
            block[:T_PAIRS] = _NO_PAIRS
            block[T_WORDS] = len(indices)
            for place, i in enumerate(indices):
                block[T_PAIRS + 2 * place] = i
                block[T_PAIRS + 2 * place + 1] = words[i]
        table.buckets, table.bucket_count = self._new_buckets(_FIRST_BUCKETS), _FIRST_BUCKETS
        for arena in self._arenas:
            arena.words[offset + T_BUCKETS] = table.buckets
            arena.words[offset + T_BUCKET_MASK] = table.bucket_count - 1
        self.tables[mask] = table
        commands.append(command(C_TABLE_ADD, offset))
        return table

    def _grow(self, table: Table, commands: list[bytes]) -> None:
        old, old_count = table.buckets, table.bucket_count
        count = 4 * old_count
        table.buckets, table.bucket_count = self._new_buckets(count), count
        commands.append(command(C_TABLE_GROW, table.offset, table.buckets, count - 1))
        self._heap.retire(old, old_count)

    def _new_buckets(self, count: int) -> int:
        offset = self._heap.allocate(count)
        for arena in self._arenas:
            arena.bytes[8 * offset : 8 * (offset + count)] = bytes(8 * count)
        return offset


def _check_mask(mask: int) -> None:
    if mask >> 64 * KEY_WORDS or mask & _U64 != _U64:
        raise OSError(errno.EINVAL, "a megaflow's mask covers dp_in_port and recirc_id and no pipeline field")


_NO_PAIRS: Final = memoryview(bytes(8 * T_PAIRS)).cast("q")
