"""Flows on the wire: flow-mods and notices of removal, in every version and in Nicira's form for OpenFlow 1.0.

Sources: OpenFlow 1.0.1 sections 5.3.3 and 5.4.3; OpenFlow 1.3.5 sections 7.3.4.1 and 7.4.2; NXT_FLOW_MOD and
NXT_FLOW_REMOVED.
"""

from __future__ import annotations

import struct
from typing import Final

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_ANY, from_of10, to_of10
from jackfield.openflow.action_decoder import port_from_of11
from jackfield.openflow.action_encoder import padded
from jackfield.openflow.check import check_flow
from jackfield.openflow.codec_table import Row
from jackfield.openflow.dialect import OF10, OF11, OF12, OF13, OF14, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.instructions import decode_instructions, encode_instructions
from jackfield.openflow.match10 import MATCH_LEN, decode_match10, encode_match10, fits_match10
from jackfield.openflow.messages import (
    ALL_TABLES,
    ANY_GROUP,
    FlowMod,
    FlowModCommand,
    FlowModFlags,
    FlowRemoved,
    FlowRemovedReason,
)
from jackfield.openflow.oxm import decode_match, decode_match_and_cookie, encode_match, encode_match_and_cookie

NXT_FLOW_MOD: Final = 13
NXT_FLOW_REMOVED: Final = 14

NANOSECONDS: Final = 1_000_000_000
_NO_COOKIE: Final = 0xFFFFFFFFFFFFFFFF
_OXM_MATCH: Final = 1

_FLOW_MOD10: Final = struct.Struct(">QHHHHIHH")
_FLOW_MOD_NX: Final = struct.Struct(">QHHHHIHHH6x")
_FLOW_MOD11: Final = struct.Struct(">QQBBHHHIIIHH")
_REMOVED10: Final = struct.Struct(">QHBxIIH2xQQ")
_REMOVED_NX: Final = struct.Struct(">QHBBIIHHQQ")
_REMOVED11: Final = struct.Struct(">QHBBIIHHQQ")

_COMMANDS: Final = tuple(FlowModCommand)
_FLAGS: Final = tuple(FlowModFlags(bits) for bits in range(32))
_KNOWN_FLAGS: Final = {OF10: 0x7, OF11: 0x3, OF12: 0x7}
_EMERGENCY10: Final = 0x4
_DELETES: Final = (FlowModCommand.DELETE, FlowModCommand.DELETE_STRICT)


def read_duration(seconds: int, nanoseconds: int) -> int:
    """A duration in nanoseconds; more nanoseconds than a second has count as the most it has."""
    return seconds * NANOSECONDS + min(nanoseconds, NANOSECONDS - 1)


# Matches since OpenFlow 1.2: a type, a length that leaves out the padding, the entries


def encode_ofp_match(match: Match, version: int) -> bytes:
    """ofp_match of OpenFlow 1.2 and later, padding included.

    Raises:
        ValueError: the match has something no entry can say, or the version is 1.1, whose matches are not supported.
    """
    if version < OF12:
        raise ValueError("matches of OpenFlow 1.1 are not supported")
    entries = encode_match(match, version)
    return padded(struct.pack(">HH", _OXM_MATCH, 4 + len(entries)) + entries)


def ofp_match_entries(data: bytes, pos: int, version: int) -> tuple[bytes, int]:
    """The entries of the ofp_match at `pos`, and where what follows it begins.

    Raises:
        OpenFlowError: OFPBMC_BAD_TYPE or BAD_LEN.
    """
    if version < OF12:
        raise OpenFlowError("OFPBMC_BAD_TYPE", "matches of OpenFlow 1.1 are not supported")
    if len(data) - pos < 4:
        raise OpenFlowError("OFPBMC_BAD_LEN", f"{len(data) - pos} bytes left, a match needs 8")
    kind, length = data[pos] << 8 | data[pos + 1], data[pos + 2] << 8 | data[pos + 3]
    if kind != _OXM_MATCH:
        raise OpenFlowError("OFPBMC_BAD_TYPE", f"match type {kind}")
    end = pos + (length + 7) // 8 * 8
    if length < 4 or end > len(data):
        raise OpenFlowError("OFPBMC_BAD_LEN", f"match of {length} bytes, {len(data) - pos} left")
    return data[pos + 4 : pos + length], end


def decode_ofp_match(data: bytes, pos: int, version: int) -> tuple[Match, int]:
    """The ofp_match at `pos`, and where what follows it begins.

    Raises:
        OpenFlowError: OFPBMC_*.
    """
    entries, end = ofp_match_entries(data, pos, version)
    return decode_match(entries), end


def nx_match_end(data: bytes, pos: int, length: int) -> int:
    """Where the padding after an nx_match ends.

    Raises:
        OpenFlowError: OFPBMC_BAD_LEN.
    """
    end = pos + (length + 7) // 8 * 8
    if end > len(data):
        raise OpenFlowError("OFPBMC_BAD_LEN", f"match of {length} bytes, {len(data) - pos} left")
    return end


# Flow-mods


def _flags(bits: int, command: FlowModCommand, version: int) -> FlowModFlags:
    if bits & ~_KNOWN_FLAGS.get(version, 0x1F):
        raise OpenFlowError("OFPFMFC_BAD_FLAGS", f"flags {bits:#x}")
    if version <= OF11:
        flags = _FLAGS[bits & 3 | (FlowModFlags.RESET_COUNTS if command is FlowModCommand.ADD else 0)]
        return flags | FlowModFlags.EMERG if bits & _EMERGENCY10 else flags
    return _FLAGS[bits]


def encode_flags(flags: FlowModFlags, version: int) -> int:
    """The flag bits of a version; those it does not have are left out."""
    if version == OF10:
        return flags & 3 | (_EMERGENCY10 if flags & FlowModFlags.EMERG else 0)
    return flags & _KNOWN_FLAGS.get(version, 0x1F)


def _command(number: int) -> FlowModCommand:
    if number >= len(_COMMANDS):
        raise OpenFlowError("OFPFMFC_BAD_COMMAND", f"command {number}")
    return _COMMANDS[number]


def _table_and_command(raw: int, dialect: Dialect) -> tuple[int, FlowModCommand]:
    if dialect.table_id:
        return raw >> 8, _command(raw & 0xFF)
    return ALL_TABLES, _command(raw)


def _refuse_emergency(message: FlowMod) -> FlowMod:
    if message.flags & FlowModFlags.EMERG:
        timeout = message.idle_timeout or message.hard_timeout
        name = "OFPFMFC_BAD_EMERG_TIMEOUT" if timeout else "OFPFMFC_TABLE_FULL"
        raise OpenFlowError(name, "emergency flows are not supported")
    return message


def _read_flow_mod10(body: bytes, version: int, dialect: Dialect) -> FlowMod:
    match, exact = decode_match10(body[:MATCH_LEN])
    cookie, raw, idle, hard, priority, buffer_id, out_port, flags = _FLOW_MOD10.unpack_from(body, MATCH_LEN)
    table_id, command = _table_and_command(raw, dialect)
    actions = decode_instructions(body[MATCH_LEN + _FLOW_MOD10.size :], version)
    check_flow(actions, match, table_id, version)
    return _refuse_emergency(
        FlowMod(
            command,
            match,
            actions,
            priority=0xFFFF if exact else priority,
            table_id=table_id,
            new_cookie=_new_cookie(cookie, command),
            idle_timeout=idle,
            hard_timeout=hard,
            flags=_flags(flags, command, version),
            buffer_id=buffer_id,
            out_port=from_of10(out_port) if command in _DELETES else OFPP_ANY,
        )
    )


def _new_cookie(cookie: int, command: FlowModCommand) -> int | None:
    return None if cookie == _NO_COOKIE and command is not FlowModCommand.ADD else cookie


def _read_flow_mod_nx(body: bytes, version: int, dialect: Dialect) -> FlowMod:
    new_cookie, raw, idle, hard, priority, buffer_id, out_port, flags, match_len = _FLOW_MOD_NX.unpack_from(body)
    table_id, command = _table_and_command(raw, dialect)
    start = _FLOW_MOD_NX.size
    end = nx_match_end(body, start, match_len)
    cookie = cookie_mask = 0
    entries = body[start : start + match_len]
    if command is FlowModCommand.ADD:
        match = _decode_match_of_add(entries)
    else:
        match, cookie, cookie_mask = decode_match_and_cookie(entries)
    actions = decode_instructions(body[end:], version)
    check_flow(actions, match, table_id, version)
    return _refuse_emergency(
        FlowMod(
            command,
            match,
            actions,
            priority,
            table_id,
            cookie,
            cookie_mask,
            _new_cookie(new_cookie, command),
            idle,
            hard,
            _flags(flags, command, version),
            0,
            buffer_id,
            from_of10(out_port) if command in _DELETES else OFPP_ANY,
        )
    )


def _decode_match_of_add(entries: bytes) -> Match:
    try:
        return decode_match(entries)
    except OpenFlowError as error:
        # A cookie is the one entry that requests may have and additions may not, and has an error of its own.
        if error.name == "OFPBMC_BAD_FIELD" and decode_match_and_cookie(entries)[2]:
            raise OpenFlowError("NXBRC_NXM_INVALID", "an added flow cannot match on a cookie") from error
        raise


def _read_flow_mod11(body: bytes, version: int, _dialect: Dialect) -> FlowMod:
    (cookie, cookie_mask, table_id, raw, idle, hard, priority, buffer_id, out_port, out_group, flags, importance) = (
        _FLOW_MOD11.unpack_from(body)
    )
    command = _command(raw)
    deletes = command in _DELETES
    if table_id == ALL_TABLES and not deletes:
        raise OpenFlowError("OFPFMFC_BAD_TABLE_ID", f"table {table_id} in a flow-mod that is not a delete")
    match, end = decode_ofp_match(body, _FLOW_MOD11.size, version)
    actions = decode_instructions(body[end:], version)
    check_flow(actions, match, table_id, version)
    adds = command is FlowModCommand.ADD
    return FlowMod(
        command,
        match,
        actions,
        priority,
        table_id,
        0 if adds else cookie,
        0 if adds else cookie_mask,
        cookie if adds else None,
        idle,
        hard,
        _flags(flags, command, version),
        importance if adds and version >= OF14 else 0,
        buffer_id,
        port_from_of11(out_port) if deletes else OFPP_ANY,
        out_group if deletes else ANY_GROUP,
    )


_COUNT_FLAGS: Final = FlowModFlags.NO_PKT_COUNTS | FlowModFlags.NO_BYT_COUNTS


def _request_flags(message: FlowMod, version: int) -> int:
    if version < OF13 and message.flags & _COUNT_FLAGS:
        raise ValueError("no_packet_counts, no_byte_counts: need OpenFlow 1.3")
    return encode_flags(message.flags, version)


def _raw_command(message: FlowMod, dialect: Dialect) -> int:
    if dialect.table_id:
        return message.table_id << 8 | message.command
    if message.table_id != ALL_TABLES:
        raise ValueError(f"table {message.table_id}: OpenFlow 1.0 without NXT_FLOW_MOD_TABLE_ID cannot name a table")
    return message.command


def _raw_new_cookie(message: FlowMod) -> int:
    return _NO_COOKIE if message.new_cookie is None else message.new_cookie


def needs_nx_flow_mod(message: FlowMod) -> bool:
    """Whether an OpenFlow 1.0 connection must write a flow-mod in Nicira's form to say all of it."""
    return bool(message.cookie_mask) or not fits_match10(message.match)


def _write_flow_mod10(message: FlowMod, version: int, dialect: Dialect) -> bytes:
    if needs_nx_flow_mod(message):
        raise ValueError("the flow has a match that needs the NXM flow format")
    return b"".join(
        (
            encode_match10(message.match),
            _FLOW_MOD10.pack(
                _raw_new_cookie(message),
                _raw_command(message, dialect),
                message.idle_timeout,
                message.hard_timeout,
                message.priority,
                message.buffer_id,
                to_of10(message.out_port),
                _request_flags(message, version),
            ),
            encode_instructions(message.actions, version, message.match),
        )
    )


def _write_flow_mod_nx(message: FlowMod, version: int, dialect: Dialect) -> bytes:
    entries = encode_match_and_cookie(message.match, version, message.cookie, message.cookie_mask)
    return b"".join(
        (
            _FLOW_MOD_NX.pack(
                _raw_new_cookie(message),
                _raw_command(message, dialect),
                message.idle_timeout,
                message.hard_timeout,
                message.priority,
                message.buffer_id,
                to_of10(message.out_port),
                _request_flags(message, version),
                len(entries),
            ),
            padded(entries),
            encode_instructions(message.actions, version, message.match),
        )
    )


def _write_flow_mod11(message: FlowMod, version: int, _dialect: Dialect) -> bytes:
    adds = message.command is FlowModCommand.ADD
    table_id = message.table_id
    if table_id == ALL_TABLES and message.command not in _DELETES:
        table_id = 0
    return b"".join(
        (
            _FLOW_MOD11.pack(
                _raw_new_cookie(message) if adds else message.cookie & message.cookie_mask,
                0 if adds else message.cookie_mask,
                table_id,
                message.command,
                message.idle_timeout,
                message.hard_timeout,
                message.priority,
                message.buffer_id,
                message.out_port,
                message.out_group,
                _request_flags(message, version),
                message.importance if version >= OF14 and adds else 0,
            ),
            encode_ofp_match(message.match, version),
            encode_instructions(message.actions, version, message.match),
        )
    )


# Removal


def _reason(number: int, table_id: int) -> FlowRemovedReason:
    if number > FlowRemovedReason.EVICTION:
        raise OpenFlowError("NXBRC_BAD_REASON", f"removal reason {number} in table {table_id}")
    return FlowRemovedReason(number)


_LAST_REASON: Final = {
    OF10: FlowRemovedReason.DELETE,
    OF11: FlowRemovedReason.GROUP_DELETE,
    OF12: FlowRemovedReason.GROUP_DELETE,
    OF13: FlowRemovedReason.METER_DELETE,
}


def _raw_reason(reason: FlowRemovedReason, version: int) -> int:
    """The reason, or DELETE where the version does not know it."""
    return reason if reason <= _LAST_REASON.get(version, FlowRemovedReason.EVICTION) else FlowRemovedReason.DELETE


def _read_removed10(body: bytes, _version: int, _dialect: Dialect) -> FlowRemoved:
    match, _ = decode_match10(body[:MATCH_LEN])
    cookie, priority, reason, seconds, nanoseconds, idle, packets, octets = _REMOVED10.unpack_from(body, MATCH_LEN)
    duration = read_duration(seconds, nanoseconds)
    return FlowRemoved(
        match, priority, cookie, _reason(reason, ALL_TABLES), ALL_TABLES, duration, idle, 0, packets, octets
    )


def _write_removed10(message: FlowRemoved, version: int, _dialect: Dialect) -> bytes:
    return encode_match10(message.match) + _REMOVED10.pack(
        message.cookie,
        message.priority,
        _raw_reason(message.reason, version),
        *divmod(message.duration_ns, NANOSECONDS),
        message.idle_timeout,
        message.packet_count,
        message.byte_count,
    )


def _read_removed_nx(body: bytes, _version: int, _dialect: Dialect) -> FlowRemoved:
    cookie, priority, reason, table, seconds, nanoseconds, idle, match_len, packets, octets = _REMOVED_NX.unpack_from(
        body
    )
    start = _REMOVED_NX.size
    nx_match_end(body, start, match_len)
    # The table number travels plus one, so that 0 says nothing about the table.
    table_id = table - 1 & 0xFF
    duration = read_duration(seconds, nanoseconds)
    match = decode_match(body[start : start + match_len])
    return FlowRemoved(match, priority, cookie, _reason(reason, table_id), table_id, duration, idle, 0, packets, octets)


def _write_removed_nx(message: FlowRemoved, version: int, _dialect: Dialect) -> bytes:
    entries = encode_match(message.match, version)
    return _REMOVED_NX.pack(
        message.cookie,
        message.priority,
        _raw_reason(message.reason, version),
        message.table_id + 1 & 0xFF,
        *divmod(message.duration_ns, NANOSECONDS),
        message.idle_timeout,
        len(entries),
        message.packet_count,
        message.byte_count,
    ) + padded(entries)


def _read_removed11(body: bytes, version: int, _dialect: Dialect) -> FlowRemoved:
    cookie, priority, reason, table_id, seconds, nanoseconds, idle, hard, packets, octets = _REMOVED11.unpack_from(body)
    match, _ = decode_ofp_match(body, _REMOVED11.size, version)
    duration = read_duration(seconds, nanoseconds)
    return FlowRemoved(
        match, priority, cookie, _reason(reason, table_id), table_id, duration, idle, hard, packets, octets
    )


def _write_removed11(message: FlowRemoved, version: int, _dialect: Dialect) -> bytes:
    return _REMOVED11.pack(
        message.cookie,
        message.priority,
        _raw_reason(message.reason, version),
        message.table_id,
        *divmod(message.duration_ns, NANOSECONDS),
        message.idle_timeout,
        message.hard_timeout,
        message.packet_count,
        message.byte_count,
    ) + encode_ofp_match(message.match, version)


ROWS: Final = (
    Row(FlowRemoved, 11, _read_removed10, _write_removed10, MATCH_LEN + _REMOVED10.size, last=OF10),
    Row(
        FlowRemoved, 11, _read_removed11, _write_removed11, _REMOVED11.size, longer=True, first=OF12, last=OF14, step=8
    ),
    Row(FlowMod, 14, _read_flow_mod10, _write_flow_mod10, MATCH_LEN + _FLOW_MOD10.size, longer=True, last=OF10, step=8),
    Row(FlowMod, 14, _read_flow_mod11, _write_flow_mod11, _FLOW_MOD11.size, longer=True, first=OF12, step=8),
)

NICIRA_ROWS: Final = (
    Row(
        FlowMod, NXT_FLOW_MOD, _read_flow_mod_nx, _write_flow_mod_nx, _FLOW_MOD_NX.size, longer=True, last=OF10, step=8
    ),
    Row(
        FlowRemoved,
        NXT_FLOW_REMOVED,
        _read_removed_nx,
        _write_removed_nx,
        _REMOVED_NX.size,
        longer=True,
        last=OF10,
        step=8,
    ),
)
