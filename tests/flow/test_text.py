"""Match text; the stock ovs-ofctl judges what a text means and how a match is printed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import OfPort
from jackfield.flow.text import KeyValue, format_flow, format_match, match_with, parse_match, split_key_values
from jackfield.flow.tunnel_options import NO_TUNNEL_OPTIONS
from tests.flow.conftest import StockSwitch
from tests.flow.test_parse import PACKETS

OVS_OFCTL = shutil.which("ovs-ofctl")
needs_ovs = pytest.mark.skipif(OVS_OFCTL is None, reason="ovs-ofctl is not installed")


def stock(texts: list[str], directory: Path) -> list[str]:
    """What ovs-ofctl makes of matches, each printed as it would dump it."""
    rules = directory / "rules"
    rules.write_text("".join(f"{text} actions=drop\n" for text in texts))
    printed = subprocess.run(
        [OVS_OFCTL or "", "-F", "NXM,OXM", "parse-flows", str(rules)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert printed.returncode == 0, printed.stderr
    lines = [line for line in printed.stdout.splitlines() if "_FLOW_MOD" in line]
    assert len(lines) == len(texts), printed.stderr
    return [line.partition(": ADD ")[2].replace("table:255 ", "").partition("actions=")[0].strip() for line in lines]


# Text in, text as ovs-ofctl 3.1 prints it.
CASES = {
    "tcp,tp_dst=80": "tcp,tp_dst=80",
    "dl_type=0x800,nw_proto=6,tp_src=1000": "tcp,tp_src=1000",
    "tcp,nw_src=10.0.0.0/8,tcp_flags=+syn-ack": "tcp,nw_src=10.0.0.0/8,tcp_flags=+syn-ack",
    "tcp,tcp_flags=syn|ack": "tcp,tcp_flags=syn|ack",
    "tcp,tcp_flags=0/0xfff": "tcp,tcp_flags=0",
    "tcp,tcp_flags=0x600/0xe00": "tcp,tcp_flags=+[200]+[400]-[800]",
    "dl_vlan=5": "dl_vlan=5",
    "dl_vlan=0xffff": "vlan_tci=0x0000",
    "dl_vlan=5,dl_vlan_pcp=3": "dl_vlan=5,dl_vlan_pcp=3",
    "dl_vlan_pcp=3": "dl_vlan_pcp=3",
    "vlan_pcp=3": "dl_vlan_pcp=3",
    "vlan_vid=5": "vlan_tci=0x0005/0x1fff",
    "vlan_vid=0x1005/0x10ff": "vlan_tci=0x1005/0x10ff",
    "vlan_tci=0x1000/0x1000": "vlan_tci=0x1000/0x1000",
    "vlan_tci=0x1005": "dl_vlan=5,dl_vlan_pcp=0",
    "in_port=65534": "in_port=LOCAL",
    "in_port=local": "in_port=LOCAL",
    "in_port_oxm=5": "in_port=5",
    "actset_output=LOCAL": "actset_output=LOCAL",
    "reg0=1,reg3=0x5/0xff": "reg0=0x1,reg3=0x5/0xff",
    "reg0=0/0xf": "reg0=0/0xf",
    "xreg0=5": "reg0=0,reg1=0x5",
    "xxreg1=7": "reg4=0,reg5=0,reg6=0,reg7=0x7",
    "metadata=0x12/0xff": "metadata=0x12/0xff",
    "ct_state=+trk+new": "ct_state=+new+trk",
    "ct_state=new|trk": "ct_state=new|trk",
    "ct_state=0x21/0xff": "ct_state=new|trk",
    "ct_state=0": "ct_state=0",
    "ct_mark=1/3,ct_zone=5,ct_label=1": "ct_zone=5,ct_mark=0x1/0x3,ct_label=0x1",
    "ip,ct_state=+est+trk,ct_nw_src=1.2.3.4,ct_nw_dst=1.2.3.5,ct_nw_proto=6,ct_tp_src=5/5,ct_tp_dst=6": (
        "ct_state=+est+trk,ct_nw_src=1.2.3.4,ct_nw_dst=1.2.3.5,ct_nw_proto=6,ct_tp_src=0x5/0x5,ct_tp_dst=6,ip"
    ),
    "tun_id=5,tun_src=1.2.3.4,tun_dst=5.6.7.8/31": "tun_id=0x5,tun_src=1.2.3.4,tun_dst=5.6.7.8/31",
    "tun_ipv6_src=1::,tun_ipv6_dst=2::/16": "tun_ipv6_src=1::,tun_ipv6_dst=2::/16",
    "tun_flags=1,tun_gbp_id=5/7": "tun_gbp_id=0x5/0x7,tun_flags=+oam",
    "tun_erspan_ver=2,tun_erspan_dir=1,tun_erspan_hwid=3": "tun_erspan_ver=2,tun_erspan_dir=1,tun_erspan_hwid=0x3",
    "tun_gtpu_flags=3,tun_gtpu_msgtype=4": "gtpu_flags=0x3,gtpu_msgtype=4",
    "ip,nw_tos=255": "ip,nw_tos=252",
    "ip,ip_dscp=4": "ip,nw_tos=16",
    "ip,ip_ecn=2,nw_ttl=5": "ip,nw_ecn=2,nw_ttl=5",
    "ip,nw_frag=not_later": "ip,nw_frag=not_later",
    "ip,ip_frag=yes": "ip,nw_frag=yes",
    "ip,ip_frag=first": "ip,nw_frag=first",
    "ip,ip_frag=later": "ip,nw_frag=later",
    "ip,ip_frag=no": "ip,nw_frag=no",
    "arp,arp_op=1,arp_sha=00:11:22:33:44:55,arp_tha=1:2:3:4:5:6,arp_spa=1.2.3.4,arp_tpa=1.2.3.0/24,nw_tos=4": (
        "arp,arp_spa=1.2.3.4,arp_tpa=1.2.3.0/24,arp_op=1,arp_sha=00:11:22:33:44:55,arp_tha=01:02:03:04:05:06"
    ),
    "arp,nw_src=1.2.3.4,nw_proto=1": "arp,arp_spa=1.2.3.4,arp_op=1",
    "rarp": "rarp",
    "icmp,icmp_type=3,icmp_code=1": "icmp,icmp_type=3,icmp_code=1",
    "icmp,tp_src=5": "icmp,icmp_type=5",
    "icmp6,icmpv6_type=135,icmp_code=0,nd_target=fe80::1/64,nd_sll=00:11:22:33:44:55": (
        "icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::/64,nd_sll=00:11:22:33:44:55"
    ),
    "icmp6,icmp_type=136,icmp_code=0,nd_reserved=5,nd_options_type=2,nd_tll=00:11:22:33:44:55": (
        "icmp6,icmp_type=136,icmp_code=0,nd_tll=00:11:22:33:44:55,nd_reserved=5,nd_options_type=2"
    ),
    "icmp6,nd_target=::1": "icmp6",
    "ipv6,ipv6_label=0x5/0xf,nw_tos=4,nw_proto=99,ipv6_src=1::,dl_dst=1:2:3:4:5:6,in_port=3,dl_vlan=5": (
        "ipv6,in_port=3,dl_vlan=5,dl_dst=01:02:03:04:05:06,ipv6_src=1::,ipv6_label=0x00005/0x0000f,nw_proto=99,nw_tos=4"
    ),
    "ipv6,ipv6_src=1::2/ffff::ff": "ipv6,ipv6_src=1::2/ffff::ff",
    "ipv6,ipv6_src=::ffff:10.0.0.1": "ipv6,ipv6_src=::ffff:10.0.0.1",
    "mpls,mpls_label=5,mpls_tc=3,mpls_bos=1,mpls_ttl=4": "mpls,mpls_label=5,mpls_tc=3,mpls_ttl=4,mpls_bos=1",
    "mplsm": "mplsm",
    "sctp6,tp_src=5/0xff": "sctp6,tp_src=0x5/0xff",
    "ip,nw_proto=2": "ip,nw_proto=2",
    "dl_type=0x5ff": "dl_type=0x05ff",
    "eth_type=0x86dd": "ipv6",
    "dl_src=00:11:22:33:44:55/ff:ff:ff:00:00:00": "dl_src=00:11:22:00:00:00/ff:ff:ff:00:00:00",
    "dl_type=0x894f,nsh_flags=1/1,nsh_mdtype=1,nsh_np=3,nsh_ttl=3,nsh_spi=5,nsh_si=6,nsh_c1=5/5,nsh_c4=0": (
        "dl_type=0x894f,nsh_flags=0x01/0x01,nsh_ttl=3,nsh_mdtype=1,nsh_np=3,nsh_spi=0x5,nsh_si=6,nsh_c1=0x5/0x5,nsh_c4=0x0"
    ),
    "packet_type=(1,0x800),nw_src=1.2.3.4": "packet_type=(1,0x800),nw_src=1.2.3.4",
    "packet_type=(2,0x10)": "packet_type=(2,0x10)",
    "pkt_mark=4/5,dp_hash=3/3,conj_id=9,actset_output=3": "pkt_mark=0x4/0x5,dp_hash=0x3/0x3,conj_id=9,actset_output=3",
    "ip,nw_src=1.2.3.4/255.0.255.0": "ip,nw_src=1.0.3.0/255.0.255.0",
    "ip nw_src=1.2.3.4\tnw_dst:5.6.7.8": "ip,nw_src=1.2.3.4,nw_dst=5.6.7.8",
    "ip,nw_src=*": "ip",
    "reg0=1,reg0=2/2": "reg0=0x2/0x2",
    "tcp,udp": "udp",
    "udp,tcp_src=5": "udp,tp_src=5",
    "tp_src=5,nw_src=1.2.3.4": "",
    "ip,nw_proto=010": "ip,nw_proto=8",
}


@pytest.mark.parametrize("text", CASES)
def test_text_means_and_prints_what_ovs_ofctl_says(text: str) -> None:
    assert format_match(parse_match(text)) == CASES[text]


@needs_ovs
def test_stock_ovs_ofctl_prints_the_same(tmp_path: Path) -> None:
    assert stock(list(CASES), tmp_path) == list(CASES.values())


@pytest.mark.parametrize("printed", sorted(set(CASES.values())))
def test_printed_text_reads_back(printed: str) -> None:
    match = parse_match(printed)
    assert format_match(match) == printed


@pytest.mark.parametrize(
    ("text", "token", "says"),
    [
        ("ip,foo=1", "foo=1", "unknown keyword foo"),
        ("tun_metadata0=1", "tun_metadata0", "no tunnel option is bound"),
        ("NXM_OF_IN_PORT=5", "NXM_OF_IN_PORT=5", "unknown keyword"),
        ("in_port=foo", "in_port=foo", "unknown port (expected a number, a port name or one of IN_PORT"),
        ("in_port=70000", "in_port=70000", "out of range"),
        ("tcp,tp_dst=99999", "tp_dst=99999", "expected 0 to 0xffff"),
        ("dl_src=zz", "dl_src=zz", "invalid Ethernet address (expected xx:xx:xx:xx:xx:xx)"),
        ("ip,nw_src=1.2.3", "nw_src=1.2.3", "invalid IP address (expected a.b.c.d)"),
        ("ip,nw_src=1.2.3.4/33", "nw_src=1.2.3.4/33", "not between 0 and 32"),
        ("ipv6,ipv6_src=1.2.3.4", "ipv6_src=1.2.3.4", "invalid IPv6 address"),
        ("ipv6,ipv6_src=1::%eth0/8", "ipv6_src=1::%eth0/8", "invalid IPv6 address"),
        ("ip,ip_frag=foo", "ip_frag=foo", "expected no, yes, first, later, not_later"),
        ("ip,nw_ttl=5/3", "nw_ttl=5/3", "takes no mask"),
        ("reg0=5/", "reg0=5/", "not a number"),
        ("reg0=-1", "reg0=-1", "not a number"),
        ("reg0=0x1ffffffff", "reg0=0x1ffffffff", "expected 0 to 0xffffffff"),
        ("reg0", "reg0", "expected reg0=value"),
        ("tcp=5", "tcp=5", "takes no value"),
        ("dl_vlan=5000", "dl_vlan=5000", "expected 0 to 0xfff"),
        ("dl_vlan_pcp=8", "dl_vlan_pcp=8", "expected 0 to 0x7"),
        ("tcp,tcp_flags=+foo", "tcp_flags=+foo", "expected flags out of fin, syn"),
        ("tcp,tcp_flags=+syn+syn", "tcp_flags=+syn+syn", "only once"),
        ("tcp,tcp_flags=0x1fff", "tcp_flags=0x1fff", "unknown tcp_flags flag(s)"),
        ("ct_state=+new/5", "ct_state=+new/5", "unknown ct_state flag"),
        ("ct_state=0x100/0x100", "ct_state=0x100/0x100", "unknown ct_state flag(s)"),
        ("packet_type=5", "packet_type=5", "expected (namespace,type)"),
        ("packet_type=(1,0x10000)", "packet_type=(1,0x10000)", "too large"),
        ("packet_type=(1", "(1", "missing )"),
        ("reg0=1)", "1)", "unexpected )"),
        ("=5", "=5", "missing key"),
    ],
)
def test_a_bad_token_is_named(text: str, token: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        parse_match(text)
    assert str(caught.value).startswith(token)
    assert says in str(caught.value)


def test_port_names() -> None:
    match = parse_match("in_port=eth0", ports={"eth0": OfPort(3)})
    assert match.exact(f.IN_PORT) == 3
    assert format_match(match, names={OfPort(3): "eth0"}) == "in_port=eth0"
    assert format_match(match, names={OfPort(3): "1st"}) == 'in_port="1st"'
    assert parse_match('in_port="1st"', ports={"1st": OfPort(3)}) == match


def test_tunnel_options() -> None:
    options = NO_TUNNEL_OPTIONS.add(3, 0xFFFF, 0, 4).add(0, 0xFFFF, 1, 8)
    for text in ("tun_metadata3=0x1234", "tun_metadata0=0x5/0xff", "tun_metadata0,tun_metadata3=0x1"):
        assert format_match(parse_match(text, options=options), options=options) == text
    packet = options.field_by_name("tun_metadata3").put(0, 0x1234)
    assert not parse_match("tun_metadata3=0x1234", options=options).matches(packet), "the option is not there"


def test_tokens() -> None:
    assert split_key_values(" a, b=c d:e\tf(g,h) packet_type=(1, 2),,i=") == [
        KeyValue("a", None, "a"),
        KeyValue("b", "c", "b=c"),
        KeyValue("d", "e", "d:e"),
        KeyValue("f", "g,h", "f(g,h)"),
        KeyValue("packet_type", "(1, 2)", "packet_type=(1, 2)"),
        KeyValue("i", "", "i="),
    ]
    assert match_with(Match(), KeyValue("priority", "5", "priority=5")) is None


def test_megaflow_says_that_it_looks_at_the_packet_type() -> None:
    match = Match.from_fields({"recirc_id": 0, "packet_type": 0, "eth_type": 0x0800, "in_port": 1, "ip_frag": 0})
    assert format_match(match) == "recirc_id=0,eth,ip,in_port=1,nw_frag=no"


def test_flow_of_a_packet() -> None:
    data = bytes.fromhex(
        "505400000002505400000001080045000028000100004006f97d0a0000010a000002000a00500000000000000000500220000f070000"
    )
    key = f.IN_PORT.put(parse_packet(data).key, 1)
    assert format_flow(key) == (
        "tcp,in_port=1,vlan_tci=0x0000,dl_src=50:54:00:00:00:01,dl_dst=50:54:00:00:00:02,nw_src=10.0.0.1,"
        "nw_dst=10.0.0.2,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=10,tp_dst=80,tcp_flags=syn"
    )


def test_stock_ofproto_trace_prints_the_same_flow(stock_switch: StockSwitch) -> None:
    # Behind an NSH header stock prints zeros for an IP header that is not there.
    for name in PACKETS.keys() - {"nsh"}:
        data = bytes(PACKETS[name][0])
        printed = stock_switch.appctl("ofproto/trace", "br0", "in_port=1", data.hex()).splitlines()[0]
        key = f.IPV6_EXTHDR.put(parse_packet(data).key, 0)
        assert printed == f"Flow: {format_flow(f.IN_PORT.put(key, 1))}", name


def _value(field: f.Field) -> st.SearchStrategy[tuple[int, int]]:
    full = field.max_value
    if field.form in (f.Form.CT_STATE, f.Form.TUN_FLAGS, f.Form.TCP_FLAGS):
        full = {f.Form.CT_STATE: 0xFF, f.Form.TUN_FLAGS: 1, f.Form.TCP_FLAGS: 0xFFF}[field.form]
    if field is f.NW_FRAG:
        return st.sampled_from([(0, 3), (1, 1), (1, 3), (2, 2), (0, 2)])
    if field in (f.IN_PORT, f.ACTSET_OUTPUT):
        return st.sampled_from([1, 5, 65279, 0xFFFFFFFE, 0xFFFFFFFD]).map(lambda port: (port, 0xFFFFFFFF))
    if field in (f.ICMP_TYPE, f.ICMP_CODE, f.ICMPV6_TYPE, f.ICMPV6_CODE):
        return st.integers(0, 255).map(lambda value: (value, 0xFFFF))
    values = st.integers(0, full)
    if field is f.NW_TOS:
        values = values.map(lambda value: value & 0xFC)
    exact = values.map(lambda value: (value, field.max_value))
    if field.masking is f.Masking.EXACT:
        return exact
    masks = st.integers(1, full).map(lambda mask: field.max_value if mask == full else mask)
    if field.form is f.Form.IPV6:
        # ovs-ofctl 3.1 takes a mask that begins with a digit for a prefix length.
        masks = masks.map(lambda mask: mask | 0xFFFF << 112)
    return exact | st.tuples(values, masks).map(lambda pair: (pair[0] & pair[1], pair[1]))


METADATA = [
    "pkt_mark", "conj_id", "actset_output", "ct_state", "ct_zone", "ct_mark", "ct_label", "reg0", "reg5", "reg15",
    "tun_id", "tun_src", "tun_ipv6_dst", "tun_gbp_id", "metadata", "in_port", "vlan_tci", "eth_src", "eth_dst",
]  # fmt: skip
IP_ANY = ["nw_tos", "nw_ecn", "nw_ttl", "ip_frag"]
KINDS: list[tuple[dict[str, int], list[str]]] = [
    ({}, []),
    ({"eth_type": 0x88CC}, []),
    ({"eth_type": 0x0800}, ["ip_src", "ip_dst", *IP_ANY]),
    ({"eth_type": 0x0800, "nw_proto": 77}, ["ip_src", "ip_dst", *IP_ANY]),
    ({"eth_type": 0x0800, "nw_proto": 6}, ["ip_src", "ip_dst", "tcp_src", "tcp_dst", "tcp_flags", *IP_ANY[:3]]),
    ({"eth_type": 0x0800, "nw_proto": 17}, ["ip_src", "ip_dst", "udp_src", "udp_dst", *IP_ANY[:3]]),
    ({"eth_type": 0x0800, "nw_proto": 1}, ["ip_src", "ip_dst", "icmp_type", "icmp_code", *IP_ANY[:3]]),
    ({"eth_type": 0x86DD}, ["ipv6_src", "ipv6_dst", "ipv6_label", *IP_ANY]),
    ({"eth_type": 0x86DD, "nw_proto": 132}, ["ipv6_src", "ipv6_dst", "sctp_src", "sctp_dst", *IP_ANY[:3]]),
    ({"eth_type": 0x86DD, "nw_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0}, ["ipv6_src", "nd_target", "nd_sll"]),
    ({"eth_type": 0x86DD, "nw_proto": 58, "icmpv6_type": 136, "icmpv6_code": 0}, ["ipv6_src", "nd_target", "nd_tll"]),
    ({"eth_type": 0x0806}, ["arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"]),
    ({"eth_type": 0x8847}, ["mpls_label", "mpls_tc", "mpls_ttl", "mpls_bos"]),
]  # fmt: skip


@st.composite
def matches(draw: st.DrawFn) -> Match:
    fixed, optional = draw(st.sampled_from(KINDS))
    chosen = draw(st.lists(st.sampled_from(METADATA + optional * 3), max_size=8, unique=True))
    match = Match.from_fields(dict(fixed))
    for name in chosen:
        field = f.FIELD_BY_NAME[name]
        match = match.with_field(field, *draw(_value(field)))
    return match


@settings(max_examples=300)
@given(matches())
def test_any_match_survives_its_text(match: Match) -> None:
    assert parse_match(format_match(match)) == match


@needs_ovs
@settings(
    max_examples=15, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(matches().map(format_match), min_size=50, max_size=50))
def test_stock_ovs_ofctl_reads_and_prints_random_matches_as_we_do(tmp_path: Path, texts: list[str]) -> None:
    for text, printed in zip(texts, stock(texts, tmp_path), strict=True):
        assert printed == text


@given(st.text(max_size=40) | st.from_regex(r"[a-z0-9_=,/:.()+|*-]{0,40}", fullmatch=True))
def test_any_text_is_a_match_or_a_one_line_error(text: str) -> None:
    message = ""
    try:
        parse_match(text)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message.replace(text, "")
