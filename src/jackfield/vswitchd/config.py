"""What a switch shall be, as data: bridges, their ports and controllers.

The command line fills it in; `switchd` makes it true.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from jackfield.flow.ports import OFPP10_MAX, OfPort

FailMode = Literal["standalone", "secure"]

IFNAMSIZ: Final = 16
"""Bytes of a Linux interface name with its final zero (include/uapi/linux/if.h)."""

_DATAPATH_ID = re.compile(r"(0x)?([0-9a-fA-F]{1,16})")


@dataclass(frozen=True)
class PortConfig:
    """One port.

    Attributes:
        name: of the port and its device.
        type: of the device, "system" for an interface of the machine.
        options: of the device, as the Interface table has them.
        ofport_request: the OpenFlow number asked for.
        mtu_request: the MTU asked for; None leaves the device's, an internal port's follows the other ports'.
    """

    name: str
    type: str = "system"
    options: Mapping[str, str] = field(default_factory=dict)
    ofport_request: OfPort | None = None
    mtu_request: int | None = None


@dataclass(frozen=True)
class BridgeConfig:
    """One bridge.

    Attributes:
        name: of the bridge and of its local port.
        ports: in the order in which they get their numbers.
        datapath_type: "netdev", "dummy" ...
        datapath_id: 64 bits; None lets the switch take it from the bridge's address.
        controllers: "tcp:HOST:PORT", "ptcp:PORT" ... as in the Controller table.
        fail_mode: what happens while no controller answers.
    """

    name: str
    ports: tuple[PortConfig, ...] = ()
    datapath_type: str = "netdev"
    datapath_id: int | None = None
    controllers: tuple[str, ...] = ()
    fail_mode: FailMode = "standalone"


def check_name(name: str) -> str:
    """A name that a bridge or port may have.

    Raises:
        ValueError: it is empty, too long for an interface, or has characters that a file or interface name may not.
    """
    if not name or len(name.encode()) >= IFNAMSIZ:
        raise ValueError(f"{json.dumps(name)} is not a name for a bridge or port: expected 1 to {IFNAMSIZ - 1} bytes")
    if name in {".", ".."} or any(each in "/," or each.isspace() or not each.isprintable() for each in name):
        raise ValueError(
            f"{json.dumps(name)} is not a name for a bridge or port: it has characters that names may not have"
        )
    return name


def parse_datapath_id(text: str) -> int:
    """A datapath id of up to 16 hexadecimal digits, not zero.

    Raises:
        ValueError: it is something else.
    """
    found = _DATAPATH_ID.fullmatch(text)
    if found is None or int(found[2], 16) == 0:
        raise ValueError(f'"{text}" is not a datapath id: expected up to 16 hexadecimal digits, not all zero')
    return int(found[2], 16)


def parse_port(text: str) -> PortConfig:
    """A port as the command line names it: ``NAME[,type=TYPE][,ofport=N][,mtu_request=N][,OPTION=VALUE ...]``.

    Raises:
        ValueError: naming the part that cannot be read.
    """
    name, *words = text.split(",")
    options: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise ValueError(f'port {name}: "{word}" is not an option: expected NAME=VALUE')
        if key in options:
            raise ValueError(f"port {name}: option {key} is given twice")
        options[key] = value
    type_name = options.pop("type", "system")
    number = _number(name, options.pop("ofport", None), "an OpenFlow port number", 1, OFPP10_MAX - 1)
    mtu = _number(name, options.pop("mtu_request", None), "an MTU", 68, 65535)
    return PortConfig(check_name(name), type_name, options, None if number is None else OfPort(number), mtu)


def _number(port: str, text: str | None, what: str, least: int, most: int) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
        raise ValueError(f'port {port}: "{text}" is not {what}: expected {least} to {most}')
    return int(text)
