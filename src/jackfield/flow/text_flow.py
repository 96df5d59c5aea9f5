"""One packet's fields as text, in either syntax that ``ofproto/trace`` takes (ovs-vswitchd(8))."""

from __future__ import annotations

from collections.abc import Mapping

from jackfield.flow.match import Match
from jackfield.flow.ports import DpPort
from jackfield.flow.text import match_with, split_key_values
from jackfield.flow.text_odp import ATTRIBUTE_NAMES, parse_odp
from jackfield.flow.tunnel_options import NO_TUNNEL_OPTIONS, TunnelOptions
from jackfield.flow.values import PortsByName, parse_value


def is_odp_text(text: str) -> bool:
    """Whether a flow is in the datapath's syntax: all attributes of the kind ``in_port(1)``.

    Raises:
        ValueError: the text cannot even be split.
    """
    tokens = split_key_values(text)
    return bool(tokens) and all(
        token.key in ATTRIBUTE_NAMES and token.text.startswith(f"{token.key}(") for token in tokens
    )


def parse_flow(
    text: str,
    ports: PortsByName | None = None,
    dp_ports: Mapping[str, DpPort] | None = None,
    options: TunnelOptions = NO_TUNNEL_OPTIONS,
) -> int:
    """The key of the packet that a text describes; fields it does not name are zero.

    ovs-ofctl's syntax sets `in_port`, the datapath's `dp_in_port`.

    Args:
        text: the flow.
        ports: OpenFlow port numbers by name.
        dp_ports: datapath port numbers by name.
        options: the switch's tunnel options.

    Raises:
        ValueError: names the token at fault and what was expected, in one line; a mask is a fault here.
    """
    if is_odp_text(text):
        return parse_odp(text, dp_ports).value
    match = Match()
    for token in split_key_values(text):
        extended = match_with(match, token, ports, options)
        if extended is None:
            raise ValueError(f"{token.text}: unknown keyword {token.key} (expected a field or protocol name)")
        if _is_masked(token.value, token.key, ports, options):
            raise ValueError(f"{token.text}: a packet has no wildcards (expected {token.key}=value)")
        match = extended
    return match.value


def _is_masked(value: str | None, key: str, ports: PortsByName | None, options: TunnelOptions) -> bool:
    """Whether a token that has been read leaves bits of its field open."""
    if not value:
        return False
    field = options.field_by_name(key)
    return parse_value(field, value, ports)[1] != field.max_value
