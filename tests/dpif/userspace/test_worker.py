"""The two rings between the main thread and a polling thread."""

import os
import time
from collections.abc import Iterator

import pytest

from jackfield.dpif.actions import Userspace
from jackfield.dpif.userspace.actions_code import compile_actions
from jackfield.dpif.userspace.flows import command
from jackfield.dpif.userspace.state import (
    C_EXECUTE,
    C_REPLY,
    C_SYNC,
    CMD_SLOTS,
    EXEC_WORDS,
    HEAP,
    SLEEPING,
    U_VNET,
    UPCALL_WORDS,
    new_seeds,
)
from jackfield.dpif.userspace.warm import kernels
from jackfield.dpif.userspace.worker import Worker
from jackfield.flow.parse import parse_packet
from tests.dpif.conformance import frame


@pytest.fixture(params=[True, False], ids=["synchronous", "thread"])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    worker = Worker(kernels(), new_seeds(), synchronous=request.param)
    worker.start(None)
    yield worker
    worker.close()


def handed_up(worker: Worker, packet: bytes) -> bytes | None:
    """The command that executes "hand it up" on a packet."""
    words = compile_actions((Userspace(b"x"),), lambda action: 0)
    for i, word in enumerate(words):
        worker.arena.words[HEAP + i] = word
    return worker.execute(packet, parse_packet(packet, 1).key, HEAP, 0)


def test_more_commands_than_fit(worker: Worker) -> None:
    commands = [command(C_SYNC)] * (3 * CMD_SLOTS + 17)
    worker.send(commands)
    worker.wait()
    assert worker.done() == worker.sent == len(commands)


def test_wait_wakes_a_sleeper(worker: Worker) -> None:
    for _ in range(20):
        time.sleep(0.002)
        worker.send([command(C_SYNC)])
        worker.wait()
        assert worker.done() == worker.sent
    if not worker.synchronous:
        time.sleep(0.01)
        assert worker.arena.words[SLEEPING] == 1


def test_memory_for_executed_packets_is_bounded(worker: Worker) -> None:
    worker.enable_upcalls(True)
    packet = frame(length=60_000)
    commands = []
    while (made := handed_up(worker, packet)) is not None:
        commands.append(made)
    assert 1 <= len(commands) <= EXEC_WORDS * 8 // 60_000
    worker.send(commands)
    worker.wait()
    assert handed_up(worker, packet) is not None
    records = worker.upcalls(100)
    assert [record.packet for record in records] == [packet] * len(commands)


def test_the_ring_of_upcalls_wraps_and_is_bounded(worker: Worker) -> None:
    worker.enable_upcalls(True)
    packet = frame(length=9_000)
    for _ in range(3):
        sent = 0
        while sent < UPCALL_WORDS * 8 // 9_000 + 10:
            made = handed_up(worker, packet)
            if made is None:
                worker.wait()
                continue
            worker.send([made])
            sent += 1
        worker.wait()
        records = worker.upcalls(10_000)
        assert sent * 0.9 < len(records) < sent
        assert {record.packet for record in records} == {packet}
        assert all(record.kind == 1 and record.key == parse_packet(packet, 1).key for record in records)
        worker.send([command(C_REPLY, record.place) for record in records])
        worker.wait()
    assert not worker.upcalls_wait()


def test_upcalls_are_announced(worker: Worker) -> None:
    if worker.synchronous:
        return
    worker.enable_upcalls(True)
    made = handed_up(worker, frame())
    assert made is not None
    assert int.from_bytes(made[:8], "little") == C_EXECUTE
    worker.send([made])
    worker.wait()
    assert os.eventfd_read(worker.up_fd) == 1
    worker.clear_event()


def test_partial_checksums_go_up_complete(worker: Worker) -> None:
    """The header asks for a checksum from the UDP header on; user space sees it, the record keeps the packet."""
    worker.enable_upcalls(True)
    packet = bytearray(frame(payload=b"payload", length=60))
    pseudo = sum(int.from_bytes(packet[i : i + 2], "big") for i in range(26, 34, 2)) + 17 + 26
    packet[40:42] = ((pseudo & 0xFFFF) + (pseudo >> 16)).to_bytes(2, "big")
    made = handed_up(worker, bytes(packet))
    assert made is not None
    place = int.from_bytes(made[8:16], "little")
    worker.arena.words[place + U_VNET] = 1 | 34 << 48
    worker.arena.words[place + U_VNET + 1] = 6
    worker.send([made])
    worker.wait()
    (record,) = worker.upcalls(10)
    assert record.packet[:40] + record.packet[42:] == bytes(packet[:40] + packet[42:])
    total = pseudo + sum(int.from_bytes(record.packet[i : i + 2], "big") for i in range(34, 60, 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


def test_forgotten_upcalls_are_still_to_be_answered(worker: Worker) -> None:
    worker.enable_upcalls(True)
    for _ in range(3):
        made = handed_up(worker, frame())
        assert made is not None
        worker.send([made])
    worker.wait()
    places = worker.forget_upcalls()
    assert len(places) == 3
    assert not worker.upcalls(10)


def test_stop_may_be_repeated(worker: Worker) -> None:
    worker.stop()
    worker.stop()
    worker.start(None)
    worker.send([command(C_SYNC)])
    worker.wait()
    assert worker.done() == worker.sent
