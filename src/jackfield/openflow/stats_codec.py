"""Statistics of everything but flows on the wire: description, tables and their features, ports, queues.

Sources: OpenFlow 1.0.1 section 5.3.5, 1.3.5 sections 7.3.5.1 to 7.3.5.8, 1.4.1 section 7.3.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

from jackfield.flow.fields import OXM_CLASS_EXPERIMENTER
from jackfield.flow.ports import OfPort, from_of10, to_of10
from jackfield.openflow import multipart as mp
from jackfield.openflow.action_encoder import padded
from jackfield.openflow.codec_table import Row, empty
from jackfield.openflow.dialect import OF10, OF11, OF12, OF13, OF14, OF15, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.flow_codec import NANOSECONDS, read_duration
from jackfield.openflow.messages import UNKNOWN_COUNT
from jackfield.openflow.port_codec import decode_ports, encode_name, encode_ports, properties

_DESCRIPTION: Final = struct.Struct(">256s256s256s32s256s")
_TABLE10: Final = struct.Struct(">B3x32sIIIQQ")
_TABLE13: Final = struct.Struct(">B3xIQQ")
_PORT10: Final = struct.Struct(">H6x12Q")
_PORT11: Final = struct.Struct(">I4x12Q")
_PORT13: Final = struct.Struct(">I4x12QII")
_PORT14: Final = struct.Struct(">H2xIII8Q")
_PORT14_ETHERNET: Final = struct.Struct(">HH4x4Q")
_QUEUE10: Final = struct.Struct(">H2xI3Q")
_QUEUE11: Final = struct.Struct(">II3Q")
_QUEUE13: Final = struct.Struct(">II3QII")
_QUEUE14: Final = struct.Struct(">H6xII3QII")
_FEATURES: Final = struct.Struct(">HB5x32sQQII")
_UNKNOWN: Final = 0xFFFFFFFF


def _text(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def _fixed_entries(body: bytes, layout: struct.Struct, what: str) -> Iterable[tuple[Any, ...]]:
    if len(body) % layout.size:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(body)} bytes of {what} of {layout.size}")
    return layout.iter_unpack(body)


def _duration(seconds: int, nanoseconds: int) -> int | None:
    return None if seconds == _UNKNOWN and nanoseconds == _UNKNOWN else read_duration(seconds, nanoseconds)


def _raw_duration(duration_ns: int | None) -> tuple[int, int]:
    return (_UNKNOWN, _UNKNOWN) if duration_ns is None else divmod(duration_ns, NANOSECONDS)


# Description


def _read_description(body: bytes, _version: int, _dialect: Dialect) -> mp.DescReply:
    manufacturer, hardware, software, serial_number, datapath = (_text(raw) for raw in _DESCRIPTION.unpack(body))
    return mp.DescReply(manufacturer, hardware, software, serial_number, datapath)


def _write_description(message: mp.DescReply, _version: int, _dialect: Dialect) -> bytes:
    return b"".join(
        (
            encode_name(message.manufacturer, 256),
            encode_name(message.hardware, 256),
            encode_name(message.software, 256),
            encode_name(message.serial_number, 32),
            encode_name(message.datapath, 256),
        )
    )


# Tables


def _read_tables10(body: bytes, _version: int, _dialect: Dialect) -> mp.TableStatsReply:
    return mp.TableStatsReply(
        tuple(
            mp.TableStats(table_id, active, lookups, matched, _text(name), max_entries, wildcards)
            for table_id, name, wildcards, max_entries, active, lookups, matched in _fixed_entries(
                body, _TABLE10, "tables"
            )
        )
    )


def _write_tables10(message: mp.TableStatsReply, _version: int, _dialect: Dialect) -> bytes:
    return b"".join(
        _TABLE10.pack(
            table.table_id,
            encode_name(table.name, 32),
            table.wildcards,
            table.max_entries,
            table.active_count,
            table.lookup_count,
            table.matched_count,
        )
        for table in message.entries
    )


def _read_tables13(body: bytes, _version: int, _dialect: Dialect) -> mp.TableStatsReply:
    return mp.TableStatsReply(tuple(mp.TableStats(*numbers) for numbers in _fixed_entries(body, _TABLE13, "tables")))


def _write_tables13(message: mp.TableStatsReply, _version: int, _dialect: Dialect) -> bytes:
    return b"".join(
        _TABLE13.pack(table.table_id, table.active_count, table.lookup_count, table.matched_count)
        for table in message.entries
    )


# Ports


def _read_port_request(body: bytes, version: int, _dialect: Dialect) -> mp.PortStatsRequest:
    number = int.from_bytes(body[: 2 if version == OF10 else 4], "big")
    return mp.PortStatsRequest(from_of10(number) if version == OF10 else OfPort(number))


def _write_port_request(message: mp.PortStatsRequest, version: int, _dialect: Dialect) -> bytes:
    return struct.pack(">H6x", to_of10(message.port_no)) if version == OF10 else struct.pack(">I4x", message.port_no)


_PORT_LAYOUTS: Final = {OF10: _PORT10, OF11: _PORT11, OF12: _PORT11, OF13: _PORT13}


def _read_port_stats(body: bytes, version: int, _dialect: Dialect) -> mp.PortStatsReply:
    if version >= OF14:
        return mp.PortStatsReply(tuple(_read_port_stats14(data) for data in _sized_entries(body, _PORT14.size)))
    entries = []
    for number, *rest in _fixed_entries(body, _PORT_LAYOUTS[version], "ports"):
        port_no = from_of10(number) if version == OF10 else OfPort(number)
        numbers: list[Any] = [*rest[:12], _duration(*rest[12:]) if rest[12:] else None]
        entries.append(mp.PortStats(port_no, *numbers))
    return mp.PortStatsReply(tuple(entries))


def _read_port_stats14(data: bytes) -> mp.PortStats:
    _, port_no, seconds, nanoseconds, *counters = _PORT14.unpack_from(data)
    ethernet = [UNKNOWN_COUNT] * 4
    for kind, body in properties(data[_PORT14.size :]):
        if kind == 0 and len(body) == _PORT14_ETHERNET.size - 4:
            ethernet = list(struct.unpack(">4x4Q", body))
    numbers: list[Any] = [*counters, *ethernet, _duration(seconds, nanoseconds)]
    return mp.PortStats(OfPort(port_no), *numbers)


def _write_port_stats(message: mp.PortStatsReply, version: int, _dialect: Dialect) -> bytes:
    return b"".join(_port_stats(entry, version) for entry in message.entries)


def _port_stats(entry: mp.PortStats, version: int) -> bytes:
    counters = (
        entry.rx_packets,
        entry.tx_packets,
        entry.rx_bytes,
        entry.tx_bytes,
        entry.rx_dropped,
        entry.tx_dropped,
        entry.rx_errors,
        entry.tx_errors,
    )
    ethernet = (entry.rx_frame_errors, entry.rx_over_errors, entry.rx_crc_errors, entry.collisions)
    if version == OF10:
        return _PORT10.pack(to_of10(entry.port_no), *counters, *ethernet)
    if version < OF13:
        return _PORT11.pack(entry.port_no, *counters, *ethernet)
    seconds, nanoseconds = _raw_duration(entry.duration_ns)
    if version == OF13:
        return _PORT13.pack(entry.port_no, *counters, *ethernet, seconds, nanoseconds)
    length = _PORT14.size + _PORT14_ETHERNET.size
    return _PORT14.pack(length, entry.port_no, seconds, nanoseconds, *counters) + _PORT14_ETHERNET.pack(
        0, _PORT14_ETHERNET.size, *ethernet
    )


def _sized_entries(body: bytes, least: int) -> Iterable[bytes]:
    """Entries that begin with their own length."""
    pos = 0
    while pos < len(body):
        length = int.from_bytes(body[pos : pos + 2], "big")
        if length < least or length > len(body) - pos:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"entry of {length} bytes, {len(body) - pos} left")
        yield body[pos : pos + length]
        pos += (length + 7) // 8 * 8


def _read_port_desc_request15(body: bytes, _version: int, _dialect: Dialect) -> mp.PortDescRequest:
    return mp.PortDescRequest(OfPort(int.from_bytes(body[:4], "big")))


def _write_port_desc_request15(message: mp.PortDescRequest, _version: int, _dialect: Dialect) -> bytes:
    return struct.pack(">I4x", message.port_no)


def _read_port_desc(body: bytes, version: int, _dialect: Dialect) -> mp.PortDescReply:
    return mp.PortDescReply(decode_ports(body, version))


def _write_port_desc(message: mp.PortDescReply, version: int, _dialect: Dialect) -> bytes:
    return encode_ports(message.ports, version)


# Queues


def _read_queue_request(body: bytes, version: int, _dialect: Dialect) -> mp.QueueStatsRequest:
    if version == OF10:
        number, queue_id = struct.unpack(">H2xI", body)
        return mp.QueueStatsRequest(from_of10(number), queue_id)
    number, queue_id = struct.unpack(">II", body)
    return mp.QueueStatsRequest(OfPort(number), queue_id)


def _write_queue_request(message: mp.QueueStatsRequest, version: int, _dialect: Dialect) -> bytes:
    if version == OF10:
        return struct.pack(">H2xI", to_of10(message.port_no), message.queue_id)
    return struct.pack(">II", message.port_no, message.queue_id)


_QUEUE_LAYOUTS: Final = {OF10: _QUEUE10, OF11: _QUEUE11, OF12: _QUEUE11, OF13: _QUEUE13}


def _read_queue_stats(body: bytes, version: int, _dialect: Dialect) -> mp.QueueStatsReply:
    if version >= OF14:
        rows: Iterable[tuple[Any, ...]] = (
            _QUEUE14.unpack_from(data)[1:] for data in _sized_entries(body, _QUEUE14.size)
        )
    else:
        rows = _fixed_entries(body, _QUEUE_LAYOUTS[version], "queues")
    entries = []
    for number, queue_id, tx_bytes, tx_packets, tx_errors, *duration in rows:
        port_no = from_of10(number) if version == OF10 else OfPort(number)
        since = _duration(*duration) if duration else None
        entries.append(mp.QueueStats(port_no, queue_id, tx_bytes, tx_packets, tx_errors, since))
    return mp.QueueStatsReply(tuple(entries))


def _write_queue_stats(message: mp.QueueStatsReply, version: int, _dialect: Dialect) -> bytes:
    return b"".join(_queue_stats(entry, version) for entry in message.entries)


def _queue_stats(entry: mp.QueueStats, version: int) -> bytes:
    counters = (entry.queue_id, entry.tx_bytes, entry.tx_packets, entry.tx_errors)
    if version == OF10:
        return _QUEUE10.pack(to_of10(entry.port_no), *counters)
    if version < OF13:
        return _QUEUE11.pack(entry.port_no, *counters)
    duration = _raw_duration(entry.duration_ns)
    if version == OF13:
        return _QUEUE13.pack(entry.port_no, *counters, *duration)
    return _QUEUE14.pack(_QUEUE14.size, entry.port_no, *counters, *duration)


# Table features (OpenFlow 1.3.5 section 7.3.5.5)

_ID_KINDS: Final = frozenset(
    {
        mp.TablePropertyKind.INSTRUCTIONS,
        mp.TablePropertyKind.INSTRUCTIONS_MISS,
        mp.TablePropertyKind.WRITE_ACTIONS,
        mp.TablePropertyKind.WRITE_ACTIONS_MISS,
        mp.TablePropertyKind.APPLY_ACTIONS,
        mp.TablePropertyKind.APPLY_ACTIONS_MISS,
    }
)
_TABLE_KINDS: Final = frozenset({mp.TablePropertyKind.NEXT_TABLES, mp.TablePropertyKind.NEXT_TABLES_MISS})


def _read_features(kind: type[Any], body: bytes) -> Any:
    return kind(tuple(_table_features(data) for data in _sized_entries(body, _FEATURES.size)))


def _table_features(data: bytes) -> mp.TableFeatures:
    _, table_id, name, metadata_match, metadata_write, config, max_entries = _FEATURES.unpack_from(data)
    found = []
    try:
        for number, body in properties(data[_FEATURES.size :]):
            if number not in mp.TablePropertyKind._value2member_map_:
                raise OpenFlowError("OFPBPC_BAD_TYPE", f"table feature {number}")
            kind = mp.TablePropertyKind(number)
            found.append(mp.TableProperty(kind, tuple(_property_values(kind, body))))
    except OpenFlowError as error:
        if error.name == "OFPBPC_BAD_LEN":
            raise OpenFlowError("OFPBPC_BAD_LEN", f"table {table_id}: {error.detail}") from error
        raise
    return mp.TableFeatures(table_id, _text(name), metadata_match, metadata_write, config, max_entries, tuple(found))


def _property_values(kind: mp.TablePropertyKind, body: bytes) -> Iterable[int]:
    if kind in _TABLE_KINDS:
        yield from body
        return
    pos = 0
    while pos < len(body):
        if len(body) - pos < 4:
            raise OpenFlowError("OFPBPC_BAD_LEN", f"{len(body) - pos} bytes left in {kind.name}")
        head = int.from_bytes(body[pos : pos + 4], "big")
        if kind in _ID_KINDS:
            yield head >> 16
            pos += max(4, head & 0xFFFF)
        elif head >> 16 == OXM_CLASS_EXPERIMENTER:
            yield int.from_bytes(body[pos : pos + 8], "big")
            pos += 8
        else:
            yield head
            pos += 4


def _write_features(
    message: mp.TableFeaturesRequest | mp.TableFeaturesReply, _version: int, _dialect: Dialect
) -> bytes:
    return b"".join(encode_table_features(entry) for entry in message.entries)


def encode_table_features(entry: mp.TableFeatures) -> bytes:
    """One table's features; there may be too many tables for one message, see `codec.multipart_parts`."""
    body = b"".join(_property(item) for item in entry.properties)
    return (
        _FEATURES.pack(
            _FEATURES.size + len(body),
            entry.table_id,
            encode_name(entry.name, 32),
            entry.metadata_match,
            entry.metadata_write,
            entry.config,
            entry.max_entries,
        )
        + body
    )


def _property(item: mp.TableProperty) -> bytes:
    if item.kind in _TABLE_KINDS:
        data = bytes(item.values)
    elif item.kind in _ID_KINDS:
        data = b"".join(struct.pack(">HH", value, 4) for value in item.values)
    else:
        data = b"".join(value.to_bytes(8 if value >> 32 else 4, "big") for value in item.values)
    return padded(struct.pack(">HH", item.kind, 4 + len(data)) + data)


def _read_features_request(body: bytes, _version: int, _dialect: Dialect) -> mp.TableFeaturesRequest:
    request: mp.TableFeaturesRequest = _read_features(mp.TableFeaturesRequest, body)
    return request


def _read_features_reply(body: bytes, _version: int, _dialect: Dialect) -> mp.TableFeaturesReply:
    reply: mp.TableFeaturesReply = _read_features(mp.TableFeaturesReply, body)
    return reply


REQUEST_ROWS: Final = (
    Row(mp.DescRequest, 0, *empty(mp.DescRequest)),
    Row(mp.TableStatsRequest, 3, *empty(mp.TableStatsRequest)),
    Row(mp.PortStatsRequest, 4, _read_port_request, _write_port_request, 8),
    Row(mp.QueueStatsRequest, 5, _read_queue_request, _write_queue_request, 8),
    Row(mp.TableFeaturesRequest, 12, _read_features_request, _write_features, longer=True, first=OF13, last=OF14),
    Row(mp.PortDescRequest, 13, *empty(mp.PortDescRequest), last=OF14),
    Row(mp.PortDescRequest, 13, _read_port_desc_request15, _write_port_desc_request15, 8, first=OF15),
)

REPLY_ROWS: Final = (
    Row(mp.DescReply, 0, _read_description, _write_description, _DESCRIPTION.size),
    Row(mp.TableStatsReply, 3, _read_tables10, _write_tables10, longer=True, last=OF10),
    Row(mp.TableStatsReply, 3, _read_tables13, _write_tables13, longer=True, first=OF13),
    Row(mp.PortStatsReply, 4, _read_port_stats, _write_port_stats, longer=True),
    Row(mp.QueueStatsReply, 5, _read_queue_stats, _write_queue_stats, longer=True),
    Row(mp.TableFeaturesReply, 12, _read_features_reply, _write_features, longer=True, first=OF13, last=OF14),
    Row(mp.PortDescReply, 13, _read_port_desc, _write_port_desc, longer=True),
)
