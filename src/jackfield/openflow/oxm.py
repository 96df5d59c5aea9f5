"""Matches as sequences of type-length-value entries: NXM (Nicira, OpenFlow 1.0) and OXM (OpenFlow 1.2 and later).

Both are one format (OpenFlow 1.3.5 section 7.2.3.2, ovs-fields(7)): a 32-bit header of class, field, has-mask bit and
length, then the value, then the mask. They differ in which numbers a field has, so reading takes any number and
writing chooses by version.

Reading and writing are called for every flow of a flow table. Both keep *plans*: matches that look at the same fields
in the same order differ only in the value bits, which a plan moves between the wire and the key with a shift and a
mask for each field. What decides whether a match is valid is part of the key under which a plan is kept.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from jackfield.flow import fields as f
from jackfield.flow.fields import Field, Masking, OxmId
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP10_MAX, OFPP_MAX, OfPort, from_of10, to_of10
from jackfield.flow.prerequisites import REQUIRED_MASK, met_by_match
from jackfield.openflow.dialect import OF12
from jackfield.openflow.errors import OpenFlowError

COOKIE: Final = OxmId("NXM_NX_COOKIE", f.OXM_CLASS_NXM_1, 30, 1)
"""The flow cookie as a match entry, in requests only.

It shares its number with NXM_NX_MPLS_TTL and differs in length.
"""

_HAS_MASK: Final = 0x100
_COOKIE_HEADER: Final = int.from_bytes(COOKIE.header(8), "big")
_COOKIE_MASKED_HEADER: Final = int.from_bytes(COOKIE.header(8, has_mask=True), "big")
_ALL_ONES64: Final = 0xFFFFFFFFFFFFFFFF

# Values that a field can have where that is less than its bits say.
_VALUE_LIMITS: Final = {f.NW_FRAG: 3}

# Fields of 32 bits whose values are port numbers.
_PORTS: Final = (f.IN_PORT_OXM, f.ACTSET_OUTPUT)

# What OXM says in other pieces than a match is made of.
_OXM_PARTS: Final[dict[Field, tuple[Field, ...]]] = {
    f.IN_PORT: (f.IN_PORT_OXM,),
    f.VLAN_TCI: (f.VLAN_VID, f.VLAN_PCP),
    f.NW_TOS: (f.IP_DSCP,),
}

_MAX_PLANS: Final = 4096
_MAX_SHAPES_PER_LENGTH: Final = 8


def is_port(number: int) -> bool:
    """Whether a 32-bit number is a port's, ordinary or reserved; what lies between has no 16-bit form and is none."""
    return number < OFPP10_MAX or number >= OFPP_MAX


def exact_mask(field: Field) -> int:
    """The mask of a match on all of a field."""
    return _VALUE_LIMITS.get(field, field.max_value)


def value_limit(field: Field) -> int:
    """The bits a value of the field may have on the wire."""
    return exact_mask(field) & (1 << 8 * field.n_bytes) - 1


def _numbers() -> dict[int, tuple[Field, OxmId]]:
    return {
        oxm.experimenter << 32 | oxm.oxm_class << 16 | oxm.number << 9: (field, oxm)
        for field in f.FIELDS
        for oxm in field.oxm
    }


_BY_NUMBER: Final = _numbers()
_NUMBER_MASK: Final = 0xFFFFFE00


class Header(NamedTuple):
    """The header of an entry: its field, how many bytes the header has, and how many follow it."""

    field: Field
    header_len: int
    payload_len: int
    has_mask: bool


def read_header(data: bytes, pos: int, end: int) -> Header | None:
    """The entry header at `pos`, None when no field has its number.

    Raises:
        OpenFlowError: OFPBMC_BAD_LEN, the header goes past `end`.
    """
    if end - pos < 4:
        raise OpenFlowError("OFPBMC_BAD_LEN", f"{end - pos} bytes left, a header needs 4")
    header = int.from_bytes(data[pos : pos + 4], "big")
    payload_len = header & 0xFF
    header_len = 4
    number = header & _NUMBER_MASK
    if header >> 16 == f.OXM_CLASS_EXPERIMENTER:
        if payload_len < 4 or end - pos < 8:
            raise OpenFlowError("OFPBMC_BAD_LEN", "experimenter entry without its experimenter")
        number |= int.from_bytes(data[pos + 4 : pos + 8], "big") << 32
        header_len, payload_len = 8, payload_len - 4
    known = _BY_NUMBER.get(number)
    if known is None:
        return None
    return Header(known[0], header_len, payload_len, bool(header & _HAS_MASK))


def write_header(field: Field, version: int, has_mask: bool = False) -> bytes:
    """The header bytes of a field for a peer of `version`.

    Raises:
        ValueError: the field never travels.
    """
    oxm = field.oxm_for(version)
    if oxm is None:
        raise ValueError(f"{field.name}: has no NXM or OXM number")
    return oxm.header(field.n_bytes, has_mask)


def field_from_wire(field: Field, value: int) -> int:
    """A value as the key holds it: the 16-bit form of a port becomes the 32-bit form."""
    return from_of10(value) if field is f.IN_PORT else value


def field_to_wire(field: Field, value: int) -> int:
    """A value as the field's wire form has it; undoes `field_from_wire`.

    Raises:
        ValueError: a port number without a 16-bit form.
    """
    return to_of10(OfPort(value)) if field is f.IN_PORT else value


# Reading


class _Read(NamedTuple):
    """One entry that was read: the field, where in the sequence its value and mask are, as bits from the end."""

    field: Field
    mask: int
    value_pos: int
    mask_pos: int | None


class _ReadPlan(NamedTuple):
    """How to make a match out of a sequence of a known shape.

    `moves` are pairs of an in-place mask and a shift, positive to the left; `zeros` are bits that must be 0;
    `port_pos` is where a 16-bit in_port is, counted from the end, or -1.
    """

    moves: tuple[tuple[int, int], ...]
    mask: int
    zeros: int
    port_pos: int


# By length of the sequence: (bits that decide, plans by the value of these bits).
_read_plans: dict[int, list[tuple[int, dict[int, _ReadPlan]]]] = {}
_read_plan_count = 0


def decode_match(data: bytes) -> Match:
    """The match that a sequence of entries means; no padding, no enclosing header.

    Raises:
        OpenFlowError: OFPBMC_BAD_FIELD, BAD_LEN, BAD_MASK, BAD_WILDCARDS, BAD_VALUE, BAD_PREREQ or DUP_FIELD.
    """
    whole = int.from_bytes(data, "big")
    shapes = _read_plans.get(len(data))
    if shapes is not None:
        for deciding, plans in shapes:
            plan = plans.get(whole & deciding)
            if plan is not None and not whole & plan.zeros:
                value = 0
                for in_place, shift in plan.moves:
                    value |= (whole << shift if shift >= 0 else whole >> -shift) & in_place
                if plan.port_pos >= 0:
                    value |= from_of10(whole >> plan.port_pos & 0xFFFF) << f.IN_PORT.offset
                return Match(value, plan.mask)
    match, _, _, reads = _decode_entries(data, cookie_allowed=False)
    _remember_reads(data, whole, match, reads)
    return match


def decode_match_and_cookie(data: bytes) -> tuple[Match, int, int]:
    """The same for a request, where NXM_NX_COOKIE may stand too: the match, the cookie and its mask (0 if absent)."""
    match, cookie, cookie_mask, _ = _decode_entries(data, cookie_allowed=True)
    return match, cookie, cookie_mask


def decode_fields_leniently(data: bytes) -> Match:
    """The fields of a packet-in: as `decode_match`, but without prerequisites, and unknown fields are passed over."""
    match, _, _, _ = _decode_entries(data, cookie_allowed=False, lenient=True)
    return match


def _decode_entries(data: bytes, *, cookie_allowed: bool, lenient: bool = False) -> tuple[Match, int, int, list[_Read]]:
    value = mask = cookie = cookie_mask = 0
    reads: list[_Read] = []
    pos, end = 0, len(data)
    while pos < end:
        raw_header = int.from_bytes(data[pos : pos + 4], "big")
        if cookie_allowed and raw_header in (_COOKIE_HEADER, _COOKIE_MASKED_HEADER):
            if cookie_mask:
                raise OpenFlowError("OFPBMC_DUP_FIELD", COOKIE.name)
            cookie, cookie_mask, pos = _read_cookie(data, pos, raw_header == _COOKIE_MASKED_HEADER)
            continue
        header = read_header(data, pos, end)
        if header is None:
            if not lenient:
                raise OpenFlowError("OFPBMC_BAD_FIELD", f"no field has the header {raw_header:#010x}")
            pos += 4 + (raw_header & 0xFF)
            continue
        read = _read_entry(data, pos, header)
        field, pos = read.field, pos + header.header_len + header.payload_len
        if not lenient and not met_by_match(field.prerequisite, value, mask):
            raise OpenFlowError("OFPBMC_BAD_PREREQ", f"{field.name} needs {field.prerequisite.value}")
        if mask & field.mask:
            raise OpenFlowError("OFPBMC_DUP_FIELD", field.name)
        wire_value = int.from_bytes(data[end - read.value_pos // 8 - field.n_bytes : end - read.value_pos // 8], "big")
        value |= field_from_wire(field, wire_value) << field.offset & read.mask
        mask |= read.mask
        reads.append(read)
    return Match(value, mask), cookie, cookie_mask, reads


def _read_cookie(data: bytes, pos: int, has_mask: bool) -> tuple[int, int, int]:
    stop = pos + (20 if has_mask else 12)
    if len(data) < stop:
        raise OpenFlowError("OFPBMC_BAD_LEN", COOKIE.name)
    cookie = int.from_bytes(data[pos + 4 : pos + 12], "big")
    cookie_mask = int.from_bytes(data[pos + 12 : pos + 20], "big") if has_mask else _ALL_ONES64
    if cookie & ~cookie_mask:
        raise OpenFlowError("OFPBMC_BAD_WILDCARDS", COOKIE.name)
    return cookie, cookie_mask, stop


def _read_entry(data: bytes, pos: int, header: Header) -> _Read:
    """Check one entry by itself; where it lies is counted in bits from the end, as in the integer of the sequence."""
    field, n_bytes = header.field, header.field.n_bytes
    start = pos + header.header_len
    if start + header.payload_len > len(data):
        raise OpenFlowError("OFPBMC_BAD_LEN", f"{field.name}: {header.payload_len} bytes, {len(data) - start} left")
    if header.payload_len != n_bytes << header.has_mask:
        raise OpenFlowError("OFPBMC_BAD_FIELD", f"{field.name} of {header.payload_len} bytes")
    value = int.from_bytes(data[start : start + n_bytes], "big")
    value_pos = 8 * (len(data) - start - n_bytes)
    mask, mask_pos = exact_mask(field), None
    if header.has_mask:
        mask_pos = value_pos - 8 * n_bytes
        wire_mask = int.from_bytes(data[start + n_bytes : start + 2 * n_bytes], "big")
        if value & ~wire_mask:
            raise OpenFlowError("OFPBMC_BAD_WILDCARDS", f"{field.name}: value has bits outside its mask")
        exact = wire_mask == (1 << 8 * n_bytes) - 1
        if field.masking is Masking.EXACT and wire_mask and not exact:
            raise OpenFlowError("OFPBMC_BAD_MASK", f"{field.name} may not be masked")
        if not exact:
            mask = wire_mask & exact_mask(field)
    if value & ~value_limit(field) or (field in _PORTS and mask and not is_port(value)):
        raise OpenFlowError("OFPBMC_BAD_VALUE", f"{field.name}: {value:#x}")
    return _Read(field, mask << field.offset, value_pos, mask_pos)


def _remember_reads(data: bytes, whole: int, match: Match, reads: list[_Read]) -> None:
    """Keep a plan for matches of this shape.

    What decides is everything but the value bits that no field's prerequisite asks for: headers, masks, types.
    """
    global _read_plan_count
    required = 0
    for read in reads:
        required |= REQUIRED_MASK[read.field.prerequisite]
    deciding = (1 << 8 * len(data)) - 1
    zeros = 0
    moves = []
    port_pos = -1
    for field, mask, value_pos, _ in reads:
        free = (1 << 8 * field.n_bytes) - 1 & ~((required & field.mask) >> field.offset)
        if field in _PORTS:
            # The upper bytes say whether it is a port's number.
            free = 0xFF
        deciding &= ~(free << value_pos)
        zeros |= (free & ~(mask >> field.offset & value_limit(field))) << value_pos
        if field is f.IN_PORT and mask:
            port_pos = value_pos
        else:
            moves.append((mask & value_limit(field) << field.offset, field.offset - value_pos))
    if _read_plan_count >= _MAX_PLANS:
        _read_plans.clear()
        _read_plan_count = 0
    shapes = _read_plans.setdefault(len(data), [])
    plans = next((plans for bits, plans in shapes if bits == deciding), None)
    if plans is None:
        if len(shapes) >= _MAX_SHAPES_PER_LENGTH:
            shapes.pop(0)
        plans = {}
        shapes.append((deciding, plans))
    plans[whole & deciding] = _ReadPlan(tuple(moves), match.mask, zeros, port_pos)
    _read_plan_count += 1


# Writing


class _WritePlan(NamedTuple):
    """How to write matches of a known shape: headers and masks, then for each field an in-place mask and a shift."""

    template: int
    n_bytes: int
    moves: tuple[tuple[int, int], ...]
    port_pos: int


_write_plans: dict[tuple[int, int, int], _WritePlan] = {}

# What decides which fields a match has, besides its mask; the ICMPv6 type only where there is one.
_DECIDING: Final = f.ETH_TYPE.mask | f.NW_PROTO.mask | f.PACKET_TYPE.mask | f.CT_STATE.mask | f.NW_FRAG.mask
_DECIDING_VLAN: Final = f.VLAN_CFI << f.VLAN_TCI.offset
_DECIDING_ICMPV6: Final = f.ICMPV6_TYPE.mask | f.ICMPV6_CODE.mask
_IS_ICMPV6: Final = 58 << f.NW_PROTO.offset


def encode_match(match: Match, version: int) -> bytes:
    """The entries of a match, without padding, for a peer of `version` (NXM numbers below OpenFlow 1.2).

    Raises:
        ValueError: the match has something no entry can say.
    """
    value, mask = match.value, match.mask
    deciding = value & (_DECIDING | _DECIDING_VLAN)
    if deciding & f.NW_PROTO.mask == _IS_ICMPV6:
        deciding |= value & _DECIDING_ICMPV6
    plan = _write_plans.get((version, mask, deciding))
    if plan is None:
        plan = _plan_write(match, version)
        if len(_write_plans) >= _MAX_PLANS:
            _write_plans.clear()
        _write_plans[version, mask, deciding] = plan
    whole = plan.template
    for in_place, shift in plan.moves:
        part = value & in_place
        whole |= part << shift if shift >= 0 else part >> -shift
    if plan.port_pos >= 0:
        whole |= to_of10(OfPort(f.IN_PORT.get(value))) << plan.port_pos
    return whole.to_bytes(plan.n_bytes, "big")


def encode_match_and_cookie(match: Match, version: int, cookie: int, cookie_mask: int) -> bytes:
    """The entries of a request that also asks for a cookie, unless `cookie_mask` is 0."""
    entries = encode_match(match, version)
    if not cookie_mask:
        return entries
    value = (cookie & cookie_mask).to_bytes(8, "big")
    if cookie_mask == _ALL_ONES64:
        return entries + COOKIE.header(8) + value
    return entries + COOKIE.header(8, has_mask=True) + value + cookie_mask.to_bytes(8, "big")


def _entry_fields(match: Match, version: int) -> list[tuple[Field, int]]:
    """The fields to write and their masks, in an order that puts prerequisites first.

    Raises:
        ValueError: bits of the match belong to no field that travels.
    """
    entries = []
    left = match.mask
    for field, _, mask in match.fields():
        parts: tuple[Field, ...] = (field,)
        if version >= OF12 and field in _OXM_PARTS:
            parts = _OXM_PARTS[field]
            pcp_mask = mask >> 13
            if field is f.VLAN_TCI and pcp_mask and (pcp_mask != 7 or not match.allows(f.VLAN_PCP.prerequisite)):
                parts = (field,)
        for part in parts:
            part_mask = match.mask & part.mask
            if part_mask and part.oxm:
                entries.append((part, part_mask >> part.offset))
                left &= ~part_mask
    if left:
        raise ValueError(f"match bits {left:#x} have no place in an OpenFlow match")
    return entries


def _plan_write(match: Match, version: int) -> _WritePlan:
    out = bytearray()
    places = []
    for field, mask in _entry_fields(match, version):
        has_mask = mask & value_limit(field) != value_limit(field)
        if has_mask and field.masking is Masking.EXACT:
            raise ValueError(f"{field.name} may not be masked")
        out += write_header(field, version, has_mask) + bytes(field.n_bytes)
        places.append((field, mask, len(out)))
        if has_mask:
            out += mask.to_bytes(field.n_bytes, "big")
    moves = []
    port_pos = -1
    for field, mask, end in places:
        pos = 8 * (len(out) - end)
        if field is f.IN_PORT:
            port_pos = pos
        else:
            moves.append(((mask & value_limit(field)) << field.offset, pos - field.offset))
    return _WritePlan(int.from_bytes(out, "big"), len(out), tuple(moves), port_pos)
