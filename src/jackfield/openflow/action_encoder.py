"""Actions to bytes, for every version; `action_decoder` is the other direction and names the sources.

A version that has no action of the kind asked for gets the one that does the same: OpenFlow 1.2 and later have
Set-Field in place of one action for each header field, OpenFlow 1.0 has Nicira's. What a version cannot say at all is
left out where `lossy` (a switch describing a flow that came over another connection), and refused otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any, Final

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.match import Match
from jackfield.flow.ports import to_of10
from jackfield.flow.prerequisites import Prerequisite
from jackfield.flow.subfield import Subfield
from jackfield.openflow import actions as a
from jackfield.openflow.actions import Action
from jackfield.openflow.dialect import OF10, OF11, OF12, OF15, VERSION_TEXT
from jackfield.openflow.errors import NX
from jackfield.openflow.oxm import field_to_wire, write_header

EXPERIMENTER_TYPE: Final = 0xFFFF
_NO_MATCH: Final = Match()
_MAX_LOAD_BITS: Final = 64


class UnwritableError(ValueError):
    """The version has no form for an action."""


def padded(data: bytes) -> bytes:
    """The data with zeros up to a multiple of 8 bytes."""
    return data + bytes(-len(data) % 8)


def _standard(number: int, body: bytes) -> bytes:
    data = padded(bytes(4) + body)
    return struct.pack(">HH", number, len(data)) + data[4:]


def _nicira(subtype: int, body: bytes = b"") -> bytes:
    data = padded(bytes(10) + body)
    return struct.pack(">HHIH", EXPERIMENTER_TYPE, len(data), NX, subtype) + data[10:]


def _u8(value: int) -> bytes:
    return value.to_bytes(1, "big")


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def _mac(value: int) -> bytes:
    return value.to_bytes(6, "big")


def _pad_u32(value: int) -> bytes:
    return bytes(2) + _u32(value)


def _pad_u64(value: int) -> bytes:
    return bytes(6) + value.to_bytes(8, "big")


def _unwritable(action: Action, version: int, _match: Match) -> bytes:
    raise UnwritableError(f"{type(action).__name__}: OpenFlow {VERSION_TEXT[version]} has no such action")


# Output and queues


def _output(action: a.Output, version: int, _match: Match) -> bytes:
    if version == OF10:
        return struct.pack(">HHHH", 0, 8, to_of10(action.port), action.max_len)
    return struct.pack(">HHIH6x", 0, 16, action.port, action.max_len)


def _output_reg(action: a.OutputReg, version: int, _match: Match) -> bytes:
    header = write_header(action.src.field, version)
    if len(header) == 4:
        return _nicira(15, _place(action.src) + header + _u16(action.max_len) + bytes(6))
    return _nicira(32, _place(action.src) + _u16(action.max_len) + header)


def _output_truncated(action: a.OutputTruncated, _version: int, _match: Match) -> bytes:
    return _nicira(39, _u16(to_of10(action.port)) + _u32(action.max_len))


def _controller(action: a.Controller, _version: int, _match: Match) -> bytes:
    if not action.userdata:
        return _nicira(20, struct.pack(">HHBx", action.max_len, action.controller_id, action.reason))
    properties = (
        (0, _u16(action.max_len)),
        (1, _u16(action.controller_id)),
        (2, _u8(action.reason)),
        (3, action.userdata),
    )
    body = b"".join(padded(struct.pack(">HH", kind, 4 + len(data)) + data) for kind, data in properties)
    return _nicira(37, bytes(6) + body)


def _enqueue(action: a.Enqueue, version: int, match: Match) -> bytes:
    if version == OF10:
        return struct.pack(">HHH6xI", 11, 16, to_of10(action.port), action.queue_id)
    return b"".join(
        (
            _set_queue(a.SetQueue(action.queue_id), version, match),
            _output(a.Output(action.port), version, match),
            _nicira(5),
        )
    )


def _set_queue(action: a.SetQueue, version: int, _match: Match) -> bytes:
    if version == OF10:
        return _nicira(4, _pad_u32(action.queue_id))
    return _standard(21, _u32(action.queue_id))


# Header fields


def _set_vlan_vid(action: a.SetVlanVid, version: int, match: Match) -> bytes:
    return _set_vlan(1, _u16(action.vid), f.VLAN_VID, action.vid | f.VLAN_CFI, action.push, version, match)


def _set_vlan_pcp(action: a.SetVlanPcp, version: int, match: Match) -> bytes:
    return _set_vlan(2, _u8(action.pcp), f.VLAN_PCP, action.pcp, action.push, version, match)


def _set_vlan(number: int, body: bytes, field: Field, value: int, push: bool, version: int, match: Match) -> bytes:
    """The actions that set part of a tag; OpenFlow 1.0 adds a missing tag by itself, the others must be told."""
    if version == OF10:
        return _standard(number, body)
    tag = _standard(17, _u16(0x8100)) if push and not match.allows(Prerequisite.VLAN_VID) else b""
    return tag + (_standard(number, body) if version == OF11 else _set_field_entry(25, field, value, version))


def _rewrite(number10: int, number11: int, body: bytes, field: Field | None, value: int, version: int) -> bytes:
    """One header field: an action of its own up to OpenFlow 1.1 or where the field is in doubt, else Set-Field."""
    if version == OF10:
        return _standard(number10, body)
    if version == OF11 or field is None:
        return _standard(number11, body)
    return _set_field_entry(25, field, value, version)


def _set_eth_src(action: a.SetEthSrc, version: int, _match: Match) -> bytes:
    return _rewrite(4, 3, _mac(action.address), f.ETH_SRC, action.address, version)


def _set_eth_dst(action: a.SetEthDst, version: int, _match: Match) -> bytes:
    return _rewrite(5, 4, _mac(action.address), f.ETH_DST, action.address, version)


def _set_ip_src(action: a.SetIpSrc, version: int, _match: Match) -> bytes:
    return _rewrite(6, 5, _u32(action.address), f.IP_SRC, action.address, version)


def _set_ip_dst(action: a.SetIpDst, version: int, _match: Match) -> bytes:
    return _rewrite(7, 6, _u32(action.address), f.IP_DST, action.address, version)


def _set_tos(action: a.SetTos, version: int, _match: Match) -> bytes:
    return _rewrite(8, 7, _u8(action.tos), f.IP_DSCP, action.tos >> 2, version)


def _set_ecn(action: a.SetEcn, version: int, _match: Match) -> bytes:
    if version == OF10:
        return _load(Subfield(f.NW_ECN, 0, 2), action.ecn)
    return _rewrite(0, 8, _u8(action.ecn), f.NW_ECN, action.ecn, version)


_L4_FIELDS: Final = {6: (f.TCP_SRC, f.TCP_DST), 17: (f.UDP_SRC, f.UDP_DST), 132: (f.SCTP_SRC, f.SCTP_DST)}


def _l4_fields(match: Match) -> tuple[Field, Field] | tuple[None, None]:
    proto = match.exact(f.NW_PROTO)
    return _L4_FIELDS.get(proto, (None, None)) if proto is not None else (None, None)


def _set_l4_src(action: a.SetL4Src, version: int, match: Match) -> bytes:
    return _rewrite(9, 9, _u16(action.port), _l4_fields(match)[0], action.port, version)


def _set_l4_dst(action: a.SetL4Dst, version: int, match: Match) -> bytes:
    return _rewrite(10, 10, _u16(action.port), _l4_fields(match)[1], action.port, version)


def _set_ttl(action: a.SetTtl, version: int, _match: Match) -> bytes:
    if version == OF10:
        return _load(Subfield(f.NW_TTL, 0, 8), action.ttl)
    return _standard(23, _u8(action.ttl))


def _dec_ttl(action: a.DecTtl, version: int, _match: Match) -> bytes:
    if action.controller_ids == (0,):
        return _nicira(18) if version == OF10 else _standard(24, b"")
    ids = action.controller_ids
    return _nicira(21, _u16(len(ids)) + bytes(4) + struct.pack(f">{len(ids)}H", *ids))


def _push_vlan(action: a.PushVlan, version: int, match: Match) -> bytes:
    # In OpenFlow 1.0 the action that sets the VLAN ID adds the tag.
    return _unwritable(action, version, match) if version == OF10 else _standard(17, _u16(action.ethertype))


def _strip_vlan(_action: a.StripVlan, version: int, _match: Match) -> bytes:
    return _standard(3 if version == OF10 else 18, b"")


def _mpls(
    number11: int, subtype: int, body: Callable[[Any], bytes], field: Field | None = None
) -> Callable[[Any, int, Match], bytes]:
    """A writer of an MPLS action: Nicira's in OpenFlow 1.0, else the standard's, or Set-Field of `field`."""

    def write(action: Any, version: int, _match: Match) -> bytes:
        data: bytes = body(action)
        if version == OF10:
            return _nicira(subtype, bytes(2) + data if len(data) == 4 else data)
        if field is not None and version >= OF12:
            return _set_field_entry(25, field, int.from_bytes(data, "big"), version)
        return _standard(number11, data)

    return write


# Any field


def _place(part: Subfield) -> bytes:
    return _u16(part.ofs << 6 | part.n_bits - 1)


def _set_field_entry(number: int, field: Field, value: int, version: int, mask: int | None = None) -> bytes:
    return _standard(number, _value_entry(field, value, version, mask))


def _value_entry(field: Field, value: int, version: int, mask: int | None = None) -> bytes:
    data = write_header(field, version, mask is not None) + field_to_wire(field, value).to_bytes(field.n_bytes, "big")
    return data if mask is None else data + mask.to_bytes(field.n_bytes, "big")


def _set_field(action: a.SetField, version: int, match: Match) -> bytes:
    field, value = action.field, action.value
    exact = action.mask & _width_mask(field) == _width_mask(field)
    mask = None if exact else action.mask
    if version >= OF15 or (version >= OF12 and mask is None):
        return _set_field_entry(25, field, value, version, mask)
    if field.width > _MAX_LOAD_BITS or len(write_header(field, version)) > 4:
        return _nicira(33, _value_entry(field, value, version, mask))
    if mask is None:
        plain = _plain_rewrite(field, value, version)
        if plain is not None:
            return _WRITERS[type(plain)](plain, version, match)
    wire = field_to_wire(field, value)
    return b"".join(
        _load(Subfield(field, offset, n_bits), wire >> offset & (1 << n_bits) - 1)
        for offset, n_bits in _runs(action.mask & _width_mask(field))
    )


def _width_mask(field: Field) -> int:
    return (1 << field.width) - 1


def _plain_rewrite(field: Field, value: int, version: int) -> Action | None:
    """The OpenFlow 1.0 or 1.1 action that sets just this field."""
    if field is f.VLAN_VID:
        return a.SetVlanVid(value & 0xFFF, push=version == OF10)
    if field is f.VLAN_PCP:
        return a.SetVlanPcp(value, push=version == OF10)
    if field is f.NW_ECN and version == OF10:
        return None
    make = _PLAIN_REWRITES.get(field)
    return make(value) if make is not None else None


_PLAIN_REWRITES: Final[dict[Field, Callable[[int], Action]]] = {
    f.ETH_SRC: a.SetEthSrc,
    f.ETH_DST: a.SetEthDst,
    f.IP_SRC: a.SetIpSrc,
    f.IP_DST: a.SetIpDst,
    f.NW_TOS: a.SetTos,
    f.IP_DSCP: lambda dscp: a.SetTos(dscp << 2),
    f.NW_ECN: a.SetEcn,
    f.TCP_SRC: a.SetL4Src,
    f.TCP_DST: a.SetL4Dst,
    f.UDP_SRC: a.SetL4Src,
    f.UDP_DST: a.SetL4Dst,
    f.SCTP_SRC: a.SetL4Src,
    f.SCTP_DST: a.SetL4Dst,
}


def _runs(mask: int) -> Iterable[tuple[int, int]]:
    """The (offset, length) of every run of ones, lowest first."""
    offset = 0
    while mask >> offset:
        if mask >> offset & 1:
            inverted = ~(mask >> offset)
            n_bits = (inverted & -inverted).bit_length() - 1
            yield offset, n_bits
            offset += n_bits
        else:
            offset += 1


def _load(dst: Subfield, value: int) -> bytes:
    # The action is older than OXM, and stock switches write it with NXM numbers whatever the version.
    return _nicira(7, _place(dst) + write_header(dst.field, OF10) + value.to_bytes(8, "big"))


def _reg_load(action: a.RegLoad, version: int, _match: Match) -> bytes:
    dst = action.dst
    shifted, mask = action.value << dst.ofs, (1 << dst.n_bits) - 1 << dst.ofs
    exact = None if mask == _width_mask(dst.field) else mask
    if version >= OF15:
        return _standard(25, _value_entry_bits(dst.field, shifted, version, exact))
    if dst.n_bits > _MAX_LOAD_BITS or len(write_header(dst.field, version)) > 4:
        return _nicira(33, _value_entry_bits(dst.field, shifted, version, exact))
    return _load(dst, action.value)


def _value_entry_bits(field: Field, value: int, version: int, mask: int | None) -> bytes:
    """As `_value_entry`, for a value that is in wire form already."""
    data = write_header(field, version, mask is not None) + value.to_bytes(field.n_bytes, "big")
    return data if mask is None else data + mask.to_bytes(field.n_bytes, "big")


def _reg_move(action: a.RegMove, version: int, _match: Match) -> bytes:
    src, dst = action.src, action.dst
    place = struct.pack(">HHH", src.n_bits, src.ofs, dst.ofs)
    headers = write_header(src.field, version) + write_header(dst.field, version)
    return _standard(28, place + bytes(2) + headers) if version >= OF15 else _nicira(6, place + headers)


def _stack(subtype: int, part: Subfield, version: int) -> bytes:
    body = _u16(part.ofs) + write_header(part.field, version) + _u16(part.n_bits)
    return _nicira(subtype, body.ljust(14, b"\0"))


def _stack_push(action: a.StackPush, version: int, _match: Match) -> bytes:
    return _stack(27, action.src, version)


def _stack_pop(action: a.StackPop, version: int, _match: Match) -> bytes:
    return _stack(28, action.dst, version)


# Control


def _resubmit(action: a.Resubmit, _version: int, _match: Match) -> bytes:
    port = to_of10(action.in_port)
    if action.table_id == a.RESUBMIT_THIS_TABLE:
        return _nicira(1, _u16(port))
    return _nicira(14, struct.pack(">HB", port, action.table_id))


def _set_tunnel(action: a.SetTunnel, version: int, _match: Match) -> bytes:
    if version >= OF12:
        return _set_field_entry(25, f.TUN_ID, action.tunnel_id, version)
    if action.wide or action.tunnel_id > 0xFFFFFFFF:
        return _nicira(9, _pad_u64(action.tunnel_id))
    return _nicira(2, _pad_u32(action.tunnel_id))


def _goto_table(action: a.GotoTable, version: int, match: Match) -> bytes:
    if version != OF10:
        return _unwritable(action, version, match)
    return _nicira(14, struct.pack(">HB", to_of10(a.RESUBMIT_IN_PORT), action.table_id))


def _write_metadata(action: a.WriteMetadata, version: int, match: Match) -> bytes:
    if version != OF10:
        return _unwritable(action, version, match)
    return _nicira(22, bytes(6) + action.metadata.to_bytes(8, "big") + action.mask.to_bytes(8, "big"))


_WRITERS: Final[dict[type[Action], Callable[[Any, int, Match], bytes]]] = {
    a.Output: _output,
    a.OutputReg: _output_reg,
    a.OutputTruncated: _output_truncated,
    a.Controller: _controller,
    a.Enqueue: _enqueue,
    a.SetQueue: _set_queue,
    a.PopQueue: lambda _action, _version, _match: _nicira(5),
    a.SetVlanVid: _set_vlan_vid,
    a.SetVlanPcp: _set_vlan_pcp,
    a.StripVlan: _strip_vlan,
    a.PushVlan: _push_vlan,
    a.SetEthSrc: _set_eth_src,
    a.SetEthDst: _set_eth_dst,
    a.SetIpSrc: _set_ip_src,
    a.SetIpDst: _set_ip_dst,
    a.SetTos: _set_tos,
    a.SetEcn: _set_ecn,
    a.SetTtl: _set_ttl,
    a.DecTtl: _dec_ttl,
    a.SetL4Src: _set_l4_src,
    a.SetL4Dst: _set_l4_dst,
    a.PushMpls: _mpls(19, 23, lambda action: _u16(action.ethertype)),
    a.PopMpls: _mpls(20, 24, lambda action: _u16(action.ethertype)),
    a.SetMplsLabel: _mpls(13, 30, lambda action: _u32(action.label), f.MPLS_LABEL),
    a.SetMplsTc: _mpls(14, 31, lambda action: _u8(action.tc), f.MPLS_TC),
    a.SetMplsTtl: _mpls(15, 25, lambda action: _u8(action.ttl)),
    a.DecMplsTtl: _mpls(16, 26, lambda _action: b""),
    a.SetTunnel: _set_tunnel,
    a.SetField: _set_field,
    a.RegLoad: _reg_load,
    a.RegMove: _reg_move,
    a.StackPush: _stack_push,
    a.StackPop: _stack_pop,
    a.Resubmit: _resubmit,
    a.Note: lambda action, _version, _match: _nicira(8, action.data),
    a.Exit: lambda _action, _version, _match: _nicira(17),
    a.GotoTable: _goto_table,
    a.WriteMetadata: _write_metadata,
}


# Actions after which the packet has a VLAN tag, or has none that is known.
_VLAN_CHANGES: Final = {a.SetVlanVid: True, a.SetVlanPcp: True, a.PushVlan: True, a.StripVlan: False}
_TAG: Final = f.VLAN_CFI << f.VLAN_TCI.offset


def encode_actions(
    actions: tuple[Action, ...], version: int, match: Match = _NO_MATCH, *, lossy: bool = False
) -> bytes:
    """The bytes of an action list; `match`, the flow's, says whether there is a VLAN tag, and which transport.

    Raises:
        ValueError: the version has no form for an action (unless `lossy`), or a field or port none.
    """
    if len(actions) == 1 and type(actions[0]) is a.Output:
        return _output(actions[0], version, match)
    parts = []
    for action in actions:
        try:
            parts.append(_WRITERS.get(type(action), _unwritable)(action, version, match))
        except UnwritableError:
            if not lossy:
                raise
        if type(action) in _VLAN_CHANGES:
            tag = _TAG if _VLAN_CHANGES[type(action)] else 0
            match = Match(match.value & ~_TAG | tag, match.mask & ~_TAG | tag)
    return b"".join(parts)
