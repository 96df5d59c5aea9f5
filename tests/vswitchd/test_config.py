"""What the command line says of bridges and ports, and what it may not say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.vswitchd.config import PortConfig, check_name, parse_datapath_id, parse_port


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("veth0", PortConfig("veth0")),
        ("p0,type=patch,peer=p1", PortConfig("p0", "patch", {"peer": "p1"})),
        ("eth1,ofport=7", PortConfig("eth1", ofport_request=7)),
        ("int0,type=internal,mtu_request=1400", PortConfig("int0", "internal", mtu_request=1400)),
        ("c,type=pcap,rx_pcap=/tmp/a=b.pcap", PortConfig("c", "pcap", {"rx_pcap": "/tmp/a=b.pcap"})),
    ],
)
def test_port(text: str, port: PortConfig) -> None:
    assert parse_port(text) == port


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("veth0,mtu", '"mtu" is not an option'),
        ("veth0,=1", '"=1" is not an option'),
        ("veth0,a=1,a=2", "option a is given twice"),
        ("veth0,ofport=x", '"x" is not an OpenFlow port number'),
        ("veth0,ofport=0", '"0" is not an OpenFlow port number: expected 1 to 65279'),
        ("veth0,ofport=65280", "expected 1 to 65279"),
        ("veth0,ofport=²", '"²" is not an OpenFlow port number'),
        ("veth0,mtu_request=-1", '"-1" is not an MTU: expected 68 to 65535'),
        ("", '"" is not a name'),
        ("a-name-of-sixteen", "expected 1 to 15 bytes"),
        ("a/b", "characters that names may not have"),
        ("..", "characters that names may not have"),
    ],
)
def test_port_refused(text: str, named: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_port(text)
    assert named in str(refusal.value)


@given(st.text(max_size=20))
def test_names_that_pass_fit_an_interface_and_a_file(name: str) -> None:
    try:
        check_name(name)
    except ValueError:
        return
    assert 0 < len(name.encode()) <= 15
    assert "/" not in name
    assert "\0" not in name


def test_datapath_id() -> None:
    assert parse_datapath_id("00000000000000ab") == 0xAB
    assert parse_datapath_id("0xAB") == 0xAB
    for text in ("", "0", "00000000000000000", "xyz", "12345678901234567"):
        with pytest.raises(ValueError, match="not a datapath id"):
            parse_datapath_id(text)
