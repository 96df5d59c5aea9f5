"""The main thread's side of a datapath."""

import time
from collections.abc import Sequence

from jackfield.clock import Clock
from jackfield.dpif.actions import Output
from jackfield.dpif.dummy import DummyDpif
from jackfield.dpif.provider import Execute, FlowDel, FlowGet, FlowPut, Upcall, UpcallReply
from jackfield.dpif.userspace.datapath import UPCALL_BATCH
from jackfield.dpif.userspace.provider import UserspaceDpif
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from jackfield.netdev.dummy import DummyNetdev
from tests.dpif.conformance import frame

MASK = f.DP_IN_PORT.mask | f.RECIRC_ID.mask | f.ETH_SRC.mask
OUT = (Output(DpPort(2)),)


def test_used_follows_a_clock_that_was_moved() -> None:
    clock = Clock(held_at=5_000)
    dpif = UserspaceDpif("used", clock, create=True)
    devices = [DummyNetdev("p1"), DummyNetdev("p2")]
    for device in devices:
        device.open()
        dpif.port_add(device)
    try:
        key = parse_packet(frame(), 1).key & MASK
        dpif.operate([FlowPut(1, key, MASK, OUT)])
        devices[0].receive(frame())
        end = time.monotonic() + 5
        while not devices[1].transmitted and time.monotonic() < end:
            dpif.run()
        get = FlowGet(1)
        dpif.operate([get])
        assert get.flow is not None
        assert 1_000 < get.flow.stats.used <= 5_000
    finally:
        dpif.destroy()


def test_one_flow_for_many_upcalls_of_one_batch() -> None:
    """Packets of one flow that miss together make one flow, and all are forwarded."""
    dpif = DummyDpif("batch", Clock(held_at=1), create=True)
    devices = [DummyNetdev("p1"), DummyNetdev("p2")]
    for device in devices:
        device.open()
        dpif.port_add(device)
    batches: list[int] = []

    def callback(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
        batches.append(len(upcalls))
        return [UpcallReply(OUT, FlowPut(7, up.key & MASK, MASK, OUT)) for up in upcalls]

    dpif.register_upcall_cb(callback)
    dpif.enable_upcall()
    devices[0].on_ready, ready = None, devices[0].on_ready
    for _ in range(10):
        devices[0].receive(frame())
    assert ready is not None
    devices[0].on_ready = ready
    ready()
    assert batches == [10]
    assert list(devices[1].transmitted) == [frame()] * 10
    assert dpif.get_stats().flows == 1
    dpif.destroy()


def test_a_flow_and_a_packet_in_one_operate_are_done_in_order() -> None:
    dpif = DummyDpif("order", Clock(held_at=1), create=True)
    device = DummyNetdev("p2")
    device.open()
    dpif.port_add(device)
    key = parse_packet(frame(), 1).key
    ops = [FlowPut(1, key & MASK, MASK, OUT), Execute(frame(), key, OUT), FlowDel(1), Execute(frame(), key, OUT)]
    dpif.operate(ops)
    assert [op.error for op in ops] == [None] * 4
    assert list(device.transmitted) == [frame()] * 2
    dpif.destroy()


def test_memory_is_used_again() -> None:
    dpif = DummyDpif("memory", Clock(held_at=1), create=True)
    heap = dpif._datapath._heap
    sizes = []
    for _ in range(4):
        keys = [parse_packet(frame(i), 1).key & MASK for i in range(500)]
        dpif.operate([FlowPut(i, keys[i], MASK, OUT) for i in range(500)])
        dpif.operate([FlowDel(i) for i in range(500)])
        sizes.append(heap.used_end)
    assert sizes[1] == sizes[2] == sizes[3]
    dpif.destroy()


def test_a_flush_answers_what_waits() -> None:
    dpif = UserspaceDpif("flush", Clock(), create=True)
    device = DummyNetdev("p1")
    device.open()
    dpif.port_add(device)
    seen: list[Upcall] = []

    def callback(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
        seen.extend(upcalls)
        return [UpcallReply(()) for _ in upcalls]

    dpif.register_upcall_cb(callback)
    dpif.enable_upcall()
    for i in range(5):
        device.receive(frame(i))
    dpif._datapath.ports.pump()
    end = time.monotonic() + 5
    while dpif.get_stats().misses < 5 and time.monotonic() < end:
        time.sleep(0.001)
    dpif.flow_flush()
    dpif.run()
    assert not seen
    device.receive(frame(9))
    while not seen and time.monotonic() < end:
        dpif.run()
    assert [up.packet for up in seen] == [frame(9)]
    dpif.destroy()


def test_a_burst_of_one_flow_is_translated_once_and_stays_in_order() -> None:
    """What waits when its flow is made is forwarded by it, before what comes later; nothing is counted twice."""
    dpif = DummyDpif("burst", Clock(held_at=1), create=True)
    devices = [DummyNetdev("p1"), DummyNetdev("p2")]
    for device in devices:
        device.open()
        dpif.port_add(device)
    seen: list[Upcall] = []

    def callback(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
        seen.extend(upcalls)
        return [UpcallReply(OUT, FlowPut(up.packet[11], up.key & MASK, MASK, OUT)) for up in upcalls]

    dpif.register_upcall_cb(callback)
    dpif.enable_upcall()
    devices[0].on_ready, ready = None, devices[0].on_ready
    packets = [frame(i % 3, payload=bytes([i])) for i in range(200)]
    for packet in packets:
        devices[0].receive(packet)
    assert ready is not None
    devices[0].on_ready = ready
    ready()
    assert list(devices[1].transmitted) == packets
    assert len(seen) == UPCALL_BATCH
    stats = dpif.get_stats()
    assert (stats.misses, stats.hits, stats.flows) == (UPCALL_BATCH, 200 - UPCALL_BATCH, 3)
    gets = [FlowGet(i) for i in range(3)]
    dpif.operate(gets)
    assert sum(get.flow.stats.packets for get in gets if get.flow is not None) == stats.hits
    dpif.destroy()
