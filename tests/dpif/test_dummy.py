"""The datapath without threads."""

import pytest

from jackfield.clock import Clock
from jackfield.dpif.actions import Output
from jackfield.dpif.dummy import DummyDpif
from jackfield.dpif.provider import Dpif, UpcallReply
from jackfield.flow.ports import DpPort
from jackfield.netdev.dummy import DummyNetdev
from tests.dpif.conformance import EXACT, DpifConformance, frame, put


class TestConformance(DpifConformance):
    asynchronous = False

    def make(self, name: str, clock: Clock, *, create: bool) -> Dpif:
        return DummyDpif(name, clock, create=create)

    def make_clock(self) -> Clock:
        return Clock(held_at=1_000_000)

    def test_used_is_the_held_time(self, dpif: Dpif, devices: list[DummyNetdev], clock: Clock) -> None:
        packet = frame()
        dpif.operate([put(1, self.key(packet, 1), EXACT, (Output(DpPort(2)),))])
        devices[0].receive(packet)
        assert self.get(dpif, 1).stats.used == 1_000_000
        clock.advance(12_345)
        assert self.get(dpif, 1).stats.used == 1_000_000
        devices[0].receive(packet)
        assert self.get(dpif, 1).stats.used == 1_012_345

    def test_a_packet_is_finished_when_receive_returns(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        self.answer(dpif, lambda up: UpcallReply((Output(DpPort(2)),)))
        devices[0].receive(frame())
        assert list(devices[1].transmitted) == [frame()]

    def test_upcalls_may_receive_more(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        """What a callback puts in is handled before the call that brought the first packet returns."""

        def reply(up: object) -> UpcallReply:
            if not devices[1].transmitted and not devices[0]._received:
                devices[0].receive(frame(2))
            return UpcallReply((Output(DpPort(2)),))

        self.answer(dpif, reply)
        devices[0].receive(frame(1))
        assert frame(1) in devices[1].transmitted
        assert frame(2) in devices[1].transmitted


@pytest.mark.parametrize(
    ("name", "number"), [("p3", 3), ("eth12x7", 12), ("br0", 100), ("br7", 107), ("p0", 1), ("name", 1)]
)
def test_port_numbers(name: str, number: int) -> None:
    dpif = DummyDpif("numbers", Clock(held_at=0), create=True)
    device = DummyNetdev(name)
    device.open()
    try:
        assert dpif.port_add(device) == number
        other = DummyNetdev(name + "x")
        other.open()
        assert dpif.port_add(other) != number
    finally:
        dpif.destroy()
