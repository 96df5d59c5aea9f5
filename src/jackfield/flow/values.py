"""Values of fields as text, both ways (ovs-fields(7), "Format").

`parse_value` takes ``value`` or ``value/mask`` in the form of the field; `format_value` writes what it takes, as
ovs-ofctl prints it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final

from jackfield.flow import fields as f
from jackfield.flow.fields import Field, Form, Masking
from jackfield.flow.ports import OfPort, port_from_text, port_to_text

PortsByName = Mapping[str, OfPort]
NamesByPort = Mapping[OfPort, str]

FRAG_FORMS: Final[Mapping[str, tuple[int, int]]] = {
    "no": (0, 3),
    "yes": (1, 1),
    "first": (1, 3),
    "later": (2, 2),
    "not_later": (0, 2),
}
"""What each word for fragments means as (value, mask) of ip_frag; a later fragment (3, 3) is "later" too."""

_FRAG_WORDS: Final = {
    **{pair: word for word, pair in FRAG_FORMS.items()},
    (2, 3): "later",
    (3, 3): "later",
    (0, 1): "no",
}
_MAC: Final = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_PACKET_TYPE: Final = re.compile(r"\(([0-9a-fA-FxX]+),([0-9a-fA-FxX]+)\)")
_FLAGS: Final = {
    Form.TCP_FLAGS: f.TCP_FLAG_NAMES,
    Form.CT_STATE: f.CT_STATE_FLAGS,
    Form.TUN_FLAGS: ("oam",),
}


def parse_number(text: str) -> int:
    """A non-negative decimal number, or as in C a hexadecimal one behind ``0x`` or an octal one behind ``0``.

    Raises:
        ValueError: it is neither.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text or 'nothing'}: not a number")
    base = 16 if text[:2] in ("0x", "0X") else 8 if text[0] == "0" else 10
    return int(text, base)


def parse_mac(text: str) -> int:
    """An Ethernet address, six groups of one or two hexadecimal digits.

    Raises:
        ValueError: it is none.
    """
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text}: invalid Ethernet address (expected xx:xx:xx:xx:xx:xx)")
    value = 0
    for group in text.split(":"):
        value = value << 8 | int(group, 16)
    return value


def parse_ipv4(text: str) -> int:
    """An IPv4 address in dotted form.

    Raises:
        ValueError: it is none.
    """
    try:
        return int.from_bytes(inet_pton(AF_INET, text), "big")
    except (OSError, ValueError):
        raise ValueError(f"{text}: invalid IP address (expected a.b.c.d)") from None


def parse_ipv6(text: str) -> int:
    """An IPv6 address (RFC 4291 section 2.2).

    Raises:
        ValueError: it is none.
    """
    try:
        return int.from_bytes(inet_pton(AF_INET6, text), "big")
    except (OSError, ValueError):
        raise ValueError(f"{text}: invalid IPv6 address") from None


def format_mac(value: int) -> str:
    """Six groups of two hexadecimal digits."""
    return value.to_bytes(6, "big").hex(":")


def format_ipv4(value: int) -> str:
    """Dotted form."""
    return inet_ntop(AF_INET, value.to_bytes(4, "big"))


def format_ipv6(value: int) -> str:
    """The short form of RFC 5952, with IPv4-mapped and IPv4-compatible addresses in mixed notation."""
    return inet_ntop(AF_INET6, value.to_bytes(16, "big"))


def format_hex(value: int) -> str:
    """C's ``%#x``: 0 is "0"."""
    return f"{value:#x}" if value else "0"


def format_masked(text: Callable[[int], str], value: int, mask: int, full: int) -> str:
    """``value``, or ``value/mask`` where the mask is not full."""
    return text(value) if mask == full else f"{text(value)}/{text(mask)}"


def prefix_length(mask: int, width: int) -> int | None:
    """How many leading ones a mask of `width` bits consists of; None if it is not of that form."""
    inverse = mask ^ (1 << width) - 1
    return width - inverse.bit_length() if not inverse & inverse + 1 else None


def format_address(text: Callable[[int], str], value: int, mask: int, width: int) -> str:
    """``address``, ``address/prefix`` or ``address/mask``, the shortest that says it."""
    length = prefix_length(mask, width)
    if length == width:
        return text(value)
    return f"{text(value)}/{text(mask) if length is None else length}"


def format_flags(names: Sequence[str], value: int, mask: int) -> str:
    """``a|b`` under a full mask, ``+a-b`` under another; ``0`` for none.

    `names` are the bits' names, bit 0 first, and define which mask is full.
    """
    full = (1 << len(names)) - 1
    if mask & full == full:
        return "|".join(name for bit, name in enumerate(names) if value >> bit & 1) or "0"
    signs = ((("+" if value >> bit & 1 else "-") + name) for bit, name in enumerate(names) if mask >> bit & 1)
    return "".join(signs) or "0/0"


def parse_flags(text: str, names: Sequence[str], what: str) -> tuple[int, int]:
    """Flags as ``+a-b``, ``a|b``, a number or ``number/mask``; value and mask.

    Raises:
        ValueError: a name or bit is unknown, or given twice.
    """
    full = (1 << len(names)) - 1
    expected = f"expected flags out of {', '.join(names)}"
    if text[:1].isdigit():
        value_text, slash, mask_text = text.partition("/")
        value = parse_number(value_text)
        mask = parse_number(mask_text) if slash else full
        if (value | mask) & ~full:
            raise ValueError(f"{text}: unknown {what} flag(s) ({expected})")
        return value & mask, mask
    if text[:1] not in ("+", "-"):
        value = 0
        for name in text.split("|"):
            value |= _flag_bit(name, names, value, what, expected)
        return value, full
    value = mask = 0
    for sign, name in re.findall(r"([+-])([^+-]*)", text):
        bit = _flag_bit(name, names, mask, what, expected)
        mask |= bit
        value |= bit if sign == "+" else 0
    return value, mask


def _flag_bit(name: str, names: Sequence[str], seen: int, what: str, expected: str) -> int:
    if name not in names:
        raise ValueError(f"{name or 'nothing'}: unknown {what} flag ({expected})")
    bit = 1 << names.index(name)
    if seen & bit:
        raise ValueError(f"{name}: each {what} flag can be given only once")
    return bit


def parse_value(field: Field, text: str, ports: PortsByName | None = None) -> tuple[int, int]:
    """Value and mask of a match on a field; ``*`` is mask 0.

    Raises:
        ValueError: the text is not of the field's form, does not fit it, or has a mask it does not take.
    """
    if text == "*":
        return 0, 0
    if field.form in _FLAGS:
        value, mask = parse_flags(text, _FLAGS[field.form], field.name)
        return value, field.max_value if mask == (1 << len(_FLAGS[field.form])) - 1 else mask
    if field.form is Form.FRAG:
        if text not in FRAG_FORMS:
            raise ValueError(f"{text}: unknown fragment type (expected {', '.join(FRAG_FORMS)})")
        return FRAG_FORMS[text]
    value_text, slash, mask_text = text.partition("/")
    if slash and field.masking is Masking.EXACT:
        raise ValueError(f"{text}: field {field.name} takes no mask (expected an exact value)")
    value = _PARSERS[field.form](field, value_text, ports)
    if not slash:
        return value, field.max_value
    mask = _parse_mask(field, mask_text)
    return value & mask, mask


def _parse_mask(field: Field, text: str) -> int:
    if field.form in (Form.IPV4, Form.IPV6) and text.isascii() and text.isdigit():
        if int(text) > field.width:
            raise ValueError(f"{text}: network prefix bits not between 0 and {field.width}, inclusive")
        return field.max_value ^ field.max_value >> int(text)
    return _PARSERS[field.form](field, text, None)


def _parse_integer(field: Field, text: str, _ports: PortsByName | None) -> int:
    value = parse_number(text)
    if field is f.DL_VLAN:
        if value == 0xFFFF:
            return 0
        return _fit(field, value, 0xFFF, text) | f.VLAN_CFI
    if field is f.NW_TOS:
        # The two bits of ECN are another field; a TOS byte that has them is taken without.
        return _fit(field, value, 0xFF, text) & field.max_value
    return _fit(field, value, field.max_value, text)


def _fit(field: Field, value: int, maximum: int, text: str) -> int:
    if value > maximum:
        raise ValueError(f"{text}: value too large for field {field.name} (expected 0 to {maximum:#x})")
    return value


def _parse_packet_type(field: Field, text: str, _ports: PortsByName | None) -> int:
    found = _PACKET_TYPE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text}: bad packet type (expected (namespace,type))")
    namespace, kind = (_fit(field, parse_number(group), 0xFFFF, text) for group in found.groups())
    return namespace << 16 | kind


_PARSERS: Final[Mapping[Form, Callable[[Field, str, PortsByName | None], int]]] = {
    Form.DECIMAL: _parse_integer,
    Form.HEX: _parse_integer,
    Form.MAC: lambda _field, text, _ports: parse_mac(text),
    Form.IPV4: lambda _field, text, _ports: parse_ipv4(text),
    Form.IPV6: lambda _field, text, _ports: parse_ipv6(text),
    Form.OFPORT10: lambda _field, text, ports: port_from_text(text, ports),
    Form.OFPORT: lambda _field, text, ports: port_from_text(text, ports),
    Form.PACKET_TYPE: _parse_packet_type,
}


def format_value(field: Field, value: int, mask: int | None = None, names: NamesByPort | None = None) -> str:
    """The text of a value under a mask (full if None), in the form of the field."""
    mask = field.max_value if mask is None else mask
    if field.form is Form.TUN_FLAGS:
        return "".join(("+" if value >> bit & 1 else "-") + name for bit, name in enumerate(_FLAGS[field.form]))
    if field.form in _FLAGS:
        return format_flags(_FLAGS[field.form], value, mask)
    if field.form is Form.FRAG:
        return _FRAG_WORDS.get((value, mask & 3), f"{value:#x}/{mask:#x}")
    if field.form is Form.MAC:
        return format_masked(format_mac, value, mask, field.max_value)
    if field.form in _ADDRESSES:
        return format_address(_ADDRESSES[field.form], value, mask, field.width)
    if field.form in (Form.OFPORT, Form.OFPORT10):
        return port_to_text(OfPort(value), names)
    if field.form is Form.PACKET_TYPE:
        return f"({_small(value >> 16)},{_small(value & 0xFFFF)})"
    if field.form is Form.DECIMAL and mask == field.max_value:
        return str(value)
    return format_masked(format_hex, value, mask, field.max_value)


_ADDRESSES: Final[Mapping[Form, Callable[[int], str]]] = {Form.IPV4: format_ipv4, Form.IPV6: format_ipv6}


def _small(value: int) -> str:
    return str(value) if value < 10 else f"{value:#x}"
