"""Datapath flow text, and stock ovs-vswitchd's reading and printing of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DpPort
from jackfield.flow.text_odp import format_odp, parse_odp
from tests.flow.conftest import StockSwitch
from tests.flow.strategies import packet_keys

IP = "recirc_id(0),in_port(1),eth(),eth_type(0x0800)"
ANY = "recirc_id(0),in_port(1),eth()"
CT = "recirc_id(0x1),in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)"
TUNNEL = "recirc_id(0),in_port(1),eth(),eth_type(0x1234)"

# Printed by ovs-vswitchd 3.1 for the flows of the same text.
CANONICAL = [
    "recirc_id(0),in_port(1),eth(),eth_type(0x1234)",
    "recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,proto=6,frag=no),"
    "tcp(dst=80/0xf0)",
    "recirc_id(0),in_port(1),eth(src=50:54:00:00:00:00/ff:ff:00:00:00:00),eth_type(0x1234)",
    "recirc_id(0),in_port(1),eth(src=50:54:00:00:00:01,dst=01:00:00:00:00:00/01:00:00:00:00:00),eth_type(0x0800),"
    "ipv4(src=10.0.0.0/255.0.255.0,dst=1.2.3.4,proto=17,tos=0x10/0xfc,ttl=64,frag=first),udp(src=1/0xff,dst=2)",
    f"{IP},ipv4(proto=6,frag=later)",
    f"{IP},ipv4(proto=6,tos=0,frag=no),tcp(src=0,dst=0),tcp_flags(syn|ack)",
    f"{IP},ipv4(proto=6,tos=0,frag=no),tcp(src=0,dst=0),tcp_flags(+syn-ack)",
    f"{IP},ipv4(proto=6,frag=no),tcp(src=1),tcp_flags(0)",
    f"{IP},ipv4(proto=1,frag=no),icmp(type=8,code=0)",
    f"{IP},ipv4(proto=1,frag=no),icmp(type=0/0xf0)",
    f"{IP},ipv4(proto=132,frag=no),sctp(src=5,dst=6)",
    f"{IP},ipv4(proto=2,frag=no)",
    f"{ANY},eth_type(0x86dd),ipv6(src=1::2,dst=2::/ffff::,label=0x12345,proto=6,tclass=0x4/0xfc,hlimit=5,frag=no),"
    "tcp(src=1,dst=2/0xf)",
    f"{ANY},eth_type(0x86dd),ipv6(label=0x5/0xf,proto=58,frag=no),icmpv6(type=135,code=0),"
    "nd(target=fe80::1,sll=00:11:22:33:44:55)",
    f"{ANY},eth_type(0x86dd),ipv6(proto=58,frag=no),icmpv6(type=136,code=0),nd(target=fe80::/ffff::,tll=00:11:22:33:44:55)",
    f"{ANY},eth_type(0x0806),arp(sip=1.2.3.4,tip=1.2.0.0/255.255.0.0,op=1,sha=00:11:22:33:44:55,tha=00:11:22:33:44:56)",
    f"{ANY},eth_type(0x0806),arp(op=1)",
    f"{ANY},eth_type(0x8847),mpls(label=5,tc=3,ttl=4,bos=1)",
    f"{ANY},eth_type(0x8847),mpls(label=5/0xff,tc=3/7,ttl=4/0xf,bos=1/1)",
    f"{ANY},eth_type(0x8847),mpls(label=5,tc=3,ttl=4,bos=0,label=6,tc=3,ttl=4,bos=1)",
    f"{ANY},eth_type(0x8100),vlan(vid=5,pcp=3),encap(eth_type(0x0800),ipv4(frag=no))",
    f"{ANY},eth_type(0x8100),vlan(vid=5),encap(eth_type(0x1234))",
    f"{ANY},eth_type(0x8100),vlan(vid=5/0xf,pcp=1/0x1),encap(eth_type(0x1234))",
    f"{ANY},eth_type(0x8100),vlan(vid=0,pcp=0),encap(eth_type(0x1234))",
    f"{ANY},eth_type(0x8100),vlan(),encap(eth_type(0x0800),ipv4(frag=no))",
    f"{ANY},eth_type(0x88a8),vlan(vid=5,pcp=0),encap(eth_type(0x8100),vlan(vid=6,pcp=1),encap(eth_type(0x0806),arp(op=1)))",
    "skb_priority(0x7),skb_mark(0x9/0xf),recirc_id(0x5),dp_hash(0x5/0xff),in_port(1),eth(),eth_type(0x1234)",
    f"ct_state(+est-inv+trk),ct_zone(0x5),ct_mark(0x5/0xff),ct_label(0x1/0xff),{CT}",
    f"ct_state(-new+est-rel-rpl-inv+trk-snat-dnat),ct_zone(0),{CT}",
    f"ct_state(+est+trk),ct_tuple4(src=1.2.3.4,dst=1.2.0.0/255.255.0.0,proto=6,tp_src=5,tp_dst=6/0xff),{CT}",
    "ct_state(+est+trk),ct_tuple6(src=1::2,dst=2::,proto=6,src_port=5,dst_port=6/0xff),recirc_id(0x1),in_port(1),eth(),"
    "eth_type(0x86dd),ipv6(frag=no)",
    f"tunnel(tun_id=0x5,src=1.2.3.4,dst=1.2.3.5,ttl=64,flags(df|csum|key)),{TUNNEL}",
    f"tunnel(tun_id=0x5/0xff,src=1.2.0.0/255.255.0.0,dst=1.2.3.5,tos=0x1,ttl=4/0xf,tp_src=5,tp_dst=6,flags(+df-csum+key)),"
    f"{TUNNEL}",
    f"tunnel(tun_id=0x5,ipv6_src=1::1,ipv6_dst=2::,ttl=4,tp_dst=6/0xff,flags(-df-csum+key)),{TUNNEL}",
    f"tunnel(tun_id=0x5,src=1.2.3.4,dst=1.2.3.5,tos=0x4,ttl=4,vxlan(gbp(id=5,flags=0x3)),flags(-df+csum+key)),{TUNNEL}",
    f"tunnel(tun_id=0x5,src=1.2.3.4,dst=1.2.3.5,ttl=64,gtpu(flags=0x3,msgtype=4),flags(-df-csum+key)),{TUNNEL}",
    "recirc_id(0),in_port(1),packet_type(ns=1,id=0x800),eth_type(0x0800),ipv4(frag=no)",
    "recirc_id(0),in_port(1),eth(),eth_type(0x1200/0xff00)",
]  # fmt: skip


@pytest.mark.parametrize("text", CANONICAL)
def test_canonical_text_reads_and_prints_as_itself(text: str) -> None:
    match = parse_odp(text)
    assert format_odp(match.value, match.mask) == text
    assert not match.mask & ~f.DATAPATH_MASK


@pytest.fixture
def without_revalidators(stock_switch: StockSwitch) -> Iterator[StockSwitch]:
    """They take flows away that no packet made."""
    stock_switch.appctl("revalidator/pause")
    yield stock_switch
    stock_switch.appctl("dpctl/del-flows")
    stock_switch.appctl("revalidator/resume")


def test_stock_datapath_prints_the_same(without_revalidators: StockSwitch) -> None:
    stock_switch = without_revalidators
    for text in CANONICAL:
        stock_switch.appctl("dpctl/del-flows")
        # It does not read back all that it prints.
        readable = text.replace("packet_type(ns=0,id=0)", "packet_type(ns=0,id=0),eth()")
        readable = readable.replace("src_port=", "tp_src=").replace("dst_port=", "tp_dst=")
        stock_switch.appctl("dpctl/add-flow", readable, "1")
        printed = stock_switch.dumped_flow().partition(", packets:")[0]
        assert printed == text


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("in_port(p1) eth() , eth_type(4660)", "in_port(1),eth(),eth_type(0x1234)"),
        ("in_port(1),eth(),eth_type(0x0806),arp(op=1/0xff)", "in_port(1),eth(),eth_type(0x0806),arp(op=1)"),
        ("ct_state(0x21/0x25)", "ct_state(+new-rel+trk)"),
        ("ct_tuple6(tp_src=5)", "ct_tuple6(src_port=5)"),
        (
            "eth_type(0x8100),vlan(vid=5,pcp=0/0),encap(eth_type(0x1))",
            "eth_type(0x8100),vlan(vid=5),encap(eth_type(0x1))",
        ),
        ("eth(src=50:54:00:00:00:01/ff:ff:ff:ff:ff:ff)", "eth(src=50:54:00:00:00:01)"),
    ],
)
def test_other_ways_to_write_it(text: str, same_as: str) -> None:
    assert parse_odp(text, {"p1": DpPort(1)}) == parse_odp(same_as)


def test_untagged_and_cfi() -> None:
    assert parse_odp("eth_type(0x0800)").get(f.VLAN_TCI) == (0, f.VLAN_CFI)
    assert parse_odp("eth_type(0x8100),vlan(vid=1,cfi=0),encap()").get(f.VLAN_TCI) == (1, 0x1FFF)


def test_in_port_is_the_datapaths() -> None:
    match = parse_odp("in_port(7)")
    assert match.exact(f.DP_IN_PORT) == 7
    assert match.exact(f.IN_PORT) is None
    assert format_odp(match.value, match.mask, {DpPort(7): "eth7"}) == "in_port(eth7),eth()"


def test_verbose_writes_what_is_not_matched_on() -> None:
    match = parse_odp("recirc_id(0),in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=80)")
    key = f.CT_STATE.put(match.value, 0x22)
    assert format_odp(key, match.mask, verbose=True) == (
        "skb_priority(0/0),skb_mark(0/0),ct_state(0/0),ct_zone(0/0),ct_mark(0/0),ct_label(0/0),recirc_id(0),dp_hash(0/0),"
        "in_port(1),packet_type(ns=0/0,id=0/0),eth(src=00:00:00:00:00:00/00:00:00:00:00:00,"
        "dst=00:00:00:00:00:00/00:00:00:00:00:00),eth_type(0x0800),ipv4(src=0.0.0.0/0.0.0.0,dst=0.0.0.0/0.0.0.0,proto=6,"
        "tos=0/0,ttl=0/0,frag=no),tcp(src=0/0,dst=80),tcp_flags(0/0)"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("foo(1)", "foo(1): unknown attribute foo"),
        ("in_port", "in_port: syntax error (expected in_port(...))"),
        ("in_port=1", "in_port=1: syntax error"),
        ("in_port(x)", "in_port(x): x: not a number"),
        ("ipv4(foo=1)", "expected src, dst, proto, tos, ttl"),
        ("ipv4(proto=256)", "expected 0 to 0xff"),
        ("ipv4(frag=yes)", "expected no, first, later"),
        ("eth(src=1)", "invalid Ethernet address"),
        ("vlan(x=1),encap()", "expected vid, pcp, cfi"),
        ("vlan(),encap(vlan(),encap(vlan(),encap()))", "too many VLAN tags"),
        ("tcp_flags(+foo)", "unknown tcp_flags flag"),
        ("mpls(tc=1)", "expected 1 to 3 labels"),
        ("ipv4(src=1.2.3.4", "missing )"),
        ("tunnel(geneve({class=1}))", "unknown part of tunnel"),
    ],
)
def test_a_fault_is_named(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        parse_odp(text)
    assert says in str(caught.value)


ALWAYS_FULL = f.ETH_TYPE.mask | f.VLAN_TPID.mask | f.VLAN2_TPID.mask | f.NW_FRAG.mask | f.PACKET_TYPE.mask


def _kept(key: int) -> int:
    """The part of a packet's key that the text has: not exthdr, which no datapath key has, nor IGMP."""
    for field in (f.IPV6_EXTHDR, f.IGMP_GROUP):
        if f.ETH_TYPE.get(key) in (0x0800, 0x86DD):
            key = field.put(key, 0)
    if f.ETH_TYPE.get(key) == 0x0800 and f.NW_PROTO.get(key) == 2:
        key = f.TP_SRC.put(f.TP_DST.put(key, 0), 0)
    return key


@settings(max_examples=300)
@given(packet_keys(), st.integers(0, 1 << 31))
def test_a_packets_whole_key_reads_back(key: int, port: int) -> None:
    if f.ETH_TYPE.get(key) == 0x894F:
        key = f.NSH_MDTYPE.put(key, 1)
    key = _kept(f.DP_IN_PORT.put(key, port))
    assert parse_odp(format_odp(key)).value == key


@settings(max_examples=300)
@given(packet_keys(), st.integers(0, f.DATAPATH_MASK))
def test_masked_text_is_stable(key: int, mask: int) -> None:
    mask |= ALWAYS_FULL | f.VLAN_CFI << f.VLAN_TCI.offset | f.VLAN_CFI << f.VLAN2_TCI.offset
    text = format_odp(key & mask, mask)
    again = parse_odp(text)
    assert format_odp(again.value, again.mask) == text


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9_=,/:.()+|-]{0,60}", fullmatch=True))
def test_any_text_is_a_match_or_a_one_line_error(text: str) -> None:
    message = ""
    try:
        parse_odp(text)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message.replace("\n", "", text.count("\n") * 3)


def test_stock_extraction_and_ours_agree(stock_switch: StockSwitch) -> None:
    """Packets of every kind into a stock dummy port; the flow it makes has the key that we find."""
    from tests.flow.test_parse import PACKETS

    # Of an NSH header that it does not match on, stock's text says nothing.
    for name in PACKETS.keys() - {"nsh"}:
        data = bytes(PACKETS[name][0])
        stock_switch.appctl("revalidator/purge")
        stock_switch.appctl("netdev-dummy/receive", "p1", data.hex())
        line = stock_switch.dumped_flow("-m")
        text = re.sub(r"ufid:[-0-9a-f]+, ", "", line.partition(", packets:")[0])
        exact = re.sub(r"(?<!eth_type\(0)/[0-9a-fA-Fx:.]+", "", text)
        wanted = parse_odp(exact, {"p1": DpPort(1)}).value
        key = parse_packet(data, 1).key
        # These are not in stock's text, or not when its mask does not have them.
        for field in (f.ND_RESERVED, f.ND_OPTIONS_TYPE, f.IPV6_EXTHDR, f.TCP_FLAGS):
            if f.ETH_TYPE.get(key) in (0x0800, 0x86DD):
                key = field.put(key, 0)
        assert format_odp(_kept(key)) == format_odp(wanted), name
