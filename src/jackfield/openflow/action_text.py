"""Actions as ovs-actions(7) writes them, both ways.

`parse_actions` takes what ovs-ofctl takes after ``actions=``; `format_actions` writes what ``ovs-ofctl dump-flows``
prints. An action that this switch does not carry out is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from jackfield.flow import fields as f
from jackfield.flow.ports import OFPP_CONTROLLER, RESERVED_PORT_NAMES, OfPort, port_from_text, port_to_text
from jackfield.flow.subfield import Subfield, parse_subfield
from jackfield.flow.text import KeyValue, split_key_values
from jackfield.flow.tunnel_options import NO_TUNNEL_OPTIONS, TunnelOptions
from jackfield.flow.values import (
    NamesByPort,
    PortsByName,
    format_hex,
    format_ipv4,
    format_mac,
    format_value,
    parse_ipv4,
    parse_mac,
    parse_number,
    parse_value,
)
from jackfield.openflow import actions as a
from jackfield.openflow.actions import INSTRUCTION_RANK, Action
from jackfield.openflow.dialect import OF10
from jackfield.openflow.messages import PacketInReason

UNSUPPORTED: Final = frozenset(
    {
        "bundle",
        "bundle_load",
        "check_pkt_larger",
        "clone",
        "conjunction",
        "ct",
        "ct_clear",
        "dec_nsh_ttl",
        "decap",
        "delete_field",
        "encap",
        "fin_timeout",
        "group",
        "learn",
        "meter",
        "multipath",
        "nat",
        "sample",
    }
)
"""Actions of ovs-actions(7) that this switch does not carry out."""

_INSTRUCTION_NAMES: Final = {
    a.ClearActions: "clear_actions",
    a.WriteActions: "write_actions",
    a.WriteMetadata: "write_metadata",
    a.GotoTable: "goto_table",
}
_REASON_NAMES: Final = {reason: reason.name.lower() for reason in PacketInReason}
_REASONS: Final = {name: reason for reason, name in _REASON_NAMES.items()}
_NOTE_STEP: Final = 8
_NOTE_FIRST: Final = 6
_ALL64: Final = 0xFFFFFFFFFFFFFFFF


class _Context:
    """What names in actions mean: ports of the switch, tunnel options."""

    __slots__ = ("options", "ports")

    def __init__(self, ports: PortsByName | None, options: TunnelOptions) -> None:
        self.ports = ports
        self.options = options

    def port(self, text: str) -> OfPort:
        return port_from_text(text, self.ports)

    def subfield(self, text: str) -> Subfield:
        return parse_subfield(text, self.options)


# Reading


def _number(text: str, limit: int, what: str) -> int:
    try:
        value = parse_number(text)
    except ValueError:
        raise ValueError(f"{text or 'nothing'}: not a number (expected {what})") from None
    if value > limit:
        raise ValueError(f"{text}: not a valid {what} (expected 0 to {limit:#x})")
    return value


def _numeric(make: Callable[[int], Action], limit: int, what: str) -> Callable[[str, _Context], Action]:
    return lambda text, _context: make(_number(text, limit, what))


def _plain(make: Callable[[], Action]) -> Callable[[str, _Context], Action]:
    def parse(text: str, _context: _Context) -> Action:
        if text:
            raise ValueError(f"{text}: unexpected argument (expected none)")
        return make()

    return parse


def _arguments(text: str) -> dict[str, str]:
    return {token.key: token.value or "" for token in split_key_values(text)}


def _only(arguments: dict[str, str], allowed: Sequence[str]) -> None:
    bad = next((key for key in arguments if key not in allowed), None)
    if bad is not None:
        raise ValueError(f"{bad}: unknown key (expected {', '.join(allowed)})")


def _parse_output(text: str, context: _Context) -> Action:
    if "=" in text:
        arguments = _arguments(text)
        _only(arguments, ("port", "max_len"))
        if len(arguments) != 2:
            raise ValueError(f"{text}: incomplete output (expected port=PORT,max_len=BYTES)")
        max_len = _number(arguments["max_len"], 0xFFFFFFFF, "max_len")
        if max_len < a.MIN_TRUNCATED_LEN:
            raise ValueError(f"{max_len}: max_len is too small (expected at least {a.MIN_TRUNCATED_LEN})")
        return a.OutputTruncated(context.port(arguments["port"]), max_len)
    try:
        return _output_to(context.port(text))
    except ValueError:
        try:
            return a.OutputReg(context.subfield(text))
        except ValueError:
            raise ValueError(f"{text or 'nothing'}: unknown port (expected a port or a field to output to)") from None


def _output_to(port: OfPort) -> Action:
    return a.Output(port, a.CONTROLLER_MAX_LEN if port == OFPP_CONTROLLER else 0)


def _parse_controller(text: str, _context: _Context) -> Action:
    if not text or text.isdigit():
        return a.Output(OFPP_CONTROLLER, _number(text, 0xFFFF, "max_len") if text else a.CONTROLLER_MAX_LEN)
    arguments = _arguments(text)
    _only(arguments, ("max_len", "id", "reason", "userdata"))
    max_len = _number(arguments.get("max_len", str(a.CONTROLLER_MAX_LEN)), 0xFFFF, "max_len")
    controller_id = _number(arguments.get("id", "0"), 0xFFFF, "controller id")
    reason = arguments.get("reason", "action")
    if reason not in _REASONS:
        raise ValueError(f"{reason}: unknown reason (expected {', '.join(_REASONS)})")
    userdata = _bytes(arguments.get("userdata", ""))
    if reason == "action" and not controller_id and not userdata:
        return a.Output(OFPP_CONTROLLER, max_len)
    return a.Controller(max_len, controller_id, _REASONS[reason], userdata)


def _bytes(text: str) -> bytes:
    digits = text.replace(".", "")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise ValueError(f"{text}: not bytes (expected pairs of hexadecimal digits, dots between them)") from None


def _parse_enqueue(text: str, context: _Context) -> Action:
    port, colon, queue = text.replace(",", ":").partition(":")
    if not colon:
        raise ValueError(f"{text}: incomplete enqueue (expected enqueue:PORT:QUEUE)")
    return a.Enqueue(context.port(port.strip()), _number(queue.strip(), 0xFFFFFFFF, "queue"))


def _parse_tos(text: str, _context: _Context) -> Action:
    tos = _number(text, 0xFF, "TOS")
    if tos & 3:
        raise ValueError(f"{text}: not a valid TOS (expected a multiple of 4 up to 252)")
    return a.SetTos(tos)


def _parse_dec_ttl(text: str, _context: _Context) -> Action:
    ids = tuple(_number(part, 0xFFFF, "controller id") for part in text.replace(",", " ").split())
    return a.DecTtl(ids or (0,))


def _split_arrow(text: str, what: str) -> tuple[str, str]:
    left, arrow, right = text.rpartition("->")
    if not arrow:
        raise ValueError(f"{text}: missing -> (expected {what})")
    return left.strip(), right.strip()


def _parse_load(text: str, context: _Context) -> Action:
    value_text, dst_text = _split_arrow(text, "load:VALUE->FIELD")
    dst = context.subfield(dst_text)
    return a.RegLoad(_writable(dst), _number(value_text, dst.max_value, f"value of {dst.n_bits} bits"))


def _parse_set_field(text: str, context: _Context) -> Action:
    value_text, name = _split_arrow(text, "set_field:VALUE[/MASK]->FIELD")
    field = context.options.field_by_name(name)
    value, slash, mask_text = value_text.partition("/")
    if slash and field.masking is f.Masking.EXACT:
        raise ValueError(f"{text}: field {field.name} takes no mask (expected a value)")
    number, mask = parse_value(field, value_text, context.ports)
    if slash and not mask_text:
        raise ValueError(f"{text}: missing mask after {value}/ (expected a mask)")
    _writable(Subfield(field, 0, field.width))
    return a.SetField(field, number, mask)


def _parse_move(text: str, context: _Context) -> Action:
    src_text, dst_text = _split_arrow(text, "move:FIELD->FIELD")
    src, dst = context.subfield(src_text), context.subfield(dst_text)
    if src.n_bits != dst.n_bits:
        raise ValueError(f"{text}: source field is {src.n_bits} bits wide but destination is {dst.n_bits} bits wide")
    return a.RegMove(src, _writable(dst))


def _writable(dst: Subfield) -> Subfield:
    if not dst.field.writable:
        raise ValueError(f"{dst.field.name}: field is read-only (expected a field that actions can set)")
    return dst


def _parse_resubmit(text: str, context: _Context) -> Action:
    port_text, _, table_text = text.partition(",")
    port = context.port(port_text.strip()) if port_text.strip() else a.RESUBMIT_IN_PORT
    table_id = a.RESUBMIT_THIS_TABLE
    if table_text.strip():
        table_id = _number(table_text.strip(), 0xFF, "table")
    elif not port_text.strip():
        raise ValueError(f"resubmit({text}): at least one of port and table is needed (expected resubmit(PORT,TABLE))")
    return a.Resubmit(port, table_id)


def _parse_note(text: str, _context: _Context) -> Action:
    data = _bytes(text)
    return a.Note(data + bytes((_NOTE_FIRST - len(data)) % _NOTE_STEP))


def _parse_tunnel(wide: bool) -> Callable[[str, _Context], Action]:
    def parse(text: str, _context: _Context) -> Action:
        tunnel_id = _number(text, _ALL64, "tunnel id")
        return a.SetTunnel(tunnel_id, wide or tunnel_id > 0xFFFFFFFF)

    return parse


def _parse_ethertype(make: Callable[[int], Action], allowed: tuple[int, ...]) -> Callable[[str, _Context], Action]:
    def parse(text: str, _context: _Context) -> Action:
        ethertype = _number(text, 0xFFFF, "Ethernet type")
        if allowed and ethertype not in allowed:
            raise ValueError(f"{text}: not a valid Ethernet type (expected {' or '.join(hex(e) for e in allowed)})")
        return make(ethertype)

    return parse


def _parse_write_metadata(text: str, _context: _Context) -> Action:
    value_text, slash, mask_text = text.partition("/")
    mask = _number(mask_text, _ALL64, "mask") if slash else _ALL64
    return a.WriteMetadata(_number(value_text, _ALL64, "metadata") & mask, mask)


def _parse_written(text: str, context: _Context) -> Action:
    actions = _parse_list(text, context)
    bad = next((action for action in actions if isinstance(action, a.Instruction)), None)
    if bad is not None:
        raise ValueError(f"{_INSTRUCTION_NAMES[type(bad)]}: not allowed in write_actions (expected actions only)")
    return a.WriteActions(actions)


_MPLS_TYPES: Final = (0x8847, 0x8848)
_VLAN_TYPES: Final = (0x8100, 0x88A8)

_PARSERS: Final[dict[str, Callable[[str, _Context], Action]]] = {
    "output": _parse_output,
    "controller": _parse_controller,
    "enqueue": _parse_enqueue,
    "set_queue": _numeric(a.SetQueue, 0xFFFFFFFF, "queue"),
    "pop_queue": _plain(a.PopQueue),
    "mod_vlan_vid": _numeric(a.SetVlanVid, 0xFFF, "VLAN VID"),
    "mod_vlan_pcp": _numeric(a.SetVlanPcp, 7, "VLAN PCP"),
    "set_vlan_vid": _numeric(lambda vid: a.SetVlanVid(vid, push=False), 0xFFF, "VLAN VID"),
    "set_vlan_pcp": _numeric(lambda pcp: a.SetVlanPcp(pcp, push=False), 7, "VLAN PCP"),
    "strip_vlan": _plain(a.StripVlan),
    "pop_vlan": _plain(a.StripVlan),
    "push_vlan": _parse_ethertype(a.PushVlan, _VLAN_TYPES),
    "mod_dl_src": lambda text, _context: a.SetEthSrc(parse_mac(text)),
    "mod_dl_dst": lambda text, _context: a.SetEthDst(parse_mac(text)),
    "mod_nw_src": lambda text, _context: a.SetIpSrc(parse_ipv4(text)),
    "mod_nw_dst": lambda text, _context: a.SetIpDst(parse_ipv4(text)),
    "mod_nw_tos": _parse_tos,
    "mod_nw_ecn": _numeric(a.SetEcn, 3, "ECN"),
    "mod_nw_ttl": _numeric(a.SetTtl, 0xFF, "TTL"),
    "dec_ttl": _parse_dec_ttl,
    "mod_tp_src": _numeric(a.SetL4Src, 0xFFFF, "source port"),
    "mod_tp_dst": _numeric(a.SetL4Dst, 0xFFFF, "destination port"),
    "push_mpls": _parse_ethertype(a.PushMpls, _MPLS_TYPES),
    "pop_mpls": _parse_ethertype(a.PopMpls, ()),
    "set_mpls_label": _numeric(a.SetMplsLabel, 0xFFFFF, "MPLS label"),
    "set_mpls_tc": _numeric(a.SetMplsTc, 7, "MPLS TC"),
    "set_mpls_ttl": _numeric(a.SetMplsTtl, 0xFF, "MPLS TTL"),
    "dec_mpls_ttl": _plain(a.DecMplsTtl),
    "set_tunnel": _parse_tunnel(wide=False),
    "set_tunnel64": _parse_tunnel(wide=True),
    "set_field": _parse_set_field,
    "load": _parse_load,
    "move": _parse_move,
    "push": lambda text, context: a.StackPush(context.subfield(text)),
    "pop": lambda text, context: a.StackPop(_writable(context.subfield(text))),
    "resubmit": _parse_resubmit,
    "note": _parse_note,
    "exit": _plain(a.Exit),
    "clear_actions": _plain(a.ClearActions),
    "write_actions": _parse_written,
    "write_metadata": _parse_write_metadata,
    "goto_table": _numeric(a.GotoTable, 0xFF, "table"),
}


def _parse_one(token: KeyValue, context: _Context) -> Action:
    name = token.key.lower()
    parser = _PARSERS.get(name)
    if parser is None:
        if name in UNSUPPORTED:
            raise ValueError(f"{token.key}: action is not supported by this switch")
        try:
            return _output_to(context.port(token.key))
        except ValueError:
            raise ValueError(f"{token.key}: unknown action (expected an action or a port)") from None
    try:
        return parser(token.value or "", context)
    except ValueError as error:
        raise ValueError(f"{token.text}: {error}") from None


def _parse_list(text: str, context: _Context) -> tuple[Action, ...]:
    tokens = split_key_values(text)
    drops = [token for token in tokens if token.key.lower() == "drop"]
    if drops:
        if len(drops) < len(tokens):
            raise ValueError("drop: must not be accompanied by any other action or instruction (expected drop alone)")
        return ()
    return tuple(_parse_one(token, context) for token in tokens)


def parse_actions(
    text: str, ports: PortsByName | None = None, options: TunnelOptions = NO_TUNNEL_OPTIONS
) -> tuple[Action, ...]:
    """The actions and instructions that a text names, in order; ``drop`` or nothing is the empty tuple.

    Raises:
        ValueError: names the token at fault and what was expected, in one line.
    """
    actions = _parse_list(text, _Context(ports, options))
    rank = 0
    for action in actions:
        its_rank = INSTRUCTION_RANK.get(type(action), 0)
        if its_rank < rank or (its_rank and its_rank == rank):
            last = next(name for kind, name in _INSTRUCTION_NAMES.items() if INSTRUCTION_RANK[kind] == rank)
            name = _INSTRUCTION_NAMES.get(type(action), "an action")
            raise ValueError(f"{name}: must not come after {last} (expected actions, then instructions in order)")
        rank = its_rank
    return actions


# Writing


def _format_output(action: a.Output, names: NamesByPort | None, _version: int) -> str:
    if action.port == OFPP_CONTROLLER:
        return f"CONTROLLER:{action.max_len}"
    text = port_to_text(action.port, names)
    return text if action.port in RESERVED_PORT_NAMES else f"output:{text}"


def _format_controller(action: a.Controller, _names: NamesByPort | None, _version: int) -> str:
    if action.reason == PacketInReason.ACTION and not action.controller_id and not action.userdata:
        return f"CONTROLLER:{action.max_len}"
    parts = []
    if action.reason != PacketInReason.ACTION:
        parts.append(f"reason={_REASON_NAMES.get(PacketInReason(action.reason), str(action.reason))}")
    if action.max_len != a.CONTROLLER_MAX_LEN:
        parts.append(f"max_len={action.max_len}")
    if action.controller_id:
        parts.append(f"id={action.controller_id}")
    if action.userdata:
        parts.append(f"userdata={action.userdata.hex('.')}")
    return f"controller({','.join(parts)})"


def _format_set_field(action: a.SetField, names: NamesByPort | None, _version: int) -> str:
    field = action.field
    full = (1 << field.width) - 1
    mask = field.max_value if action.mask & full == full else action.mask
    return f"set_field:{format_value(field, action.value, mask, names)}->{field.name}"


def _format_dec_ttl(action: a.DecTtl, _names: NamesByPort | None, _version: int) -> str:
    ids = action.controller_ids
    return "dec_ttl" if ids == (0,) else f"dec_ttl({','.join(str(number) for number in ids)})"


def _format_resubmit(action: a.Resubmit, names: NamesByPort | None, _version: int) -> str:
    port = "" if action.in_port == a.RESUBMIT_IN_PORT else port_to_text(action.in_port, names)
    if action.table_id == a.RESUBMIT_THIS_TABLE:
        return f"resubmit:{port or 'IN_PORT'}"
    return f"resubmit({port},{action.table_id})"


def _format_write_metadata(action: a.WriteMetadata, _names: NamesByPort | None, _version: int) -> str:
    mask = "" if action.mask == _ALL64 else f"/{format_hex(action.mask)}"
    return f"write_metadata:{format_hex(action.metadata)}{mask}"


def _format_output_truncated(action: a.OutputTruncated, names: NamesByPort | None, _version: int) -> str:
    return f"output(port={port_to_text(action.port, names)},max_len={action.max_len})"


def _format_enqueue(action: a.Enqueue, names: NamesByPort | None, _version: int) -> str:
    return f"enqueue:{port_to_text(action.port, names)}:{action.queue_id}"


def _format_strip_vlan(_action: a.StripVlan, _names: NamesByPort | None, version: int) -> str:
    return "strip_vlan" if version == OF10 else "pop_vlan"


def _format_written(action: a.WriteActions, names: NamesByPort | None, version: int) -> str:
    return f"write_actions({format_actions(action.actions, names, version)})"


def _simply(text: Callable[[Any], str]) -> Callable[[Any, NamesByPort | None, int], str]:
    return lambda action, _names, _version: text(action)


_FORMATTERS: Final[dict[type[Action], Callable[[Any, NamesByPort | None, int], str]]] = {
    a.Output: _format_output,
    a.OutputReg: _simply(lambda action: f"output:{action.src}"),
    a.OutputTruncated: _format_output_truncated,
    a.Controller: _format_controller,
    a.Enqueue: _format_enqueue,
    a.SetQueue: _simply(lambda action: f"set_queue:{action.queue_id}"),
    a.PopQueue: _simply(lambda _action: "pop_queue"),
    a.SetVlanVid: _simply(lambda action: f"{'mod' if action.push else 'set'}_vlan_vid:{action.vid}"),
    a.SetVlanPcp: _simply(lambda action: f"{'mod' if action.push else 'set'}_vlan_pcp:{action.pcp}"),
    a.StripVlan: _format_strip_vlan,
    a.PushVlan: _simply(lambda action: f"push_vlan:{action.ethertype:#06x}"),
    a.SetEthSrc: _simply(lambda action: f"mod_dl_src:{format_mac(action.address)}"),
    a.SetEthDst: _simply(lambda action: f"mod_dl_dst:{format_mac(action.address)}"),
    a.SetIpSrc: _simply(lambda action: f"mod_nw_src:{format_ipv4(action.address)}"),
    a.SetIpDst: _simply(lambda action: f"mod_nw_dst:{format_ipv4(action.address)}"),
    a.SetTos: _simply(lambda action: f"mod_nw_tos:{action.tos}"),
    a.SetEcn: _simply(lambda action: f"mod_nw_ecn:{action.ecn}"),
    a.SetTtl: _simply(lambda action: f"mod_nw_ttl:{action.ttl}"),
    a.DecTtl: _format_dec_ttl,
    a.SetL4Src: _simply(lambda action: f"mod_tp_src:{action.port}"),
    a.SetL4Dst: _simply(lambda action: f"mod_tp_dst:{action.port}"),
    a.PushMpls: _simply(lambda action: f"push_mpls:{action.ethertype:#06x}"),
    a.PopMpls: _simply(lambda action: f"pop_mpls:{action.ethertype:#06x}"),
    a.SetMplsLabel: _simply(lambda action: f"set_mpls_label({action.label})"),
    a.SetMplsTc: _simply(lambda action: f"set_mpls_tc({action.tc})"),
    a.SetMplsTtl: _simply(lambda action: f"set_mpls_ttl({action.ttl})"),
    a.DecMplsTtl: _simply(lambda _action: "dec_mpls_ttl"),
    a.SetTunnel: _simply(lambda action: f"set_tunnel{'64' if action.wide else ''}:{format_hex(action.tunnel_id)}"),
    a.SetField: _format_set_field,
    a.RegLoad: _simply(lambda action: f"load:{format_hex(action.value)}->{action.dst}"),
    a.RegMove: _simply(lambda action: f"move:{action.src}->{action.dst}"),
    a.StackPush: _simply(lambda action: f"push:{action.src}"),
    a.StackPop: _simply(lambda action: f"pop:{action.dst}"),
    a.Resubmit: _format_resubmit,
    a.Note: _simply(lambda action: f"note:{action.data.hex('.')}"),
    a.Exit: _simply(lambda _action: "exit"),
    a.ClearActions: _simply(lambda _action: "clear_actions"),
    a.WriteActions: _format_written,
    a.WriteMetadata: _format_write_metadata,
    a.GotoTable: _simply(lambda action: f"goto_table:{action.table_id}"),
}


def format_actions(actions: Sequence[Action], names: NamesByPort | None = None, version: int = OF10) -> str:
    """The text of actions as ``ovs-ofctl dump-flows`` prints them on a connection of `version`; ``drop`` for none."""
    if not actions:
        return "drop"
    return ",".join(_FORMATTERS[type(action)](action, names, version) for action in actions)
