"""Ports on the wire: descriptions, their changes, requests to change them (OpenFlow 1.0.1 section 5.2.1.

1.3.5 and 1.4.1 section 7.2.1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, Final

from jackfield.flow.ports import OfPort, from_of10, to_of10
from jackfield.openflow.codec_table import Row
from jackfield.openflow.dialect import OF10, OF11, OF13, OF14, Dialect
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import (
    NO_FEATURES,
    PortConfig,
    PortDescription,
    PortFeature,
    PortMod,
    PortReason,
    PortState,
    PortStatus,
)

_PORT10: Final = struct.Struct(">H6s16s6I")
_PORT11: Final = struct.Struct(">I4x6s2x16s8I")
_PORT14: Final = struct.Struct(">IH2x6s2x16sII")
_ETHERNET_PROPERTY: Final = struct.Struct(">HH4x6I")
_PORT_MOD10: Final = struct.Struct(">H6sIII4x")
_PORT_MOD11: Final = struct.Struct(">I4x6s2xIII4x")
_PORT_MOD14: Final = struct.Struct(">I4x6s2xII")
_ADVERTISE_PROPERTY: Final = struct.Struct(">HHI")
_ETHERNET: Final = 0

_CONFIG10: Final = 0x7F
_CONFIG11: Final = PortConfig.PORT_DOWN | PortConfig.NO_RECV | PortConfig.NO_FWD | PortConfig.NO_PACKET_IN
_STATE10: Final = PortState.LINK_DOWN | PortState.STP_MASK
_STATE11: Final = PortState.LINK_DOWN | PortState.BLOCKED | PortState.LIVE

# OpenFlow 1.0 numbers the features up to 10 Gbit/s alike and has the media right after them.
_FEATURES_SAME: Final = 0x7F
_FEATURES_SHIFT: Final = 4
_FEATURES10_MEDIA: Final = 0xF80


def features_from_of10(bits: int) -> PortFeature:
    """OpenFlow 1.0's feature bits in the numbering of later versions."""
    return PortFeature(bits & _FEATURES_SAME | (bits & _FEATURES10_MEDIA) << _FEATURES_SHIFT)


def features_to_of10(features: PortFeature) -> int:
    """Feature bits for OpenFlow 1.0; speeds it does not know are left out."""
    return features & _FEATURES_SAME | features >> _FEATURES_SHIFT & _FEATURES10_MEDIA


def _name(raw: bytes) -> str:
    return raw.split(b"\0", 1)[0].decode("utf-8", "replace")


def encode_name(name: str, n_bytes: int) -> bytes:
    """A name in a field of `n_bytes` that ends with a zero, cut where it is too long."""
    return name.encode()[: n_bytes - 1].ljust(n_bytes, b"\0")


def encode_port(port: PortDescription, version: int) -> bytes:
    """ofp_phy_port or ofp_port."""
    address, name = port.hw_addr.to_bytes(6, "big"), encode_name(port.name, 16)
    features = (port.current, port.advertised, port.supported, port.peer)
    if version == OF10:
        return _PORT10.pack(
            to_of10(port.port_no),
            address,
            name,
            port.config & _CONFIG10,
            port.state & _STATE10,
            *(features_to_of10(bits) for bits in features),
        )
    config, state = port.config & _CONFIG11, port.state & _STATE11
    speeds = (port.current_speed, port.max_speed)
    if version < OF14:
        return _PORT11.pack(port.port_no, address, name, config, state, *features, *speeds)
    ethernet = _ETHERNET_PROPERTY.pack(_ETHERNET, _ETHERNET_PROPERTY.size, *features, *speeds)
    return _PORT14.pack(port.port_no, _PORT14.size + len(ethernet), address, name, config, state) + ethernet


def encode_ports(ports: Iterable[PortDescription], version: int) -> bytes:
    """Descriptions one after another."""
    return b"".join(encode_port(port, version) for port in ports)


def decode_ports(data: bytes, version: int) -> tuple[PortDescription, ...]:
    """Descriptions that fill the data.

    Raises:
        OpenFlowError: OFPBRC_BAD_LEN.
    """
    if version >= OF14:
        return tuple(_decode_ports14(data))
    layout = _PORT10 if version == OF10 else _PORT11
    if len(data) % layout.size:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(data)} bytes of ports of {layout.size}")
    decode = _decode_port10 if version == OF10 else _decode_port11
    return tuple(decode(data, pos) for pos in range(0, len(data), layout.size))


def _decode_port10(data: bytes, pos: int) -> PortDescription:
    number, address, name, config, state, *features = _PORT10.unpack_from(data, pos)
    return PortDescription(
        from_of10(number),
        int.from_bytes(address, "big"),
        _name(name),
        PortConfig(config & _CONFIG10),
        PortState(state & _STATE10),
        *(features_from_of10(bits) for bits in features),
    )


def _decode_port11(data: bytes, pos: int) -> PortDescription:
    number, address, name, config, state, *rest = _PORT11.unpack_from(data, pos)
    features: list[Any] = [PortFeature(bits & 0xFFFF) for bits in rest[:4]]
    return PortDescription(
        OfPort(number),
        int.from_bytes(address, "big"),
        _name(name),
        PortConfig(config & _CONFIG11),
        PortState(state & _STATE11),
        *features,
        *rest[4:],
    )


def _decode_ports14(data: bytes) -> Iterable[PortDescription]:
    pos = 0
    while pos < len(data):
        if len(data) - pos < _PORT14.size:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"{len(data) - pos} bytes left, a port needs {_PORT14.size}")
        number, length, address, name, config, state = _PORT14.unpack_from(data, pos)
        if length < _PORT14.size or length > len(data) - pos:
            raise OpenFlowError("OFPBRC_BAD_LEN", f"port of {length} bytes")
        features, current_speed, max_speed = [NO_FEATURES] * 4, 0, 0
        for kind, body in properties(data[pos + _PORT14.size : pos + length]):
            if kind == _ETHERNET and len(body) == _ETHERNET_PROPERTY.size - 4:
                *bits, current_speed, max_speed = struct.unpack(">4x6I", body)
                features = [PortFeature(feature & 0xFFFF) for feature in bits]
        yield PortDescription(
            OfPort(number),
            int.from_bytes(address, "big"),
            _name(name),
            PortConfig(config & _CONFIG11),
            PortState(state & _STATE11),
            features[0],
            features[1],
            features[2],
            features[3],
            current_speed,
            max_speed,
        )
        pos += length


def properties(data: bytes) -> Iterable[tuple[int, bytes]]:
    """The (type, body) of properties, each padded to 8 bytes (OpenFlow 1.4.1 section 7.1.2).

    Raises:
        OpenFlowError: OFPBPC_BAD_LEN.
    """
    pos = 0
    while pos < len(data):
        if len(data) - pos < 4:
            raise OpenFlowError("OFPBPC_BAD_LEN", f"{len(data) - pos} bytes left, a property needs 4")
        kind, length = struct.unpack_from(">HH", data, pos)
        if length < 4 or length > len(data) - pos:
            raise OpenFlowError("OFPBPC_BAD_LEN", f"property {kind} of {length} bytes")
        yield kind, data[pos + 4 : pos + length]
        pos += (length + 7) // 8 * 8


def _read_port_status(body: bytes, version: int, _dialect: Dialect) -> PortStatus:
    ports = decode_ports(body[8:], version)
    if len(ports) != 1:
        raise OpenFlowError("OFPBRC_BAD_LEN", f"port status of {len(ports)} ports")
    if body[0] > PortReason.MODIFY:
        raise OpenFlowError("NXBRC_BAD_REASON", f"port status reason {body[0]}")
    return PortStatus(PortReason(body[0]), ports[0])


def _write_port_status(message: PortStatus, version: int, _dialect: Dialect) -> bytes:
    return struct.pack(">B7x", message.reason) + encode_port(message.port, version)


def _read_port_mod(body: bytes, version: int, _dialect: Dialect) -> PortMod:
    if version == OF10:
        number, address, config, mask, advertise = _PORT_MOD10.unpack(body)
        port_no, features, known = from_of10(number), features_from_of10(advertise), _CONFIG10
    elif version < OF14:
        port_no, address, config, mask, advertise = _PORT_MOD11.unpack(body)
        features, known = PortFeature(advertise & 0xFFFF), int(_CONFIG11)
    else:
        port_no, address, config, mask = _PORT_MOD14.unpack_from(body)
        features, known = NO_FEATURES, int(_CONFIG11)
        for kind, data in properties(body[_PORT_MOD14.size :]):
            if kind != _ETHERNET or len(data) != 4:
                raise OpenFlowError("OFPBPC_BAD_TYPE" if kind != _ETHERNET else "OFPBPC_BAD_LEN", f"property {kind}")
            features = PortFeature(int.from_bytes(data, "big") & 0xFFFF)
    mask &= known
    return PortMod(port_no, int.from_bytes(address, "big"), PortConfig(config & mask), PortConfig(mask), features)


def _write_port_mod(message: PortMod, version: int, _dialect: Dialect) -> bytes:
    address = message.hw_addr.to_bytes(6, "big")
    if version == OF10:
        return _PORT_MOD10.pack(
            to_of10(message.port_no), address, message.config, message.mask, features_to_of10(message.advertise)
        )
    config, mask = message.config & _CONFIG11, message.mask & _CONFIG11
    if version < OF14:
        return _PORT_MOD11.pack(message.port_no, address, config, mask, message.advertise)
    advertise = _ADVERTISE_PROPERTY.pack(_ETHERNET, _ADVERTISE_PROPERTY.size, message.advertise)
    return _PORT_MOD14.pack(message.port_no, address, config, mask) + (advertise if message.advertise else b"")


ROWS: Final = (
    Row(PortStatus, 12, _read_port_status, _write_port_status, 8, longer=True),
    Row(PortMod, 15, _read_port_mod, _write_port_mod, _PORT_MOD10.size, last=OF10),
    Row(PortMod, 16, _read_port_mod, _write_port_mod, _PORT_MOD11.size, first=OF11, last=OF13),
    Row(PortMod, 16, _read_port_mod, _write_port_mod, _PORT_MOD14.size, longer=True, first=OF14),
)
