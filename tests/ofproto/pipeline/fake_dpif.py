"""A datapath in memory that acts on keys instead of packets, and a switch to put on it."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from jackfield.clock import Clock
from jackfield.dpif import actions as dp
from jackfield.dpif.provider import (
    DpFlow,
    Dpif,
    DpOp,
    DpPortInfo,
    DpStats,
    Execute,
    FlowDel,
    FlowDump,
    FlowGet,
    FlowPut,
    FlowStats,
    PortsChanged,
    PutFlags,
    Upcall,
    UpcallCallback,
    UpcallType,
)
from jackfield.dpif.registry import DPIFS
from jackfield.errors import refuse
from jackfield.flow import fields as f
from jackfield.flow.compose import compose_packet
from jackfield.flow.ports import DpPort, OfPort
from jackfield.flow.text import parse_match
from jackfield.netdev.provider import DeviceStats
from jackfield.ofproto.pipeline.backer import Backer
from jackfield.ofproto.pipeline.provider import PipelineProvider
from jackfield.ofproto.pipeline.xlate_normal import pop_vlan, push_vlan
from jackfield.ofproto.provider import PacketInEvent
from jackfield.ofproto.rule import FOREVER, FlowCounters, Rule
from jackfield.ofproto.settings import Settings
from jackfield.ofproto.tables import Table
from jackfield.openflow.action_text import parse_actions
from jackfield.openflow.messages import NO_CONFIG, FragmentHandling, PacketOut, PortConfig, PortState

RECIRC = f.RECIRC_ID


class Dump(FlowDump):
    def __init__(self, flows: list[DpFlow]) -> None:
        self.flows = flows

    def next_batch(self, max_flows: int) -> list[DpFlow]:
        batch, self.flows = self.flows[:max_flows], self.flows[max_flows:]
        return batch

    def finish(self) -> None:
        self.flows = []


class FakeDpif(Dpif):
    type: ClassVar[str] = "fake"
    direct_upcalls: ClassVar[bool] = True

    def __init__(self, name: str, clock: Clock, *, create: bool = False) -> None:
        super().__init__(name, clock, create=create)
        self.flows: dict[int, DpFlow] = {}
        self.numbers: dict[DpPort, str] = {}
        self.sent: list[tuple[int, int]] = []
        self.upcalls = 0
        self.ops: list[DpOp] = []
        self.callback: UpcallCallback | None = None
        self.refuse_puts = False

    @classmethod
    def enumerate(cls) -> list[str]:
        return []

    @classmethod
    def datapath_version(cls) -> str:
        return "fake"

    def close(self) -> None:
        self.callback = None

    def destroy(self) -> None:
        self.flows.clear()

    def get_stats(self) -> DpStats:
        return DpStats(flows=len(self.flows), masks=len({flow.mask for flow in self.flows.values()}))

    def port_add(self, netdev: Any, port_no: DpPort | None = None) -> DpPort:
        if netdev.name in self.numbers.values():
            raise refuse(errno.EEXIST, f"{netdev.name} is there")
        number = DpPort(max(self.numbers, default=9) + 1) if port_no is None else port_no
        self.numbers[number] = netdev.name
        return number

    def port_del(self, port_no: DpPort) -> None:
        if self.numbers.pop(port_no, None) is None:
            raise refuse(errno.ENODEV, "no port")

    def port_query_by_number(self, port_no: DpPort) -> DpPortInfo:
        if port_no not in self.numbers:
            raise refuse(errno.ENODEV, "no port")
        return DpPortInfo(port_no, self.numbers[port_no], "dummy")

    def port_query_by_name(self, name: str) -> DpPortInfo:
        for number, known in self.numbers.items():
            if known == name:
                return DpPortInfo(number, name, "dummy")
        raise refuse(errno.ENODEV, "no port")

    def port_dump(self) -> list[DpPortInfo]:
        return [DpPortInfo(number, name, "dummy") for number, name in self.numbers.items()]

    def port_poll(self) -> PortsChanged | None:
        return None

    def flow_flush(self) -> None:
        self.flows.clear()

    def flow_dump(self, *, terse: bool = False) -> FlowDump:
        return Dump(list(self.flows.values()))

    def register_upcall_cb(self, callback: UpcallCallback) -> None:
        self.callback = callback

    def operate(self, ops: Sequence[DpOp]) -> None:
        self.ops.extend(ops)
        for op in ops:
            if isinstance(op, FlowPut):
                self.put(op)
            elif isinstance(op, FlowDel):
                flow = self.flows.pop(op.ufid, None)
                if flow is None:
                    op.error = refuse(errno.ENOENT, "no flow")
                else:
                    op.stats = flow.stats
            elif isinstance(op, FlowGet):
                op.flow = self.flows.get(op.ufid)
                if op.flow is None:
                    op.error = refuse(errno.ENOENT, "no flow")
            elif isinstance(op, Execute):
                self.act(op.packet, op.key, op.actions)

    def put(self, op: FlowPut) -> None:
        there = self.flows.get(op.ufid)
        if self.refuse_puts:
            op.error = refuse(errno.ENOSPC, "full")
        elif there is not None and not op.flags & PutFlags.MODIFY:
            op.error = refuse(errno.EEXIST, "there")
        elif there is None and not op.flags & PutFlags.CREATE:
            op.error = refuse(errno.ENOENT, "not there")
        elif there is None:
            assert op.key & ~op.mask == 0
            self.flows[op.ufid] = DpFlow(op.ufid, op.key, op.mask, op.actions, FlowStats())
        else:
            op.stats = FlowStats(there.stats.packets, there.stats.bytes, there.stats.tcp_flags, there.stats.used)
            there.actions = op.actions

    def matching(self, key: int) -> list[DpFlow]:
        return [flow for flow in self.flows.values() if key & cast(int, flow.mask) == flow.key]

    def receive(self, packet: bytes, key: int) -> None:
        """A packet with that key arrives."""
        found = self.matching(key)
        assert len({flow.actions for flow in found}) <= 1, "overlapping flows that differ"
        if found:
            stats = found[0].stats
            stats.packets += 1
            stats.bytes += len(packet)
            stats.used = self.clock.now()
            assert found[0].actions is not None
            self.act(packet, key, found[0].actions)
            return
        self.upcalls += 1
        assert self.callback is not None
        (reply,) = self.callback([Upcall(UpcallType.MISS, packet, key)])
        if reply.put is not None:
            self.put(reply.put)
        self.act(packet, key, reply.actions)

    def act(self, packet: bytes, key: int, actions: dp.DpActions) -> None:
        for action in actions:
            if isinstance(action, dp.Output):
                self.sent.append((action.port, key & ~f.DP_IN_PORT.mask))
            elif isinstance(action, dp.SetMasked):
                assert action.value & ~action.mask == 0
                key = key & ~action.mask | action.value
            elif isinstance(action, dp.PushVlan):
                key = push_vlan(key, action.tpid, action.tci)
            elif isinstance(action, dp.PopVlan):
                key = pop_vlan(key)
            elif isinstance(action, dp.Recirc):
                self.receive(packet, RECIRC.put(key, action.recirc_id))
            elif isinstance(action, dp.Userspace):
                assert self.callback is not None
                self.callback([Upcall(UpcallType.ACTION, packet, key, userdata=action.userdata)])

    def take_sent(self) -> list[tuple[int, int]]:
        sent, self.sent = self.sent, []
        return sent


@dataclass
class FakeNetdev:
    name: str
    options: dict[str, str] = field(default_factory=dict)
    carries_packets: bool = True

    @property
    def type(self) -> str:
        return "dummy" if self.carries_packets else "patch"

    def get_stats(self) -> DeviceStats:
        return DeviceStats()


@dataclass(eq=False)
class FakePort:
    ofp_port: OfPort
    netdev: FakeNetdev
    config: PortConfig = NO_CONFIG
    state: PortState = PortState.LIVE
    tag: int | None = None
    trunks: frozenset[int] = frozenset()
    vlan_mode: str | None = None
    provider_data: Any = None

    @property
    def name(self) -> str:
        return self.netdev.name


class FakeFlows:
    def __init__(self) -> None:
        self.tables = [Table(i) for i in range(254)]
        self.version = 1


class FakeConnections:
    def __init__(self) -> None:
        self.wants_misses = False
        self.packet_ins: list[PacketInEvent] = []

    def packet_in(self, event: PacketInEvent) -> None:
        self.packet_ins.append(event)


class Switch:
    """Stands for an `Ofproto`, with what tests like to say."""

    def __init__(self, clock: Clock, name: str = "br0", wakes: list[int] | None = None) -> None:
        #: How often any of the switches was woken, in a list that they share.
        self.wakes = [0] if wakes is None else wakes
        self.type = "fake"
        self.name = name
        self.clock = clock
        self.flows = FakeFlows()
        self.connections = FakeConnections()
        self.settings = Settings()
        self.fragments = FragmentHandling.NORMAL
        self.ports: dict[int, FakePort] = {}
        self.provider = PipelineProvider(cast(Any, self))
        self.provider.construct()

    @property
    def backer(self) -> Backer:
        return self.provider.backer

    @property
    def dpif(self) -> FakeDpif:
        return cast(FakeDpif, self.provider.backer.dpif)

    def wake_provider(self, within: int = 0) -> None:
        self.wakes[0] += 1

    def run(self) -> int | None:
        """As the switch does: again as long as the provider asks for it."""
        while True:
            woken = self.wakes[0]
            again = self.provider.run()
            if self.wakes[0] == woken:
                return again

    def add_port(self, number: int, name: str | None = None, peer: str | None = None, **settings: Any) -> FakePort:
        netdev = FakeNetdev(name or f"p{number}")
        if peer is not None:
            netdev.options["peer"] = peer
            netdev.carries_packets = False
        port = FakePort(OfPort(number), netdev, **settings)
        self.provider.port_added(cast(Any, port))
        self.ports[number] = port
        return port

    def delete_port(self, number: int) -> None:
        self.provider.port_deleted(cast(Any, self.ports.pop(number)))

    def reconfigure(self, number: int, **settings: Any) -> None:
        port = self.ports[number]
        old = port.config
        for name, value in settings.items():
            setattr(port, name, value)
        self.provider.port_reconfigured(cast(Any, port), old)

    def dp(self, number: int) -> int:
        return cast(int, self.ports[number].provider_data.dp_port)

    def rule(self, match: str, actions: str, priority: int = 100, table: int = 0, cookie: int = 0) -> Rule:
        return Rule(parse_match(match), priority, parse_actions(actions), table_id=table, cookie=cookie, add_version=1)

    def add_flow(self, match: str, actions: str, priority: int = 100, table: int = 0, cookie: int = 0) -> Rule:
        rule = self.rule(match, actions, priority, table, cookie)
        self.provider.rule_check(rule)
        self.flows.tables[table].classifier.insert(rule)
        self.provider.rule_inserted(rule)
        return rule

    def del_flow(self, rule: Rule) -> None:
        self.flows.tables[rule.table_id].classifier.remove(rule)
        self.provider.rule_removed(rule)

    def modify_flow(self, rule: Rule, actions: str) -> Rule:
        new = Rule(
            rule.match,
            rule.priority,
            parse_actions(actions),
            table_id=rule.table_id,
            stats=rule.stats,
            cookie=rule.cookie,
            add_version=self.flows.version + 1,
        )
        rule.remove_version = self.flows.version + 1
        self.flows.tables[rule.table_id].classifier.insert(new)
        self.flows.version += 1
        self.provider.rule_replaced(rule, new)
        self.flows.tables[rule.table_id].classifier.remove(rule)
        return new

    def key(self, number: int, match: str) -> int:
        """The datapath key of a packet on a port."""
        return parse_match(match).value & f.DATAPATH_MASK | self.dp(number)

    def send(self, number: int, match: str) -> list[int]:
        """A packet arrives; the OpenFlow ports it left by, sorted."""
        self.receive(number, match)
        return sorted(self.left())

    def receive(self, number: int, match: str) -> None:
        key = self.key(number, match)
        self.dpif.receive(compose_packet(key & ~f.DP_IN_PORT.mask), key)

    def left(self) -> list[int]:
        names = {self.dp(number): number for number in self.ports if self.ports[number].netdev.carries_packets}
        return [names[port] for port, _ in self.dpif.take_sent()]

    def packet_out(self, match: str, actions: str, in_port: int) -> list[int]:
        packet = compose_packet(parse_match(match).value & f.DATAPATH_MASK)
        out = PacketOut(packet, parse_actions(actions), OfPort(in_port))
        self.provider.packet_check(out)
        self.provider.packet_execute(out)
        return sorted(self.left())


def register() -> None:
    DPIFS.register("fake", FakeDpif)


def unregister() -> None:
    DPIFS.unregister("fake")


__all__ = ["FOREVER", "FlowCounters", "Switch"]
