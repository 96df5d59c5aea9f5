import pytest

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_CONTROLLER, OFPP_NONE, OfPort
from jackfield.openflow import actions as a
from jackfield.openflow import messages as m
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.dialect import Dialect
from jackfield.openflow.errors import OpenFlowError
from tests.openflow.strategies import needs_ofctl, ofp_print

PACKET_IN = m.PacketIn(
    OfPort(3), b"\1\2\3\4", 60, m.PacketInReason.ACTION, 5, 0x1234, Match.from_fields({"reg0": 9, "metadata": 7})
)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (1, "01 0a 0016 00000001 ffffffff 003c 0003 01 00 01020304"),
        (2, "02 0a 001c 00000001 ffffffff 00000003 00000003 003c 01 05 01020304"),
        (
            4,
            "04 0a 003e 00000001 ffffffff 003c 01 05 0000000000001234 0001 0020 00010004 00000009 80000408"
            "0000000000000007 80000004 00000003 0000 01020304",
        ),
    ],
)
def test_forms(version, text):
    assert encode(PACKET_IN, version, 1) == bytes.fromhex(text)


def test_later_reasons_are_actions_to_earlier_versions():
    packet_in = m.PacketIn(OfPort(1), b"", 0, m.PacketInReason.ACTION_SET)
    assert decode(encode(packet_in, 4, 1), 4)[1].reason is m.PacketInReason.ACTION
    assert decode(encode(packet_in, 5, 1), 5)[1].reason is m.PacketInReason.ACTION_SET


def test_unknown_reason():
    with pytest.raises(OpenFlowError, match="NXBRC_BAD_REASON"):
        decode(bytes.fromhex("01 0a 0012 00000001 ffffffff 003c 0003 63 00"), 1)


def test_total_length_beyond_the_field():
    packet_in = m.PacketIn(OfPort(1), b"", 70000, m.PacketInReason.ACTION)
    assert decode(encode(packet_in, 1, 1), 1)[1].total_len == 0xFFFF


def test_packet_of_no_port():
    packet_in = m.PacketIn(OFPP_NONE, b"", 0, m.PacketInReason.ACTION)
    assert decode(encode(packet_in, 4, 1), 4)[1] == packet_in


def test_unknown_fields_of_a_packet_are_passed_over():
    data = bytearray(encode(m.PacketIn(OfPort(3), b"", 0, m.PacketInReason.ACTION), 4, 1))
    data[28:30] = b"\x7f\xff"
    assert decode(bytes(data), 4)[1].in_port == OFPP_NONE


@needs_ofctl
@pytest.mark.parametrize("form", m.PacketInFormat)
@pytest.mark.parametrize("version", [1, 4])
def test_stock_client_prints_packet_ins(form, version):
    shown = ofp_print(encode(PACKET_IN, version, 1, Dialect(packet_in_format=form)))
    assert "total_len=60" in shown
    assert "in_port=3 (via action)" in shown
    if version == 4 or form is not m.PacketInFormat.STANDARD:
        assert "cookie=0x1234" in shown
        assert "reg0=0x9" in shown
        assert "metadata=0x7" in shown


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (1, "01 0d 001a 00000001 ffffffff fffd 0008 0000 0008 0001 0000 abcd"),
        (4, "04 0d 002a 00000001 ffffffff fffffffd 0010 000000000000 0000 0010 00000001 0000 000000000000 abcd"),
        (
            6,
            "06 0d 0032 00000001 ffffffff 0010 0000 0001 000c 80000004 fffffffd 00000000"
            "0000 0010 00000001 0000 000000000000 abcd",
        ),
    ],
)
def test_packet_out_forms(version, text):
    message = m.PacketOut(b"\xab\xcd", (a.Output(OfPort(1)),), OFPP_CONTROLLER)
    assert encode(message, version, 1) == bytes.fromhex(text)
    assert decode(bytes.fromhex(text), version) == (1, message)
