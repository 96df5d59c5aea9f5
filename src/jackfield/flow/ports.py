"""Port numbers: OpenFlow's and the datapath's are two types, converted in one place each.

`OfPort` is the 32-bit numbering of OpenFlow 1.1 and later (openflow.h, ``enum ofp_port_no``). OpenFlow 1.0 has a 16-bit
numbering of its own whose reserved numbers end in the same byte, so that the two convert by moving the reserved range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NewType

OfPort = NewType("OfPort", int)
"""An OpenFlow port number, 32-bit numbering, whatever version the connection speaks."""

DpPort = NewType("DpPort", int)
"""A port number inside a datapath, 32 bits; never seen by OpenFlow."""

OFPP_MAX: Final = OfPort(0xFFFFFF00)
"""First number past the ordinary ports of the 32-bit numbering."""
OFPP10_MAX: Final = 0xFF00
"""First number past the ordinary ports of the 16-bit numbering; the switch gives no port a number at or above it."""

OFPP_UNSET: Final = OfPort(0xFFFFFFF7)
OFPP_IN_PORT: Final = OfPort(0xFFFFFFF8)
OFPP_TABLE: Final = OfPort(0xFFFFFFF9)
OFPP_NORMAL: Final = OfPort(0xFFFFFFFA)
OFPP_FLOOD: Final = OfPort(0xFFFFFFFB)
OFPP_ALL: Final = OfPort(0xFFFFFFFC)
OFPP_CONTROLLER: Final = OfPort(0xFFFFFFFD)
OFPP_LOCAL: Final = OfPort(0xFFFFFFFE)
OFPP_NONE: Final = OfPort(0xFFFFFFFF)
OFPP_ANY: Final = OFPP_NONE
"""OpenFlow 1.0 calls it NONE, later versions ANY."""

DPP_NONE: Final = DpPort(0xFFFFFFFF)
"""No datapath port."""
DPP_LOCAL: Final = DpPort(0)
"""The datapath's own internal port."""

_RESERVED_SPAN: Final = 0xFFFF_0000

_FIRST_RESERVED: Final = OFPP_UNSET

RESERVED_PORT_NAMES: Final[Mapping[OfPort, str]] = {
    OFPP_IN_PORT: "IN_PORT",
    OFPP_TABLE: "TABLE",
    OFPP_NORMAL: "NORMAL",
    OFPP_FLOOD: "FLOOD",
    OFPP_ALL: "ALL",
    OFPP_CONTROLLER: "CONTROLLER",
    OFPP_LOCAL: "LOCAL",
    OFPP_NONE: "ANY",
    OFPP_UNSET: "UNSET",
}

_PORTS_BY_NAME: Final[Mapping[str, OfPort]] = {
    **{name.lower(): port for port, name in RESERVED_PORT_NAMES.items()},
    "none": OFPP_NONE,
}


def is_reserved(port: OfPort) -> bool:
    """Whether a number lies at or above OFPP_MAX, where no ordinary port may be."""
    return port >= OFPP_MAX


def from_of10(number: int) -> OfPort:
    """The 32-bit form of an OpenFlow 1.0 port number (16 bits).

    Numbers from 0xff00 (the reserved ones and those kept for more) move to the top of the 32-bit range; the others
    keep their value.
    """
    return OfPort(number | _RESERVED_SPAN) if number >= OFPP10_MAX else OfPort(number)


def to_of10(port: OfPort) -> int:
    """The OpenFlow 1.0 form of a port number.

    Raises:
        ValueError: the number has no 16-bit form (0xff00 up to 0xfffffeff).
    """
    if port < OFPP10_MAX:
        return port
    if port >= OFPP_MAX:
        return port & 0xFFFF
    raise ValueError(f"port number {port} has no OpenFlow 1.0 form (expected below {OFPP10_MAX} or a reserved port)")


def port_from_text(text: str, names: Mapping[str, OfPort] | None = None) -> OfPort:
    """The port a user names: a decimal number (16-bit reserved ones included), a reserved name or one of `names`.

    Reserved names are taken in any letter case, other names exactly, between double quotes or without (ovs-ofctl(8),
    "Port names").

    Raises:
        ValueError: nothing of the kind; the text says what was expected.
    """
    if len(text) >= 2 and text[0] == text[-1] == '"':
        bare = text[1:-1]
        if names is not None and bare in names:
            return names[bare]
        raise ValueError(f"{text}: unknown port name")
    if text.isascii() and text.isdigit():
        number = int(text)
        if number <= 0xFFFF:
            return from_of10(number)
        if _FIRST_RESERVED <= number <= OFPP_NONE:
            return OfPort(number)
        raise ValueError(f"{text}: port number out of range (expected 0 to {OFPP10_MAX - 1} or a reserved port)")
    if names is not None and text in names:
        return names[text]
    reserved = _PORTS_BY_NAME.get(text.lower())
    if reserved is None:
        raise ValueError(f"{text}: unknown port (expected a number, a port name or one of {_reserved_list()})")
    return reserved


def port_to_text(port: OfPort, names: Mapping[OfPort, str] | None = None) -> str:
    """A port as ovs-ofctl prints it: a reserved name, a name out of `names`, or its number.

    A name that would not read back without quotes gets them.
    """
    reserved = RESERVED_PORT_NAMES.get(port)
    if reserved is not None:
        return reserved
    name = names.get(port) if names is not None else None
    if name is None:
        return str(port)
    return name if _reads_back(name) else f'"{name}"'


def _reads_back(name: str) -> bool:
    """Whether a port name can stand in match text without quotes: a letter first, nothing that text gives a meaning."""
    if not name or not name[0].isalpha() or name.lower() in _PORTS_BY_NAME:
        return False
    return all(char.isalnum() or char in "_-.@" for char in name)


def _reserved_list() -> str:
    return ", ".join(name for port, name in RESERVED_PORT_NAMES.items() if port != OFPP_UNSET)
