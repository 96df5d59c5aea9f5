"""Commands from the main thread: done in order, however many, each once."""

from jackfield.dpif.userspace.flows import command
from jackfield.dpif.userspace.state import (
    C_REPLY,
    C_SYNC,
    CMD_SLOTS,
    EXEC_WORDS,
    UP_HEAD,
    UP_TAIL,
)
from jackfield.dpif.userspace.worker import Worker
from tests.dpif.conformance import frame
from tests.dpif.userspace.conftest import handed_up


def test_more_commands_than_fit(worker: Worker) -> None:
    commands = [command(C_SYNC)] * (3 * CMD_SLOTS + 17)
    worker.send(commands)
    worker.wait()
    assert worker.done() == worker.sent == len(commands)


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


def test_commands_are_done_in_order(worker: Worker) -> None:
    """A program that is in force when a packet runs is that of the last command before it."""
    worker.enable_upcalls(True)
    first, second = frame(1), frame(2)
    for packet in (first, second, first):
        made = handed_up(worker, packet)
        assert made is not None
        worker.send([command(C_SYNC), made, command(C_SYNC)])
    worker.wait()
    assert [record.packet for record in worker.upcalls(10)] == [first, second, first]


def test_an_answered_record_is_free_again(worker: Worker) -> None:
    worker.enable_upcalls(True)
    made = handed_up(worker, frame())
    assert made is not None
    worker.send([made])
    worker.wait()
    (record,) = worker.upcalls(10)
    worker.send([command(C_REPLY, record.place)])
    worker.wait()
    assert worker.arena.words[UP_TAIL] == worker.arena.words[UP_HEAD]
