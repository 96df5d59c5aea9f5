"""Flows as ovs-ofctl(8) writes them, both ways: rules to add, modify and delete, filters of dumps, and lines of a dump.

One departure from ovs-ofctl: a match on a field whose prerequisites are missing (``nw_src=10.0.0.1`` without ``ip``)
is refused here, where ovs-ofctl leaves the field out of the match and so makes a rule for all packets.
"""

from __future__ import annotations

from typing import Final

from jackfield.flow.fields import FIELDS, Field
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_ANY, OfPort, port_from_text
from jackfield.flow.prerequisites import Prerequisite
from jackfield.flow.text import PROTOCOLS, KeyValue, format_match, match_with, split_key_values
from jackfield.flow.tunnel_options import NO_TUNNEL_OPTIONS, TunnelOptions
from jackfield.flow.values import NamesByPort, PortsByName, parse_number
from jackfield.openflow.action_text import format_actions, parse_actions
from jackfield.openflow.check import check_flow
from jackfield.openflow.dialect import OF10
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_codec import NANOSECONDS
from jackfield.openflow.messages import (
    ALL_TABLES,
    ANY_GROUP,
    NO_FLAGS,
    FlowMod,
    FlowModCommand,
    FlowModFlags,
)
from jackfield.openflow.multipart import FlowStats, FlowStatsRequest

DEFAULT_PRIORITY: Final = 0x8000

COMMANDS: Final = {
    "add": FlowModCommand.ADD,
    "modify": FlowModCommand.MODIFY,
    "modify_strict": FlowModCommand.MODIFY_STRICT,
    "delete": FlowModCommand.DELETE,
    "delete_strict": FlowModCommand.DELETE_STRICT,
}
"""Words that may begin a line of a file of flows."""

_FLAGS: Final = {
    "send_flow_rem": FlowModFlags.SEND_FLOW_REM,
    "check_overlap": FlowModFlags.CHECK_OVERLAP,
    "reset_counts": FlowModFlags.RESET_COUNTS,
    "no_packet_counts": FlowModFlags.NO_PKT_COUNTS,
    "no_byte_counts": FlowModFlags.NO_BYT_COUNTS,
}
_IGNORED: Final = frozenset({"duration", "n_packets", "n_bytes", "idle_age", "hard_age"})
_ADD: Final = FlowModCommand.ADD
_MODIFIES: Final = (FlowModCommand.MODIFY, FlowModCommand.MODIFY_STRICT)
_DELETES: Final = (FlowModCommand.DELETE, FlowModCommand.DELETE_STRICT)
_WITH_PRIORITY: Final = (_ADD, FlowModCommand.MODIFY_STRICT, FlowModCommand.DELETE_STRICT)
_ALL64: Final = 0xFFFFFFFFFFFFFFFF


def _alternatives() -> dict[int, set[Prerequisite]]:
    """The prerequisites of all fields that share a place: tp_dst, udp_dst and icmp_code are one to ovs-ofctl."""
    shared: dict[int, set[Prerequisite]] = {}
    for field in FIELDS:
        shared.setdefault(field.mask, set()).add(field.prerequisite)
    return shared


_ALTERNATIVES: Final = _alternatives()


class _Builder:
    """Collects a flow from its tokens."""

    def __init__(self, command: FlowModCommand, ports: PortsByName | None, options: TunnelOptions) -> None:
        self.command = command
        self.ports = ports
        self.options = options
        self.match = Match()
        self.fields: list[tuple[KeyValue, Field]] = []
        self.numbers = {"priority": DEFAULT_PRIORITY, "idle_timeout": 0, "hard_timeout": 0, "importance": 0}
        self.table_id = ALL_TABLES
        self.flags = NO_FLAGS
        self.cookie = self.cookie_mask = 0
        self.new_cookie: int | None = None
        self.out_port: OfPort = OFPP_ANY
        self.out_group = ANY_GROUP

    def take(self, token: KeyValue) -> None:
        """Add what one token says.

        Raises:
            ValueError: it says nothing that a flow has.
        """
        key = token.key
        if key in _FLAGS and self.command not in _DELETES and token.value is None:
            self.flags |= _FLAGS[key]
        elif key in self.numbers and self._allows(key):
            self.numbers[key] = _number(token, 0xFFFF)
        elif key == "table":
            self.table_id = _number(token, ALL_TABLES)
        elif key == "cookie":
            self._take_cookie(token)
        elif key == "out_port" and self.command in _DELETES:
            self.out_port = port_from_text(token.value or "", self.ports)
        elif key == "out_group" and self.command in _DELETES:
            self.out_group = _number(token, ANY_GROUP)
        elif key not in _IGNORED:
            self._take_match(token)

    def _allows(self, key: str) -> bool:
        if key == "priority":
            return self.command in _WITH_PRIORITY
        return self.command not in _DELETES

    def _take_cookie(self, token: KeyValue) -> None:
        value, slash, mask = (token.value or "").partition("/")
        if not slash:
            if self.command in _DELETES:
                raise ValueError(f"{token.text}: cannot set a cookie here (expected cookie=VALUE/MASK, -1 for all)")
            self.new_cookie = _cookie(value, token)
        elif self.command is _ADD:
            raise ValueError(f"{token.text}: flow additions cannot use a cookie mask (expected cookie=VALUE)")
        else:
            self.cookie_mask = _ALL64 if mask == "-1" else _cookie(mask, token)
            self.cookie = _cookie(value, token) & self.cookie_mask

    def _take_match(self, token: KeyValue) -> None:
        match = match_with(self.match, token, self.ports, self.options)
        if match is None:
            what = "unknown keyword" if token.value is not None else "unknown keyword, or a field without its value,"
            raise ValueError(f"{token.text}: {what} {token.key} (expected a field, a protocol or a property of a flow)")
        self.match = match
        if token.key not in PROTOCOLS and token.key != "eth":
            self.fields.append((token, self.options.field_by_name(token.key)))

    def build(self, actions_text: str | None) -> FlowMod:
        """The flow.

        Raises:
            ValueError: the match or the actions do not hold together.
        """
        for token, field in self.fields:
            if not any(
                self.match.allows(prerequisite) for prerequisite in _ALTERNATIVES.get(field.mask, {field.prerequisite})
            ):
                raise ValueError(
                    f"{token.text}: {token.key} needs a match on {field.prerequisite.value} (expected that too)"
                )
        new_cookie = self.new_cookie
        if new_cookie is None and (self.command is _ADD or (self.command in _MODIFIES and not self.cookie_mask)):
            new_cookie = 0
        actions = parse_actions(actions_text or "", self.ports, self.options)
        try:
            check_flow(actions, self.match, self.table_id, OF10)
        except OpenFlowError as error:
            raise ValueError(f"actions={actions_text}: invalid with the specified match ({error})") from None
        return FlowMod(
            self.command,
            self.match,
            actions,
            table_id=self.table_id,
            cookie=self.cookie,
            cookie_mask=self.cookie_mask,
            new_cookie=new_cookie,
            flags=self.flags,
            out_port=self.out_port,
            out_group=self.out_group,
            **self.numbers,
        )


def _number(token: KeyValue, limit: int) -> int:
    try:
        value = parse_number(token.value or "")
    except ValueError:
        value = limit + 1
    if value > limit:
        raise ValueError(f"{token.text}: invalid {token.key} (expected a number from 0 to {limit})")
    return value


def _cookie(text: str, token: KeyValue) -> int:
    try:
        value = parse_number(text)
    except ValueError:
        value = _ALL64 + 1
    if value > _ALL64:
        raise ValueError(f"{token.text}: invalid cookie (expected a 64-bit number, or VALUE/MASK)")
    return value


def _split_actions(text: str) -> tuple[str, str | None]:
    """What stands before ``actions=``, and what after it, None without it."""
    for separator in ("actions=", "action="):
        place = text.find(separator)
        if place >= 0 and (place == 0 or text[place - 1] in ", \t"):
            return text[:place].rstrip(", \t"), text[place + len(separator) :].strip()
    return text, None


def parse_flow(
    text: str,
    command: FlowModCommand = _ADD,
    ports: PortsByName | None = None,
    options: TunnelOptions = NO_TUNNEL_OPTIONS,
) -> FlowMod:
    """The flow-mod that a rule's text means for a command.

    Args:
        text: as ovs-ofctl(8), "Flow Syntax"; with ``actions=`` for add and modify only.
        command: what to do with it; deletes take ``out_port``, ``out_group`` and ``cookie=VALUE/MASK`` instead.
        ports: port numbers by name.
        options: the switch's tunnel options.

    Raises:
        ValueError: names the token at fault and what was expected, in one line.
    """
    head, actions_text = _split_actions(text.strip())
    if actions_text is None and command not in _DELETES:
        raise ValueError(f"{text.strip() or 'nothing'}: must specify an action (expected actions=...)")
    if actions_text is not None and command in _DELETES:
        raise ValueError("actions: a delete takes no actions (expected a match only)")
    builder = _Builder(command, ports, options)
    for token in split_key_values(head):
        builder.take(token)
    return builder.build(actions_text)


def parse_flow_line(
    line: str,
    command: FlowModCommand = _ADD,
    ports: PortsByName | None = None,
    options: TunnelOptions = NO_TUNNEL_OPTIONS,
) -> FlowMod:
    """The same for a line of a file, which may begin with one of `COMMANDS`.

    Raises:
        ValueError: as `parse_flow`.
    """
    word, _, rest = line.strip().partition(" ")
    if word in COMMANDS:
        return parse_flow(rest, COMMANDS[word], ports, options)
    return parse_flow(line, command, ports, options)


def parse_flow_filter(
    text: str, ports: PortsByName | None = None, options: TunnelOptions = NO_TUNNEL_OPTIONS
) -> FlowStatsRequest:
    """The request for the flows that a filter's text names, as ``ovs-ofctl dump-flows`` takes it.

    Raises:
        ValueError: as `parse_flow`.
    """
    flow = parse_flow(text, FlowModCommand.DELETE, ports, options)
    return FlowStatsRequest(flow.match, flow.table_id, flow.out_port, flow.out_group, flow.cookie, flow.cookie_mask)


def format_duration(duration_ns: int) -> str:
    """Seconds, with three decimals, none if they are zero, or more where there are more."""
    seconds, nanoseconds = divmod(duration_ns, NANOSECONDS)
    if not nanoseconds:
        return f"{seconds}s"
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    decimals = f"{nanoseconds:09d}".rstrip("0") if rest else f"{milliseconds:03d}"
    return f"{seconds}.{decimals}s"


def _flag_words(flags: FlowModFlags) -> list[str]:
    return [word for word, flag in _FLAGS.items() if flags & flag]


def format_flow_stats(
    entry: FlowStats,
    names: NamesByPort | None = None,
    version: int = OF10,
    options: TunnelOptions = NO_TUNNEL_OPTIONS,
    statistics: bool = True,
) -> str:
    """One line of ``ovs-ofctl dump-flows``, its leading blank included.

    Args:
        entry: the flow.
        names: port names to print in place of numbers.
        version: of the connection the flow came over; some actions have other names in OpenFlow 1.0.
        options: the switch's tunnel options.
        statistics: False leaves out counters and times (``--no-stats``).
    """
    parts = [f"cookie={entry.cookie:#x}"]
    if statistics:
        parts.append(f"duration={format_duration(entry.duration_ns)}")
    if statistics or entry.table_id:
        parts.append(f"table={entry.table_id}")
    if statistics:
        parts += [f"n_packets={entry.packet_count}", f"n_bytes={entry.byte_count}"]
    parts += [
        f"{name}={number}"
        for name, number in (("idle_timeout", entry.idle_timeout), ("hard_timeout", entry.hard_timeout))
        if number
    ]
    head = ", ".join(parts) + ", "
    words = _flag_words(entry.flags)
    if words:
        head += " ".join(words) + " "
    if entry.importance:
        head += f"importance={entry.importance}, "
    if statistics:
        if entry.idle_age is not None:
            head += f"idle_age={entry.idle_age}, "
        if entry.hard_age is not None and entry.hard_age != entry.duration_ns // NANOSECONDS:
            head += f"hard_age={entry.hard_age}, "
    return f" {head}{format_rule(entry, names, version, options)}"


def format_rule(
    entry: FlowStats | FlowMod,
    names: NamesByPort | None = None,
    version: int = OF10,
    options: TunnelOptions = NO_TUNNEL_OPTIONS,
) -> str:
    """Priority, match and actions of a flow, as a dump ends: ``priority=5,ip actions=NORMAL``."""
    match = format_match(entry.match, names, options)
    if entry.priority != DEFAULT_PRIORITY:
        match = f"priority={entry.priority},{match}" if match else f"priority={entry.priority}"
    actions = f"actions={format_actions(entry.actions, names, version)}"
    return f"{match} {actions}" if match else actions
