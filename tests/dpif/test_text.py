"""Actions and flows as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.dpif.actions import (
    Clone,
    DpActions,
    Drop,
    Hash,
    Output,
    PopVlan,
    PushVlan,
    Recirc,
    Sample,
    SetMasked,
    Truncate,
    Userspace,
)
from jackfield.dpif.provider import DpFlow, FlowStats
from jackfield.dpif.text import format_actions, format_flow, format_tcp_flags, parse_actions, split_top
from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from tests.dpif.conformance import frame

UDP_KEY = parse_packet(frame(), 2).key

BOTH_WAYS: list[tuple[str, DpActions]] = [
    ("drop", ()),
    ("3", (Output(DpPort(3)),)),
    ("1,2", (Output(DpPort(1)), Output(DpPort(2)))),
    (
        "set(eth(dst=0a:0b:0c:0d:0e:0f)),1",
        (SetMasked(0x0A0B0C0D0E0F << f.ETH_DST.offset, f.ETH_DST.mask), Output(DpPort(1))),
    ),
    ("set(ipv4(ttl=63))", (SetMasked(63 << f.NW_TTL.offset, f.NW_TTL.mask),)),
    ("set(udp(src=7))", (SetMasked(7 << f.TP_SRC.offset, f.TP_SRC.mask),)),
    ("set(skb_priority(0x5))", (SetMasked(5 << f.SKB_PRIORITY.offset, f.SKB_PRIORITY.mask),)),
    ("set(vlan(vid=9,pcp=3))", (SetMasked(0x6009 << f.VLAN_TCI.offset, 0xEFFF << f.VLAN_TCI.offset),)),
    ("push_vlan(vid=5,pcp=0),3", (PushVlan(0x8100, 0x1005), Output(DpPort(3)))),
    ("push_vlan(tpid=0x88a8,vid=5,pcp=7)", (PushVlan(0x88A8, 0xF005),)),
    ("push_vlan(vid=5,pcp=0,cfi=0)", (PushVlan(0x8100, 5),)),
    ("pop_vlan,trunc(64),2", (PopVlan(), Truncate(64), Output(DpPort(2)))),
    ("hash(l4(0)),recirc(0x1f)", (Hash(0, 0), Recirc(31))),
    ("clone(pop_vlan,1),2", (Clone((PopVlan(), Output(DpPort(1)))), Output(DpPort(2)))),
    (
        "sample(sample=100.0%,actions(clone(1),2))",
        (Sample(0xFFFFFFFF, (Clone((Output(DpPort(1)),)), Output(DpPort(2)))),),
    ),
    ("userspace(pid=0)", (Userspace(),)),
    ("userspace(pid=7,userdata(0a0b),actions)", (Userspace(b"\n\x0b", 7, True),)),
]


@pytest.mark.parametrize(("text", "actions"), BOTH_WAYS)
def test_both_ways(text: str, actions: DpActions) -> None:
    assert format_actions(actions, UDP_KEY) == text
    assert parse_actions(text) == actions


def test_names_of_ports() -> None:
    assert (
        format_actions((Output(DpPort(3)), Clone((Output(DpPort(4)),))), None, {DpPort(3): "veth0"}) == "veth0,clone(4)"
    )
    assert parse_actions("veth0,clone(4)", {"veth0": DpPort(3)}) == (Output(DpPort(3)), Clone((Output(DpPort(4)),)))


def test_drop_with_a_reason() -> None:
    assert format_actions((Output(DpPort(1)), Drop(3))) == "1,drop"
    assert parse_actions("1,drop") == (Output(DpPort(1)), Drop())


@pytest.mark.parametrize(
    ("mask", "text"),
    [(f.IP_SRC.mask, "set(ipv4(src=0.0.0.0))"), (f.TP_DST.mask, "set(tcp(dst=0))"), (f.ARP_SHA.mask, "set(arp(sha=")],
)
def test_without_a_key_a_header_is_guessed(mask: int, text: str) -> None:
    assert format_actions((SetMasked(0, mask),)).startswith(text)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "nonsense(1)",
        "set()",
        "set(ipv4(ttl=999))",
        "trunc(x)",
        "push_vlan(pcp=1)",
        "push_vlan(vid=4096)",
        "clone(1",
        "1)",
        "recirc(-1)",
        "sample(sample=200%,actions(1))",
        "sample(1)",
        "userspace(userdata(0))",
        "userspace(x)",
        "hash(l3(0))",
        "4294967296",
        "1,,2",
    ],
)
def test_bad_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_actions(text)
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="0123456789abcdef(),=%xsetpopvlanudpipv4trc_ :", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        actions = parse_actions(text)
    except ValueError:
        return
    assert isinstance(actions, tuple)


def test_flow() -> None:
    mask = f.DP_IN_PORT.mask | f.RECIRC_ID.mask | f.ETH_TYPE.mask | f.NW_FRAG.mask
    flow = DpFlow(1, UDP_KEY & mask, mask, (Output(DpPort(3)),), FlowStats(3, 294, 0x12, 9_500))
    line = format_flow(flow, 10_000)
    assert line == (
        "recirc_id(0),in_port(2),eth(),eth_type(0x0800),ipv4(frag=no), "
        "packets:3, bytes:294, used:0.500s, flags:S., actions:3"
    )
    assert format_flow(flow, 10_000, verbose=True).startswith("ufid:00000000-0000-0000-0000-000000000001, ")
    terse = DpFlow(1, None, None, None, FlowStats())
    assert format_flow(terse, 5) == "ufid:00000000-0000-0000-0000-000000000001, packets:0, bytes:0, used:never"


def test_tcp_flags() -> None:
    assert format_tcp_flags(0) == "none"
    assert format_tcp_flags(0x18) == "P."
    assert format_tcp_flags(0xFFF) == "SFPRU.ECN[200][400][800]"


def test_split_top() -> None:
    assert split_top("a(b,c),d") == ["a(b,c)", "d"]
    assert split_top("") == []
