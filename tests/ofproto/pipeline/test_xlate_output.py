from collections.abc import Callable

import pytest

from jackfield.dpif.actions import Output, Truncate
from jackfield.flow import fields as f
from jackfield.ofproto.tables import TableMiss
from jackfield.openflow.messages import PacketInReason, PortConfig
from tests.ofproto.pipeline.fake_dpif import Switch


@pytest.mark.parametrize(
    ("actions", "ports"),
    [
        ("output:1", []),
        ("output:7", []),
        ("in_port", [1]),
        ("FLOOD", [3]),
        ("ALL", [2, 3]),
        ("output:2,output:2", [2, 2]),
        ("load:3->NXM_NX_REG0[],output:NXM_NX_REG0[]", [3]),
        ("load:0xfff8->NXM_NX_REG0[0..15],output:NXM_NX_REG0[0..15]", [1]),
        ("enqueue:3:1", [3]),
        ("resubmit(2,1)", [1]),
    ],
)
def test_ports(switch: Switch, actions: str, ports: list[int]) -> None:
    switch.reconfigure(2, config=PortConfig.NO_FLOOD)
    switch.add_flow("", actions)
    switch.add_flow("in_port=2", "output:1,in_port", table=1)
    assert switch.send(1, "ip") == ports


def test_a_port_that_comes_later(switch: Switch) -> None:
    switch.add_flow("", "output:7")
    assert switch.send(1, "ip") == []
    switch.add_port(7)
    switch.run()
    assert switch.send(1, "ip") == [7]


def test_enqueue_concerns_one_output(switch: Switch) -> None:
    switch.add_flow("", "enqueue:2:6,output:3")
    switch.receive(1, "ip")
    assert [f.SKB_PRIORITY.get(key) for _, key in switch.dpif.take_sent()] == [6, 0]


def test_truncated(switch: Switch) -> None:
    switch.add_flow("", "output(port=2,max_len=64),output(port=9,max_len=64)")
    t = switch.backer.translate(switch.key(1, "ip"), learn=False)
    assert t is not None
    assert t.result == (Truncate(64), Output(switch.ports[2].provider_data.dp_port))


@pytest.mark.parametrize(
    ("miss", "reasons"),
    [
        (TableMiss.DROP, []),
        (TableMiss.CONTINUE, [PacketInReason.ACTION]),
        (TableMiss.CONTROLLER, [PacketInReason.NO_MATCH]),
    ],
)
def test_misses(switch: Switch, miss: TableMiss, reasons: list[PacketInReason]) -> None:
    switch.flows.tables[0].miss = miss
    switch.provider.table_changed(0)
    switch.add_flow("", "controller(id=1)", table=1)
    switch.receive(1, "ip")
    assert [event.reason for event in switch.connections.packet_ins] == reasons
    assert not any(event.implicit_miss for event in switch.connections.packet_ins)


def test_why_a_packet_goes_to_controllers(switch: Switch) -> None:
    switch.add_flow("", "CONTROLLER:50", priority=0)
    switch.add_flow("arp", "CONTROLLER:50", priority=1)
    switch.add_flow("udp", "write_actions(CONTROLLER:50)", priority=1)
    for packet in ("ip", "arp", "udp"):
        switch.receive(1, packet)
    switch.packet_out("ip", "CONTROLLER:50", 1)
    assert [event.reason for event in switch.connections.packet_ins] == [
        PacketInReason.NO_MATCH,
        PacketInReason.ACTION,
        PacketInReason.ACTION_SET,
        PacketInReason.PACKET_OUT,
    ]
    assert {event.max_len for event in switch.connections.packet_ins} == {50}


def test_an_exit_behind_a_patch_ends_only_that_bridge(make_switch: Callable[[str], Switch]) -> None:
    one, two = make_switch("br0"), make_switch("br1")
    one.add_port(1)
    one.add_port(2)
    one.add_port(9, "to-br1", peer="to-br0")
    two.add_port(3, "q3")
    two.add_port(9, "to-br0", peer="to-br1")
    one.add_flow("", "output:9,output:2")
    two.add_flow("", "mod_nw_ttl:3,output:3,exit")
    one.receive(1, "ip,nw_ttl=9")
    sent = one.dpif.take_sent()
    assert [(port, f.NW_TTL.get(key)) for port, key in sent] == [(two.dp(3), 3), (one.dp(2), 9)]
