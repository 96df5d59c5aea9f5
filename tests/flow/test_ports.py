"""Port numbers of OpenFlow 1.0 and later, and their names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import ports
from jackfield.flow.ports import OfPort, from_of10, is_reserved, port_from_text, port_to_text, to_of10

RESERVED = {
    0xFFF8: ports.OFPP_IN_PORT,
    0xFFF9: ports.OFPP_TABLE,
    0xFFFA: ports.OFPP_NORMAL,
    0xFFFB: ports.OFPP_FLOOD,
    0xFFFC: ports.OFPP_ALL,
    0xFFFD: ports.OFPP_CONTROLLER,
    0xFFFE: ports.OFPP_LOCAL,
    0xFFFF: ports.OFPP_NONE,
}


def test_reserved_ports_of_both_numberings() -> None:
    for number, port in RESERVED.items():
        assert from_of10(number) == port
        assert to_of10(port) == number
        assert port_from_text(str(number)) == port_from_text(str(port)) == port
        assert is_reserved(port)


@given(st.integers(0, 0xFEFF))
def test_ordinary_ports_keep_their_number(number: int) -> None:
    port = from_of10(number)
    assert port == number
    assert to_of10(port) == number
    assert not is_reserved(port)
    assert port_from_text(port_to_text(port)) == port


@given(st.integers(0, 0xFFFF))
def test_every_16_bit_number_has_a_32_bit_form_and_back(number: int) -> None:
    assert to_of10(from_of10(number)) == number


@pytest.mark.parametrize("number", [0xFF00, 0x10000, 0xFFFFFEFF])
def test_numbers_without_a_16_bit_form(number: int) -> None:
    with pytest.raises(ValueError, match=r"no OpenFlow 1\.0 form"):
        to_of10(OfPort(number))


@pytest.mark.parametrize("name", ["IN_PORT", "TABLE", "NORMAL", "FLOOD", "ALL", "CONTROLLER", "LOCAL", "ANY"])
def test_reserved_names_in_any_case(name: str) -> None:
    port = port_from_text(name.lower())
    assert port_to_text(port) == name
    assert port_from_text(name.capitalize()) == port


def test_none_is_any() -> None:
    assert port_from_text("none") == port_from_text("any") == ports.OFPP_NONE


def test_names_from_the_switch() -> None:
    names = {"eth0": OfPort(3), "1st": OfPort(4), "a b": OfPort(5), "LOCAL": OfPort(6), "7": OfPort(7)}
    texts = {port: port_to_text(port, {port: name}) for name, port in names.items()}
    assert texts == {3: "eth0", 4: '"1st"', 5: '"a b"', 6: '"LOCAL"', 7: '"7"'}
    for port, text in texts.items():
        assert port_from_text(text, names) == port
    assert port_from_text("7", names) == 7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("foo", "foo: unknown port"),
        ("0x1", "unknown port"),
        ("-1", "unknown port"),
        ("", "unknown port"),
        ('"foo"', "unknown port name"),
        ("70000", "out of range"),
        ("4294967296", "out of range"),
        ("4294967040", "out of range"),
    ],
)
def test_bad_ports(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        port_from_text(text, {"eth0": OfPort(1)})
