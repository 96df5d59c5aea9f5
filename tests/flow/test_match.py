"""Matches: construction, tests of keys and of each other, normalization."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import MATCH_FIELDS, Match

WIDE = (1 << 64 * f.PIPELINE_WORDS) - 1
KEYS = st.integers(0, WIDE)
MATCHES = st.builds(Match.masked, KEYS, KEYS)
SMALL = st.builds(Match.masked, st.integers(0, 15), st.integers(0, 15))


def test_value_outside_the_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="outside its mask"):
        Match(3, 1)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"foo": 1}, "foo: unknown field"),
        ({"nw_proto": 256}, "wider than the field"),
        ({"reg0": (1, 1 << 32)}, "wider than the field"),
        ({"reg0": (3, 1)}, "outside its mask"),
    ],
)
def test_bad_fields_are_refused(wanted: dict[str, int | tuple[int, int]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Match.from_fields(wanted)


def test_fields_in_and_out() -> None:
    match = Match.from_fields(
        {"eth_type": 0x0800, "nw_proto": 6, "tcp_dst": (80, 0xF0), "reg1": (4, 0xFF), "in_port": 1}
    )
    assert [(field.name, value, mask) for field, value, mask in match.fields()] == [
        ("reg1", 4, 0xFF),
        ("in_port", 1, 0xFFFFFFFF),
        ("eth_type", 0x0800, 0xFFFF),
        ("nw_proto", 6, 0xFF),
        ("tcp_dst", 80, 0xF0),
    ]
    assert match.get(f.TCP_DST) == (80, 0xF0)
    assert match.exact(f.NW_PROTO) == 6
    assert match.exact(f.TCP_DST) is None
    assert match.without(f.TCP_DST).get(f.TCP_DST) == (0, 0)
    assert match.with_field(f.TCP_DST, 81).exact(f.TCP_DST) == 81
    assert match.with_field(f.TCP_DST, 81, 0) == match.without(f.TCP_DST)
    assert "tcp_dst=0x50/0xf0" in repr(match)
    assert repr(Match()) == "<Match any>"


def test_each_field_appears_once_by_kind_of_packet() -> None:
    icmp6 = {"eth_type": 0x86DD, "nw_proto": 58, "icmpv6_type": 135, "icmpv6_code": 0, "nd_target": 1, "nd_sll": 2}
    assert {field.name for field, _, _ in Match.from_fields(dict(icmp6)).fields()} == set(icmp6)
    arp = {"eth_type": 0x0806, "arp_op": 1, "arp_spa": 1, "arp_tpa": 2, "arp_sha": 3, "arp_tha": 4}
    assert {field.name for field, _, _ in Match.from_fields(dict(arp)).fields()} == set(arp)


def test_every_bit_that_openflow_can_name_is_in_the_canonical_list() -> None:
    nameable = listed = 0
    for field in f.FIELDS:
        nameable |= field.mask
    for field in MATCH_FIELDS:
        listed |= field.mask
    assert nameable & ~listed & ~f.DP_IN_PORT.mask == 0


@given(MATCHES, KEYS)
def test_a_match_accepts_what_agrees_under_its_mask(match: Match, key: int) -> None:
    assert match.matches(match.value | key & ~match.mask)
    assert match.matches(key) == (key & match.mask == match.value)


@given(SMALL, SMALL)
def test_covering_and_overlapping_by_enumeration(one: Match, other: Match) -> None:
    of_one = {key for key in range(16) if one.matches(key)}
    of_other = {key for key in range(16) if other.matches(key)}
    assert one.covers(other) == (of_other <= of_one)
    assert one.overlaps(other) == bool(of_one & of_other)


@given(MATCHES)
def test_normalizing_only_drops_and_is_final(match: Match) -> None:
    normal = match.normalized()
    assert normal.covers(match)
    assert normal.normalized() == normal
    assert normal.unmet() is None
    for field, _, _ in normal.fields():
        assert normal.allows(field.prerequisite)


@pytest.mark.parametrize(
    ("wanted", "unmet"),
    [
        ({"tcp_dst": 80}, True),
        ({"eth_type": 0x0800, "tcp_dst": 80}, True),
        ({"eth_type": 0x0800, "nw_proto": 6, "tcp_dst": 80}, False),
        ({"eth_type": 0x0800, "nw_proto": 6, "ip_frag": (2, 2), "tcp_dst": 80}, True),
        ({"nw_proto": 6, "tcp_dst": 80}, True),
        ({"vlan_pcp": 1}, False),
        ({"vlan_vid": 0x1005, "vlan_pcp": 1}, False),
        ({"reg0": 1, "metadata": 2, "in_port": 3}, False),
    ],
)
def test_unmet_prerequisites(wanted: dict[str, int | tuple[int, int]], unmet: bool) -> None:
    match = Match.from_fields(wanted)
    assert (match.unmet() is not None) == unmet
    assert (match.normalized() != match) == unmet
