import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.openflow.match10 import MATCH_LEN, decode_match10, encode_match10, fits_match10
from tests.openflow.strategies import matches

TAG = f.VLAN_CFI << f.VLAN_TCI.offset


@given(matches(metadata=False))
@settings(max_examples=300)
def test_what_fits_comes_back(match):
    data = encode_match10(match)
    assert len(data) == MATCH_LEN
    back, _ = decode_match10(data)
    if fits_match10(match):
        assert back == match
    elif match.value & TAG == match.mask & TAG:  # "no tag" comes back as the whole of the tag being 0
        assert back.covers(match), "what OpenFlow 1.0 cannot say is left out, so the match may only widen"


@given(st.binary(min_size=MATCH_LEN, max_size=MATCH_LEN))
def test_any_bytes_are_a_match(data):
    match, _ = decode_match10(data)
    assert match.normalized() == match
    assert fits_match10(match)


def test_wildcard_everything():
    assert decode_match10(bytes.fromhex("003fffff") + bytes(36)) == (Match(), False)


def test_exact_match_is_told():
    _, exact = decode_match10(bytes(MATCH_LEN))
    assert exact


def test_no_vlan():
    match = Match().with_field(f.VLAN_TCI, 0)
    data = encode_match10(match)
    assert data[18:20] == b"\xff\xff"
    assert decode_match10(data)[0] == match


def test_local_port():
    match = Match().with_field(f.IN_PORT, OFPP_LOCAL)
    assert encode_match10(match)[4:6] == b"\xff\xfe"
    assert decode_match10(encode_match10(match))[0] == match


@pytest.mark.parametrize("length", range(33))
def test_prefixes(length):
    mask = 0xFFFFFFFF << 32 - length & 0xFFFFFFFF
    match = Match.from_fields({"eth_type": 0x0800, "nw_src": (0x0A010203 & mask, mask)})
    assert decode_match10(encode_match10(match))[0] == match


def test_mask_that_is_no_prefix_does_not_fit():
    assert not fits_match10(Match.from_fields({"eth_type": 0x0800, "nw_src": (0x01, 0x01)}))


def test_register_does_not_fit():
    assert not fits_match10(Match.from_fields({"reg0": 1}))


def test_fields_of_absent_protocols_are_ignored():
    wildcards = (0x3FFFFF & ~(1 << 7)).to_bytes(4, "big")
    match, _ = decode_match10(wildcards + bytes(34) + b"\0\x50")
    assert match == Match()
