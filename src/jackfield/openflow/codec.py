"""Whole OpenFlow messages between bytes and values: the header, then the table row of the message's type.

`decode` takes what `framing` gives out. Both directions of every message are here, because a switch, a controller and
a command line are the same codec. What a version lacks is missing in the tables: such a message cannot be written
(`ValueError`) and is refused when it comes (OFPBRC_BAD_TYPE and its kin).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from jackfield.openflow import flow_codec, flow_stats_codec, packet_codec, port_codec, session_codec, stats_codec
from jackfield.openflow.codec_table import Row, by_message, by_number
from jackfield.openflow.dialect import OF10, STANDARD, VERSION_TEXT, Dialect
from jackfield.openflow.errors import NX, OpenFlowError, error_name, wire_error
from jackfield.openflow.framing import HEADER_LEN
from jackfield.openflow.messages import (
    ErrorMsg,
    FlowFormat,
    FlowMod,
    FlowRemoved,
    Message,
    MultipartReply,
    MultipartRequest,
    PacketIn,
    PacketInFormat,
)
from jackfield.openflow.multipart import AggregateReply, AggregateRequest, FlowStatsReply, FlowStatsRequest

EXPERIMENTER: Final = 4
"""Message type of experimenter (vendor) messages."""

MAX_MESSAGE_LEN: Final = 0xFFFF
_MIN_ERROR_DATA: Final = 64
_EXPERIMENTER_PART: Final = 0xFFFF
_MORE: Final = 1

_HEADER: Final = struct.Struct(">BBHI")
_EXPERIMENTER_HEADER: Final = struct.Struct(">II")

_ROWS: Final = (*session_codec.ROWS, *port_codec.ROWS, *flow_codec.ROWS, *packet_codec.ROWS)
_NICIRA_ROWS: Final = (*session_codec.NICIRA_ROWS, *flow_codec.NICIRA_ROWS, *packet_codec.NICIRA_ROWS)
_REQUEST_ROWS: Final = (*stats_codec.REQUEST_ROWS, *flow_stats_codec.REQUEST_ROWS)
_REPLY_ROWS: Final = (*stats_codec.REPLY_ROWS, *flow_stats_codec.REPLY_ROWS)

_BY_NUMBER: Final = by_number(_ROWS)
_BY_MESSAGE: Final = by_message(_ROWS)
_NICIRA_BY_NUMBER: Final = by_number(_NICIRA_ROWS)
_NICIRA_BY_MESSAGE: Final = by_message(_NICIRA_ROWS)


class _Parts:
    """The tables of one direction of multipart messages."""

    def __init__(self, rows: tuple[Row, ...], nicira_rows: tuple[Row, ...]) -> None:
        self.by_number = by_number(rows)
        self.by_message = by_message(rows)
        self.nicira_by_number = by_number(nicira_rows)
        self.nicira_by_message = by_message(nicira_rows)


_REQUESTS: Final = _Parts(_REQUEST_ROWS, flow_stats_codec.NICIRA_REQUEST_ROWS)
_REPLIES: Final = _Parts(_REPLY_ROWS, flow_stats_codec.NICIRA_REPLY_ROWS)


def _part_type(version: int, reply: bool) -> int:
    """Message type of multipart (statistics) requests or replies."""
    return (16 if version == OF10 else 18) + reply


# Reading


def decode(data: bytes, version: int, dialect: Dialect = STANDARD) -> tuple[int, Message]:
    """The xid and the meaning of one whole message on a connection that speaks `version`.

    Raises:
        OpenFlowError: what to answer; `error_reply` makes the answer.
    """
    its_version, kind, length, xid = _HEADER.unpack_from(data)
    if its_version != version:
        raise OpenFlowError("OFPBRC_BAD_VERSION", f"version {its_version} on a connection of version {version}")
    if length != len(data):
        raise OpenFlowError("OFPBRC_BAD_LEN", f"message of {len(data)} bytes says {length}")
    body = data[HEADER_LEN:]
    row = _BY_NUMBER.get((version, kind))
    if row is not None:
        row.check_length(body)
        return xid, row.read(body, version, dialect)
    if kind == EXPERIMENTER:
        return xid, _decode_experimenter(body, version, dialect)
    if kind == _part_type(version, reply=False):
        return xid, _decode_part(body, version, dialect, _REQUESTS)
    if kind == _part_type(version, reply=True):
        return xid, _decode_part(body, version, dialect, _REPLIES)
    raise OpenFlowError("OFPBRC_BAD_TYPE", f"message type {kind}")


def _decode_experimenter(body: bytes, version: int, dialect: Dialect) -> Message:
    if len(body) < _EXPERIMENTER_HEADER.size:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"experimenter message of {len(body)} bytes")
    experimenter, subtype = _EXPERIMENTER_HEADER.unpack_from(body)
    if experimenter != NX:
        raise OpenFlowError("OFPBRC_BAD_VENDOR", f"experimenter {experimenter:#x}")
    row = _NICIRA_BY_NUMBER.get((version, subtype))
    if row is None:
        raise OpenFlowError("OFPBRC_BAD_SUBTYPE", f"Nicira message {subtype}")
    rest = body[_EXPERIMENTER_HEADER.size :]
    row.check_length(rest)
    return row.read(rest, version, dialect)


def _decode_part(body: bytes, version: int, dialect: Dialect, parts: _Parts) -> Message:
    start = 4 if version == OF10 else 8
    if len(body) < start:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"multipart message of {len(body)} bytes")
    kind, flags = struct.unpack_from(">HH", body)
    if kind == _EXPERIMENTER_PART:
        row, start = _nicira_part(body, start, version, parts)
    else:
        found = parts.by_number.get((version, kind))
        if found is None:
            raise OpenFlowError("OFPBRC_BAD_STAT", f"multipart type {kind}")
        row = found
    rest = body[start:]
    row.check_length(rest)
    message = row.read(rest, version, dialect)
    return replace(message, more=True) if flags & _MORE and parts is _REPLIES else message  # type: ignore[type-var]  # replies are dataclasses


def _nicira_part(body: bytes, start: int, version: int, parts: _Parts) -> tuple[Row, int]:
    end = start + (12 if version == OF10 else 8)
    if len(body) < end:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"experimenter multipart message of {len(body)} bytes")
    experimenter, subtype = _EXPERIMENTER_HEADER.unpack_from(body, start)
    if experimenter != NX:
        raise OpenFlowError("OFPBRC_BAD_VENDOR", f"experimenter {experimenter:#x}")
    row = parts.nicira_by_number.get((version, subtype))
    if row is None:
        raise OpenFlowError("OFPBRC_BAD_SUBTYPE", f"Nicira multipart message {subtype}")
    return row, end


# Writing


def _header(version: int, kind: int, length: int, xid: int) -> bytes:
    if length > MAX_MESSAGE_LEN:
        raise ValueError(f"message of {length} bytes, at most {MAX_MESSAGE_LEN} fit")
    return _HEADER.pack(version, kind, length, xid)


def encode(message: Message, version: int, xid: int, dialect: Dialect = STANDARD) -> bytes:
    """The bytes of a message.

    Raises:
        ValueError: the version has no such message, or no form for something in it, or the message is longer than
        65,535 bytes.
    """
    try:
        return _encode(message, version, xid, dialect)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{type(message).__name__}: a number does not fit its place ({error})") from error


def _encode(message: Message, version: int, xid: int, dialect: Dialect) -> bytes:
    if isinstance(message, MultipartRequest | MultipartReply):
        return _encode_part(message, version, xid, dialect)
    row = _nicira_row(message, version, dialect)
    if row is None:
        row = _BY_MESSAGE.get((type(message), version))
        if row is not None:
            body = row.write(message, version, dialect)
            return _header(version, row.number, HEADER_LEN + len(body), xid) + body
        row = _NICIRA_BY_MESSAGE.get((type(message), version))
        if row is None:
            raise ValueError(f"{type(message).__name__}: OpenFlow {VERSION_TEXT[version]} has no such message")
    body = _EXPERIMENTER_HEADER.pack(NX, row.number) + row.write(message, version, dialect)
    return _header(version, EXPERIMENTER, HEADER_LEN + len(body), xid) + body


def _nicira_row(message: Message, version: int, dialect: Dialect) -> Row | None:
    """The row of a message that has a standard form too, where the connection chose Nicira's."""
    if isinstance(message, FlowMod | FlowRemoved):
        if version == OF10 and dialect.flow_format is FlowFormat.NXM:
            return _NICIRA_BY_MESSAGE[type(message), version]
    elif isinstance(message, PacketIn) and dialect.packet_in_format is not PacketInFormat.STANDARD:
        return _NICIRA_BY_NUMBER[version, packet_codec.FORMATS[dialect.packet_in_format]]
    return None


def _in_nicira_form(message: MultipartRequest | MultipartReply) -> bool:
    kinds = FlowStatsRequest | FlowStatsReply | AggregateRequest | AggregateReply
    return isinstance(message, kinds) and message.nxm


def _encode_part(message: MultipartRequest | MultipartReply, version: int, xid: int, dialect: Dialect) -> bytes:
    reply = isinstance(message, MultipartReply)
    parts = _REPLIES if reply else _REQUESTS
    nicira = _in_nicira_form(message)
    row = (parts.nicira_by_message if nicira else parts.by_message).get((type(message), version))
    if row is None:
        raise ValueError(f"{type(message).__name__}: OpenFlow {VERSION_TEXT[version]} has no such message")
    body = row.write(message, version, dialect)
    more = reply and bool(getattr(message, "more", False))
    return part_header(version, row.number, xid, len(body), reply=reply, nicira=nicira, more=more) + body


def part_header(
    version: int, number: int, xid: int, body_len: int, *, reply: bool, nicira: bool = False, more: bool = False
) -> bytes:
    """The bytes before the body of a multipart message of `body_len` bytes.

    Raises:
        ValueError: the message is longer than 65,535 bytes.
    """
    flags = _MORE if more else 0
    if nicira:
        # OpenFlow 1.0 pads the subtype to 64 bits.
        head = struct.pack(">HHIII", _EXPERIMENTER_PART, flags, NX, number, 0)
    elif version == OF10:
        head = struct.pack(">HH", number, flags)
    else:
        head = struct.pack(">HH4x", number, flags)
    return _header(version, _part_type(version, reply), HEADER_LEN + len(head) + body_len, xid) + head


def multipart_parts(
    reply: MultipartReply, entries: Iterable[bytes], version: int, xid: int, limit: int = MAX_MESSAGE_LEN
) -> Iterator[bytes]:
    """Messages that carry entries that are bytes already, each as full as `limit` lets it, at least one message.

    `reply` says which kind (flow statistics, table features, ...); its own content is not written. Entries are taken
    as messages are asked for.

    Raises:
        ValueError: the version has no such reply, or an entry does not fit one message.
    """
    nicira = _in_nicira_form(reply)
    row = (_REPLIES.nicira_by_message if nicira else _REPLIES.by_message).get((type(reply), version))
    if row is None:
        raise ValueError(f"{type(reply).__name__}: OpenFlow {VERSION_TEXT[version]} has no such message")
    number = row.number
    room = limit - len(part_header(version, number, xid, 0, reply=True, nicira=nicira))
    part: list[bytes] = []
    size = 0
    for entry in entries:
        if size + len(entry) > room and part:
            yield part_header(version, number, xid, size, reply=True, nicira=nicira, more=True) + b"".join(part)
            part, size = [], 0
        part.append(entry)
        size += len(entry)
    yield part_header(version, number, xid, size, reply=True, nicira=nicira) + b"".join(part)


def error_reply(error: OpenFlowError, version: int, request: bytes) -> bytes:
    """The message that refuses `request`, with its xid and its first 64 bytes (or the error's own data)."""
    return encode(error_message(error, version, request), version, int.from_bytes(request[4:8].ljust(4, b"\0"), "big"))


def error_message(error: OpenFlowError, version: int, request: bytes) -> ErrorMsg:
    """The same as a value; its name is what the peer will read, which is broader where the version lacks the error."""
    wire = wire_error(error.name, version)
    data = request[:_MIN_ERROR_DATA] if error.echo is None else error.echo
    return ErrorMsg(error_name(wire, version), wire.type, wire.code, data, wire.experimenter)
