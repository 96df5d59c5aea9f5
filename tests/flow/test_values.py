"""Values of fields as text; what matches make of them is in test_text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow import fields as f
from jackfield.flow import values as v


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("10", 10), ("0x1F", 31), ("0X1f", 31), ("010", 8)])
def test_numbers(text: str, value: int) -> None:
    assert v.parse_number(text) == value


@pytest.mark.parametrize("text", ["", "-1", "1_000", "0x", "08", " 1", "1 ", "٣", "1.0", "+1"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        v.parse_number(text)


@given(st.integers(0, (1 << 48) - 1))
def test_macs(value: int) -> None:
    assert v.parse_mac(v.format_mac(value)) == value


@given(st.integers(0, (1 << 32) - 1))
def test_ipv4(value: int) -> None:
    assert v.parse_ipv4(v.format_ipv4(value)) == value


@given(st.integers(0, (1 << 128) - 1))
def test_ipv6(value: int) -> None:
    assert v.parse_ipv6(v.format_ipv6(value)) == value


@pytest.mark.parametrize("text", ["1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "a", "1.2.3.4\0"])
def test_what_is_no_ipv4_address(text: str) -> None:
    with pytest.raises(ValueError, match="invalid IP address"):
        v.parse_ipv4(text)


@pytest.mark.parametrize("text", ["1::2::3", "fe80::1%eth0", "::1/64", "1.2.3.4", ""])
def test_what_is_no_ipv6_address(text: str) -> None:
    with pytest.raises(ValueError, match="invalid IPv6 address"):
        v.parse_ipv6(text)


@pytest.mark.parametrize(("mask", "length"), [(0xFFFFFFFF, 32), (0xFF000000, 8), (0, 0), (0xFF00FF00, None), (1, None)])
def test_prefix_length(mask: int, length: int | None) -> None:
    assert v.prefix_length(mask, 32) == length


def test_flags() -> None:
    names = ("a", "b", "c")
    assert v.parse_flags("+a-b", names, "x") == (1, 3)
    assert v.parse_flags("a|c", names, "x") == (5, 7)
    assert v.parse_flags("0x5/0x6", names, "x") == (4, 6)
    assert v.parse_flags("5", names, "x") == (5, 7)
    assert v.format_flags(names, 1, 3) == "+a-b"
    assert v.format_flags(names, 5, 7) == "a|c"
    assert v.format_flags(names, 0, 7) == "0"


@pytest.mark.parametrize("text", ["+a+a", "a|a", "+d", "8", "1/8", "", "+", "a|", "a+b"])
def test_bad_flags(text: str) -> None:
    with pytest.raises(ValueError, match=r"unknown x flag|only once"):
        v.parse_flags(text, ("a", "b", "c"), "x")


@pytest.mark.parametrize("field", [field for field in f.FIELDS if field is not f.DL_VLAN], ids=repr)
def test_largest_value_of_every_field(field: f.Field) -> None:
    value, mask = v.parse_value(field, v.format_value(field, _largest(field)))
    assert (value, mask) == (_largest(field), field.max_value if field is not f.NW_FRAG else 2)
    assert v.parse_value(field, "*") == (0, 0)


def _largest(field: f.Field) -> int:
    if field is f.NW_FRAG:
        return 2
    return 0xFF if field is f.CT_STATE else field.max_value
