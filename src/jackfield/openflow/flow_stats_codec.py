"""Flow statistics on the wire: requests, single and summed, and replies, with Nicira's forms for OpenFlow 1.0.

A table of 100,000 flows is written entry by entry: `encode_match_of_entry` and `encode_instructions` give bytes that
a switch may keep with the flow, `pack_entry` puts counters before them.

Sources: OpenFlow 1.0.1 sections 5.3.5.2 and 5.3.5.3; 1.3.5 sections 7.3.5.2 and 7.3.5.3; NXST_FLOW and NXST_AGGREGATE.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from jackfield.flow.match import Match
from jackfield.flow.ports import from_of10, to_of10
from jackfield.openflow.action_decoder import port_from_of11
from jackfield.openflow.action_encoder import padded
from jackfield.openflow.codec_table import Row
from jackfield.openflow.dialect import OF10, OF12, OF13, OF14, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_codec import (
    NANOSECONDS,
    decode_ofp_match,
    encode_flags,
    encode_ofp_match,
    nx_match_end,
    ofp_match_entries,
    read_duration,
)
from jackfield.openflow.instructions import decode_instructions, encode_instructions
from jackfield.openflow.match10 import MATCH_LEN, decode_match10, encode_match10, fits_match10
from jackfield.openflow.messages import NO_FLAGS, FlowModFlags
from jackfield.openflow.multipart import (
    AggregateReply,
    AggregateRequest,
    FlowStats,
    FlowStatsReply,
    FlowStatsRequest,
)
from jackfield.openflow.oxm import decode_match, decode_match_and_cookie, encode_match, encode_match_and_cookie

NXST_FLOW: Final = 0
NXST_AGGREGATE: Final = 1

_REQUEST10: Final = struct.Struct(">BxH")
_REQUEST_NX: Final = struct.Struct(">HHB3x")
_REQUEST11: Final = struct.Struct(">B3xII4xQQ")
_ENTRY10_HEAD: Final = struct.Struct(">HBx")
_ENTRY10_TAIL: Final = struct.Struct(">IIHHH6xQQQ")
_ENTRY_NX: Final = struct.Struct(">HBxIIHHHHHHQQQ")
_ENTRY11: Final = struct.Struct(">HBxIIHHHHH2xQQQ")
_AGGREGATE: Final = struct.Struct(">QQI4x")
_ENTRY10_LEN: Final = _ENTRY10_HEAD.size + MATCH_LEN + _ENTRY10_TAIL.size
_MAX_AGE: Final = 0xFFFE
_FLAGS: Final = tuple(FlowModFlags(bits) for bits in range(32))


# Requests


def _read_request10(kind: type[FlowStatsRequest] | type[AggregateRequest], body: bytes) -> Any:
    match, _ = decode_match10(body[:MATCH_LEN])
    table_id, out_port = _REQUEST10.unpack_from(body, MATCH_LEN)
    return kind(match, table_id, from_of10(out_port))


def _write_request10(message: FlowStatsRequest | AggregateRequest, _version: int, _dialect: Dialect) -> bytes:
    if message.cookie_mask or not fits_match10(message.match):
        raise ValueError("the request has a match that needs the NXM flow format")
    return encode_match10(message.match) + _REQUEST10.pack(message.table_id, to_of10(message.out_port))


def _read_request_nx(kind: type[FlowStatsRequest] | type[AggregateRequest], body: bytes) -> Any:
    out_port, match_len, table_id = _REQUEST_NX.unpack_from(body)
    start = _REQUEST_NX.size
    if nx_match_end(body, start, match_len) != len(body):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"match of {match_len} bytes in {len(body) - start}")
    match, cookie, cookie_mask = decode_match_and_cookie(body[start : start + match_len])
    return kind(match, table_id, from_of10(out_port), cookie=cookie, cookie_mask=cookie_mask, nxm=True)


def _write_request_nx(message: FlowStatsRequest | AggregateRequest, version: int, _dialect: Dialect) -> bytes:
    entries = encode_match_and_cookie(message.match, version, message.cookie, message.cookie_mask)
    return _REQUEST_NX.pack(to_of10(message.out_port), len(entries), message.table_id) + padded(entries)


def _read_request11(kind: type[FlowStatsRequest] | type[AggregateRequest], body: bytes, version: int) -> Any:
    table_id, out_port, out_group, cookie, cookie_mask = _REQUEST11.unpack_from(body)
    match, _ = decode_ofp_match(body, _REQUEST11.size, version)
    return kind(match, table_id, port_from_of11(out_port), out_group, cookie & cookie_mask, cookie_mask)


def _write_request11(message: FlowStatsRequest | AggregateRequest, version: int, _dialect: Dialect) -> bytes:
    return _REQUEST11.pack(
        message.table_id,
        message.out_port,
        message.out_group,
        message.cookie & message.cookie_mask,
        message.cookie_mask,
    ) + encode_ofp_match(message.match, version)


# Entries


def encode_match_of_entry(match: Match, version: int, nxm: bool = False) -> bytes:
    """The match bytes that `pack_entry` takes: fixed 40, an nx_match without padding, or an ofp_match with it.

    Raises:
        ValueError: the match has something no entry can say.
    """
    if version > OF10:
        return encode_ofp_match(match, version)
    return encode_match(match, version) if nxm else encode_match10(match)


def pack_entry(
    version: int,
    nxm: bool,
    match: bytes,
    instructions: bytes,
    table_id: int,
    priority: int,
    cookie: int,
    duration_ns: int,
    idle_timeout: int,
    hard_timeout: int,
    packet_count: int,
    byte_count: int,
    idle_age: int | None = None,
    hard_age: int | None = None,
    flags: int = 0,
    importance: int = 0,
) -> bytes:
    """One flow of a reply, made of bytes and numbers.

    Args:
        version: the connection's.
        nxm: whether the reply has Nicira's form (OpenFlow 1.0 only).
        match: from `encode_match_of_entry`.
        instructions: from `instructions.encode_instructions`.
        table_id: the flow's table.
        priority: the flow's priority.
        cookie: the flow's cookie.
        duration_ns: how long the flow has been there.
        idle_timeout: seconds, 0 for none.
        hard_timeout: seconds, 0 for none.
        packet_count: packets so far.
        byte_count: bytes so far.
        idle_age: seconds since the last packet, for Nicira's form.
        hard_age: seconds since the last change, for Nicira's form.
        flags: bits as the version has them (`flow_codec.encode_flags`), since OpenFlow 1.3.
        importance: since OpenFlow 1.4.
    """
    seconds, nanoseconds = divmod(duration_ns, NANOSECONDS)
    if version > OF10:
        length = 48 + len(match) + len(instructions)
        return (
            _ENTRY11.pack(
                length,
                table_id,
                seconds,
                nanoseconds,
                priority,
                idle_timeout,
                hard_timeout,
                flags if version >= OF13 else 0,
                importance if version >= OF14 else 0,
                cookie,
                packet_count,
                byte_count,
            )
            + match
            + instructions
        )
    if nxm:
        body = match + bytes(-len(match) % 8) + instructions
        return (
            _ENTRY_NX.pack(
                48 + len(body),
                table_id,
                seconds,
                nanoseconds,
                priority,
                idle_timeout,
                hard_timeout,
                len(match),
                0 if idle_age is None else min(idle_age, _MAX_AGE) + 1,
                0 if hard_age is None else min(hard_age, _MAX_AGE) + 1,
                cookie,
                packet_count,
                byte_count,
            )
            + body
        )
    return b"".join(
        (
            _ENTRY10_HEAD.pack(_ENTRY10_LEN + len(instructions), table_id),
            match,
            _ENTRY10_TAIL.pack(
                seconds,
                nanoseconds,
                priority,
                idle_timeout,
                hard_timeout,
                cookie,
                packet_count,
                byte_count,
            ),
            instructions,
        )
    )


def encode_entry(entry: FlowStats, version: int, nxm: bool = False) -> bytes:
    """One flow of a reply; what the version cannot say of its actions is left out.

    Raises:
        ValueError: the match has something no entry can say.
    """
    return pack_entry(
        version,
        nxm,
        encode_match_of_entry(entry.match, version, nxm),
        encode_instructions(entry.actions, version, entry.match, lossy=True),
        entry.table_id,
        entry.priority,
        entry.cookie,
        entry.duration_ns,
        entry.idle_timeout,
        entry.hard_timeout,
        entry.packet_count,
        entry.byte_count,
        entry.idle_age,
        entry.hard_age,
        encode_flags(entry.flags, version),
        entry.importance,
    )


def _decode_entry10(data: bytes) -> FlowStats:
    _, table_id = _ENTRY10_HEAD.unpack_from(data)
    match, _ = decode_match10(data[_ENTRY10_HEAD.size : _ENTRY10_HEAD.size + MATCH_LEN])
    seconds, nanoseconds, priority, idle, hard, cookie, packets, octets = _ENTRY10_TAIL.unpack_from(
        data, _ENTRY10_HEAD.size + MATCH_LEN
    )
    return FlowStats(
        match,
        decode_instructions(data[_ENTRY10_LEN:], OF10),
        table_id,
        priority,
        cookie,
        read_duration(seconds, nanoseconds),
        idle,
        hard,
        packet_count=packets,
        byte_count=octets,
    )


def _decode_entry_nx(data: bytes) -> FlowStats:
    (
        _,
        table_id,
        seconds,
        nanoseconds,
        priority,
        idle,
        hard,
        match_len,
        idle_age,
        hard_age,
        cookie,
        packets,
        octets,
    ) = _ENTRY_NX.unpack_from(data)
    start = _ENTRY_NX.size
    end = nx_match_end(data, start, match_len)
    return FlowStats(
        decode_match(data[start : start + match_len]),
        decode_instructions(data[end:], OF10),
        table_id,
        priority,
        cookie,
        read_duration(seconds, nanoseconds),
        idle,
        hard,
        idle_age - 1 if idle_age else None,
        hard_age - 1 if hard_age else None,
        NO_FLAGS,
        0,
        packets,
        octets,
    )


def _decode_entry11(data: bytes, version: int) -> FlowStats:
    _, table_id, seconds, nanoseconds, priority, idle, hard, flags, importance, cookie, packets, octets = (
        _ENTRY11.unpack_from(data)
    )
    entries, end = ofp_match_entries(data, _ENTRY11.size, version)
    return FlowStats(
        decode_match(entries),
        decode_instructions(data[end:], version),
        table_id,
        priority,
        cookie,
        read_duration(seconds, nanoseconds),
        idle,
        hard,
        None,
        None,
        _FLAGS[flags & 0x1F] if version >= OF13 else NO_FLAGS,
        importance if version >= OF14 else 0,
        packets,
        octets,
    )


def _split_entries(body: bytes, least: int) -> list[bytes]:
    entries = []
    pos = 0
    while pos < len(body):
        length = int.from_bytes(body[pos : pos + 2], "big")
        if length < least or length > len(body) - pos:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"flow of {length} bytes, {len(body) - pos} left")
        entries.append(body[pos : pos + length])
        pos += length
    return entries


def _read_reply(body: bytes, version: int, _dialect: Dialect) -> FlowStatsReply:
    if version == OF10:
        return FlowStatsReply(tuple(_decode_entry10(entry) for entry in _split_entries(body, _ENTRY10_LEN)))
    return FlowStatsReply(tuple(_decode_entry11(entry, version) for entry in _split_entries(body, _ENTRY11.size)))


def _read_reply_nx(body: bytes, _version: int, _dialect: Dialect) -> FlowStatsReply:
    return FlowStatsReply(tuple(_decode_entry_nx(entry) for entry in _split_entries(body, _ENTRY_NX.size)), nxm=True)


def _write_reply(message: FlowStatsReply, version: int, _dialect: Dialect) -> bytes:
    return b"".join(encode_entry(entry, version, message.nxm) for entry in message.entries)


# Sums


def _read_sums(body: bytes, _version: int, _dialect: Dialect) -> AggregateReply:
    return AggregateReply(*_AGGREGATE.unpack(body))


def _read_sums_nx(body: bytes, _version: int, _dialect: Dialect) -> AggregateReply:
    packet_count, byte_count, flow_count = _AGGREGATE.unpack(body)
    return AggregateReply(packet_count, byte_count, flow_count, nxm=True)


def _write_sums(message: AggregateReply, _version: int, _dialect: Dialect) -> bytes:
    return _AGGREGATE.pack(message.packet_count, message.byte_count, message.flow_count)


def _request_rows(kind: type[FlowStatsRequest] | type[AggregateRequest], number: int) -> tuple[Row, Row]:
    length10, length11 = MATCH_LEN + _REQUEST10.size, _REQUEST11.size
    return (
        Row(kind, number, lambda body, _v, _d: _read_request10(kind, body), _write_request10, length10, last=OF10),
        Row(
            kind,
            number,
            lambda body, version, _d: _read_request11(kind, body, version),
            _write_request11,
            length11,
            longer=True,
            first=OF12,
            last=OF14,
            step=8,
        ),
    )


def _nicira_request_row(kind: type[FlowStatsRequest] | type[AggregateRequest], number: int) -> Row:
    return Row(
        kind,
        number,
        lambda body, _v, _d: _read_request_nx(kind, body),
        _write_request_nx,
        _REQUEST_NX.size,
        longer=True,
        last=OF10,
        step=8,
    )


REQUEST_ROWS: Final = (*_request_rows(FlowStatsRequest, 1), *_request_rows(AggregateRequest, 2))

REPLY_ROWS: Final = (
    Row(FlowStatsReply, 1, _read_reply, _write_reply, longer=True, last=OF10),
    Row(FlowStatsReply, 1, _read_reply, _write_reply, longer=True, first=OF12, last=OF14),
    Row(AggregateReply, 2, _read_sums, _write_sums, _AGGREGATE.size, last=OF14),
)

NICIRA_REQUEST_ROWS: Final = (
    _nicira_request_row(FlowStatsRequest, NXST_FLOW),
    _nicira_request_row(AggregateRequest, NXST_AGGREGATE),
)

NICIRA_REPLY_ROWS: Final = (
    Row(FlowStatsReply, NXST_FLOW, _read_reply_nx, _write_reply, longer=True, last=OF10),
    Row(AggregateReply, NXST_AGGREGATE, _read_sums_nx, _write_sums, _AGGREGATE.size, last=OF10),
)
