"""Packets to the main thread: a ring that wraps, is bounded, and is announced."""

import os

from jackfield.dpif.userspace.flows import command
from jackfield.dpif.userspace.state import (
    C_EXECUTE,
    C_REPLY,
    U_VNET,
    UPCALL_WORDS,
)
from jackfield.dpif.userspace.worker import Worker
from jackfield.flow.parse import parse_packet
from tests.dpif.conformance import frame
from tests.dpif.userspace.conftest import handed_up


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
