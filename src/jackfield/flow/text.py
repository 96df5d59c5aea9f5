"""Matches as ovs-ofctl(8) writes them, both ways.

A match is a list of tokens, ``key``, ``key=value`` or ``key=value/mask``, between commas or blanks. What is not of the
match (priority, cookie, table, actions ...) is the caller's: it splits with `split_key_values`, takes its own keys and
gives the others to `match_with`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, reduce
from itertools import pairwise
from operator import or_
from typing import Final, NamedTuple

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.match import MATCH_FIELDS, Match
from jackfield.flow.prerequisites import Prerequisite, met_by_key
from jackfield.flow.tunnel_options import NO_TUNNEL_OPTIONS, TunnelOptions
from jackfield.flow.values import (
    NamesByPort,
    PortsByName,
    format_masked,
    format_value,
    parse_value,
)

PROTOCOLS: Final[dict[str, tuple[int, int | None]]] = {
    "ip": (0x0800, None),
    "ipv4": (0x0800, None),
    "ip4": (0x0800, None),
    "icmp": (0x0800, 1),
    "tcp": (0x0800, 6),
    "udp": (0x0800, 17),
    "sctp": (0x0800, 132),
    "arp": (0x0806, None),
    "rarp": (0x8035, None),
    "ipv6": (0x86DD, None),
    "ip6": (0x86DD, None),
    "icmp6": (0x86DD, 58),
    "tcp6": (0x86DD, 6),
    "udp6": (0x86DD, 17),
    "sctp6": (0x86DD, 132),
    "mpls": (0x8847, None),
    "mplsm": (0x8848, None),
}
"""Words for an Ethertype and an IP protocol."""

_WORDS: Final = {
    (eth_type, proto): word for word, (eth_type, proto) in reversed(PROTOCOLS.items()) if word not in ("ip4", "ip6")
} | {(0x0800, None): "ip", (0x86DD, None): "ipv6"}
_ETH_TYPES: Final = frozenset(eth_type for eth_type, _ in _WORDS)
_MPLS_BOS: Final = 0x100
_BLANKS: Final = " \t\r\n"
_KEY_ENDS: Final = ":=(,"


class KeyValue(NamedTuple):
    """One token: `value` is None without one; `text` is all of it, for messages."""

    key: str
    value: str | None
    text: str


def split_key_values(text: str) -> list[KeyValue]:
    """The tokens of a text: ``key``, ``key=value``, ``key:value`` and ``key(value)``, commas or blanks between them.

    Commas and blanks inside parentheses belong to the value.

    Raises:
        ValueError: parentheses do not balance, or a value has no key.
    """
    tokens: list[KeyValue] = []
    place, size = 0, len(text)
    while place < size:
        if text[place] in _BLANKS or text[place] == ",":
            place += 1
            continue
        start = place
        while place < size and text[place] not in _KEY_ENDS and text[place] not in _BLANKS:
            place += 1
        key = text[start:place]
        if not key:
            raise ValueError(f"{text[start:]}: missing key (expected key, key=value or key=value/mask)")
        if place == size or text[place] in _BLANKS or text[place] == ",":
            tokens.append(KeyValue(key, None, key))
            continue
        in_parentheses = text[place] == "("
        if not in_parentheses:
            place += 1
        end = _value_end(text, place)
        value = text[place + 1 : end - 1] if in_parentheses and text[end - 1] == ")" else text[place:end]
        place = end
        tokens.append(KeyValue(key, value, text[start:end]))
    return tokens


def _value_end(text: str, place: int) -> int:
    """Where the value that begins at `place` ends."""
    depth = 0
    for end in range(place, len(text)):
        char = text[end]
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                raise ValueError(f"{text[place : end + 1]}: unexpected )")
        elif not depth and (char == "," or char in _BLANKS):
            return end
    if depth:
        raise ValueError(f"{text[place:]}: missing )")
    return len(text)


def match_with(
    match: Match,
    token: KeyValue,
    ports: PortsByName | None = None,
    options: TunnelOptions = NO_TUNNEL_OPTIONS,
) -> Match | None:
    """The match with one token's condition; a field that has one already gets the new one.

    Returns:
        None if the token's key is no word or field of a match.

    Raises:
        ValueError: the value is missing, not of the field's form, or has a mask that the field does not take.
    """
    if token.key == "eth" or token.key in PROTOCOLS:
        if token.value:
            raise ValueError(f"{token.text}: {token.key} takes no value")
        return _with_protocol(match, token.key)
    try:
        field = options.field_by_name(token.key)
    except ValueError:
        if token.key.startswith("tun_metadata"):
            raise
        return None
    if token.key not in (field.name, *field.aliases):
        # NXM and OXM names are for actions.
        return None
    option = (
        options.get(int(field.name.removeprefix("tun_metadata"))) if field.name.startswith("tun_metadata") else None
    )
    if option is not None:
        match = Match(match.value | option.present_mask, match.mask | option.present_mask)
    if not token.value:
        if option is not None:
            return match.without(field)
        raise ValueError(f"{token.text}: field {token.key} needs a value (expected {token.key}=value)")
    try:
        value, mask = parse_value(field, token.value, ports)
    except ValueError as error:
        raise ValueError(f"{token.text}: {error}") from None
    return _with_field(match, field, value, mask)


def _with_protocol(match: Match, word: str) -> Match:
    if word == "eth":
        return match.with_field(f.PACKET_TYPE, 0)
    eth_type, proto = PROTOCOLS[word]
    match = match.with_field(f.ETH_TYPE, eth_type)
    return match if proto is None else match.with_field(f.NW_PROTO, proto)


def _with_field(match: Match, field: Field, value: int, mask: int) -> Match:
    if field is f.DL_VLAN and mask and not value:
        return match.with_field(f.VLAN_TCI, 0)
    if field in (f.VLAN_PCP, f.DL_VLAN_PCP) and mask:
        match = Match(match.value | f.VLAN_CFI << f.VLAN_TCI.offset, match.mask | f.VLAN_CFI << f.VLAN_TCI.offset)
    return match.with_field(field, value, mask)


def parse_match(text: str, ports: PortsByName | None = None, options: TunnelOptions = NO_TUNNEL_OPTIONS) -> Match:
    """The match that a whole text is, without the fields whose prerequisites it lacks (`Match.normalized`).

    Args:
        text: tokens of a match only.
        ports: port numbers by name, for `in_port` and the like.
        options: the switch's tunnel options.

    Raises:
        ValueError: names the token at fault and what was expected, in one line.
    """
    match = Match()
    for token in split_key_values(text):
        extended = match_with(match, token, ports, options)
        if extended is None:
            raise ValueError(f"{token.text}: unknown keyword {token.key} (expected a field or protocol name)")
        match = extended
    return match.normalized()


_Style = Callable[[int, int], str]


def _style_hex(format_spec: str, full: int) -> _Style:
    return lambda value, mask: format_masked(lambda number: f"0x{number:{format_spec}}", value, mask, full)


def _style_nsh_flags(value: int, mask: int) -> str:
    return str(value) if mask == 0xFF else f"0x{value:02x}/0x{mask:02x}"


def _style_port(value: int, mask: int) -> str:
    return str(value) if mask == 0xFFFF else f"0x{value:x}/0x{mask:x}"


def _style_lse(value: int, mask: int) -> str:
    return str(value) if mask == 0xFFFFFFFF else f"{value:#x}/{mask:#x}"


_STYLES: Final[dict[Field, _Style]] = {
    f.CT_ZONE: _style_port,
    f.CT_TP_SRC: _style_port,
    f.CT_TP_DST: _style_port,
    f.TUN_GBP_ID: _style_port,
    f.TP_SRC: _style_port,
    f.TP_DST: _style_port,
    f.MPLS_LSES[1]: _style_lse,
    f.MPLS_LSES[2]: _style_lse,
    f.IPV6_LABEL: _style_hex("05x", f.IPV6_LABEL.max_value),
    f.NSH_SPI: _style_hex("x", f.NSH_SPI.max_value),
    f.NSH_C1: _style_hex("x", 0xFFFFFFFF),
    f.NSH_C2: _style_hex("x", 0xFFFFFFFF),
    f.NSH_C3: _style_hex("x", 0xFFFFFFFF),
    f.NSH_C4: _style_hex("x", 0xFFFFFFFF),
    f.NSH_FLAGS: _style_nsh_flags,
}

_PRINTED_NAMES: Final[dict[Field, str]] = {
    f.ETH_SRC: "dl_src",
    f.ETH_DST: "dl_dst",
    f.IP_SRC: "nw_src",
    f.IP_DST: "nw_dst",
    f.NW_FRAG: "nw_frag",
    f.ICMPV6_TYPE: "icmp_type",
    f.ICMPV6_CODE: "icmp_code",
    f.TUN_GTPU_FLAGS: "gtpu_flags",
    f.TUN_GTPU_MSGTYPE: "gtpu_msgtype",
}

_METADATA_FIRST: Final = (
    f.PKT_MARK,
    f.RECIRC_ID,
    f.DP_HASH,
    f.CONJ_ID,
    f.SKB_PRIORITY,
    f.ACTSET_OUTPUT,
    f.CT_STATE,
    f.CT_ZONE,
    f.CT_MARK,
    f.CT_LABEL,
    f.CT_NW_SRC,
    f.CT_IPV6_SRC,
    f.CT_NW_DST,
    f.CT_IPV6_DST,
    f.CT_NW_PROTO,
    f.CT_TP_SRC,
    f.CT_TP_DST,
)
_TUNNEL: Final = (
    *f.REGS,
    f.TUN_ID,
    f.TUN_SRC,
    f.TUN_DST,
    f.TUN_IPV6_SRC,
    f.TUN_IPV6_DST,
    f.TUN_GBP_ID,
    f.TUN_GBP_FLAGS,
    f.TUN_TOS,
    f.TUN_TTL,
    f.TUN_ERSPAN_VER,
    f.TUN_ERSPAN_IDX,
    f.TUN_ERSPAN_DIR,
    f.TUN_ERSPAN_HWID,
    f.TUN_GTPU_FLAGS,
    f.TUN_GTPU_MSGTYPE,
    f.TUN_FLAGS,
)
_NSH: Final = (
    f.NSH_FLAGS,
    f.NSH_TTL,
    f.NSH_MDTYPE,
    f.NSH_NP,
    f.NSH_SPI,
    f.NSH_SI,
    f.NSH_C1,
    f.NSH_C2,
    f.NSH_C3,
    f.NSH_C4,
)
_NETWORK: Final[dict[int, tuple[Field, ...]]] = {
    0x86DD: (f.IPV6_SRC, f.IPV6_DST, f.IPV6_LABEL, f.IPV6_EXTHDR),
    0x0806: (f.ARP_SPA, f.ARP_TPA),
    0x8035: (f.ARP_SPA, f.ARP_TPA),
    0x894F: _NSH,
}
_NETWORK_REST: Final = (f.NW_TOS, f.NW_ECN, f.NW_TTL)
_MPLS: Final = (f.MPLS_LABEL, f.MPLS_TC, f.MPLS_TTL, f.MPLS_BOS, *f.MPLS_LSES[1:])
_ICMP: Final = (f.ICMP_TYPE, f.ICMP_CODE)
_ICMPV6: Final = (f.ICMPV6_TYPE, f.ICMPV6_CODE)
_ND: Final = (f.ND_TARGET, f.ND_SLL, f.ND_TLL, f.ND_RESERVED, f.ND_OPTIONS_TYPE)


def format_match(match: Match, names: NamesByPort | None = None, options: TunnelOptions = NO_TUNNEL_OPTIONS) -> str:
    """The text of a match as ``ovs-ofctl dump-flows`` has it; empty for a match on everything.

    Args:
        match: what to write; bits of unmet prerequisites are written too.
        names: port names by number.
        options: the switch's tunnel options.
    """
    return ",".join(_parts(match, names, options))


def _parts(match: Match, names: NamesByPort | None, options: TunnelOptions) -> Iterator[str]:
    eth_type = match.exact(f.ETH_TYPE)
    proto = match.exact(f.NW_PROTO)
    word = _WORDS.get((eth_type, proto)) if eth_type is not None and proto is not None else None
    yield from _some(match, _METADATA_FIRST, names)
    packet_type = match.exact(f.PACKET_TYPE)
    if packet_type:
        yield f"packet_type={format_value(f.PACKET_TYPE, packet_type)}"
        if packet_type >> 16 == 1:
            eth_type = packet_type & 0xFFFF
    elif packet_type == 0 and match.mask & f.RECIRC_ID.mask:
        # Only a megaflow looks at both.
        yield "eth"
    if match.mask & f.ETH_TYPE.mask and eth_type in _ETH_TYPES:
        yield word or _WORDS[eth_type, None]
    yield from _some(match, _TUNNEL, names)
    yield from _tunnel_options(match, options)
    yield from _some(match, (f.METADATA, f.IN_PORT), names)
    yield from _vlan(match, f.VLAN_TCI, "")
    yield from _vlan(match, f.VLAN2_TCI, "1")
    yield from _some(match, (f.ETH_SRC, f.ETH_DST), names)
    if match.mask & f.ETH_TYPE.mask and eth_type not in _ETH_TYPES:
        yield f"dl_type=0x{f.ETH_TYPE.get(match.value):04x}"
    yield from _some(match, _NETWORK.get(eth_type or 0, (f.IP_SRC, f.IP_DST)), names)
    is_arp = eth_type in (0x0806, 0x8035)
    if proto is not None and word is None:
        yield f"{'arp_op' if is_arp else 'nw_proto'}={proto}"
    if is_arp:
        yield from _some(match, (f.ARP_SHA, f.ARP_THA), names)
    yield from _some(match, _NETWORK_REST, names)
    if eth_type in (0x8847, 0x8848):
        yield from _some(match, _MPLS, names)
    yield from _some(match, (f.NW_FRAG,), names)
    yield from _transport(match, eth_type, proto, names)


def _some(match: Match, fields: tuple[Field, ...], names: NamesByPort | None) -> Iterator[str]:
    if not match.mask & _bits_of(fields):
        return
    for field in fields:
        mask = field.get(match.mask)
        if mask:
            value = field.get(match.value)
            style = _STYLES.get(field)
            text = style(value, mask) if style is not None else format_value(field, value, mask, names)
            yield f"{_PRINTED_NAMES.get(field, field.name)}={text}"


@cache
def _bits_of(fields: tuple[Field, ...]) -> int:
    """All bits of some fields: most matches have none of most groups."""
    return reduce(or_, (field.mask for field in fields))


def _tunnel_options(match: Match, options: TunnelOptions) -> Iterator[str]:
    for option, field in zip(options, options.fields(), strict=True):
        value, mask = match.get(field)
        if mask:
            yield f"{field.name}={format_value(field, value, mask)}"
        elif match.mask & option.present_mask:
            yield field.name


def _vlan(match: Match, field: Field, suffix: str) -> Iterator[str]:
    value, mask = match.get(field)
    vid, pcp = mask & 0xFFF, mask >> 13
    if mask & value & f.VLAN_CFI and vid in (0, 0xFFF) and pcp in (0, 7) and (vid or pcp):
        if vid:
            yield f"dl_vlan{suffix}={value & 0xFFF}"
        if pcp:
            yield f"dl_vlan_pcp{suffix}={value >> 13}"
    elif mask == 0xFFFF:
        yield f"vlan_tci{suffix}=0x{value:04x}"
    elif mask:
        yield f"vlan_tci{suffix}=0x{value:04x}/0x{mask:04x}"


def _transport(match: Match, eth_type: int | None, proto: int | None, names: NamesByPort | None) -> Iterator[str]:
    if eth_type == 0x0800 and proto == 1:
        yield from _some(match, _ICMP, names)
    elif eth_type == 0x86DD and proto == 58:
        yield from _some(match, _ICMPV6, names)
        if match.allows(Prerequisite.ND):
            yield from _some(match, _ND, names)
    else:
        yield from _some(match, (f.TP_SRC, f.TP_DST), names)
        if proto == 6:
            yield from _some(match, (f.TCP_FLAGS,), names)


def format_flow(key: int, names: NamesByPort | None = None, options: TunnelOptions = NO_TUNNEL_OPTIONS) -> str:
    """A packet's key as ovs-ofctl prints one: all fields the packet has; of metadata, what is not zero."""
    mask = 0
    for field in (*MATCH_FIELDS, f.TUN_TOS, f.TUN_TTL):
        is_metadata = field.prerequisite in (Prerequisite.NONE, Prerequisite.CT) or field is f.IPV6_EXTHDR
        if field.get(key) if is_metadata else met_by_key(field.prerequisite, key):
            mask |= field.mask
    if f.VLAN_TCI.get(key):
        mask |= f.VLAN2_TCI.mask
    if met_by_key(Prerequisite.MPLS, key):
        for above, below in pairwise(f.MPLS_LSES):
            if above.get(key) & _MPLS_BOS:
                break
            mask |= below.mask
    if met_by_key(Prerequisite.ND, key):
        mask = mask & ~(f.ND_RESERVED.mask | f.ND_OPTIONS_TYPE.mask) | f.ND_SLL.mask | f.ND_TLL.mask
    if met_by_key(Prerequisite.IGMP, key):
        mask |= f.TP_SRC.mask | f.TP_DST.mask
    return format_match(Match.masked(key, mask), names, options)
