"""Transcripts: packets in, misses up, megaflows down, packets out."""

from collections.abc import Callable

import pytest

from jackfield.dpif.provider import FlowPut
from jackfield.flow import fields as f
from jackfield.flow.ports import OFPP_CONTROLLER
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import FragmentHandling, PacketInReason, PortConfig
from tests.ofproto.pipeline.fake_dpif import Switch

A_TO_B = (
    "tcp,dl_src=02:00:00:00:00:0a,dl_dst=02:00:00:00:00:0b,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=64,tp_src=1,tp_dst=2"
)
B_TO_A = (
    "tcp,dl_src=02:00:00:00:00:0b,dl_dst=02:00:00:00:00:0a,nw_src=10.0.0.2,nw_dst=10.0.0.1,nw_ttl=64,tp_src=2,tp_dst=1"
)


def test_a_miss_becomes_a_megaflow(switch: Switch) -> None:
    rule = switch.add_flow("in_port=1", "output:2")
    assert switch.send(1, A_TO_B) == [2]
    assert switch.dpif.upcalls == 1
    assert switch.send(1, B_TO_A) == [2]
    assert switch.dpif.upcalls == 1
    assert rule.stats.packets == 1
    called = []
    switch.provider.refresh_stats(lambda: called.append(1))
    assert called == [1]
    assert rule.stats.packets == 2
    assert rule.stats.bytes == 2 * 54
    table = switch.flows.tables[0]
    assert (table.lookups, table.matches) == (2, 2)


def test_no_rule_drops(switch: Switch) -> None:
    assert switch.send(1, A_TO_B) == []
    assert switch.send(1, A_TO_B) == []
    assert switch.dpif.upcalls == 1
    switch.provider.refresh_stats(lambda: None)
    assert (switch.flows.tables[0].lookups, switch.flows.tables[0].matches) == (2, 0)


def test_an_implicit_miss_goes_to_controllers_that_want_it(switch: Switch) -> None:
    switch.connections.wants_misses = True
    switch.provider.settings_changed()
    switch.receive(1, A_TO_B)
    (event,) = switch.connections.packet_ins
    assert (event.reason, event.in_port, event.implicit_miss, event.max_len) == (PacketInReason.NO_MATCH, 1, True, None)
    switch.receive(1, A_TO_B)
    assert len(switch.connections.packet_ins) == 2
    switch.reconfigure(1, config=PortConfig.NO_PACKET_IN)
    switch.run()
    switch.receive(1, A_TO_B)
    assert len(switch.connections.packet_ins) == 2


def test_to_the_controller_with_what_the_rule_said(switch: Switch) -> None:
    switch.add_flow("ip", "load:7->NXM_NX_REG1[],resubmit(,5)", cookie=0x11)
    switch.add_flow("ip", "set_field:99->metadata,controller(max_len=77,id=3,reason=invalid_ttl)", table=5, cookie=0x22)
    switch.receive(1, A_TO_B)
    (event,) = switch.connections.packet_ins
    assert (event.table_id, event.cookie, event.controller_id, event.max_len) == (5, 0x22, 3, 77)
    assert event.reason == PacketInReason.INVALID_TTL
    assert f.REGS[1].get(event.metadata.value) == 7
    assert f.METADATA.get(event.metadata.value) == 99
    assert f.REGS[2].get(event.metadata.mask) == 0


def test_normal_floods_learns_and_forwards(switch: Switch) -> None:
    switch.add_flow("", "NORMAL")
    assert switch.send(1, A_TO_B) == [2, 3]
    assert switch.send(2, B_TO_A) == [1]
    switch.run()
    assert switch.send(1, A_TO_B) == [2]
    assert switch.send(1, A_TO_B) == [2]
    # Only the flow to the address that was learned was translated again.
    assert switch.backer.revalidator.translated == 1
    # B moves to port 3: what goes to B follows.
    assert switch.send(3, B_TO_A) == [1]
    switch.run()
    assert switch.send(1, A_TO_B) == [3]


def test_normal_keeps_an_address_as_long_as_megaflows_see_it(switch: Switch) -> None:
    switch.add_flow("", "NORMAL")
    for _ in range(100):
        switch.send(1, A_TO_B)
        switch.clock.advance(9_000)
        switch.run()
    assert len(switch.provider.bridge.macs) == 1
    switch.clock.advance(301_000)
    switch.run()
    assert len(switch.provider.bridge.macs) == 0


def test_reserved_multicast(switch: Switch) -> None:
    switch.add_flow("", "NORMAL")
    stp = "dl_src=02:00:00:00:00:0a,dl_dst=01:80:c2:00:00:00,dl_type=0x8899"
    assert switch.send(1, stp) == []
    switch.settings = type(switch.settings)(forward_bpdu=True)
    switch.provider.settings_changed()
    switch.run()
    assert switch.send(1, stp) == [2, 3]


def test_port_config(switch: Switch) -> None:
    switch.add_flow("", "NORMAL")
    assert switch.send(1, A_TO_B) == [2, 3]
    switch.reconfigure(2, config=PortConfig.NO_FLOOD)
    switch.run()
    assert switch.send(1, A_TO_B) == [3]
    switch.reconfigure(2, config=PortConfig.NO_FWD)
    switch.run()
    assert switch.send(1, A_TO_B) == [3]
    switch.reconfigure(1, config=PortConfig.NO_RECV)
    switch.run()
    assert switch.send(1, A_TO_B) == []
    switch.reconfigure(1, config=PortConfig(0))
    switch.reconfigure(2, config=PortConfig(0))
    switch.add_port(4)
    switch.run()
    assert switch.send(1, A_TO_B) == [2, 3, 4]
    switch.delete_port(3)
    switch.run()
    assert switch.send(1, A_TO_B) == [2, 4]


def test_changed_rules_are_in_force_after_sync(switch: Switch) -> None:
    low = switch.add_flow("", "output:2", priority=1)
    assert switch.send(1, A_TO_B) == [2]
    assert switch.send(1, A_TO_B) == [2]
    called = []
    high = switch.add_flow("tcp,tp_dst=2", "output:3", priority=9)
    switch.provider.sync(lambda: called.append("added"))
    assert called == ["added"]
    assert switch.send(1, A_TO_B) == [3]
    new = switch.modify_flow(high, "output:2,output:3")
    switch.provider.sync(lambda: called.append("modified"))
    assert switch.send(1, A_TO_B) == [2, 3]
    switch.del_flow(new)
    switch.provider.sync(lambda: called.append("deleted"))
    assert called == ["added", "modified", "deleted"]
    assert switch.send(1, A_TO_B) == [2]
    switch.provider.refresh_stats(lambda: None)
    # No packet is lost on the way, nor counted twice.
    assert low.stats.packets == 3
    assert new.stats.packets == 2


def test_a_rule_elsewhere_disturbs_nothing(switch: Switch) -> None:
    switch.add_flow("in_port=1", "output:2")
    switch.add_flow("in_port=2", "output:1")
    switch.send(1, A_TO_B)
    switch.send(2, B_TO_A)
    before = switch.backer.revalidator.translated
    switch.add_flow("in_port=3", "output:1", priority=500)
    switch.add_flow("in_port=1", "output:3", priority=500, table=7)
    switch.run()
    assert switch.backer.revalidator.translated == before
    switch.add_flow("in_port=1", "output:3", priority=500)
    switch.run()
    assert switch.backer.revalidator.translated == before + 1


def test_counters_survive_the_megaflow(switch: Switch) -> None:
    rule = switch.add_flow("", "output:2")
    for _ in range(5):
        switch.send(1, A_TO_B)
    switch.backer.revalidator.purge()
    assert not switch.dpif.flows
    assert rule.stats.packets == 5
    switch.send(1, A_TO_B)
    assert rule.stats.packets == 6


def test_used_is_when_packets_passed(switch: Switch) -> None:
    rule = switch.add_flow("", "output:2")
    start = switch.clock.now()
    switch.send(1, A_TO_B)
    switch.clock.advance(1_700)
    switch.send(1, A_TO_B)
    switch.clock.advance(2_000)
    switch.provider.refresh_stats(lambda: None)
    assert rule.stats.used == start + 1_700


def test_idle_megaflows_go(switch: Switch) -> None:
    switch.add_flow("", "output:2")
    switch.send(1, A_TO_B)
    switch.clock.advance(9_000)
    switch.run()
    assert len(switch.dpif.flows) == 1
    switch.clock.advance(1_500)
    switch.run()
    assert len(switch.dpif.flows) == 0
    assert len(switch.backer.flows) == 0
    assert switch.run() is None


def test_patched_bridges_share_one_megaflow(make_switch: Callable[[str], Switch]) -> None:
    one, two = make_switch("br0"), make_switch("br1")
    one.add_port(1)
    one.add_port(9, "to-br1", peer="to-br0")
    two.add_port(2, "q2")
    two.add_port(9, "to-br0", peer="to-br1")
    first = one.add_flow("in_port=1", "load:5->NXM_NX_REG0[],dec_ttl,output:9")
    second = two.add_flow("in_port=9,reg0=0,ip", "output:2")
    one.receive(1, A_TO_B)
    one.receive(1, A_TO_B)
    ((port, key), again) = one.dpif.take_sent()
    assert port == two.dp(2)
    assert again == (port, key)
    assert f.NW_TTL.get(key) == 63
    assert len(one.dpif.flows) == 1
    one.provider.refresh_stats(lambda: None)
    assert first.stats.packets == second.stats.packets == 2
    assert one.provider.port_stats(one.ports[9]).tx_packets == 2  # type: ignore[arg-type]  # a stand-in
    assert two.provider.port_stats(two.ports[9]).rx_packets == 2  # type: ignore[arg-type]  # a stand-in
    # A rule of the second bridge, and the patch's end.
    two.del_flow(second)
    one.run()
    one.receive(1, A_TO_B)
    assert one.dpif.take_sent() == []
    two.add_flow("", "output:2")
    one.run()
    one.receive(1, A_TO_B)
    assert len(one.dpif.take_sent()) == 1
    two.delete_port(9)
    one.run()
    one.receive(1, A_TO_B)
    assert one.dpif.take_sent() == []


def test_packet_out(switch: Switch) -> None:
    rule = switch.add_flow("in_port=3,udp", "output:1")
    assert switch.packet_out(A_TO_B, "output:2", OFPP_CONTROLLER) == [2]
    assert switch.packet_out(A_TO_B, "FLOOD", 1) == [2, 3]
    assert switch.packet_out(A_TO_B, "ALL", OFPP_CONTROLLER) == [1, 2, 3]
    assert switch.packet_out("udp,nw_ttl=3", "TABLE", 3) == [1]
    assert rule.stats.packets == 1
    assert not switch.dpif.flows
    assert switch.packet_out(A_TO_B, "NORMAL", OFPP_CONTROLLER) == [1, 2, 3]
    assert len(switch.provider.bridge.macs) == 0
    assert switch.packet_out(A_TO_B, "NORMAL", 1) == [2, 3]
    assert len(switch.provider.bridge.macs) == 1


def test_what_translation_cannot_do_is_refused(switch: Switch) -> None:
    with pytest.raises(OpenFlowError, match="OFPBAC_BAD_TYPE"):
        switch.add_flow("mpls", "dec_mpls_ttl")
    with pytest.raises(OpenFlowError, match="OFPBAC_BAD_TYPE"):
        switch.packet_out("mpls", "dec_mpls_ttl", 1)


def test_fragments(switch: Switch) -> None:
    switch.add_flow("udp,tp_dst=53", "output:2")
    switch.add_flow("ip", "output:3", priority=1)
    first = "udp,nw_frag=first,tp_dst=53,nw_ttl=1"
    assert switch.send(1, first) == [3]
    assert switch.provider.set_fragments(FragmentHandling.NX_MATCH)
    switch.run()
    assert switch.send(1, first) == [2]
    assert switch.provider.set_fragments(FragmentHandling.DROP)
    switch.run()
    assert switch.send(1, first) == []
    assert not switch.provider.set_fragments(FragmentHandling.REASM)


def test_a_refused_put_is_forgotten(switch: Switch) -> None:
    switch.add_flow("", "output:2")
    switch.dpif.refuse_puts = True
    assert switch.send(1, A_TO_B) == [2]
    switch.run()
    assert len(switch.backer.flows) == 0
    switch.dpif.refuse_puts = False
    assert switch.send(1, A_TO_B) == [2]
    assert len(switch.dpif.flows) == 1


def test_the_flow_limit_bounds_megaflows(switch: Switch) -> None:
    rule = switch.add_flow("", "NORMAL")
    switch.backer.revalidator.flow_limit = 20
    for i in range(100):
        assert switch.send(1, f"dl_src=02:00:00:00:01:{i:02x},dl_dst=02:00:00:00:00:0b,dl_type=0x1234") == [2, 3]
    assert len(switch.dpif.flows) == 20
    assert rule.stats.packets == 100


def test_nothing_is_put_twice(switch: Switch) -> None:
    switch.add_flow("", "output:2")
    switch.send(1, A_TO_B)
    switch.run()
    assert not [op for op in switch.dpif.ops if isinstance(op, FlowPut)]
