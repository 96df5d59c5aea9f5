"""What must hold of every translation, and its limits."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackfield.clock import Clock
from jackfield.flow import fields as f
from jackfield.flow.text import parse_match
from jackfield.ofproto.pipeline import frames
from jackfield.ofproto.pipeline.translate import Translation
from tests.ofproto.pipeline import fake_dpif
from tests.ofproto.pipeline.fake_dpif import Switch

MATCHES = (
    *("", "ip", "tcp", "arp", "ipv6", "in_port=1", "in_port=2,ip", "dl_src=02:00:00:00:00:01", "dl_vlan=1"),
    *("vlan_tci=0/0x1000", "nw_src=10.0.0.0/25,ip", "tcp,tp_dst=80", "tcp,tp_src=0x50/0xfff0", "ip,nw_ttl=1", "reg1=2"),
    *(
        "reg1=0",
        "metadata=1",
        "ip,nw_tos=8",
        "udp,tp_dst=80",
        "dl_dst=02:00:00:00:00:00/ff:ff:ff:ff:ff:f0",
        "in_port=2",
    ),
)
ACTIONS = (
    *("output:1", "output:2", "output:3", "in_port", "FLOOD", "ALL", "NORMAL", "CONTROLLER", "output:9"),
    *("mod_dl_src:02:00:00:00:00:09", "mod_vlan_vid:3", "mod_vlan_pcp:2", "strip_vlan", "push_vlan:0x88a8"),
    *("mod_nw_src:10.0.0.9", "mod_nw_tos:8", "mod_tp_dst:81", "dec_ttl", "load:2->NXM_NX_REG1[]", "exit"),
    *("move:NXM_OF_ETH_SRC[0..15]->NXM_NX_REG1[0..15]", "move:NXM_OF_VLAN_TCI[]->NXM_NX_REG1[0..15]"),
    *("push:NXM_OF_ETH_DST[]", "pop:NXM_OF_ETH_SRC[]", "set_field:02:00:00:00:00:00/ff:00:00:00:00:00->eth_src"),
    *("set_field:1->metadata", "resubmit(,1)", "resubmit(2,2)", "load:0x1005->NXM_OF_VLAN_TCI[]", "set_queue:3"),
    *("write_actions(output:2,dec_ttl),goto_table:2", "clear_actions,write_actions(output:3)", "enqueue:2:5"),
)
PACKETS = (
    *("tcp,nw_src=10.0.0.1,nw_ttl=64,tp_src=85,tp_dst=80", "tcp,nw_src=10.0.0.200,nw_ttl=1,tp_dst=81", "arp,arp_op=1"),
    *(
        "udp,nw_src=10.0.0.3,nw_ttl=2,tp_dst=80,nw_tos=8",
        "ipv6,nw_ttl=7",
        "dl_type=0x1234",
        "tcp,nw_frag=later,nw_ttl=9",
    ),
)


def all_rules() -> st.SearchStrategy[list[tuple[int, int, str, str]]]:
    rule = st.tuples(
        st.integers(0, 2),
        st.integers(1, 20),
        st.sampled_from(MATCHES),
        st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=4),
    ).map(lambda each: (each[0], each[1], each[2], ordered(each[3])))
    return st.lists(rule, min_size=1, max_size=10, unique_by=lambda each: each[:2])


def ordered(actions: list[str]) -> str:
    """Instructions, one of a kind, behind the actions."""
    plain = [each for each in actions if "write_actions" not in each]
    written = [each for each in actions if "write_actions" in each]
    return ",".join([*plain, *written[:1]])


@st.composite
def packets(draw: st.DrawFn) -> str:
    tag = draw(st.sampled_from(("", ",vlan_tci=0x1001", ",vlan_tci=0x5003")))
    src, dst = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return f"{draw(st.sampled_from(PACKETS))}{tag},dl_src=02:00:00:00:00:0{src},dl_dst=02:00:00:00:00:0{dst}"


def key_of(switch: Switch, number: int, packet: str) -> int:
    key = switch.key(number, packet)
    return f.VLAN_TPID.put(key, 0x8100) if f.VLAN_TCI.get(key) else key


@pytest.fixture
def registered() -> Iterator[None]:
    fake_dpif.register()
    yield
    fake_dpif.unregister()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=all_rules(), first=packets(), second=packets(), port=st.integers(1, 3), noise=st.integers(0))
def test_packets_alike_under_the_wildcards_fare_alike(
    registered: None, rules: list[tuple[int, int, str, str]], first: str, second: str, port: int, noise: int
) -> None:
    switch = Switch(Clock(held_at=1_000))
    for number in (1, 2, 3):
        switch.add_port(number)
    try:
        for table, priority, match, actions in rules:
            switch.add_flow(match, actions, priority, table)
        key = key_of(switch, port, first)
        t = switch.backer.translate(key, learn=False)
        assert t is not None
        # Another packet that agrees in all that the megaflow matches on, and in nothing else if it can.
        for other in (key_of(switch, port, second), noise & f.DATAPATH_MASK):
            twin = key & t.wildcards | other & ~t.wildcards
            if not makes_sense(twin):
                continue
            again = switch.backer.translate(twin, learn=False)
            assert again is not None
            assert again.result == t.result
            assert again.wildcards == t.wildcards
        # From its own masked key, as revalidation does it.
        masked = switch.backer.translate(key & t.wildcards, learn=False)
        assert masked is not None
        assert (masked.result, masked.wildcards) == (t.result, t.wildcards)
    finally:
        for number in list(switch.ports):
            switch.delete_port(number)
        switch.provider.destruct(delete=True)


def makes_sense(key: int) -> bool:
    """Whether a packet could have this key: nothing in it that its headers leave no room for."""
    tag, tag2 = f.VLAN_TCI.get(key), f.VLAN2_TCI.get(key)
    if (tag and not tag & 0x1000) or (tag2 and not tag2 & 0x1000) or (tag2 and not tag):
        return False
    if bool(tag) != bool(f.VLAN_TPID.get(key)) or bool(tag2) != bool(f.VLAN2_TPID.get(key)):
        return False
    if f.PACKET_TYPE.get(key) or f.RECIRC_ID.get(key) or f.NW_FRAG.get(key) not in (0, 1, 3):
        return False
    if f.NW_FRAG.get(key) == 3 and key & (f.TP_SRC.mask | f.TP_DST.mask):
        return False
    return key & ~parts_of(f.ETH_TYPE.get(key)) == 0


def parts_of(eth_type: int) -> int:
    word = (1 << 64) - 1
    mask = word * (1 | 1 << 64 | 1 << 128 | 1 << 5 * 64) | word << 6 * 64 | word << 7 * 64 | word << 8 * 64
    if eth_type in (0x0800, 0x86DD, 0x0806):
        mask |= word << 3 * 64 | word << 4 * 64 | (1 << 64 * 24) - (1 << 64 * 13)
    return mask


def translate(switch: Switch, packet: str) -> Translation:
    t = switch.backer.translate(switch.key(1, packet), learn=False)
    assert t is not None
    return t


def test_resubmits_end(switch: Switch) -> None:
    switch.add_flow("", "output:2,resubmit(,0)")
    t = translate(switch, "ip")
    assert t.error == frames.TOO_DEEP
    assert t.result == ()


def test_many_resubmits_end(switch: Switch) -> None:
    for table in range(12):
        switch.add_flow("", f"resubmit(,{table + 1}),resubmit(,{table + 1})", table=table)
    assert translate(switch, "ip").error == frames.TOO_MANY_RESUBMITS


def test_many_actions_end(switch: Switch) -> None:
    switch.add_flow("", ",".join(["resubmit(,1)"] * 64))
    switch.add_flow("", ",".join(["output:2"] * 200), table=1)
    assert translate(switch, "ip").error == frames.TOO_MANY_ACTIONS


def test_the_stack_ends(switch: Switch) -> None:
    switch.add_flow("", ",".join(["resubmit(,1)"] * 64))
    switch.add_flow("", ",".join(["push:NXM_NX_REG0[]"] * 100), table=1)
    assert translate(switch, "ip").error == frames.STACK_TOO_DEEP


def test_patches_in_a_circle_end(make_switch: Callable[[str], Switch]) -> None:
    one, two = make_switch("br0"), make_switch("br1")
    one.add_port(1)
    for near, far in ((one, two), (two, one)):
        near.add_port(8, f"a-{near.name}", peer=f"b-{far.name}")
        near.add_port(9, f"b-{near.name}", peer=f"a-{far.name}")
        near.add_flow("", "output:8,output:9")
    assert translate(one, "ip").error == frames.TOO_DEEP


def test_tables_of_the_width_of_a_rule_only(switch: Switch) -> None:
    switch.add_flow("tcp,tp_dst=80", "output:2")
    t = translate(switch, "dl_type=0x1234")
    assert not t.wildcards & (f.IP_SRC.mask | f.TP_DST.mask | f.ETH_SRC.mask)
    assert t.wildcards & f.ETH_TYPE.mask


def test_fields_that_are_not_there_are_not_matched(switch: Switch) -> None:
    switch.add_flow("ipv6,ipv6_src=fe80::1", "output:2", priority=10)
    switch.add_flow("ip", "output:3", priority=5)
    assert not translate(switch, "ip").wildcards & f.IPV6_SRC.mask


def test_an_action_set_is_done_at_the_end(switch: Switch) -> None:
    switch.add_flow("", "write_actions(set_field:02:00:00:00:00:07->eth_dst,output:2),goto_table:1")
    switch.add_flow("", "output:3,write_actions(output:1,dec_ttl)", table=1)
    switch.receive(2, "ip,nw_ttl=9")
    (plain, changed) = switch.dpif.take_sent()
    assert plain[0] == switch.dp(3)
    assert f.NW_TTL.get(plain[1]) == 9
    assert changed[0] == switch.dp(1)
    assert f.NW_TTL.get(changed[1]) == 8
    assert f.ETH_DST.get(changed[1]) == 0x020000000007


def test_in_port_of_a_resubmit_counts_for_that_search_only(switch: Switch) -> None:
    switch.add_flow("in_port=1", "resubmit(2,1),in_port", table=0)
    switch.add_flow("in_port=2", "output:1,output:3", table=1)
    assert switch.send(1, "ip") == [1, 3]


def test_key_text_used_here_is_a_packet(switch: Switch) -> None:
    assert makes_sense(parse_match(PACKETS[0]).value)
