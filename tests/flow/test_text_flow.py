"""One packet as text, in both syntaxes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.ports import DpPort, OfPort
from jackfield.flow.text import format_flow
from jackfield.flow.text_flow import is_odp_text, parse_flow
from jackfield.flow.text_odp import format_odp


def test_both_syntaxes_say_the_same_packet() -> None:
    ofctl = parse_flow("in_port=p1,tcp,nw_src=10.0.0.1,tp_dst=80,dl_vlan=5", ports={"p1": OfPort(1)})
    odp = parse_flow(
        "in_port(p1),eth(),eth_type(0x8100),vlan(vid=5,pcp=0),encap(eth_type(0x0800),ipv4(src=10.0.0.1,proto=6,frag=no),"
        "tcp(dst=80))",
        dp_ports={"p1": DpPort(1)},
    )
    assert f.IN_PORT.get(ofctl) == f.DP_IN_PORT.get(odp) == 1
    assert f.VLAN_TPID.put(f.IN_PORT.put(ofctl, 0), 0x8100) == f.DP_IN_PORT.put(odp, 0)


@pytest.mark.parametrize(
    ("text", "is_odp"),
    [
        ("in_port(1),eth()", True),
        ("in_port=1", False),
        ("in_port=1,packet_type(1,0x800)", False),
        ("tcp", False),
        ("", False),
    ],
)
def test_which_syntax(text: str, is_odp: bool) -> None:
    assert is_odp_text(text) == is_odp


def test_nothing_is_an_empty_packet() -> None:
    assert parse_flow("") == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ip,nw_src=1.2.3.0/24", "nw_src=1.2.3.0/24: a packet has no wildcards"),
        ("ip,ip_frag=yes", "a packet has no wildcards"),
        ("reg0=*", "a packet has no wildcards"),
        ("foo=1", "foo=1: unknown keyword foo"),
        ("in_port=foo", "unknown port"),
        ("in_port(foo),eth()", "not a number"),
    ],
)
def test_faults(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_flow(text)


def test_full_masks_are_values() -> None:
    assert f.IP_SRC.get(parse_flow("ip,nw_src=1.2.3.4/32")) == 0x01020304
    assert f.CT_STATE.get(parse_flow("ct_state=trk|est")) == 0x22
    assert f.TCP_FLAGS.get(parse_flow("tcp,tcp_flags=syn")) == 2


@given(st.integers(0, 0xFEFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF))
def test_what_is_printed_reads_back(port: int, address: int, tp_dst: int) -> None:
    key = parse_flow(f"udp,tp_dst={tp_dst}")
    key = f.IP_DST.put(f.IN_PORT.put(key, port), address)
    assert parse_flow(format_flow(key)) == key
    seen = f.DP_IN_PORT.put(f.IN_PORT.put(key, 0), port)
    assert parse_flow(format_odp(seen)) == seen
