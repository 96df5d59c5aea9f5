import logging
from typing import Any, ClassVar, cast

import pytest

from jackfield.clock import Clock
from jackfield.dpif.provider import Execute, FlowPut, Upcall, UpcallType
from jackfield.flow.ports import DpPort
from jackfield.ofproto.pipeline.backer import Backer
from tests.ofproto.pipeline.fake_dpif import FakeDpif, Switch

A = "dl_src=02:00:00:00:00:0a,dl_dst=02:00:00:00:00:0b,dl_type=0x1234"


def miss(key: int) -> Upcall:
    return Upcall(UpcallType.MISS, bytes(60), key)


def test_equal_misses_of_a_batch_put_one_flow(switch: Switch) -> None:
    rule = switch.add_flow("", "output:2")
    key = switch.key(1, A)
    replies = switch.backer.upcalls.handle([miss(key), miss(key), miss(switch.key(1, A.replace("0a", "0c")))])
    assert [reply.put is not None for reply in replies] == [True, False, False]
    assert len({reply.actions for reply in replies}) == 1
    assert rule.stats.packets == 3
    assert rule.stats.bytes == 180


def test_a_cut_packet_counts_whole(switch: Switch) -> None:
    rule = switch.add_flow("", "output:2")
    upcall = miss(switch.key(1, A))
    upcall.length = 1_500
    switch.backer.upcalls.handle([upcall])
    assert rule.stats.bytes == 1_500


def test_a_port_of_no_bridge(switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (reply,) = switch.backer.upcalls.handle([miss(99)])
    assert reply.actions == ()
    assert reply.put is None
    assert "unassociated datapath port 99" in caplog.text


def test_userdata_that_is_none_of_ours(switch: Switch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        switch.backer.upcalls.handle([Upcall(UpcallType.ACTION, bytes(60), 0, userdata=b"hello")])
        switch.backer.upcalls.handle([Upcall(UpcallType.ACTION, bytes(60), 0)])
    assert caplog.text.count("is not a cookie") == 2
    assert not switch.connections.packet_ins


class Polled(FakeDpif):
    direct_upcalls: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("polled", Clock(held_at=5))
        self.queue: list[Upcall] = []
        self.wakers: list[Any] = []

    def recv(self, handler: int, max_upcalls: int) -> list[Upcall]:
        batch, self.queue = self.queue[:max_upcalls], self.queue[max_upcalls:]
        return batch

    def recv_wait(self, handler: int, wake: Any) -> None:
        self.wakers.append(wake)

    def port_get_pid(self, port_no: DpPort | None, flow_hash: int) -> int:
        return 1_000 + cast(int, port_no)


def test_polled_upcalls(switch: Switch) -> None:
    """A kernel's: a flow put and the packet executed, in bounded batches, until there are no more."""
    switch.add_flow("", "output:2")
    dpif = Polled()
    polled = Backer(dpif, dpif.clock)
    polled.ports = switch.backer.ports
    polled.bridges = switch.backer.bridges
    (wake,) = dpif.wakers
    dpif.queue = [miss(switch.key(1, f"dl_src=02:00:00:00:01:{i:02x},dl_type={0x600 + i}")) for i in range(100)]
    wake()
    assert len(dpif.queue) == 36
    dpif.clock.advance(0)
    assert not dpif.queue
    assert len(dpif.wakers) == 2
    assert sum(isinstance(op, FlowPut) for op in dpif.ops) == 100
    assert sum(isinstance(op, Execute) for op in dpif.ops) == 100
