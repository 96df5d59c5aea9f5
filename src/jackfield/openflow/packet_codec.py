"""Packets on the wire: packet-ins in every version and both Nicira forms, packet-outs.

Sources: OpenFlow 1.0.1 sections 5.3.6 and 5.4.1; 1.3.5 sections 7.3.7 and 7.4.1; NXT_PACKET_IN and NXT_PACKET_IN2.
"""

from __future__ import annotations

import struct
from typing import Final

from jackfield.flow import fields as f
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_NONE, OfPort, from_of10, to_of10
from jackfield.openflow.action_decoder import decode_actions
from jackfield.openflow.action_encoder import encode_actions, padded
from jackfield.openflow.check import check_packet_out
from jackfield.openflow.codec_table import Row
from jackfield.openflow.dialect import OF10, OF11, OF12, OF13, OF14, OF15, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_codec import encode_ofp_match, nx_match_end, ofp_match_entries
from jackfield.openflow.messages import NO_BUFFER, PacketIn, PacketInFormat, PacketInReason, PacketOut
from jackfield.openflow.oxm import decode_fields_leniently, encode_match
from jackfield.openflow.port_codec import properties

NXT_PACKET_IN: Final = 17
NXT_PACKET_IN2: Final = 30

_IN10: Final = struct.Struct(">IHHBx")
_IN11: Final = struct.Struct(">IIIHBB")
_IN12: Final = struct.Struct(">IHBB")
_IN13: Final = struct.Struct(">IHBBQ")
_IN_NX: Final = struct.Struct(">IHBBQH6x")
_OUT10: Final = struct.Struct(">IHH")
_OUT11: Final = struct.Struct(">IIH6x")
_OUT15: Final = struct.Struct(">IH2x")
_NO_COOKIE: Final = 0xFFFFFFFFFFFFFFFF
_GAP: Final = 2
_MAX_TOTAL_LEN: Final = 0xFFFF

# Properties of NXT_PACKET_IN2.
_P2_PACKET: Final = 0
_P2_FULL_LEN: Final = 1
_P2_BUFFER_ID: Final = 2
_P2_TABLE_ID: Final = 3
_P2_COOKIE: Final = 4
_P2_REASON: Final = 5
_P2_METADATA: Final = 6
_P2_USERDATA: Final = 7
_P2_LENGTHS: Final = {_P2_FULL_LEN: 4, _P2_BUFFER_ID: 4, _P2_TABLE_ID: 1, _P2_COOKIE: 12, _P2_REASON: 1}


def _reason(number: int) -> PacketInReason:
    if number > PacketInReason.PACKET_OUT:
        raise OpenFlowError("NXBRC_BAD_REASON", f"packet-in reason {number}")
    return PacketInReason(number)


def _raw_reason(reason: PacketInReason, version: int) -> int:
    return reason if version >= OF14 or reason <= PacketInReason.INVALID_TTL else PacketInReason.ACTION


def _fields(message: PacketIn) -> Match:
    """The metadata with the in_port, unless there is none."""
    if message.in_port == OFPP_NONE:
        return message.metadata
    return message.metadata.with_field(f.IN_PORT, message.in_port)


def _split(fields: Match) -> tuple[OfPort, Match]:
    in_port = fields.exact(f.IN_PORT)
    return (OFPP_NONE if in_port is None else OfPort(in_port)), fields.without(f.IN_PORT)


def _total_len(message: PacketIn) -> int:
    return min(message.total_len, _MAX_TOTAL_LEN)


def _read_in10(body: bytes, _version: int, _dialect: Dialect) -> PacketIn:
    buffer_id, total_len, in_port, reason = _IN10.unpack_from(body)
    return PacketIn(from_of10(in_port), body[_IN10.size :], total_len, _reason(reason), buffer_id=buffer_id)


def _write_in10(message: PacketIn, version: int, _dialect: Dialect) -> bytes:
    reason = _raw_reason(message.reason, version)
    return _IN10.pack(message.buffer_id, _total_len(message), to_of10(message.in_port), reason) + message.data


def _read_in11(body: bytes, _version: int, _dialect: Dialect) -> PacketIn:
    buffer_id, in_port, _, total_len, reason, table_id = _IN11.unpack_from(body)
    return PacketIn(OfPort(in_port), body[_IN11.size :], total_len, _reason(reason), table_id, buffer_id=buffer_id)


def _write_in11(message: PacketIn, version: int, _dialect: Dialect) -> bytes:
    return (
        _IN11.pack(
            message.buffer_id,
            message.in_port,
            message.in_port,
            _total_len(message),
            _raw_reason(message.reason, version),
            message.table_id,
        )
        + message.data
    )


def _read_in12(body: bytes, version: int, _dialect: Dialect) -> PacketIn:
    layout = _IN12 if version == OF12 else _IN13
    buffer_id, total_len, reason, table_id, *cookie = layout.unpack_from(body)
    entries, end = ofp_match_entries(body, layout.size, version)
    in_port, metadata = _split(decode_fields_leniently(entries))
    return PacketIn(
        in_port,
        body[end + _GAP :],
        total_len,
        _reason(reason),
        table_id,
        cookie[0] if cookie else _NO_COOKIE,
        metadata,
        buffer_id,
    )


def _write_in12(message: PacketIn, version: int, _dialect: Dialect) -> bytes:
    head = (message.buffer_id, _total_len(message), _raw_reason(message.reason, version), message.table_id)
    fixed = _IN12.pack(*head) if version == OF12 else _IN13.pack(*head, message.cookie)
    return fixed + encode_ofp_match(_fields(message), version) + bytes(_GAP) + message.data


def _read_in_nx(body: bytes, _version: int, _dialect: Dialect) -> PacketIn:
    buffer_id, total_len, reason, table_id, cookie, match_len = _IN_NX.unpack_from(body)
    end = nx_match_end(body, _IN_NX.size, match_len)
    in_port, metadata = _split(decode_fields_leniently(body[_IN_NX.size : _IN_NX.size + match_len]))
    return PacketIn(in_port, body[end + _GAP :], total_len, _reason(reason), table_id, cookie, metadata, buffer_id)


def _write_in_nx(message: PacketIn, version: int, _dialect: Dialect) -> bytes:
    entries = encode_match(_fields(message), OF10)
    fixed = _IN_NX.pack(
        message.buffer_id,
        _total_len(message),
        _raw_reason(message.reason, version),
        message.table_id,
        message.cookie,
        len(entries),
    )
    return fixed + padded(entries) + bytes(_GAP) + message.data


def _read_in_nx2(body: bytes, _version: int, _dialect: Dialect) -> PacketIn:
    found: dict[int, bytes] = {}
    for kind, data in properties(body):
        if len(data) != _P2_LENGTHS.get(kind, len(data)):
            raise OpenFlowError("OFPBPC_BAD_LEN", f"packet-in property {kind} of {len(data)} bytes")
        found[kind] = data

    def number(kind: int, default: int) -> int:
        return int.from_bytes(found[kind], "big") if kind in found else default

    data = found.get(_P2_PACKET, b"")
    in_port, metadata = _split(decode_fields_leniently(found.get(_P2_METADATA, b"")))
    return PacketIn(
        in_port,
        data,
        number(_P2_FULL_LEN, len(data)),
        _reason(number(_P2_REASON, PacketInReason.NO_MATCH)),
        number(_P2_TABLE_ID, 0),
        number(_P2_COOKIE, _NO_COOKIE),
        metadata,
        number(_P2_BUFFER_ID, NO_BUFFER),
        found.get(_P2_USERDATA, b""),
    )


def _property(kind: int, data: bytes) -> bytes:
    return padded(struct.pack(">HH", kind, 4 + len(data)) + data)


def _write_in_nx2(message: PacketIn, version: int, _dialect: Dialect) -> bytes:
    parts = [_property(_P2_PACKET, message.data)]
    if message.total_len != len(message.data):
        parts.append(_property(_P2_FULL_LEN, message.total_len.to_bytes(4, "big")))
    if message.buffer_id != NO_BUFFER:
        parts.append(_property(_P2_BUFFER_ID, message.buffer_id.to_bytes(4, "big")))
    parts.append(_property(_P2_TABLE_ID, message.table_id.to_bytes(1, "big")))
    if message.cookie != _NO_COOKIE:
        parts.append(_property(_P2_COOKIE, message.cookie.to_bytes(12, "big")))
    parts.append(_property(_P2_REASON, message.reason.to_bytes(1, "big")))
    parts.append(_property(_P2_METADATA, encode_match(_fields(message), version)))
    if message.userdata:
        parts.append(_property(_P2_USERDATA, message.userdata))
    return b"".join(parts)


# Packet-outs


def _read_out(body: bytes, version: int, _dialect: Dialect) -> PacketOut:
    if version == OF10:
        buffer_id, raw_port, actions_len = _OUT10.unpack_from(body)
        in_port, start = from_of10(raw_port), _OUT10.size
    elif version < OF15:
        buffer_id, raw_port, actions_len = _OUT11.unpack_from(body)
        in_port, start = OfPort(raw_port), _OUT11.size
    else:
        buffer_id, actions_len = _OUT15.unpack_from(body)
        entries, start = ofp_match_entries(body, _OUT15.size, version)
        in_port, _ = _split(decode_fields_leniently(entries))
    end = start + actions_len
    if end > len(body):
        raise OpenFlowError("OFPBAC_BAD_LEN", f"actions of {actions_len} bytes, {len(body) - start} left")
    actions = decode_actions(body[start:end], version)
    check_packet_out(actions, in_port, version)
    return PacketOut(body[end:], actions, in_port, buffer_id)


def _write_out(message: PacketOut, version: int, _dialect: Dialect) -> bytes:
    actions = encode_actions(message.actions, version)
    if version == OF10:
        head = _OUT10.pack(message.buffer_id, to_of10(message.in_port), len(actions))
    elif version < OF15:
        head = _OUT11.pack(message.buffer_id, message.in_port, len(actions))
    else:
        match = Match().with_field(f.IN_PORT, message.in_port)
        head = _OUT15.pack(message.buffer_id, len(actions)) + encode_ofp_match(match, version)
    return head + actions + message.data


ROWS: Final = (
    Row(PacketIn, 10, _read_in10, _write_in10, _IN10.size, longer=True, last=OF10),
    Row(PacketIn, 10, _read_in11, _write_in11, _IN11.size, longer=True, first=OF11, last=OF11),
    Row(PacketIn, 10, _read_in12, _write_in12, _IN12.size, longer=True, first=OF12, last=OF12),
    Row(PacketIn, 10, _read_in12, _write_in12, _IN13.size, longer=True, first=OF13),
    Row(PacketOut, 13, _read_out, _write_out, _OUT10.size, longer=True, last=OF10),
    Row(PacketOut, 13, _read_out, _write_out, _OUT11.size, longer=True, first=OF11, last=OF14),
    Row(PacketOut, 13, _read_out, _write_out, _OUT15.size, longer=True, first=OF15),
)

NICIRA_ROWS: Final = (
    Row(PacketIn, NXT_PACKET_IN, _read_in_nx, _write_in_nx, _IN_NX.size, longer=True),
    Row(PacketIn, NXT_PACKET_IN2, _read_in_nx2, _write_in_nx2, 0, longer=True, step=8),
)

FORMATS: Final = {PacketInFormat.NXT_PACKET_IN: NXT_PACKET_IN, PacketInFormat.NXT_PACKET_IN2: NXT_PACKET_IN2}
"""The Nicira subtype of each packet-in format but the standard's."""
