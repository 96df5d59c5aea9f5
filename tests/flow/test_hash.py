"""Hashes and identifiers of flows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.hash import FlowIds, flow_hash_5tuple, flow_hash_symmetric_l4, format_ufid, parse_ufid
from tests.flow.strategies import packet_keys

KEYS = st.integers(0, (1 << 64 * f.KEY_WORDS) - 1)
SWAPS = [(f.ETH_SRC, f.ETH_DST), (f.IP_SRC, f.IP_DST), (f.IPV6_SRC, f.IPV6_DST)]


def reverse(key: int) -> int:
    """The key of the answer."""
    swaps = [*SWAPS, (f.TP_SRC, f.TP_DST)] if f.NW_PROTO.get(key) in (6, 17, 132) else SWAPS
    if f.ETH_TYPE.get(key) not in (0x0800, 0x86DD):
        swaps = SWAPS[:1]
    for one, other in swaps:
        key = one.put(other.put(key, one.get(key)), other.get(key))
    return key


@given(packet_keys(), st.integers(0, (1 << 32) - 1))
def test_symmetric(key: int, basis: int) -> None:
    value = flow_hash_symmetric_l4(key, basis)
    assert value == flow_hash_symmetric_l4(reverse(key), basis)
    assert 0 <= value < 1 << 32


def udp(**fields: int) -> int:
    key = 0
    for name, value in {
        "eth_type": 0x0800,
        "nw_proto": 17,
        "ip_src": 1,
        "ip_dst": 2,
        "tp_src": 3,
        "tp_dst": 4,
        **fields,
    }.items():
        key = f.ANY_FIELD_BY_NAME[name].put(key, value)
    return key


def test_5tuple_is_of_five_things() -> None:
    base = flow_hash_5tuple(udp())
    for name in ("ip_src", "ip_dst", "nw_proto", "tp_src", "tp_dst"):
        assert flow_hash_5tuple(udp(**{name: 6})) != base
    assert flow_hash_5tuple(udp(eth_src=5, vlan_tci=0x1005, nw_ttl=3)) == base
    assert flow_hash_5tuple(udp(), basis=1) != base
    assert flow_hash_5tuple(udp(eth_type=0x0806)) == 0


def test_ports_of_udp_are_optional() -> None:
    assert flow_hash_symmetric_l4(udp(tp_src=9)) != flow_hash_symmetric_l4(udp())
    assert flow_hash_symmetric_l4(udp(tp_src=9), with_udp=False) == flow_hash_symmetric_l4(udp(), with_udp=False)
    assert flow_hash_symmetric_l4(udp(nw_proto=6, tp_src=9), with_udp=False) != flow_hash_symmetric_l4(
        udp(nw_proto=6), with_udp=False
    )


@given(KEYS, KEYS, KEYS)
def test_ufid_is_of_what_the_mask_lets_through(key: int, mask: int, noise: int) -> None:
    ids = FlowIds(bytes(16))
    assert ids.ufid(key, mask) == ids.ufid(key & mask | noise & ~mask, mask)
    assert ids.ufid(key, mask) == FlowIds(bytes(16)).ufid(key, mask)


def test_ufids_differ_by_mask_key_and_start() -> None:
    ids = FlowIds()
    made = {ids.ufid(5, 7), ids.ufid(5, 15), ids.ufid(4, 7), FlowIds().ufid(5, 7)}
    assert len(made) == 4
    assert FlowIds().digest(5, 6) != FlowIds().digest(5, 6)
    assert len(ids.digest((1 << 48) - 1, 6)) == 16


@given(st.integers(0, (1 << 128) - 1))
def test_ufid_text(ufid: int) -> None:
    text = format_ufid(ufid)
    assert [len(part) for part in text.split("-")] == [8, 4, 4, 4, 12]
    assert parse_ufid(text) == ufid


@pytest.mark.parametrize("text", ["", "0" * 31, "g" * 32, "0x" + "0" * 30, " " + "0" * 31])
def test_bad_ufid_text(text: str) -> None:
    with pytest.raises(ValueError, match="expected 32 hexadecimal digits"):
        parse_ufid(text)
