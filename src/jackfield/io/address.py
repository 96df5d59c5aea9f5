"""Where to connect or listen, in the text form of ovs-vswitchd(7) "Active Connections" and "Passive Connections".

    tcp:HOST[:PORT]    ssl:HOST[:PORT]    unix:FILE
    ptcp:[PORT][:HOST] pssl:[PORT][:HOST] punix:FILE

An IPv6 address stands in brackets where a port may follow it.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

OPENFLOW_PORT: Final = 6653
OVSDB_PORT: Final = 6640

_ACTIVE: Final = {"tcp": "tcp", "ssl": "ssl", "unix": "unix"}
_PASSIVE: Final = {"ptcp": "tcp", "pssl": "ssl", "punix": "unix"}
_FORMS: Final = {
    "tcp": "tcp:HOST[:PORT]",
    "ssl": "ssl:HOST[:PORT]",
    "unix": "unix:FILE",
    "ptcp": "ptcp:[PORT][:HOST]",
    "pssl": "pssl:[PORT][:HOST]",
    "punix": "punix:FILE",
}


@dataclass(frozen=True, slots=True)
class Address:
    """One end of a connection.

    Attributes:
        transport: "tcp", "ssl" or "unix".
        passive: whether to listen.
        host: name or IP address without brackets; "" is every local address (passive only).
        port: TCP port; 0 lets the kernel choose (passive only).
        path: file name of a Unix socket.
    """

    transport: str
    passive: bool = False
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        kind = ("p" if self.passive else "") + self.transport
        if self.transport == "unix":
            return f"{kind}:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.passive:
            return f"{kind}:{self.port}:{host}" if host else f"{kind}:{self.port}"
        return f"{kind}:{host}:{self.port}"


def parse_address(text: str, default_port: int = OPENFLOW_PORT) -> Address:
    """Read the text form.

    Args:
        text: as above.
        default_port: the port when the text names none.

    Raises:
        ValueError: one line that names what cannot be read and what was expected.
    """
    kind, colon, rest = text.partition(":")
    if not colon or kind not in _FORMS:
        raise ValueError(f'"{text}" is not a connection: expected one of {", ".join(_FORMS.values())}')
    passive = kind in _PASSIVE
    transport = _PASSIVE[kind] if passive else _ACTIVE[kind]
    if transport == "unix":
        if not rest or "\0" in rest:
            raise ValueError(f'"{text}" names no file: expected {_FORMS[kind]}')
        return Address("unix", passive, path=rest)
    if passive:
        port_text, _, host = rest.partition(":")
        return Address(transport, True, _host(host, text), _port(port_text, default_port, text, least=0))
    host, port_text = _split_host(rest, text)
    if not host:
        raise ValueError(f'"{text}" names no host: expected {_FORMS[kind]}')
    return Address(transport, False, host, _port(port_text, default_port, text, least=1))


def _split_host(rest: str, text: str) -> tuple[str, str]:
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise ValueError(f'"{text}": expected [IPv6-address]:PORT')
        return _host(f"[{host}]", text), after[1:]
    if rest.count(":") > 1:
        raise ValueError(f'"{text}": an IPv6 address needs brackets')
    host, _, port_text = rest.partition(":")
    return _host(host, text), port_text


def _host(host: str, text: str) -> str:
    """Check the form of a host and take its brackets off."""
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if ":" in bare or bare != host:
        try:
            ipaddress.IPv6Address(bare)
        except ValueError as error:
            raise ValueError(f'"{text}": "{bare}" is not an IPv6 address') from error
    if any(character.isspace() or character == "\0" for character in bare):
        raise ValueError(f'"{text}": "{bare}" is not a host')
    return bare


def _port(port_text: str, default: int, text: str, least: int) -> int:
    if not port_text:
        return default
    if not (port_text.isascii() and port_text.isdigit()) or not least <= int(port_text[:6]) <= 65535:
        raise ValueError(f'"{text}": "{port_text}" is not a port ({least} to 65535)')
    return int(port_text)
