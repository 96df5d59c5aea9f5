"""What every datapath does, whatever its type: derive from `DpifConformance` and say how to make one.

Out-of-tree datapaths use it as well: put this repository on PYTHONPATH and import `tests.dpif.conformance`.
"""

import errno
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from jackfield.clock import Clock
from jackfield.dpif.actions import (
    Clone,
    DpActions,
    Drop,
    Output,
    PopVlan,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    Truncate,
    Userspace,
)
from jackfield.dpif.provider import (
    DpFlow,
    Dpif,
    Execute,
    FlowDel,
    FlowGet,
    FlowPut,
    PutFlags,
    Upcall,
    UpcallReply,
    UpcallType,
)
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from jackfield.netdev.dummy import DummyNetdev
from jackfield.provider import Provider

EXACT = f.DP_IN_PORT.mask | f.RECIRC_ID.mask
BY_SOURCE = EXACT | f.ETH_SRC.mask
BY_TYPE = EXACT | f.ETH_TYPE.mask
TIMEOUT = 5.0


def frame(source: int = 1, destination: int = 2, *, payload: bytes = b"", length: int = 60) -> bytes:
    """A UDP packet whose Ethernet addresses end in the numbers given."""
    ip = bytes.fromhex("4500002e0000000040113cbd0a0000010a000002")
    udp = bytes.fromhex("03e807d0001a0000")
    head = destination.to_bytes(6, "big") + (0x020000000000 | source).to_bytes(6, "big") + b"\x08\x00" + ip + udp
    return (head + payload).ljust(length, b"\0")


def put(ufid: int, key: int, mask: int, actions: DpActions, flags: PutFlags = PutFlags.CREATE) -> FlowPut:
    """A flow for everything that looks like `key` under `mask`."""
    return FlowPut(ufid, key & mask, mask, actions, flags)


class DpifConformance:
    """The contract of `jackfield.dpif.provider`, as tests. Times are in ms, waits are bounded by TIMEOUT."""

    #: How long after an event its effect may show; 0 for a datapath that finishes within the call.
    asynchronous: bool = True

    def make(self, name: str, clock: Clock, *, create: bool) -> Dpif:
        """Open a datapath."""
        raise NotImplementedError

    def make_clock(self) -> Clock:
        """The clock of each test."""
        return Clock()

    # -- fixtures and helpers --------------------------------------------------------------------------------------

    @pytest.fixture
    def clock(self) -> Clock:
        return self.make_clock()

    @pytest.fixture
    def dpif(self, clock: Clock) -> Iterator[Dpif]:
        dpif = self.make("conform", clock, create=True)
        yield dpif
        dpif.destroy()
        dpif.close()

    @pytest.fixture
    def devices(self, dpif: Dpif) -> Iterator[list[DummyNetdev]]:
        """Three devices, ports 1 to 3."""
        devices = [DummyNetdev(f"p{i}") for i in (1, 2, 3)]
        for i, device in enumerate(devices, 1):
            device.open()
            assert dpif.port_add(device, DpPort(i)) == i
        yield devices
        for info in dpif.port_dump():
            if info.port_no:
                dpif.port_del(info.port_no)
        for device in devices:
            device.close()

    def until(self, dpif: Dpif, condition: Callable[[], bool]) -> None:
        """Wait for a condition."""
        end = time.monotonic() + TIMEOUT
        dpif.run()
        while not condition():
            assert self.asynchronous, "the effect should have shown within the call"
            assert time.monotonic() < end, "no effect in time"
            dpif.run()
            time.sleep(0.001)

    def sent(self, dpif: Dpif, device: DummyNetdev, count: int) -> list[bytes]:
        """What a device was sent, once that are `count` packets."""
        self.until(dpif, lambda: len(device.transmitted) >= count)
        assert len(device.transmitted) == count
        return list(device.transmitted)

    def get(self, dpif: Dpif, ufid: int) -> DpFlow:
        """A flow."""
        op = FlowGet(ufid)
        dpif.operate([op])
        assert op.error is None
        assert op.flow is not None
        return op.flow

    def key(self, packet: bytes, port: int) -> int:
        """The key of a packet that came in on a port."""
        return parse_packet(packet, port).key

    # -- the datapath ----------------------------------------------------------------------------------------------

    def test_is_a_provider_with_a_type(self, dpif: Dpif) -> None:
        assert isinstance(dpif, Provider)
        assert dpif.full_name == f"{dpif.type}@conform"
        assert dpif.datapath_version()
        assert all(isinstance(name, str) and isinstance(value, str) for name, value in dpif.features.items())

    def test_opening_what_is_not_there(self, clock: Clock) -> None:
        with pytest.raises(OSError, match="nowhere") as caught:
            self.make("nowhere", clock, create=False)
        assert caught.value.errno == errno.ENODEV

    def test_instances_of_one_name_are_one_datapath(self, dpif: Dpif, clock: Clock) -> None:
        other = self.make("conform", clock, create=False)
        device = DummyNetdev("q1")
        device.open()
        number = dpif.port_add(device)
        assert other.port_query_by_name("q1").port_no == number
        other.close()
        assert dpif.port_query_by_name("q1").port_no == number
        dpif.port_del(number)
        device.close()

    def test_enumerate(self, dpif: Dpif) -> None:
        assert "conform" in type(dpif).enumerate()

    def test_destroy_ends_the_datapath(self, clock: Clock) -> None:
        dpif = self.make("brief", clock, create=True)
        device = DummyNetdev("q1")
        device.open()
        dpif.port_add(device)
        dpif.destroy()
        dpif.close()
        assert "brief" not in type(dpif).enumerate()
        assert device.on_ready is None
        device.close()

    # -- ports -----------------------------------------------------------------------------------------------------

    def test_ports_are_numbered(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        assert [(info.port_no, info.name, info.type) for info in dpif.port_dump()] == [
            (1, "p1", "dummy"),
            (2, "p2", "dummy"),
            (3, "p3", "dummy"),
        ]
        assert dpif.port_query_by_number(DpPort(2)).name == "p2"
        assert dpif.port_query_by_name("p3").port_no == 3
        extra = DummyNetdev("other")
        extra.open()
        assert dpif.port_add(extra) not in (0, 1, 2, 3)

    def test_local_port(self, dpif: Dpif) -> None:
        device = DummyNetdev("local")
        device.open()
        assert dpif.port_add(device, DpPort(0)) == 0
        with pytest.raises(OSError, match="local") as caught:
            dpif.port_del(DpPort(0))
        assert caught.value.errno == errno.EINVAL

    @pytest.mark.parametrize(
        ("name", "number", "expected"),
        [("new", 2, errno.EBUSY), ("p1", 9, errno.EEXIST), ("new", 1 << 31, errno.EFBIG)],
    )
    def test_ports_refused(self, dpif: Dpif, devices: list[DummyNetdev], name: str, number: int, expected: int) -> None:
        device = DummyNetdev(name)
        device.open()
        with pytest.raises(OSError, match=name) as caught:
            dpif.port_add(device, DpPort(number))
        assert caught.value.errno == expected
        assert len(dpif.port_dump()) == 3
        device.close()

    def test_no_such_port(self, dpif: Dpif) -> None:
        for call in (
            lambda: dpif.port_del(DpPort(7)),
            lambda: dpif.port_query_by_number(DpPort(7)),
            lambda: dpif.port_query_by_name("p7"),
        ):
            with pytest.raises(OSError, match="7") as caught:
                call()
            assert caught.value.errno == errno.ENODEV

    def test_port_poll_tells_of_changes(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        seen = set()
        while (change := dpif.port_poll()) is not None:
            seen.add(change.name)
        assert seen == {"p1", "p2", "p3"} or None in seen
        dpif.port_del(DpPort(2))
        change = dpif.port_poll()
        assert change is not None
        assert change.name in ("p2", None)

    def test_a_removed_port_is_let_go(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        dpif.operate([put(1, self.key(packet, 1), EXACT, (Output(DpPort(2)), Output(DpPort(3))))])
        dpif.port_del(DpPort(2))
        assert devices[1].on_ready is None
        devices[0].receive(packet)
        assert self.sent(dpif, devices[2], 1) == [packet]
        assert not devices[1].transmitted
        assert dpif.port_add(devices[1], DpPort(2)) == 2
        devices[0].receive(packet)
        assert self.sent(dpif, devices[1], 1) == [packet]

    # -- flows -----------------------------------------------------------------------------------------------------

    def test_put_get_delete(self, dpif: Dpif) -> None:
        key = self.key(frame(), 1)
        op = put(5, key, BY_SOURCE, (Output(DpPort(2)),))
        dpif.operate([op])
        assert op.error is None
        flow = self.get(dpif, 5)
        assert (flow.ufid, flow.key, flow.mask, flow.actions) == (5, key & BY_SOURCE, BY_SOURCE, (Output(DpPort(2)),))
        assert (flow.stats.packets, flow.stats.bytes, flow.stats.used, flow.stats.tcp_flags) == (0, 0, 0, 0)
        assert (dpif.get_stats().flows, dpif.get_stats().masks) == (1, 1)
        delete = FlowDel(5)
        dpif.operate([delete])
        assert delete.error is None
        assert delete.stats is not None
        missing = FlowGet(5)
        dpif.operate([missing])
        assert missing.error is not None
        assert missing.error.errno == errno.ENOENT
        assert (dpif.get_stats().flows, dpif.get_stats().masks) == (0, 0)

    def test_put_flags(self, dpif: Dpif) -> None:
        key = self.key(frame(), 1)
        out2, out3 = (Output(DpPort(2)),), (Output(DpPort(3)),)
        ops = [
            put(1, key, EXACT, out2, PutFlags.MODIFY),
            put(1, key, EXACT, out2, PutFlags.CREATE),
            put(1, key, EXACT, out3, PutFlags.CREATE),
            put(1, key, EXACT, out3, PutFlags.MODIFY),
            put(1, key, EXACT, out2, PutFlags.CREATE | PutFlags.MODIFY),
            put(2, key, BY_SOURCE, out2, PutFlags.CREATE | PutFlags.PROBE),
            FlowDel(7),
        ]
        dpif.operate(ops)
        errors = [op.error.errno if op.error else 0 for op in ops]
        assert errors == [errno.ENOENT, 0, errno.EEXIST, 0, 0, 0, errno.ENOENT]
        assert self.get(dpif, 1).actions == out2
        assert dpif.get_stats().flows == 1

    def test_flows_forward_and_count(self, dpif: Dpif, devices: list[DummyNetdev], clock: Clock) -> None:
        packet = frame()
        before = clock.now()
        dpif.operate([put(1, self.key(packet, 1), EXACT, (Output(DpPort(2)), Output(DpPort(3))))])
        devices[0].receive(packet)
        devices[0].receive(packet)
        assert self.sent(dpif, devices[1], 2) == [packet, packet]
        assert self.sent(dpif, devices[2], 2) == [packet, packet]
        stats = self.get(dpif, 1).stats
        assert (stats.packets, stats.bytes) == (2, 120)
        assert before <= stats.used <= clock.now()
        assert dpif.get_stats().hits == 2

    def test_statistics_of_a_delete_are_final(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        dpif.operate([put(1, self.key(packet, 1), EXACT, (Output(DpPort(2)),))])
        for _ in range(5):
            devices[0].receive(packet)
        self.sent(dpif, devices[1], 5)
        delete = FlowDel(1)
        dpif.operate([delete])
        assert delete.stats is not None
        assert (delete.stats.packets, delete.stats.bytes) == (5, 300)
        devices[0].receive(packet)
        self.until(dpif, lambda: dpif.get_stats().misses == 1)
        assert len(devices[1].transmitted) == 5

    def test_a_change_is_in_force_at_once(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        key = self.key(packet, 1)
        dpif.operate([put(1, key, EXACT, (Output(DpPort(2)),))])
        devices[0].receive(packet)
        self.sent(dpif, devices[1], 1)
        change = put(1, key, EXACT, (Output(DpPort(3)),), PutFlags.MODIFY)
        dpif.operate([change])
        assert change.stats is not None
        assert change.stats.packets == 1
        devices[0].receive(packet)
        self.sent(dpif, devices[2], 1)
        assert len(devices[1].transmitted) == 1
        assert self.get(dpif, 1).stats.packets == 2
        dpif.operate([put(1, key, EXACT, (), PutFlags.MODIFY | PutFlags.ZERO_STATS)])
        assert self.get(dpif, 1).stats.packets == 0

    def test_a_flow_may_take_the_place_of_another(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packets = [frame(source) for source in range(10, 20)]
        for i, packet in enumerate(packets):
            dpif.operate([put(i, self.key(packet, 1), BY_SOURCE, (Output(DpPort(2)),))])
        for packet in packets:
            devices[0].receive(packet)
        assert self.sent(dpif, devices[1], 10) == packets
        dpif.operate([FlowDel(i) for i in range(10)])
        for i, packet in enumerate(reversed(packets)):
            dpif.operate([put(i, self.key(packet, 1), BY_SOURCE, (Output(DpPort(3)),))])
        for packet in packets:
            devices[0].receive(packet)
        assert self.sent(dpif, devices[2], 10) == packets
        assert len(devices[1].transmitted) == 10

    def test_many_flows_of_many_masks(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        count = 500
        packets = [frame(source, payload=source.to_bytes(4, "big")) for source in range(count)]
        masks = [BY_SOURCE | ((1 << i % 16) - 1) << f.ETH_DST.offset for i in range(count)]
        dpif.operate([put(i, self.key(packets[i], 1), masks[i], (Output(DpPort(2 + i % 2)),)) for i in range(count)])
        assert (dpif.get_stats().flows, dpif.get_stats().masks) == (count, 16)
        for packet in packets:
            devices[0].receive(packet)
        assert self.sent(dpif, devices[1], count // 2) == packets[::2]
        assert self.sent(dpif, devices[2], count // 2) == packets[1::2]
        deletes = [FlowDel(i) for i in range(0, count, 2)]
        dpif.operate(deletes)
        assert all(delete.stats is not None and delete.stats.packets == 1 for delete in deletes)
        assert all(self.get(dpif, i).stats.packets == 1 for i in range(1, count, 2))

    def test_mask_without_the_port_is_refused(self, dpif: Dpif) -> None:
        op = put(1, self.key(frame(), 1), f.ETH_SRC.mask, ())
        dpif.operate([op])
        assert op.error is not None
        assert op.error.errno == errno.EINVAL

    def test_actions_that_cannot_be_are_refused(self, dpif: Dpif) -> None:
        key = self.key(frame(), 1)
        bad = (SetMasked(0, f.RECIRC_ID.mask),)
        ops = [
            put(1, key, EXACT, bad),
            put(2, key, EXACT, bad, PutFlags.CREATE | PutFlags.PROBE),
            Execute(frame(), key, bad),
            Execute(frame(), key, bad, probe=True),
        ]
        dpif.operate(ops)
        assert [op.error.errno if op.error else 0 for op in ops] == [errno.EINVAL] * 4
        assert dpif.get_stats().flows == 0

    def test_dump(self, dpif: Dpif) -> None:
        packets = [frame(source) for source in range(250)]
        dpif.operate([put(i, self.key(packets[i], 1), BY_SOURCE, ()) for i in range(250)])
        assert {flow.ufid for flow in dpif.flow_dump()} == set(range(250))
        assert next(flow for flow in dpif.flow_dump(terse=True) if flow.ufid == 3).stats.packets == 0

    def test_dumps_run_at_once_while_flows_come_and_go(self, dpif: Dpif) -> None:
        packets = [frame(source) for source in range(200)]
        dpif.operate([put(i, self.key(packets[i], 1), BY_SOURCE, ()) for i in range(100)])
        first, second = dpif.flow_dump(), dpif.flow_dump()
        seen = [flow.ufid for flow in first.next_batch(30)]
        dpif.operate([FlowDel(i) for i in range(0, 100, 10)])
        dpif.operate([put(i, self.key(packets[i], 1), BY_SOURCE, ()) for i in range(100, 200)])
        while batch := first.next_batch(7):
            seen += [flow.ufid for flow in batch]
        first.finish()
        others = [flow.ufid for flow in second]
        stayed = {i for i in range(100) if i % 10}
        for found in (seen, others):
            assert len(found) == len(set(found))
            assert stayed <= set(found)

    def test_flush(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        dpif.operate([put(i, self.key(frame(i), 1), BY_SOURCE, (Output(DpPort(2)),)) for i in range(50)])
        dpif.flow_flush()
        assert (dpif.get_stats().flows, dpif.get_stats().masks) == (0, 0)
        devices[0].receive(packet)
        self.until(dpif, lambda: dpif.get_stats().misses == 1)
        assert not devices[1].transmitted

    # -- execute and actions -----------------------------------------------------------------------------------------

    def test_execute(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        op = Execute(packet, self.key(packet, 1), (Output(DpPort(2)), Output(DpPort(3))))
        dpif.operate([op, Execute(packet, self.key(packet, 1), (Output(DpPort(2)),), probe=True)])
        assert op.error is None
        assert self.sent(dpif, devices[1], 1) == [packet]
        assert self.sent(dpif, devices[2], 1) == [packet]

    def test_execute_many_in_order(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packets = [frame(i, length=1000) for i in range(1000)]
        dpif.operate([Execute(packet, self.key(packet, 1), (Output(DpPort(2)),)) for packet in packets])
        assert self.sent(dpif, devices[1], 1000) == packets

    @pytest.mark.parametrize("length", [0, 13, 1 << 17])
    def test_execute_refuses_what_is_no_packet(self, dpif: Dpif, length: int) -> None:
        op = Execute(bytes(length), 0, (Output(DpPort(1)),))
        dpif.operate([op])
        assert op.error is not None
        assert op.error.errno == errno.EINVAL

    def test_output_to_nowhere(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        dpif.operate([Execute(packet, self.key(packet, 1), (Output(DpPort(999)), Output(DpPort(2))))])
        assert self.sent(dpif, devices[1], 1) == [packet]

    def test_what_comes_after_does_not_show_before(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        actions = (
            Output(DpPort(1)),
            SetMasked(f.ETH_DST.put(0, 0x0A0B0C0D0E0F), f.ETH_DST.mask),
            Output(DpPort(2)),
            PushVlan(0x8100, 0x1005),
            Output(DpPort(3)),
        )
        dpif.operate([Execute(packet, self.key(packet, 9), actions)])
        changed = bytes.fromhex("0a0b0c0d0e0f") + packet[6:]
        assert self.sent(dpif, devices[0], 1) == [packet]
        assert self.sent(dpif, devices[1], 1) == [changed]
        assert self.sent(dpif, devices[2], 1) == [changed[:12] + bytes.fromhex("81000005") + changed[12:]]

    def test_clone_pop_truncate_drop(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame(length=200)
        tagged = packet[:12] + bytes.fromhex("8100a005") + packet[12:]
        actions = (
            Clone((PopVlan(), Output(DpPort(1)))),
            Sample(0xFFFFFFFF, (Truncate(64), Output(DpPort(2)))),
            Output(DpPort(3)),
            Drop(1),
        )
        dpif.operate([Execute(tagged, self.key(tagged, 9), actions)])
        assert self.sent(dpif, devices[0], 1) == [packet]
        assert self.sent(dpif, devices[1], 1) == [tagged[:64]]
        assert self.sent(dpif, devices[2], 1) == [tagged]

    def test_recirculation(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        tagged = packet[:12] + bytes.fromhex("81000005") + packet[12:]
        key = self.key(packet, 1)
        again = f.RECIRC_ID.put(self.key(tagged, 1), 7)
        dpif.operate(
            [
                put(1, key, BY_TYPE, (PushVlan(0x8100, 0x1005), Recirc(7))),
                put(2, again, BY_TYPE | f.VLAN_TCI.mask, (Output(DpPort(2)),)),
            ]
        )
        devices[0].receive(packet)
        assert self.sent(dpif, devices[1], 1) == [tagged]
        assert self.get(dpif, 1).stats.packets == self.get(dpif, 2).stats.packets == 1

    def test_recirculation_ends(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        key = f.RECIRC_ID.put(self.key(packet, 1), 3)
        dpif.operate(
            [
                put(1, self.key(packet, 1), EXACT, (Recirc(3),)),
                put(2, key, EXACT, (Output(DpPort(2)), Recirc(3))),
            ]
        )
        devices[0].receive(packet)
        self.until(dpif, lambda: len(devices[1].transmitted) > 0)
        assert 1 <= len(devices[1].transmitted) < 100

    # -- upcalls -----------------------------------------------------------------------------------------------------

    def answer(self, dpif: Dpif, reply: Callable[[Upcall], UpcallReply]) -> list[Upcall]:
        """Answer upcalls by a function; the list they are kept in."""
        seen: list[Upcall] = []

        def callback(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
            seen.extend(upcalls)
            return [reply(upcall) for upcall in upcalls]

        dpif.register_upcall_cb(callback)
        dpif.enable_upcall()
        return seen

    def test_a_miss_goes_up_and_its_reply_is_done(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        actions = (Output(DpPort(3)),)
        seen = self.answer(dpif, lambda up: UpcallReply(actions, put(9, up.key, BY_SOURCE, actions)))
        devices[1].receive(packet)
        assert self.sent(dpif, devices[2], 1) == [packet]
        assert len(seen) == 1
        assert seen[0].type is UpcallType.MISS
        assert seen[0].packet == packet
        assert seen[0].key == self.key(packet, 2)
        assert seen[0].length == len(packet)
        self.until(dpif, lambda: dpif.get_stats().flows == 1)
        devices[1].receive(packet)
        self.sent(dpif, devices[2], 2)
        assert len(seen) == 1
        assert self.get(dpif, 9).stats.packets == 1
        assert dpif.get_stats().misses == 1

    def test_a_reply_without_a_flow(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packets = [frame(i) for i in range(20)]
        seen = self.answer(dpif, lambda up: UpcallReply((Output(DpPort(2)),)))
        for packet in packets:
            devices[0].receive(packet)
        assert self.sent(dpif, devices[1], 20) == packets
        assert [up.packet for up in seen] == packets
        assert dpif.get_stats().flows == 0

    def test_long_packets_go_up_whole(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame(length=1514)
        seen = self.answer(dpif, lambda up: UpcallReply((Output(DpPort(2)),)))
        devices[0].receive(packet)
        assert self.sent(dpif, devices[1], 1) == [packet]
        assert seen[0].packet == packet

    def test_userspace_action(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        actions = (Userspace(b"why", actions_wanted=True), Output(DpPort(2)), Userspace(b"again"))
        seen = self.answer(dpif, lambda up: UpcallReply(()))
        dpif.operate([put(1, self.key(packet, 1), EXACT, actions)])
        devices[0].receive(packet)
        self.sent(dpif, devices[1], 1)
        self.until(dpif, lambda: len(seen) == 2)
        assert [(up.type, up.userdata) for up in seen] == [(UpcallType.ACTION, b"why"), (UpcallType.ACTION, b"again")]
        assert seen[0].packet == packet
        assert (seen[0].actions, seen[1].actions) == (actions, None)

    def test_upcalls_that_nobody_wants_are_lost(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        seen = self.answer(dpif, lambda up: UpcallReply(()))
        dpif.disable_upcall()
        devices[0].receive(frame())
        self.until(dpif, lambda: dpif.get_stats().lost == 1)
        dpif.enable_upcall()
        devices[0].receive(frame())
        self.until(dpif, lambda: len(seen) == 1)
        assert dpif.get_stats().misses == 2

    def test_a_callback_that_fails_disturbs_nothing(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        failures: list[int] = []

        def callback(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
            failures.append(len(upcalls))
            if len(failures) == 1:
                raise ValueError("broken")
            return [UpcallReply((Output(DpPort(2)),)) for _ in upcalls]

        dpif.register_upcall_cb(callback)
        dpif.enable_upcall()
        devices[0].receive(frame(1))
        self.until(dpif, lambda: bool(failures))
        devices[0].receive(frame(2))
        assert self.sent(dpif, devices[1], 1) == [frame(2)]

    def test_a_bad_flow_in_a_reply_is_not_installed(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        ops: list[FlowPut] = []

        def reply(up: Upcall) -> UpcallReply:
            ops.append(put(1, up.key, f.ETH_SRC.mask, ()))
            return UpcallReply((Output(DpPort(2)),), ops[-1])

        self.answer(dpif, reply)
        devices[0].receive(frame())
        self.until(dpif, lambda: bool(ops) and ops[0].error is not None)
        assert dpif.get_stats().flows == 0

    # -- settings ----------------------------------------------------------------------------------------------------

    def test_poll_threads(self, dpif: Dpif, devices: list[DummyNetdev]) -> None:
        packet = frame()
        dpif.operate([put(1, self.key(packet, 1), EXACT, (Output(DpPort(2)),))])
        devices[0].receive(packet)
        self.sent(dpif, devices[1], 1)
        for n_rxqs, mask in ((2, "3"), (1, "0x1"), (1, None)):
            dpif.poll_threads_set(n_rxqs, mask)
            count = len(devices[1].transmitted)
            devices[0].receive(packet)
            self.sent(dpif, devices[1], count + 1)
            assert self.get(dpif, 1).stats.packets == count + 1
            assert dpif.get_stats().hits == count + 1

    @pytest.mark.parametrize("mask", ["0", "zz", "1" + "0" * 40])
    def test_poll_threads_refused(self, dpif: Dpif, mask: str) -> None:
        with pytest.raises(OSError, match=mask) as caught:
            dpif.poll_threads_set(1, mask)
        assert caught.value.errno == errno.EINVAL
