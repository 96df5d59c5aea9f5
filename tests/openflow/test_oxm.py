import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.flow.text import format_match
from jackfield.openflow import oxm
from jackfield.openflow.errors import OpenFlowError
from tests.openflow.strategies import matches, needs_ofctl, ofp_print, u64

VERSIONS = [1, 3, 4, 5, 6]


def entries(text):
    return bytes.fromhex(text.replace(" ", ""))


@given(matches(), st.sampled_from(VERSIONS))
@settings(max_examples=300)
def test_round_trip(match, version):
    data = oxm.encode_match(match, version)
    assert oxm.decode_match(data) == match
    # The second time goes by the plan that the first has left.
    assert oxm.decode_match(data) == match
    assert oxm.encode_match(match, version) == data


@given(matches(), matches(), st.sampled_from(VERSIONS))
@settings(max_examples=200)
def test_plans_do_not_leak_between_matches(one, other, version):
    """A plan made for one match reads another of its shape as the slow way does."""
    oxm.decode_match(oxm.encode_match(one, version))
    data = oxm.encode_match(other, version)
    fast = oxm.decode_match(data)
    slow, cookie, cookie_mask = oxm.decode_match_and_cookie(data)
    assert fast == slow == other
    assert (cookie, cookie_mask) == (0, 0)


@given(matches(), u64, u64)
def test_cookie_round_trip(match, cookie, cookie_mask):
    data = oxm.encode_match_and_cookie(match, 1, cookie, cookie_mask)
    expected = (cookie & cookie_mask, cookie_mask) if cookie_mask else (0, 0)
    assert oxm.decode_match_and_cookie(data) == (match, *expected)


def test_local_port_is_16_bits_in_nxm_and_32_in_oxm():
    match = Match().with_field(f.IN_PORT, OFPP_LOCAL)
    assert oxm.encode_match(match, 1) == entries("00000002 fffe")
    assert oxm.encode_match(match, 4) == entries("80000004 fffffffe")


def test_vlan_is_two_entries_in_oxm():
    match = Match().with_field(f.VLAN_TCI, 0xF00A)
    assert oxm.encode_match(match, 1) == entries("00000802 f00a")
    assert oxm.encode_match(match, 4) == entries("80000c02 100a 80000e01 07")


def test_absent_vlan():
    assert oxm.decode_match(entries("80000c02 0000")).get(f.VLAN_TCI) == (0, 0x1FFF)
    assert oxm.decode_match(entries("80000d04 1000 1000")).get(f.VLAN_TCI) == (0x1000, 0x1000)


def test_all_ones_mask_is_exact_even_where_no_mask_is_allowed():
    assert oxm.decode_match(entries("80000b04 0800 ffff")) == Match().with_field(f.ETH_TYPE, 0x0800)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("7fff0004 00000000", "OFPBMC_BAD_FIELD"),
        ("ffff0008 12345678 00000000", "OFPBMC_BAD_FIELD"),
        ("80000a01 08", "OFPBMC_BAD_FIELD"),
        ("80000a02 08", "OFPBMC_BAD_LEN"),
        ("80000a", "OFPBMC_BAD_LEN"),
        ("ffff0002 0000", "OFPBMC_BAD_LEN"),
        ("80000b04 0800 ff00", "OFPBMC_BAD_MASK"),
        ("8000070c 000000000001 000000000000", "OFPBMC_BAD_WILDCARDS"),
        ("80000a02 8847 80004404 00100000", "OFPBMC_BAD_VALUE"),
        ("80001604 0a000001", "OFPBMC_BAD_PREREQ"),
        ("80000a02 0806 80001604 0a000001", "OFPBMC_BAD_PREREQ"),
        ("80001604 0a000001 80000a02 0800", "OFPBMC_BAD_PREREQ"),
        ("80000a02 0800 80000a02 0800", "OFPBMC_DUP_FIELD"),
        ("80000a02 0800 00000602 0800", "OFPBMC_DUP_FIELD"),
        ("00013c08 0000000000000001", "OFPBMC_BAD_FIELD"),
        ("80000004 0000ff00", "OFPBMC_BAD_VALUE"),
        ("80000004 00012345", "OFPBMC_BAD_VALUE"),
        ("80000004 fffffeff", "OFPBMC_BAD_VALUE"),
    ],
)
def test_errors(text, name):
    for _ in range(2):
        with pytest.raises(OpenFlowError) as raised:
            oxm.decode_match(entries(text))
        assert raised.value.name == name


def test_value_bits_outside_the_mask_are_found_by_a_plan_too():
    good = entries("80000a02 0800 80001708 0a000000 ff000000")
    bad = entries("80000a02 0800 80001708 0a000001 ff000000")
    oxm.decode_match(good)
    with pytest.raises(OpenFlowError, match="OFPBMC_BAD_WILDCARDS"):
        oxm.decode_match(bad)


def test_ports_that_are_none_are_found_after_a_plan_too():
    oxm.decode_match(entries("80000004 00000005"))
    oxm.decode_match(entries("80000004 fffffffe"))
    for number in ("0000ff05", "00010005", "fffffe00", "ff000005"):
        with pytest.raises(OpenFlowError, match="OFPBMC_BAD_VALUE"):
            oxm.decode_match(entries("80000004" + number))


def test_prerequisite_is_checked_by_a_plan_too():
    good = entries("80000a02 0800 80001604 0a000001")
    oxm.decode_match(good)
    with pytest.raises(OpenFlowError, match="OFPBMC_BAD_PREREQ"):
        oxm.decode_match(entries("80000a02 86dd 80001604 0a000001"))


def test_bits_that_do_not_travel_are_refused():
    with pytest.raises(ValueError, match="no place in an OpenFlow match"):
        oxm.encode_match(Match().with_field(f.DP_IN_PORT, 1), 4)


def test_lenient_reading_passes_over_the_unknown():
    match = oxm.decode_fields_leniently(entries("7fff0002 0000 80000004 00000005 80001604 0a000001"))
    assert match.exact(f.IN_PORT) == 5
    assert match.exact(f.IP_SRC) == 0x0A000001


def test_memory_of_plans_is_bounded():
    for port in range(5000):
        oxm.decode_match(entries("80000a02") + port.to_bytes(2, "big") + entries("80000004") + bytes(4))
    assert sum(len(plans) for shapes in oxm._read_plans.values() for _, plans in shapes) <= oxm._MAX_PLANS


@needs_ofctl
@given(matches())
@settings(max_examples=20, deadline=None)
def test_stock_client_reads_what_we_write(match):
    """The stock client reads our bytes as the match and prints it as we do."""
    data = oxm.encode_match(match, 4)
    body = (4 + len(data)).to_bytes(2, "big") + data
    padded = b"\0\1" + body + bytes(-(2 + len(body)) % 8)
    flow_mod = bytes(24) + bytes.fromhex("ffffffff ffffffff ffffffff 0000 0000") + padded
    flow_mod = flow_mod[:22] + b"\x80\x00" + flow_mod[24:]
    shown = ofp_print(bytes((4, 14)) + (8 + len(flow_mod)).to_bytes(2, "big") + bytes(4) + flow_mod)
    assert "decode error" not in shown
    assert format_match(match) in shown


@given(st.integers(0, 0xFFFF))
def test_every_16_bit_port_can_be_told_to_every_version(number):
    match = oxm.decode_match(entries("00000002") + number.to_bytes(2, "big"))
    for version in VERSIONS:
        assert oxm.decode_match(oxm.encode_match(match, version)) == match
