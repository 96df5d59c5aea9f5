"""Keys and masks as a datapath's flows are written, both ways: ``recirc_id(0),in_port(1),eth_type(0x0800),ipv4(...)``.

This is the form of ``ovs-appctl dpctl/dump-flows`` (ovs-vswitchd(8)). An attribute is a name with parts in parentheses;
`_ATTRIBUTES` says which field of the key each part is. Only what a datapath sees has such a form, and of that not the
tunnel options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.match import Match
from jackfield.flow.parse import ETH_TYPE_NONE
from jackfield.flow.ports import DpPort
from jackfield.flow.prerequisites import Prerequisite, met_by_key
from jackfield.flow.text import split_key_values
from jackfield.flow.values import (
    format_flags,
    format_hex,
    format_ipv4,
    format_ipv6,
    format_mac,
    parse_flags,
    parse_ipv4,
    parse_ipv6,
    parse_mac,
    parse_number,
)

_FRAG_WORDS: Final = {0: "no", 1: "first", 2: "later", 3: "later"}
_FRAG_VALUES: Final = {"no": 0, "first": 1, "later": 3}
_TUN_FLAG_NAMES: Final = ("oam", "df", "csum", "key")
_VLAN_PCP_SHIFT: Final = 13


class _Style(NamedTuple):
    """How a number is written: reading, writing a value, writing a mask."""

    read: Callable[[str], int]
    value: Callable[[int], str]
    mask: Callable[[int], str]


_DEC: Final = _Style(parse_number, str, format_hex)
_HEX: Final = _Style(parse_number, format_hex, format_hex)
_ID: Final = _Style(parse_number, lambda value: f"0x{value:x}", format_hex)
_MAC: Final = _Style(parse_mac, format_mac, format_mac)
_IPV4: Final = _Style(parse_ipv4, format_ipv4, format_ipv4)
_IPV6: Final = _Style(parse_ipv6, format_ipv6, format_ipv6)


class _Part(NamedTuple):
    """One ``name=value/mask``: `width` bits from bit `shift` of a field; without a name, the attribute's only part.

    `if_set` leaves it out where the value is zero, as the kernel does with the lesser parts of a tunnel.
    """

    name: str
    field: Field
    style: _Style
    width: int = 0
    shift: int = 0
    aliases: tuple[str, ...] = ()
    if_set: bool = False

    @property
    def full(self) -> int:
        return (1 << (self.width or self.field.width)) - 1

    def get(self, bits: int) -> int:
        return self.field.get(bits) >> self.shift & self.full


class _Attribute(NamedTuple):
    """One ``name(parts)``; `prerequisite` says which packets have it."""

    name: str
    parts: tuple[_Part, ...]
    prerequisite: Prerequisite = Prerequisite.NONE


def _only(name: str, field: Field, style: _Style) -> _Attribute:
    return _Attribute(name, (_Part("", field, style),))


def _ports(name: str, prerequisite: Prerequisite) -> _Attribute:
    return _Attribute(name, (_Part("src", f.TP_SRC, _DEC), _Part("dst", f.TP_DST, _DEC)), prerequisite)


def _icmp(name: str, prerequisite: Prerequisite) -> _Attribute:
    return _Attribute(
        name, (_Part("type", f.TP_SRC, _DEC, width=8), _Part("code", f.TP_DST, _DEC, width=8)), prerequisite
    )


_TUNNEL: Final = _Attribute(
    "tunnel",
    (
        _Part("tun_id", f.TUN_ID, _ID),
        _Part("src", f.TUN_SRC, _IPV4),
        _Part("dst", f.TUN_DST, _IPV4),
        _Part("ipv6_src", f.TUN_IPV6_SRC, _IPV6),
        _Part("ipv6_dst", f.TUN_IPV6_DST, _IPV6),
        _Part("tos", f.TUN_TOS, _HEX, if_set=True),
        _Part("ttl", f.TUN_TTL, _DEC),
        _Part("tp_src", f.TUN_TP_SRC, _DEC, if_set=True),
        _Part("tp_dst", f.TUN_TP_DST, _DEC, if_set=True),
    ),
)
_GBP: Final = _Attribute("gbp", (_Part("id", f.TUN_GBP_ID, _DEC), _Part("flags", f.TUN_GBP_FLAGS, _HEX)))
_ERSPAN: Final = _Attribute(
    "erspan",
    (
        _Part("ver", f.TUN_ERSPAN_VER, _DEC),
        _Part("idx", f.TUN_ERSPAN_IDX, _HEX, if_set=True),
        _Part("dir", f.TUN_ERSPAN_DIR, _DEC, if_set=True),
        _Part("hwid", f.TUN_ERSPAN_HWID, _HEX, if_set=True),
    ),
)
_GTPU: Final = _Attribute("gtpu", (_Part("flags", f.TUN_GTPU_FLAGS, _HEX), _Part("msgtype", f.TUN_GTPU_MSGTYPE, _DEC)))
_BEFORE_TUNNEL: Final = (_only("skb_priority", f.SKB_PRIORITY, _HEX),)
_AFTER_TUNNEL: Final = (_only("skb_mark", f.PKT_MARK, _HEX),)
_CT: Final = (
    _only("ct_zone", f.CT_ZONE, _HEX),
    _only("ct_mark", f.CT_MARK, _HEX),
    _only("ct_label", f.CT_LABEL, _HEX),
)
_CT_TUPLES: Final = (
    _Attribute(
        "ct_tuple4",
        (
            _Part("src", f.CT_NW_SRC, _IPV4),
            _Part("dst", f.CT_NW_DST, _IPV4),
            _Part("proto", f.CT_NW_PROTO, _DEC),
            _Part("tp_src", f.CT_TP_SRC, _DEC),
            _Part("tp_dst", f.CT_TP_DST, _DEC),
        ),
        Prerequisite.IPV4,
    ),
    _Attribute(
        "ct_tuple6",
        (
            _Part("src", f.CT_IPV6_SRC, _IPV6),
            _Part("dst", f.CT_IPV6_DST, _IPV6),
            _Part("proto", f.CT_NW_PROTO, _DEC),
            _Part("src_port", f.CT_TP_SRC, _DEC, aliases=("tp_src",)),
            _Part("dst_port", f.CT_TP_DST, _DEC, aliases=("tp_dst",)),
        ),
        Prerequisite.IPV6,
    ),
)
_RECIRCULATION: Final = (_only("recirc_id", f.RECIRC_ID, _HEX), _only("dp_hash", f.DP_HASH, _HEX))
_PACKET_TYPE: Final = _Attribute(
    "packet_type",
    (
        _Part("ns", f.PACKET_TYPE, _DEC, width=16, shift=16),
        _Part("id", f.PACKET_TYPE, _HEX, width=16),
    ),
)
_ETH: Final = _Attribute("eth", (_Part("src", f.ETH_SRC, _MAC), _Part("dst", f.ETH_DST, _MAC)), Prerequisite.ETHERNET)
_NETWORK: Final = (
    _Attribute(
        "ipv4",
        (
            _Part("src", f.IP_SRC, _IPV4),
            _Part("dst", f.IP_DST, _IPV4),
            _Part("proto", f.NW_PROTO, _DEC),
            _Part("tos", f.IP_TOS, _HEX),
            _Part("ttl", f.NW_TTL, _DEC),
        ),
        Prerequisite.IPV4,
    ),
    _Attribute(
        "ipv6",
        (
            _Part("src", f.IPV6_SRC, _IPV6),
            _Part("dst", f.IPV6_DST, _IPV6),
            _Part("label", f.IPV6_LABEL, _HEX),
            _Part("proto", f.NW_PROTO, _DEC),
            _Part("tclass", f.IP_TOS, _HEX),
            _Part("hlimit", f.NW_TTL, _DEC),
        ),
        Prerequisite.IPV6,
    ),
    _Attribute(
        "arp",
        (
            _Part("sip", f.ARP_SPA, _IPV4),
            _Part("tip", f.ARP_TPA, _IPV4),
            _Part("op", f.ARP_OP, _DEC, width=8),
            _Part("sha", f.ARP_SHA, _MAC),
            _Part("tha", f.ARP_THA, _MAC),
        ),
        Prerequisite.ARP,
    ),
    _Attribute(
        "nsh",
        (
            _Part("flags", f.NSH_FLAGS, _DEC),
            _Part("ttl", f.NSH_TTL, _DEC),
            _Part("mdtype", f.NSH_MDTYPE, _DEC),
            _Part("np", f.NSH_NP, _DEC),
            _Part("spi", f.NSH_SPI, _ID),
            _Part("si", f.NSH_SI, _DEC),
            _Part("c1", f.NSH_C1, _ID),
            _Part("c2", f.NSH_C2, _ID),
            _Part("c3", f.NSH_C3, _ID),
            _Part("c4", f.NSH_C4, _ID),
        ),
        Prerequisite.NSH,
    ),
)
_TRANSPORT: Final = (
    _ports("tcp", Prerequisite.TCP),
    _ports("udp", Prerequisite.UDP),
    _ports("sctp", Prerequisite.SCTP),
    _icmp("icmp", Prerequisite.ICMPV4),
    _icmp("icmpv6", Prerequisite.ICMPV6),
    _Attribute(
        "nd",
        (_Part("target", f.ND_TARGET, _IPV6), _Part("sll", f.ND_SLL, _MAC), _Part("tll", f.ND_TLL, _MAC)),
        Prerequisite.ND,
    ),
    _Attribute(
        "nd_ext",
        (_Part("nd_reserved", f.ND_RESERVED, _HEX), _Part("nd_options_type", f.ND_OPTIONS_TYPE, _DEC)),
        Prerequisite.ND,
    ),
)
_ATTRIBUTES: Final[Mapping[str, _Attribute]] = {
    attribute.name: attribute
    for attribute in (
        *_BEFORE_TUNNEL,
        *_AFTER_TUNNEL,
        *_CT,
        *_CT_TUPLES,
        *_RECIRCULATION,
        _PACKET_TYPE,
        _ETH,
        *_NETWORK,
        *_TRANSPORT,
    )
}
_WITH_FRAG: Final = frozenset(("ipv4", "ipv6"))

_FLAG_ATTRIBUTES: Final = {
    "ct_state": (f.CT_STATE, f.CT_STATE_FLAGS),
    "tcp_flags": (f.TCP_FLAGS, f.TCP_FLAG_NAMES),
}

ATTRIBUTE_NAMES: Final = frozenset(
    (*_ATTRIBUTES, *_FLAG_ATTRIBUTES, "in_port", "tunnel", "mpls", "eth_type", "vlan", "encap")
)
"""Every attribute that `parse_odp` knows."""

_LSE_PARTS: Final = (("label", 12, 0xFFFFF, "0x"), ("tc", 9, 7, ""), ("ttl", 0, 0xFF, "0x"), ("bos", 8, 1, ""))


class _Writer:
    """Writes one key under one mask."""

    def __init__(self, key: int, mask: int | None, ports: Mapping[DpPort, str] | None, verbose: bool) -> None:
        self.key = key
        self.mask = f.DATAPATH_MASK if mask is None else mask
        self.is_exact = mask is None
        self.ports = ports
        self.shows_all = verbose or mask is None
        self.verbose = verbose

    def attributes(self) -> Iterator[str]:
        yield from self.several(_BEFORE_TUNNEL)
        yield from self.tunnel()
        yield from self.several(_AFTER_TUNNEL)
        yield from self.ct_state()
        yield from self.several(_CT)
        for attribute in _CT_TUPLES:
            if met_by_key(Prerequisite.CT, self.key) and any(part.get(self.mask) for part in attribute.parts):
                yield from self.several((attribute,))
        yield from self.several(_RECIRCULATION)
        yield from self.in_port()
        yield from self.several((_PACKET_TYPE,))
        link = f.PACKET_TYPE.mask | f.ETH_SRC.mask | f.ETH_DST.mask
        if not self.shows_all and not self.mask & link and not f.PACKET_TYPE.get(self.key):
            yield "eth()"
        yield from self.several((_ETH,))
        yield from self.from_tags(((f.VLAN_TPID, f.VLAN_TCI), (f.VLAN2_TPID, f.VLAN2_TCI)))

    def several(self, attributes: tuple[_Attribute, ...]) -> Iterator[str]:
        for attribute in attributes:
            if not met_by_key(attribute.prerequisite, self.key):
                continue
            parts = list(self.parts(attribute))
            if parts:
                yield f"{attribute.name}({','.join(parts)})"

    def parts(self, attribute: _Attribute) -> Iterator[str]:
        for part in attribute.parts:
            value, mask = part.get(self.key), part.get(self.mask)
            if (mask or self.shows_all) and not (part.if_set and not value):
                text = part.style.value(value)
                if mask != part.full:
                    text += f"/{part.style.mask(mask)}"
                yield f"{part.name}={text}" if part.name else text
        if attribute.name in _WITH_FRAG and (self.mask & f.NW_FRAG.mask or self.shows_all):
            yield f"frag={_FRAG_WORDS[f.NW_FRAG.get(self.key)]}"

    def tunnel(self) -> Iterator[str]:
        is_ipv6 = bool(f.TUN_IPV6_DST.get(self.key))
        if not f.TUN_DST.get(self.key) and not is_ipv6:
            return
        other = (f.TUN_SRC, f.TUN_DST) if is_ipv6 else (f.TUN_IPV6_SRC, f.TUN_IPV6_DST)
        chosen = tuple(part for part in _TUNNEL.parts if part.field not in other)
        # A tunnel has no wildcards of its own to show: what is not matched on is left out even in full.
        writer = _Writer(self.key, self.mask, self.ports, verbose=False)
        parts = list(writer.parts(_Attribute("tunnel", chosen)))
        for attribute, outer in ((_GBP, "vxlan(gbp({}))"), (_ERSPAN, "erspan({})"), (_GTPU, "gtpu({})")):
            if any(part.get(self.key) for part in attribute.parts):
                inner = ",".join(writer.parts(attribute))
                if inner:
                    parts.append(outer.format(inner))
        flags = f.TUN_DP_FLAGS.get(self.mask)
        if flags:
            parts.append(f"flags({format_flags(_TUN_FLAG_NAMES, f.TUN_DP_FLAGS.get(self.key), flags)})")
        if parts:
            yield f"tunnel({','.join(parts)})"

    def ct_state(self) -> Iterator[str]:
        value, mask = f.CT_STATE.get(self.key), f.CT_STATE.get(self.mask)
        if self.is_exact:
            yield f"ct_state({format_flags(f.CT_STATE_FLAGS, value, mask)})"
        elif self.verbose:
            rest = "" if mask == f.CT_STATE.max_value else f"/{format_hex(mask)}"
            yield f"ct_state({format_hex(value & mask)}{rest})"
        elif mask & (1 << len(f.CT_STATE_FLAGS)) - 1:
            signs = (
                ("+" if value >> bit & 1 else "-") + name
                for bit, name in enumerate(f.CT_STATE_FLAGS)
                if mask >> bit & 1
            )
            yield f"ct_state({''.join(signs)})"

    def in_port(self) -> Iterator[str]:
        mask = f.DP_IN_PORT.get(self.mask)
        if mask or self.shows_all:
            number = f.DP_IN_PORT.get(self.key)
            name = self.ports.get(DpPort(number)) if self.ports is not None else None
            yield f"in_port({name or number}{'' if mask == 0xFFFFFFFF else '/' + format_hex(mask)})"

    def from_tags(self, tags: tuple[tuple[Field, Field], ...]) -> Iterator[str]:
        """The tags, each around what it encapsulates; then the Ethertype and the headers behind it."""
        for place, (tpid_field, tci_field) in enumerate(tags):
            tci, mask = tci_field.get(self.key), tci_field.get(self.mask)
            if not tci & f.VLAN_CFI or not (mask or self.shows_all):
                continue
            yield f"eth_type(0x{tpid_field.get(self.key) or 0x8100:04x})"
            yield f"vlan({self.vlan(tci, mask)})"
            yield f"encap({','.join(self.from_tags(tags[place + 1 :]))})"
            return
        mask = f.ETH_TYPE.get(self.mask)
        if mask or self.shows_all:
            yield f"eth_type({_format_eth_type(f.ETH_TYPE.get(self.key), mask)})"
        yield from self.several(_NETWORK)
        yield from self.mpls()
        for attribute in _TRANSPORT:
            yield from self.several((attribute,))
            if attribute.name == "tcp" and met_by_key(Prerequisite.TCP, self.key):
                yield from self.tcp_flags()

    def vlan(self, tci: int, mask: int) -> str:
        parts = []
        for name, shift, full in (("vid", 0, 0xFFF), ("pcp", _VLAN_PCP_SHIFT, 7)):
            value, part_mask = tci >> shift & full, mask >> shift & full
            if value or part_mask or self.shows_all:
                parts.append(f"{name}={value}" + ("" if part_mask == full else f"/0x{part_mask:x}"))
        return ",".join(parts)

    def mpls(self) -> Iterator[str]:
        if not met_by_key(Prerequisite.MPLS, self.key):
            return
        parts = []
        for field in f.MPLS_LSES:
            lse, mask = field.get(self.key), field.get(self.mask)
            if mask or self.shows_all:
                for name, shift, full, prefix in _LSE_PARTS:
                    text = f"{name}={lse >> shift & full}"
                    parts.append(text if mask == 0xFFFFFFFF else f"{text}/{prefix}{mask >> shift & full:x}")
            if lse & 0x100:
                break
        if parts:
            yield f"mpls({','.join(parts)})"

    def tcp_flags(self) -> Iterator[str]:
        value, mask = f.TCP_FLAGS.get(self.key), f.TCP_FLAGS.get(self.mask)
        if mask:
            yield f"tcp_flags({format_flags(f.TCP_FLAG_NAMES, value, mask)})"
        elif self.shows_all:
            yield "tcp_flags(0/0)"


def _format_eth_type(eth_type: int, mask: int) -> str:
    """A datapath has no Ethertype for an 802.2 frame, and says so."""
    if eth_type == ETH_TYPE_NONE:
        return f"0/0x{mask:04x}"
    return f"0x{eth_type:04x}" + ("" if mask == 0xFFFF else f"/0x{mask:04x}")


def _read_eth_type(text: str) -> tuple[int, int]:
    value, mask = _read_masked(text, _DEC, 0xFFFF)
    return (ETH_TYPE_NONE, mask) if text.startswith("0/") and mask == 0xFFFF else (value, mask)


def format_odp(
    key: int, mask: int | None = None, ports: Mapping[DpPort, str] | None = None, verbose: bool = False
) -> str:
    """The text of a datapath flow's key.

    Args:
        key: the key; need not be masked. What headers it has decides which attributes there are.
        mask: what the flow looks at; None for a packet's key, which is written whole.
        ports: names to print for datapath ports.
        verbose: also write what the mask leaves out, as ``dpctl/dump-flows -m`` does.
    """
    return ",".join(_Writer(key, mask, ports, verbose).attributes())


def parse_odp(text: str, ports: Mapping[str, DpPort] | None = None) -> Match:
    """The match that a text in this form is; its value is the key of a packet where the text has no masks.

    What is not mentioned is not matched on, except that an Ethertype without a tag around it means an untagged packet.

    Raises:
        ValueError: names the attribute at fault and what was expected, in one line.
    """
    return _read_level(Match(), text, ports, ((f.VLAN_TPID, f.VLAN_TCI), (f.VLAN2_TPID, f.VLAN2_TCI)))


def _read_level(
    match: Match, text: str, ports: Mapping[str, DpPort] | None, tags: tuple[tuple[Field, Field], ...]
) -> Match:
    """The attributes outside of, or inside, a tag; `tags` are the places left for tags."""
    tokens = split_key_values(text)
    is_tagged = any(token.key == "vlan" for token in tokens)
    if is_tagged and not tags:
        raise ValueError(f"{text}: too many VLAN tags (expected at most 2)")
    for token in tokens:
        name, body = token.key, token.value
        if body is None or not token.text.startswith(f"{name}("):
            raise ValueError(f"{token.text}: syntax error (expected {name}(...))")
        try:
            if name == "encap":
                match = _read_level(match, body, ports, tags[1:])
            elif name == "eth_type":
                field = tags[0][0] if is_tagged else f.ETH_TYPE
                match = match.with_field(field, *_read_eth_type(body))
            elif name == "vlan":
                match = match.with_field(tags[0][1], *_read_vlan(body))
            else:
                match = _read_attribute(match, name, body, ports)
        except ValueError as error:
            message = str(error)
            raise ValueError(message if message.startswith(name) else f"{token.text}: {message}") from None
    if not is_tagged and tags and match.mask & f.ETH_TYPE.mask:
        match = match.with_field(tags[0][1], 0, f.VLAN_CFI)
    return match


def _read_attribute(match: Match, name: str, body: str, ports: Mapping[str, DpPort] | None) -> Match:
    if name == "in_port":
        number = ports.get(body) if ports is not None else None
        value_mask = (number, 0xFFFFFFFF) if number is not None else _read_masked(body, _DEC, 0xFFFFFFFF)
        return match.with_field(f.DP_IN_PORT, *value_mask)
    if name in _FLAG_ATTRIBUTES:
        field, names = _FLAG_ATTRIBUTES[name]
        value, mask = parse_flags(body, names, name)
        return match.with_field(field, value, field.max_value if mask == (1 << len(names)) - 1 else mask)
    if name == "tunnel":
        return _read_tunnel(match, body)
    if name == "mpls":
        return _read_mpls(match, body)
    attribute = _ATTRIBUTES.get(name)
    if attribute is None:
        raise ValueError(f"unknown attribute {name}")
    if not attribute.parts[0].name:
        part = attribute.parts[0]
        return match.with_field(part.field, *_read_masked(body, part.style, part.full))
    return _read_parts(match, attribute, body)


def _read_parts(match: Match, attribute: _Attribute, body: str) -> Match:
    for key, value, text in split_key_values(body):
        if key == "frag" and attribute.name in _WITH_FRAG:
            if value not in _FRAG_VALUES:
                raise ValueError(f"{text}: unknown fragment type (expected {', '.join(_FRAG_VALUES)})")
            match = match.with_field(f.NW_FRAG, _FRAG_VALUES[value])
            continue
        part = next((part for part in attribute.parts if key == part.name or key in part.aliases), None)
        if part is None or value is None:
            expected = ", ".join(part.name for part in attribute.parts)
            raise ValueError(f"{text}: unknown part of {attribute.name} (expected {expected})")
        number, mask = _read_masked(value, part.style, part.full)
        if part.width and not part.shift and mask == part.full and part.name != "id":
            # An 8-bit part alone in a wider field: exact means all of the field.
            mask = part.field.max_value
        bits, in_place = number << part.shift, mask << part.shift
        old_value, old_mask = match.get(part.field)
        cleared = ~(part.full << part.shift)
        match = match.with_field(part.field, old_value & cleared | bits, old_mask & cleared | in_place)
    return match


def _read_tunnel(match: Match, body: str) -> Match:
    nested = {"erspan": _ERSPAN, "gtpu": _GTPU}
    rest = []
    for key, value, text in split_key_values(body):
        if key == "flags" and value is not None:
            match = match.with_field(f.TUN_DP_FLAGS, *_read_tunnel_flags(value))
        elif key in nested and value is not None:
            match = _read_parts(match, nested[key], value)
        elif key == "vxlan" and value is not None and value.startswith("gbp(") and value.endswith(")"):
            match = _read_parts(match, _GBP, value[4:-1])
        else:
            rest.append(text)
    return _read_parts(match, _TUNNEL, ",".join(rest))


def _read_tunnel_flags(text: str) -> tuple[int, int]:
    if not text:
        return 0, f.TUN_DP_FLAGS.max_value
    value, mask = parse_flags(text, _TUN_FLAG_NAMES, "tunnel")
    return value, f.TUN_DP_FLAGS.max_value if mask == (1 << len(_TUN_FLAG_NAMES)) - 1 else mask


def _read_mpls(match: Match, body: str) -> Match:
    entries: list[tuple[int, int]] = []
    shapes = {name: (shift, full) for name, shift, full, _ in _LSE_PARTS}
    for key, value, text in split_key_values(body):
        if key not in shapes or value is None:
            raise ValueError(f"{text}: unknown part of mpls (expected {', '.join(shapes)})")
        if key == "label":
            entries.append((0, 0))
        if not entries or len(entries) > len(f.MPLS_LSES):
            raise ValueError(f"{text}: expected 1 to {len(f.MPLS_LSES)} labels, each before its tc, ttl and bos")
        shift, full = shapes[key]
        number, mask = _read_masked(value, _DEC, full)
        lse, lse_mask = entries[-1]
        entries[-1] = (lse | number << shift, lse_mask | mask << shift)
    for field, (lse, lse_mask) in zip(f.MPLS_LSES, entries, strict=False):
        match = match.with_field(field, lse, lse_mask)
    return match


def _read_vlan(body: str) -> tuple[int, int]:
    """The TCI and its mask; that there is a tag is part of both, unless the text says cfi=0."""
    value = mask = f.VLAN_CFI
    for key, text, whole in split_key_values(body):
        if key == "cfi" and text in ("0", "1"):
            value = value & ~f.VLAN_CFI | int(text) << 12
        elif key in ("vid", "pcp") and text is not None:
            shift, full = (0, 0xFFF) if key == "vid" else (_VLAN_PCP_SHIFT, 7)
            number, part_mask = _read_masked(text, _DEC, full)
            value |= number << shift
            mask |= part_mask << shift
        else:
            raise ValueError(f"{whole}: unknown part of vlan (expected vid, pcp, cfi)")
    return value, mask


def _read_masked(text: str, style: _Style, full: int) -> tuple[int, int]:
    """``value`` or ``value/mask``."""
    value_text, slash, mask_text = text.partition("/")
    value = style.read(value_text)
    mask = style.read(mask_text) if slash else full
    if (value | mask) & ~full:
        raise ValueError(f"{text}: value too large (expected 0 to {full:#x})")
    return value & mask, mask
