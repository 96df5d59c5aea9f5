"""Devices of a userspace datapath: in plain Python, vanishing, failing, removed under traffic."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import pytest

from jackfield.clock import Clock
from jackfield.dpif.actions import Output
from jackfield.dpif.provider import FlowDel, FlowPut, UpcallReply
from jackfield.dpif.userspace.provider import UserspaceDpif
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from jackfield.netdev.compiled import replay_queue
from jackfield.netdev.dummy import DummyNetdev
from jackfield.netdev.null import NullNetdev
from jackfield.netdev.provider import CompiledQueue
from tests.dpif.conformance import frame

ALWAYS = f.DP_IN_PORT.mask | f.RECIRC_ID.mask
IN, OUT = DpPort(1), DpPort(2)


class Replay(NullNetdev):
    """Gives frames over and over while it is there."""

    def __init__(self, name: str, frames: Sequence[bytes]) -> None:
        super().__init__(name)
        self.frames = frames
        self.here = True
        self.held = 0

    @property
    def present(self) -> bool:
        return self.here

    def move(self, here: bool) -> None:
        self.here = here
        self.notify_change()

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue]:
        queues = [replay_queue(self.frames, endless=True)] if self.here else []
        self.held += len(queues)
        return queues

    def release_queues(self, queues: Sequence[CompiledQueue]) -> None:
        self.held -= len(queues)
        for queue in queues:
            # Whoever still read the frames would now read these.
            queue.owner[0][:] = 0xEE


@pytest.fixture
def dpif() -> Iterator[UserspaceDpif]:
    dpif = UserspaceDpif("ports", Clock(), create=True)
    yield dpif
    dpif.destroy()


def grows(dpif: UserspaceDpif, timeout: float = 5.0) -> bool:
    """Whether packets are being forwarded."""
    before = dpif.get_stats().hits
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        time.sleep(0.002)
        if dpif.get_stats().hits > before:
            return True
    return False


def flow(packet: bytes) -> FlowPut:
    mask = ALWAYS | f.ETH_SRC.mask
    return FlowPut(1, parse_packet(packet, IN).key & mask, mask, (Output(OUT),))


def test_a_device_that_vanishes_and_comes_back(dpif: UserspaceDpif) -> None:
    device, sink = Replay("replay", [frame()]), NullNetdev("sink")
    dpif.port_add(device, IN)
    dpif.port_add(sink, OUT)
    dpif.operate([flow(frame())])
    assert grows(dpif)
    before = dpif.port_stats(IN).rx_packets
    device.move(False)
    dpif.port_refresh(IN)
    assert device.held == 0
    rest = dpif.get_stats().hits
    time.sleep(0.02)
    assert dpif.get_stats().hits == rest
    device.move(True)
    dpif.run()
    assert device.held == 1
    assert grows(dpif)
    assert (dpif.port_stats(IN).rx_packets or 0) > (before or 0)


def test_ports_come_and_go_under_traffic(dpif: UserspaceDpif) -> None:
    """Nothing is read from a device that was removed, and no packet goes wrong meanwhile."""
    dpif.port_add(NullNetdev("sink"), OUT)
    dpif.operate([flow(frame())])
    for _ in range(30):
        device = Replay("replay", [frame()] * 64)
        dpif.port_add(device, IN)
        assert grows(dpif)
        dpif.port_del(IN)
        assert device.held == 0
        rest = dpif.get_stats()
        time.sleep(0.001)
        assert dpif.get_stats().hits == rest.hits
    assert dpif.get_stats().misses == 0


def test_flows_change_under_traffic(dpif: UserspaceDpif) -> None:
    """No packet is lost from the counters: what the port received was hit or missed."""
    frames = [frame(i) for i in range(200)]
    device, sink = Replay("replay", frames), NullNetdev("sink")
    dpif.port_add(sink, OUT)
    dpif.port_add(device, IN)
    mask = ALWAYS | f.ETH_SRC.mask
    keys = [parse_packet(packet, IN).key & mask for packet in frames]
    deleted = 0
    for round_ in range(20):
        dpif.operate([FlowPut(i, keys[i], mask, (Output(OUT),)) for i in range(200)])
        ops = [FlowDel(i) for i in range(200)]
        dpif.operate(ops)
        deleted += sum(op.stats.packets for op in ops if op.stats is not None)
        assert round_ < 0 or dpif.get_stats().flows == 0
    dpif.port_del(IN)
    stats = dpif.get_stats()
    assert stats.hits == deleted
    assert dpif.port_stats(OUT).tx_packets == deleted


def test_a_stop_under_traffic() -> None:
    for _ in range(5):
        dpif = UserspaceDpif("stops", Clock(), create=True)
        device = Replay("replay", [frame()])
        dpif.port_add(device, IN)
        dpif.poll_threads_set(1, "1")
        dpif.destroy()
        assert device.held == 0


def test_python_devices_on_a_loop() -> None:
    """Packets, upcalls and replies move by the loop alone."""

    async def scenario() -> None:
        dpif = UserspaceDpif("loop", Clock(), create=True)
        dpif.set_upcall_limit(1_000)
        devices = [DummyNetdev("p1"), DummyNetdev("p2")]
        for device in devices:
            device.open()
            dpif.port_add(device)
        actions = (Output(OUT),)
        mask = ALWAYS | f.ETH_SRC.mask
        dpif.register_upcall_cb(
            lambda upcalls: [UpcallReply(actions, FlowPut(up.key, up.key & mask, mask, actions)) for up in upcalls]
        )
        dpif.enable_upcall()
        packets = [frame(i % 7, length=60 + i) for i in range(500)]
        for packet in packets:
            devices[0].receive(packet)
        async with asyncio.timeout(5):
            while len(devices[1].transmitted) < 500:
                await asyncio.sleep(0.001)
        assert sorted(devices[1].transmitted) == sorted(packets)
        for source in range(7):
            mine = [packet for packet in packets if packet[11] == source]
            assert [packet for packet in devices[1].transmitted if packet[11] == source] == mine
        dpif.destroy()

    asyncio.run(scenario())


def test_a_device_that_fails_disturbs_no_other(dpif: UserspaceDpif, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(DummyNetdev):
        def receive_batch(self, limit: int) -> list[bytes]:
            raise ValueError("broken")

    broken, source, sink = Broken("p3"), DummyNetdev("p1"), DummyNetdev("p2")
    for device, number in ((broken, 3), (source, 1), (sink, 2)):
        device.open()
        dpif.port_add(device, DpPort(number))
    dpif.operate([flow(frame())])
    broken.receive(frame())
    source.receive(frame())
    end = time.monotonic() + 5
    while not sink.transmitted and time.monotonic() < end:
        dpif.run()
        time.sleep(0.001)
    assert list(sink.transmitted) == [frame()]


def test_upcalls_of_one_port_do_not_shut_out_another(dpif: UserspaceDpif) -> None:
    """A port that floods has its share of the ring and no more."""
    flood, quiet = Replay("flood", [frame(i) for i in range(64)]), DummyNetdev("quiet")
    quiet.open()
    dpif.set_upcall_limit(32)
    dpif.port_add(flood, IN)
    dpif.port_add(quiet, OUT)
    seen: list[int] = []

    def callback(upcalls: Sequence[object]) -> list[UpcallReply]:
        seen.extend(up.key & 0xFFFFFFFF for up in upcalls)  # type: ignore[attr-defined]  # they are upcalls
        return [UpcallReply(()) for _ in upcalls]

    dpif.register_upcall_cb(callback)
    dpif.enable_upcall()
    time.sleep(0.05)
    for i in range(10):
        quiet.receive(frame(i))
    end = time.monotonic() + 5
    while seen.count(OUT) < 10 and time.monotonic() < end:
        dpif.run()
    assert seen.count(OUT) == 10
    assert dpif.get_stats().lost > 0
