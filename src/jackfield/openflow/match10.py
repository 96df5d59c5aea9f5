"""Matches in the fixed form of OpenFlow 1.0 (ofp_match, OpenFlow 1.0.1 section 5.2.3)."""

from __future__ import annotations

import struct
from typing import Final

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort, from_of10, to_of10

MATCH_LEN: Final = 40
WILDCARDS_ALL: Final = 0x3FFFFF
"""Every bit of `wildcards` that means something (OFPFW_ALL)."""

_FORMAT: Final = struct.Struct(">IH6s6sHBxHBB2xIIHH")
_WILD_VLAN: Final = 1 << 1
_WILD_VLAN_PCP: Final = 1 << 20
_SRC_SHIFT: Final = 8
_DST_SHIFT: Final = 14
_VLAN_NONE: Final = 0xFFFF
_IN_PORT_WILD: Final = 1 << 0

# Wildcard bit of each field that is either exact or absent; the IP addresses and VLAN are apart.
_EXACT: Final[tuple[tuple[int, Field], ...]] = (
    (1 << 0, f.IN_PORT),
    (1 << 2, f.ETH_SRC),
    (1 << 3, f.ETH_DST),
    (1 << 4, f.ETH_TYPE),
    (1 << 5, f.NW_PROTO),
    (1 << 6, f.TP_SRC),
    (1 << 7, f.TP_DST),
    (1 << 21, f.NW_TOS),
)

_EXPRESSIBLE: Final = (
    f.IN_PORT.mask
    | f.ETH_SRC.mask
    | f.ETH_DST.mask
    | f.ETH_TYPE.mask
    | f.VLAN_TCI.mask
    | f.NW_PROTO.mask
    | f.NW_TOS.mask
    | f.IP_SRC.mask
    | f.IP_DST.mask
    | f.TP_SRC.mask
    | f.TP_DST.mask
)


def decode_match10(data: bytes) -> tuple[Match, bool]:
    """The match in 40 bytes, and whether every field of it is exact (which OpenFlow 1.0 gives the highest priority).

    Fields that the match's own protocols do not have are ignored, as the standard says.
    """
    (
        wildcards,
        in_port,
        dl_src,
        dl_dst,
        dl_vlan,
        dl_vlan_pcp,
        dl_type,
        nw_tos,
        nw_proto,
        nw_src,
        nw_dst,
        tp_src,
        tp_dst,
    ) = _FORMAT.unpack(data)
    values = (
        from_of10(in_port),
        int.from_bytes(dl_src, "big"),
        int.from_bytes(dl_dst, "big"),
        dl_type,
        nw_proto,
        tp_src,
        tp_dst,
        nw_tos,
    )
    value = mask = 0
    for (wild, field), number in zip(_EXACT, values, strict=True):
        if not wildcards & wild:
            value |= number << field.offset & field.mask
            mask |= field.mask
    for shift, field, number in ((_SRC_SHIFT, f.IP_SRC, nw_src), (_DST_SHIFT, f.IP_DST, nw_dst)):
        wild_bits = min(wildcards >> shift & 0x3F, 32)
        in_place = (0xFFFFFFFF << wild_bits & 0xFFFFFFFF) << field.offset
        value |= number << field.offset & in_place
        mask |= in_place
    tci, tci_mask = _decode_vlan(wildcards, dl_vlan, dl_vlan_pcp)
    value |= tci << f.VLAN_TCI.offset
    mask |= tci_mask << f.VLAN_TCI.offset
    return Match(value, mask).normalized(), not wildcards & WILDCARDS_ALL


def _decode_vlan(wildcards: int, vid: int, pcp: int) -> tuple[int, int]:
    if not wildcards & _WILD_VLAN and vid == _VLAN_NONE:
        return 0, 0xFFFF
    tci = tci_mask = 0
    if not wildcards & _WILD_VLAN:
        tci, tci_mask = vid & 0xFFF | f.VLAN_CFI, 0xFFF | f.VLAN_CFI
    if not wildcards & _WILD_VLAN_PCP:
        tci |= (pcp & 7) << 13 | f.VLAN_CFI
        tci_mask |= 0xE000 | f.VLAN_CFI
    return tci, tci_mask


def encode_match10(match: Match) -> bytes:
    """The 40 bytes of a match; what OpenFlow 1.0 cannot say is left out (see `fits_match10`)."""
    wildcards = 0
    values = []
    for wild, field in _EXACT:
        if match.mask & field.mask == field.mask:
            values.append(field.get(match.value))
        else:
            wildcards |= wild
            values.append(0)
    in_port, dl_src, dl_dst, dl_type, nw_proto, tp_src, tp_dst, nw_tos = values
    addresses = []
    for shift, field in ((_SRC_SHIFT, f.IP_SRC), (_DST_SHIFT, f.IP_DST)):
        address, address_mask = match.get(field)
        wild_bits = _wild_bits(address_mask)
        wildcards |= wild_bits << shift
        addresses.append(address if wild_bits < 32 else 0)
    vlan_wildcards, vid, pcp = _encode_vlan(*match.get(f.VLAN_TCI))
    return _FORMAT.pack(
        wildcards | vlan_wildcards,
        to_of10(OfPort(in_port)) if not wildcards & _IN_PORT_WILD else 0,
        dl_src.to_bytes(6, "big"),
        dl_dst.to_bytes(6, "big"),
        vid,
        pcp,
        dl_type,
        nw_tos,
        nw_proto,
        *addresses,
        tp_src,
        tp_dst,
    )


def _wild_bits(address_mask: int) -> int:
    """How many low bits of an address are not looked at; all 32 where the mask is not a prefix."""
    inverted = ~address_mask & 0xFFFFFFFF
    return inverted.bit_length() if not inverted & inverted + 1 else 32


def _encode_vlan(tci: int, tci_mask: int) -> tuple[int, int, int]:
    if not tci_mask & f.VLAN_CFI:
        return _WILD_VLAN | _WILD_VLAN_PCP, 0, 0
    if not tci & f.VLAN_CFI:
        return 0, _VLAN_NONE, 0
    wildcards = 0
    vid, pcp = tci & 0xFFF, tci >> 13
    if tci_mask & 0xFFF != 0xFFF:
        wildcards, vid = _WILD_VLAN, 0
    if tci_mask >> 13 != 7:
        wildcards, pcp = wildcards | _WILD_VLAN_PCP, 0
    return wildcards, vid, pcp


def fits_match10(match: Match) -> bool:
    """Whether OpenFlow 1.0 can say all of a match."""
    return not match.mask & ~_EXPRESSIBLE and decode_match10(encode_match10(match))[0] == match
