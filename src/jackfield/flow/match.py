"""Matches: a value and a mask over the key of `fields`, and what can be asked of them.

`value` never has a bit outside `mask`, so that two matches are equal when they accept the same packets, and ``key &
mask == value`` is the test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final, Self

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.prerequisites import Prerequisite, met_by_match

MATCH_FIELDS: Final[tuple[Field, ...]] = (
    f.PKT_MARK,
    f.RECIRC_ID,
    f.DP_HASH,
    f.CONJ_ID,
    f.SKB_PRIORITY,
    f.ACTSET_OUTPUT,
    f.CT_STATE,
    f.CT_ZONE,
    f.CT_MARK,
    f.CT_LABEL,
    f.CT_NW_SRC,
    f.CT_IPV6_SRC,
    f.CT_NW_DST,
    f.CT_IPV6_DST,
    f.CT_NW_PROTO,
    f.CT_TP_SRC,
    f.CT_TP_DST,
    f.PACKET_TYPE,
    *f.REGS,
    f.TUN_ID,
    f.TUN_SRC,
    f.TUN_DST,
    f.TUN_IPV6_SRC,
    f.TUN_IPV6_DST,
    f.TUN_GBP_ID,
    f.TUN_GBP_FLAGS,
    f.TUN_FLAGS,
    f.TUN_ERSPAN_VER,
    f.TUN_ERSPAN_IDX,
    f.TUN_ERSPAN_DIR,
    f.TUN_ERSPAN_HWID,
    f.TUN_GTPU_FLAGS,
    f.TUN_GTPU_MSGTYPE,
    f.METADATA,
    f.IN_PORT,
    f.VLAN_TCI,
    f.ETH_SRC,
    f.ETH_DST,
    f.ETH_TYPE,
    f.IPV6_SRC,
    f.IPV6_DST,
    f.IPV6_LABEL,
    f.IPV6_EXTHDR,
    f.ARP_SPA,
    f.ARP_TPA,
    f.NSH_FLAGS,
    f.NSH_TTL,
    f.NSH_MDTYPE,
    f.NSH_NP,
    f.NSH_SPI,
    f.NSH_SI,
    f.NSH_C1,
    f.NSH_C2,
    f.NSH_C3,
    f.NSH_C4,
    f.IP_SRC,
    f.IP_DST,
    f.NW_PROTO,
    f.ARP_OP,
    f.ARP_SHA,
    f.ARP_THA,
    f.NW_TOS,
    f.NW_ECN,
    f.NW_TTL,
    f.MPLS_LABEL,
    f.MPLS_TC,
    f.MPLS_TTL,
    f.MPLS_BOS,
    f.NW_FRAG,
    f.ICMP_TYPE,
    f.ICMP_CODE,
    f.ICMPV6_TYPE,
    f.ICMPV6_CODE,
    f.ND_TARGET,
    f.ND_SLL,
    f.ND_TLL,
    f.ND_RESERVED,
    f.ND_OPTIONS_TYPE,
    f.TCP_SRC,
    f.TCP_DST,
    f.UDP_SRC,
    f.UDP_DST,
    f.SCTP_SRC,
    f.SCTP_DST,
    f.TCP_FLAGS,
)
"""The fields a match is made of, each bit once for each kind of packet, in the order ovs-ofctl prints them.

Parts of these (dl_vlan, vlan_vid, ip_dscp, xreg0 ...) are left out. A field stands after those it has as prerequisites.
"""


def _groups(size: int) -> tuple[tuple[int, tuple[Field, ...]], ...]:
    """`MATCH_FIELDS` in groups, with the bits of each group: most matches have no bit of most groups."""
    parts = (MATCH_FIELDS[start : start + size] for start in range(0, len(MATCH_FIELDS), size))
    return tuple((reduce(or_, (field.mask for field in part)), part) for part in parts)


_MATCH_FIELD_GROUPS: Final = _groups(8)
_STANDING_ALONE: Final = tuple(
    field for field in f.FIELDS + f.INTERNAL_FIELDS if field not in (f.TP_SRC, f.TP_DST, f.DL_VLAN_PCP)
)
"""Fields whose prerequisite says when their bits mean something; those left out are the same bits for any protocol."""


def _bits_by_prerequisite() -> dict[Prerequisite, int]:
    bits: dict[Prerequisite, int] = {}
    for field in _STANDING_ALONE:
        bits[field.prerequisite] = bits.get(field.prerequisite, 0) | field.mask
    return bits


_BITS_BY_PREREQUISITE: Final = _bits_by_prerequisite()
_TUNNEL_OPTIONS: Final = (1 << 8 * f.TUN_METADATA_BYTES) - 1 << 64 * f.TUN_METADATA_WORD


@dataclass(frozen=True, slots=True, repr=False)
class Match:
    """Which packets a rule is for.

    Attributes:
        value: the bits wanted, in place.
        mask: the bits looked at, in place.

    Raises:
        ValueError: `value` has a bit that `mask` has not.
    """

    value: int = 0
    mask: int = 0

    def __post_init__(self) -> None:
        if self.value & ~self.mask:
            raise ValueError("a match's value has bits outside its mask")

    def __repr__(self) -> str:
        parts = (f"{field.name}={value:#x}/{mask:#x}" for field, value, mask in self.fields())
        return f"<Match {','.join(parts) or 'any'}>"

    @classmethod
    def masked(cls, key: int, mask: int) -> Self:
        """What remains of a key under a mask."""
        return cls(key & mask, mask)

    @classmethod
    def from_fields(cls, wanted: Mapping[str, int | tuple[int, int]]) -> Self:
        """A match from values, or (value, mask) pairs, by field name; internal names are taken too.

        Raises:
            ValueError: a name is unknown, a value or mask too wide, or a value has bits outside its mask.
        """
        match = cls()
        for name, item in wanted.items():
            field = f.ANY_FIELD_BY_NAME.get(name) or f.field_by_name(name)
            value, mask = item if isinstance(item, tuple) else (item, field.max_value)
            if (value | mask) & ~field.max_value:
                raise ValueError(f"{name}: {value:#x}/{mask:#x} is wider than the field")
            if value & ~mask:
                raise ValueError(f"{name}: value {value:#x} has bits outside its mask {mask:#x}")
            match = match.with_field(field, value, mask)
        return match

    def with_field(self, field: Field, value: int, mask: int | None = None) -> Self:
        """The match with one field replaced; without a mask exactly, with mask 0 not at all."""
        in_place = field.mask if mask is None else mask << field.offset & field.mask
        rest = ~field.mask
        return type(self)(self.value & rest | value << field.offset & in_place, self.mask & rest | in_place)

    def without(self, field: Field) -> Self:
        """The match that does not look at a field."""
        return type(self)(self.value & ~field.mask, self.mask & ~field.mask)

    def get(self, field: Field) -> tuple[int, int]:
        """The field's value and mask, both zero if it is not matched on."""
        return field.get(self.value), field.get(self.mask)

    def exact(self, field: Field) -> int | None:
        """The field's value if all of it is matched on."""
        return field.get(self.value) if self.mask & field.mask == field.mask else None

    def matches(self, key: int) -> bool:
        """Whether a packet with this key is accepted."""
        return key & self.mask == self.value

    def covers(self, other: Match) -> bool:
        """Whether every packet that `other` accepts is accepted here too (`other` may be equal)."""
        return not self.mask & ~other.mask and other.value & self.mask == self.value

    def overlaps(self, other: Match) -> bool:
        """Whether some packet is accepted by both."""
        return not (self.value ^ other.value) & self.mask & other.mask

    def allows(self, prerequisite: Prerequisite) -> bool:
        """Whether a field with this prerequisite exists in every packet that the match accepts."""
        return met_by_match(prerequisite, self.value, self.mask)

    def fields(self) -> Iterator[tuple[Field, int, int]]:
        """The (field, value, mask) of every field matched on, in the order of `MATCH_FIELDS`.

        Bits that no field with its prerequisites met accounts for are passed over, as are tunnel options.
        """
        value, mask = self.value, self.mask
        for bits, fields in _MATCH_FIELD_GROUPS:
            if mask & bits:
                for field in fields:
                    if mask & field.mask and met_by_match(field.prerequisite, value, mask):
                        yield field, (value & field.mask) >> field.offset, (mask & field.mask) >> field.offset

    def normalized(self) -> Self:
        """The match without the fields whose prerequisites it does not meet (OpenFlow 1.0.1 section 3.4)."""
        keep = _TUNNEL_OPTIONS
        for prerequisite, bits in _BITS_BY_PREREQUISITE.items():
            if self.mask & bits and self.allows(prerequisite):
                keep |= bits
        mask = self.mask & keep
        return self if mask == self.mask else type(self)(self.value & mask, mask).normalized()

    def unmet(self) -> Field | None:
        """The first field of the match that has a prerequisite the match does not meet."""
        dropped = self.mask & ~self.normalized().mask
        if not dropped:
            return None
        return next(
            (field for field in _STANDING_ALONE if dropped & field.mask and not self.allows(field.prerequisite)),
            None,
        )
