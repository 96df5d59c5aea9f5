"""The session on the wire: hello, errors, echo, barrier, features, configuration, roles, queues, Nicira's choices.

Sources: OpenFlow 1.0.1 sections 5.3 and 5.5; 1.3.5 sections 7.3 and 7.5; nicira extension messages NXT_*.
"""

from __future__ import annotations

import struct
from typing import Final

from jackfield.flow.ports import OfPort, from_of10, to_of10
from jackfield.openflow import messages as m
from jackfield.openflow.codec_table import Row, empty
from jackfield.openflow.dialect import OF10, OF11, OF12, OF13, OF14, OF15, Dialect
from jackfield.openflow.errors import EXPERIMENTER_ERROR, NX_VENDOR_ERROR, OpenFlowError, WireError, error_name
from jackfield.openflow.port_codec import decode_ports, encode_ports

NXT_ROLE_REQUEST: Final = 10
NXT_ROLE_REPLY: Final = 11
NXT_SET_FLOW_FORMAT: Final = 12
NXT_FLOW_MOD_TABLE_ID: Final = 15
NXT_SET_PACKET_IN_FORMAT: Final = 16
NXT_SET_ASYNC_CONFIG: Final = 19
NXT_SET_CONTROLLER_ID: Final = 20

_FEATURES: Final = struct.Struct(">QIBB2xII")
_HELLO_BITMAP: Final = 1
_MAX_HELLO_VERSION: Final = 31

# Hello (OpenFlow 1.3.5 section 7.5.1)


def decode_hello(body: bytes, version: int) -> m.Hello:
    """What a peer speaks: the bitmap's versions if there is one, else all up to the header's `version`."""
    pos = 0
    while pos + 4 <= len(body):
        kind, length = struct.unpack_from(">HH", body, pos)
        if length < 4 or pos + length > len(body):
            break
        if kind == _HELLO_BITMAP and length >= 8:
            bits = int.from_bytes(body[pos + 4 : pos + 8], "big")
            return m.Hello(frozenset(number for number in range(1, _MAX_HELLO_VERSION + 1) if bits >> number & 1))
        pos += (length + 7) // 8 * 8
    return m.Hello(frozenset(range(1, version + 1)))


def _write_hello(message: m.Hello, _version: int, _dialect: Dialect) -> bytes:
    bits = sum(1 << version for version in message.versions)
    return struct.pack(">HHI", _HELLO_BITMAP, 8, bits)


# Errors (OpenFlow 1.0.1 section 5.4.4, 1.3.5 section 7.5.4)


def _read_error(body: bytes, version: int, _dialect: Dialect) -> m.ErrorMsg:
    kind, code = struct.unpack_from(">HH", body)
    experimenter, data = 0, body[4:]
    if version <= OF11 and kind == NX_VENDOR_ERROR and len(data) >= 8:
        experimenter, kind, code = struct.unpack_from(">IHH", data)
        data = data[8:]
    elif version >= OF12 and kind == EXPERIMENTER_ERROR and len(data) >= 4:
        experimenter, kind, code = int.from_bytes(data[:4], "big"), code, 0
        data = data[4:]
    return m.ErrorMsg(error_name(WireError(experimenter, kind, code), version), kind, code, data, experimenter)


def _write_error(message: m.ErrorMsg, version: int, _dialect: Dialect) -> bytes:
    if not message.experimenter:
        return struct.pack(">HH", message.type, message.code) + message.data
    if version <= OF11:
        return (
            struct.pack(">HHIHH", NX_VENDOR_ERROR, 0, message.experimenter, message.type, message.code) + message.data
        )
    return struct.pack(">HHI", EXPERIMENTER_ERROR, message.type, message.experimenter) + message.data


def _read_echo_request(body: bytes, _version: int, _dialect: Dialect) -> m.EchoRequest:
    return m.EchoRequest(body)


def _read_echo_reply(body: bytes, _version: int, _dialect: Dialect) -> m.EchoReply:
    return m.EchoReply(body)


def _write_echo(message: m.EchoRequest | m.EchoReply, _version: int, _dialect: Dialect) -> bytes:
    return message.data


# Features and configuration

_CAPABILITIES: Final = {
    OF10: (m.Capability(0xE7), True),
    OF11: (m.Capability(0xEF), False),
    OF12: (m.Capability(0x16F), False),
    OF13: (m.Capability(0x16F), False),
    OF14: (m.Capability(0x16F), False),
    OF15: (m.Capability(0x76F), False),
}
"""The bits each version has, and whether its bit 3 is spanning tree (not groups)."""

_BIT3: Final = 1 << 3


def _read_features(body: bytes, version: int, _dialect: Dialect) -> m.FeaturesReply:
    datapath_id, n_buffers, n_tables, auxiliary_id, bits, actions = _FEATURES.unpack_from(body)
    known, bit3_is_stp = _CAPABILITIES[version]
    capabilities = m.Capability(bits & known)
    if bit3_is_stp and bits & _BIT3:
        capabilities |= m.Capability.STP
    ports = decode_ports(body[_FEATURES.size :], version) if version < OF13 else ()
    return m.FeaturesReply(
        datapath_id,
        n_buffers,
        n_tables,
        capabilities,
        auxiliary_id if version >= OF13 else 0,
        actions if version == OF10 else 0,
        ports,
    )


def _write_features(message: m.FeaturesReply, version: int, _dialect: Dialect) -> bytes:
    known, bit3_is_stp = _CAPABILITIES[version]
    bits = int(message.capabilities & known)
    if bit3_is_stp and message.capabilities & m.Capability.STP:
        bits |= _BIT3
    return _FEATURES.pack(
        message.datapath_id,
        message.n_buffers,
        message.n_tables,
        message.auxiliary_id if version >= OF13 else 0,
        bits,
        message.actions if version == OF10 else 0,
    ) + (encode_ports(message.ports, version) if version < OF13 else b"")


_FRAGMENT_BITS: Final = 3
_INVALID_TTL: Final = 4
_HAS_INVALID_TTL: Final = (OF11, OF12)


def _config(body: bytes, version: int) -> tuple[m.FragmentHandling, int, bool]:
    flags, miss_send_len = struct.unpack(">HH", body)
    known = _FRAGMENT_BITS | (_INVALID_TTL if version in _HAS_INVALID_TTL else 0)
    if flags & ~known:
        raise OpenFlowError("OFPSCFC_BAD_FLAGS", f"configuration flags {flags:#x}")
    return m.FragmentHandling(flags & _FRAGMENT_BITS), miss_send_len, bool(flags & _INVALID_TTL)


def _read_get_config(body: bytes, version: int, _dialect: Dialect) -> m.GetConfigReply:
    return m.GetConfigReply(*_config(body, version))


def _read_set_config(body: bytes, version: int, _dialect: Dialect) -> m.SetConfig:
    return m.SetConfig(*_config(body, version))


def _write_config(message: m.GetConfigReply | m.SetConfig, version: int, _dialect: Dialect) -> bytes:
    invalid_ttl = message.invalid_ttl_to_controller and version in _HAS_INVALID_TTL
    return struct.pack(">HH", message.fragments | (_INVALID_TTL if invalid_ttl else 0), message.miss_send_len)


# Roles and asynchronous messages

_ROLE: Final = struct.Struct(">I4xQ")
_NX_ROLES: Final = (m.Role.EQUAL, m.Role.PRIMARY, m.Role.SECONDARY)


def _role(body: bytes) -> tuple[m.Role, int]:
    role, generation_id = _ROLE.unpack(body)
    if role > m.Role.SECONDARY:
        raise OpenFlowError("OFPRRFC_BAD_ROLE", f"role {role}")
    return m.Role(role), generation_id


def _nx_role(body: bytes) -> m.Role:
    number = int.from_bytes(body, "big")
    if number >= len(_NX_ROLES):
        raise OpenFlowError("OFPRRFC_BAD_ROLE", f"Nicira role {number}")
    return _NX_ROLES[number]


def _read_role_request(body: bytes, _version: int, _dialect: Dialect) -> m.RoleRequest:
    role, generation_id = _role(body)
    counts = role in (m.Role.PRIMARY, m.Role.SECONDARY)
    return m.RoleRequest(role, generation_id if counts else None)


def _read_role_reply(body: bytes, _version: int, _dialect: Dialect) -> m.RoleReply:
    return m.RoleReply(*_role(body))


def _write_role(message: m.RoleRequest | m.RoleReply, _version: int, _dialect: Dialect) -> bytes:
    return _ROLE.pack(message.role, message.generation_id or 0)


def _read_nx_role_request(body: bytes, _version: int, _dialect: Dialect) -> m.RoleRequest:
    return m.RoleRequest(_nx_role(body))


def _read_nx_role_reply(body: bytes, _version: int, _dialect: Dialect) -> m.RoleReply:
    return m.RoleReply(_nx_role(body))


def _write_nx_role(message: m.RoleRequest | m.RoleReply, _version: int, _dialect: Dialect) -> bytes:
    if message.role not in _NX_ROLES:
        raise ValueError("NOCHANGE: Nicira's role request has no such role")
    return _NX_ROLES.index(message.role).to_bytes(4, "big")


_ASYNC: Final = struct.Struct(">6I")


def _async(body: bytes) -> m.AsyncConfig:
    masks = _ASYNC.unpack(body)
    return m.AsyncConfig(masks[0::2], masks[1::2])


def _read_get_async(body: bytes, _version: int, _dialect: Dialect) -> m.GetAsyncReply:
    return m.GetAsyncReply(_async(body))


def _read_set_async(body: bytes, _version: int, _dialect: Dialect) -> m.SetAsyncConfig:
    return m.SetAsyncConfig(_async(body))


def _write_async(message: m.GetAsyncReply | m.SetAsyncConfig, _version: int, _dialect: Dialect) -> bytes:
    pairs = zip(message.config.primary, message.config.secondary, strict=True)
    return _ASYNC.pack(*(mask for pair in pairs for mask in pair))


# Nicira's choices


def _choice(enumeration: type[m.PacketInFormat] | type[m.FlowFormat], body: bytes) -> int:
    number = int.from_bytes(body, "big")
    if number not in enumeration._value2member_map_:
        raise OpenFlowError("OFPBRC_EPERM", f"{enumeration.__name__} {number}")
    return number


def _read_packet_in_format(body: bytes, _version: int, _dialect: Dialect) -> m.SetPacketInFormat:
    return m.SetPacketInFormat(m.PacketInFormat(_choice(m.PacketInFormat, body)))


def _read_flow_format(body: bytes, _version: int, _dialect: Dialect) -> m.SetFlowFormat:
    return m.SetFlowFormat(m.FlowFormat(_choice(m.FlowFormat, body)))


def _write_format(message: m.SetPacketInFormat | m.SetFlowFormat, _version: int, _dialect: Dialect) -> bytes:
    return message.format.to_bytes(4, "big")


def _read_table_id(body: bytes, _version: int, _dialect: Dialect) -> m.FlowModTableId:
    return m.FlowModTableId(body[0] != 0)


def _write_table_id(message: m.FlowModTableId, _version: int, _dialect: Dialect) -> bytes:
    return struct.pack(">B7x", message.enabled)


def _read_controller_id(body: bytes, _version: int, _dialect: Dialect) -> m.SetControllerId:
    if any(body[:6]):
        raise OpenFlowError("NXBRC_MUST_BE_ZERO", "padding of NXT_SET_CONTROLLER_ID")
    return m.SetControllerId(int.from_bytes(body[6:], "big"))


def _write_controller_id(message: m.SetControllerId, _version: int, _dialect: Dialect) -> bytes:
    return message.controller_id.to_bytes(8, "big")


# Queue configuration (OpenFlow 1.0.1 section 5.3.4, up to 1.3)

_QUEUE10: Final = struct.Struct(">IH2x")
_QUEUE11: Final = struct.Struct(">IIH6x")
_QUEUE_RATE: Final = struct.Struct(">HH4xH6x")
_MIN_RATE: Final = 1
_MAX_RATE: Final = 2
_MAX_PERMILLE: Final = 1000


def _read_queue_request(body: bytes, version: int, _dialect: Dialect) -> m.QueueGetConfigRequest:
    if version == OF10:
        return m.QueueGetConfigRequest(from_of10(int.from_bytes(body[:2], "big")))
    return m.QueueGetConfigRequest(OfPort(int.from_bytes(body[:4], "big")))


def _write_queue_request(message: m.QueueGetConfigRequest, version: int, _dialect: Dialect) -> bytes:
    return struct.pack(">H2x", to_of10(message.port_no)) if version == OF10 else struct.pack(">I4x", message.port_no)


def _read_queues(body: bytes, version: int, _dialect: Dialect) -> m.QueueGetConfigReply:
    port_no = from_of10(int.from_bytes(body[:2], "big")) if version == OF10 else OfPort(int.from_bytes(body[:4], "big"))
    layout = _QUEUE10 if version == OF10 else _QUEUE11
    queues = []
    pos = 8
    while pos < len(body):
        if len(body) - pos < layout.size:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(body) - pos} bytes left, a queue needs {layout.size}")
        queue_id, *queue_port, length = layout.unpack_from(body, pos)
        if length < layout.size or length > len(body) - pos:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"queue of {length} bytes")
        rates = _queue_rates(body[pos + layout.size : pos + length])
        owner = OfPort(queue_port[0]) if queue_port else port_no
        queues.append(m.PacketQueue(queue_id, owner, rates.get(_MIN_RATE), rates.get(_MAX_RATE)))
        pos += length
    return m.QueueGetConfigReply(port_no, tuple(queues))


def _queue_rates(data: bytes) -> dict[int, int]:
    rates: dict[int, int] = {}
    pos = 0
    while pos < len(data):
        if len(data) - pos < 8:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(data) - pos} bytes left, a queue property needs 8")
        kind, length = struct.unpack_from(">HH", data, pos)
        if length < 8 or length > len(data) - pos:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"queue property of {length} bytes")
        if kind in (_MIN_RATE, _MAX_RATE) and length == _QUEUE_RATE.size:
            rate = int.from_bytes(data[pos + 8 : pos + 10], "big")
            # A rate above 100 % says that it is not set.
            if rate <= _MAX_PERMILLE:
                rates[kind] = rate
        pos += length
    return rates


def _write_queues(message: m.QueueGetConfigReply, version: int, _dialect: Dialect) -> bytes:
    parts = [struct.pack(">H6x", to_of10(message.port_no)) if version == OF10 else struct.pack(">I4x", message.port_no)]
    for queue in message.queues:
        rates = b"".join(
            _QUEUE_RATE.pack(kind, _QUEUE_RATE.size, rate)
            for kind, rate in ((_MIN_RATE, queue.min_rate), (_MAX_RATE, queue.max_rate))
            if rate is not None
        )
        if version == OF10:
            parts.append(_QUEUE10.pack(queue.queue_id, _QUEUE10.size + len(rates)) + rates)
        else:
            parts.append(_QUEUE11.pack(queue.queue_id, queue.port_no, _QUEUE11.size + len(rates)) + rates)
    return b"".join(parts)


def _read_hello(body: bytes, version: int, _dialect: Dialect) -> m.Hello:
    return decode_hello(body, version)


ROWS: Final = (
    Row(m.Hello, 0, _read_hello, _write_hello, longer=True),
    Row(m.ErrorMsg, 1, _read_error, _write_error, 4, longer=True),
    Row(m.EchoRequest, 2, _read_echo_request, _write_echo, longer=True),
    Row(m.EchoReply, 3, _read_echo_reply, _write_echo, longer=True),
    Row(m.FeaturesRequest, 5, *empty(m.FeaturesRequest)),
    Row(m.FeaturesReply, 6, _read_features, _write_features, _FEATURES.size, longer=True, last=OF12),
    Row(m.FeaturesReply, 6, _read_features, _write_features, _FEATURES.size, first=OF13),
    Row(m.GetConfigRequest, 7, *empty(m.GetConfigRequest)),
    Row(m.GetConfigReply, 8, _read_get_config, _write_config, 4),
    Row(m.SetConfig, 9, _read_set_config, _write_config, 4),
    Row(m.BarrierRequest, 18, *empty(m.BarrierRequest), last=OF10),
    Row(m.BarrierReply, 19, *empty(m.BarrierReply), last=OF10),
    Row(m.BarrierRequest, 20, *empty(m.BarrierRequest), first=OF11),
    Row(m.BarrierReply, 21, *empty(m.BarrierReply), first=OF11),
    Row(m.QueueGetConfigRequest, 20, _read_queue_request, _write_queue_request, 4, last=OF10),
    Row(m.QueueGetConfigReply, 21, _read_queues, _write_queues, 8, longer=True, last=OF10),
    Row(m.QueueGetConfigRequest, 22, _read_queue_request, _write_queue_request, 8, first=OF11, last=OF13),
    Row(m.QueueGetConfigReply, 23, _read_queues, _write_queues, 8, longer=True, first=OF11, last=OF13),
    Row(m.RoleRequest, 24, _read_role_request, _write_role, _ROLE.size, first=OF12),
    Row(m.RoleReply, 25, _read_role_reply, _write_role, _ROLE.size, first=OF12),
    Row(m.GetAsyncRequest, 26, *empty(m.GetAsyncRequest), first=OF13, last=OF13),
    Row(m.GetAsyncReply, 27, _read_get_async, _write_async, _ASYNC.size, first=OF13, last=OF13),
    Row(m.SetAsyncConfig, 28, _read_set_async, _write_async, _ASYNC.size, first=OF13, last=OF13),
)

NICIRA_ROWS: Final = (
    Row(m.RoleRequest, NXT_ROLE_REQUEST, _read_nx_role_request, _write_nx_role, 4, last=OF11),
    Row(m.RoleReply, NXT_ROLE_REPLY, _read_nx_role_reply, _write_nx_role, 4, last=OF11),
    Row(m.SetFlowFormat, NXT_SET_FLOW_FORMAT, _read_flow_format, _write_format, 4, last=OF10),
    Row(m.FlowModTableId, NXT_FLOW_MOD_TABLE_ID, _read_table_id, _write_table_id, 8, last=OF10),
    Row(m.SetPacketInFormat, NXT_SET_PACKET_IN_FORMAT, _read_packet_in_format, _write_format, 4),
    Row(m.SetAsyncConfig, NXT_SET_ASYNC_CONFIG, _read_set_async, _write_async, _ASYNC.size),
    Row(m.SetControllerId, NXT_SET_CONTROLLER_ID, _read_controller_id, _write_controller_id, 8),
)
