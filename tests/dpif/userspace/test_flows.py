"""What the main thread writes and tells the polling threads."""

import errno

import pytest

from jackfield.dpif.actions import DpActions, Output
from jackfield.dpif.userspace.flows import COMMAND, FlowTables, command, key_words
from jackfield.dpif.userspace.heap import Heap
from jackfield.dpif.userspace.programs import Programs
from jackfield.dpif.userspace.state import (
    C_LINK,
    C_PROGRAM,
    C_TABLE_ADD,
    C_TABLE_DEL,
    C_TABLE_GROW,
    C_UNLINK,
    F_KEY,
    F_PACKETS,
    F_TABLE,
    HEAP,
    HEAP_WORDS,
    KEY_WORDS,
    Arena,
    new_seeds,
)
from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort

MASK = f.DP_IN_PORT.mask | f.RECIRC_ID.mask | f.ETH_SRC.mask
ACTIONS: DpActions = (Output(DpPort(1)),)


@pytest.fixture
def arenas() -> list[Arena]:
    return [Arena(new_seeds()), Arena(new_seeds())]


@pytest.fixture
def tables(arenas: list[Arena]) -> FlowTables:
    heap = Heap(HEAP, HEAP_WORDS)
    return FlowTables(arenas, heap, Programs(arenas, heap))


def operations(commands: list[bytes]) -> list[int]:
    return [COMMAND.unpack(each)[0] for each in commands]


def key(source: int) -> int:
    return f.ETH_SRC.put(1, source)


def test_key_words_are_signed_and_low_first() -> None:
    words = key_words((1 << 63) + 5 + (7 << 64))
    assert (words[0], words[1], len(words)) == (5 - (1 << 63), 7, KEY_WORDS)


def test_command_is_padded() -> None:
    assert COMMAND.unpack(command(3, 1, 2)) == (3, 1, 2, 0, 0, 0, 0, 0)


def test_the_first_flow_of_a_mask_brings_its_table(tables: FlowTables, arenas: list[Arena]) -> None:
    commands: list[bytes] = []
    flow = tables.put(1, key(0xAA), MASK, ACTIONS, commands)
    tables.put(2, key(0xBB), MASK, ACTIONS, commands)
    assert operations(commands) == [C_TABLE_ADD, C_LINK, C_LINK]
    for arena in arenas:
        assert arena.words[flow.offset + F_TABLE] == 0, "only the polling thread links"
        assert arena.words[flow.offset + F_KEY : flow.offset + F_KEY + 2].tolist() == [1, 0xAA]


def test_a_table_grows_before_it_is_half_full(tables: FlowTables) -> None:
    commands: list[bytes] = []
    for i in range(200):
        tables.put(i, key(i), MASK, ACTIONS, commands)
        table = tables.tables[MASK]
        assert 2 * table.count <= table.bucket_count
    assert C_TABLE_GROW in operations(commands)


def test_the_last_flow_takes_its_table_along(tables: FlowTables) -> None:
    commands: list[bytes] = []
    flows = [tables.put(i, key(i), MASK, ACTIONS, commands) for i in range(2)]
    commands.clear()
    for flow in flows:
        tables.remove(flow, commands)
        tables.dispose(flow)
    assert operations(commands) == [C_UNLINK, C_UNLINK, C_TABLE_DEL]
    assert not tables.tables
    assert not tables.flows


def test_change(tables: FlowTables) -> None:
    commands: list[bytes] = []
    flow = tables.put(1, key(1), MASK, ACTIONS, commands)
    before = flow.program
    commands.clear()
    tables.change(flow, (), zero=True, commands=commands)
    assert flow.program is not before
    assert COMMAND.unpack(commands[0])[:4] == (C_PROGRAM, flow.offset, flow.program.offset, 1)


def test_statistics_are_summed_and_merged(tables: FlowTables, arenas: list[Arena]) -> None:
    flow = tables.put(1, key(1), MASK, ACTIONS, [])
    for arena, values in zip(arenas, ((3, 180, 50, 0x02), (4, 240, 40, 0x10)), strict=True):
        for i, value in enumerate(values):
            arena.words[flow.offset + F_PACKETS + i] = value
    stats = tables.stats(flow)
    assert (stats.packets, stats.bytes, stats.used, stats.tcp_flags) == (7, 420, 50, 0x12)
    tables.merge_stats(arenas[1], arenas[0])
    tables.clear_stats(arenas[1])
    assert tables.stats(flow) == stats


@pytest.mark.parametrize("mask", [f.ETH_SRC.mask, MASK | f.METADATA.mask])
def test_masks_that_cannot_be(tables: FlowTables, mask: int) -> None:
    for call in (lambda: tables.put(1, 0, mask, ACTIONS, []), lambda: tables.check(0, mask, ACTIONS)):
        with pytest.raises(OSError, match="mask") as caught:
            call()
        assert caught.value.errno == errno.EINVAL
    assert not tables.flows
