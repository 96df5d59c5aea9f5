import pytest

from jackfield.flow.ports import OFPP_LOCAL, OfPort
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import (
    PortConfig,
    PortDescription,
    PortFeature,
    PortMod,
    PortReason,
    PortState,
    PortStatus,
)
from jackfield.openflow.port_codec import (
    decode_ports,
    encode_port,
    features_from_of10,
    features_to_of10,
    properties,
)

PORT = PortDescription(
    OFPP_LOCAL,
    0x020000000001,
    "br0",
    PortConfig.PORT_DOWN | PortConfig.NO_FLOOD,
    PortState.LINK_DOWN | PortState.STP_BLOCK,
    PortFeature.FD_1GB | PortFeature.COPPER,
    max_speed=1000000,
)


def test_port_of_openflow_10():
    assert encode_port(PORT, 1) == bytes.fromhex(
        "fffe 020000000001" + b"br0".ljust(16, b"\0").hex() + "00000011 00000301 000000a0 00000000 00000000 00000000"
    )


def test_port_of_openflow_13_has_no_openflow_10_bits():
    assert encode_port(PORT, 4) == bytes.fromhex(
        "fffffffe 00000000 020000000001 0000" + b"br0".ljust(16, b"\0").hex() + "00000001 00000001 00000820"
        "00000000 00000000 00000000 00000000 000f4240"
    )


def test_port_of_openflow_14_says_its_length():
    data = encode_port(PORT, 5)
    assert data[4:6] == len(data).to_bytes(2, "big") == b"\0\x48"
    (back,) = decode_ports(data, 5)
    assert back.max_speed == 1000000


def test_long_names_are_cut():
    (port,) = decode_ports(encode_port(PortDescription(OfPort(1), 0, "a" * 40), 1), 1)
    assert port.name == "a" * 15


def test_speeds_openflow_10_does_not_know():
    assert features_to_of10(PortFeature.FD_40GB | PortFeature.FD_10GB | PortFeature.PAUSE_ASYM) == 0x840
    assert features_from_of10(0xFFFFFFFF) == PortFeature(0xF87F)


@pytest.mark.parametrize("version", range(1, 7))
def test_ports_that_do_not_fit(version):
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
        decode_ports(bytes(7), version)


def test_openflow_14_port_with_a_wrong_length():
    data = bytearray(encode_port(PORT, 5))
    data[5] = 0x50
    with pytest.raises(OpenFlowError, match="OFPBRC_BAD_LEN"):
        decode_ports(bytes(data), 5)


def test_properties():
    data = bytes.fromhex("0001 0005 aa000000 0002 0004 00000000")
    assert list(properties(data)) == [(1, b"\xaa"), (2, b"")]
    for bad in ("0001", "0001 0003 00000000", "0001 0009 00000000"):
        with pytest.raises(OpenFlowError, match="OFPBPC_BAD_LEN"):
            list(properties(bytes.fromhex(bad)))


def test_port_mod_keeps_to_its_mask():
    body = "0001 020000000001 00000011 00000001 00000000 00000000"
    _, message = decode(bytes.fromhex("01 0f 0020 00000001" + body), 1)
    assert message == PortMod(OfPort(1), 0x020000000001, PortConfig.PORT_DOWN, PortConfig.PORT_DOWN)


def test_port_mod_of_openflow_14_with_an_unknown_property():
    data = bytearray(encode(PortMod(OfPort(1), 5, PortConfig(0), PortConfig(0), PortFeature.COPPER), 5, 1))
    data[-7] = 9
    with pytest.raises(OpenFlowError, match="OFPBPC_BAD_TYPE"):
        decode(bytes(data), 5)


def test_port_status_with_an_unknown_reason():
    data = bytearray(encode(PortStatus(PortReason.ADD, PORT), 1, 1))
    data[8] = 7
    with pytest.raises(OpenFlowError, match="NXBRC_BAD_REASON"):
        decode(bytes(data), 1)
