"""One subtable of a classifier: the rules that share a mask, and what makes a failed search cheap and wide.

A search goes through stages (metadata, Ethernet, network, transport), as Open vSwitch's does. For each stage but the
last that the mask touches, the subtable knows which values its rules have up to there; a packet with none of them needs
no further look, and its megaflow none of the later fields.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final

from jackfield.flow import fields as f
from jackfield.ofproto.prefixes import PrefixSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jackfield.flow.fields import Field
    from jackfield.ofproto.rule import Rule


def _bits(fields: Iterable[Field]) -> int:
    return reduce(or_, (field.mask for field in fields), 0)


L4_BITS: Final = _bits((f.TP_SRC, f.TP_DST, f.CT_TP_SRC, f.CT_TP_DST, f.IGMP_GROUP))
L3_BITS: Final = _bits(
    (
        *(f.IP_SRC, f.IP_DST, f.NW_PROTO, f.IP_TOS, f.NW_TTL, f.NW_FRAG, f.ARP_SHA, f.ARP_THA, f.TCP_FLAGS),
        *(f.IPV6_SRC, f.IPV6_DST, f.IPV6_LABEL, f.IPV6_EXTHDR, f.ND_TARGET, f.ND_RESERVED, f.ND_OPTIONS_TYPE),
        *(f.CT_NW_PROTO, f.CT_NW_SRC, f.CT_NW_DST, f.CT_IPV6_SRC, f.CT_IPV6_DST),
        *(field for field in f.FIELDS if field.name.startswith("nsh_")),
    )
)
L2_BITS: Final = _bits(
    (f.ETH_SRC, f.ETH_DST, f.ETH_TYPE, f.VLAN_TCI, f.VLAN_TPID, f.VLAN2_TPID, f.VLAN2_TCI, *f.MPLS_LSES)
)
METADATA_BITS: Final = ((1 << 64 * f.KEY_WORDS) - 1) & ~(L2_BITS | L3_BITS | L4_BITS)

_PORTS_SHIFT: Final = f.TP_SRC.offset
_PORT_MASK: Final = 0xFFFF
_PORTS_WIDTH: Final = 32

PREFIX_FIELDS: Final = ((f.IP_DST, 0x0800), (f.IP_SRC, 0x0800), (f.IPV6_DST, 0x86DD), (f.IPV6_SRC, 0x86DD))
"""Fields whose prefixes a classifier keeps, and the Ethernet type that makes them what they are."""


def prefix_length(mask: int, width: int) -> int:
    """How many leading ones a mask consists of; 0 if it has other ones or none."""
    gaps = (1 << width) - 1 & ~mask
    return 0 if gaps & gaps + 1 else width - gaps.bit_length()


def ports_of(key: int) -> int:
    """Both transport ports of a key or mask as 32 bits, the source port first."""
    ports = key >> _PORTS_SHIFT
    return (ports & _PORT_MASK) << 16 | ports >> 16 & _PORT_MASK


class Subtable:
    """The rules of one mask.

    Attributes:
        mask: in place.
        rules: by ``key & mask``; one rule, or several of descending priority, in one place.
        max_priority: the highest there is.
        priorities: how many rules each priority has.
        early: (mask up to and with the stage, index) of the stages before the network stage that are not the last.
        middle: the same of the network stage, None when it is the last or absent.
        prefixes: (place in `PREFIX_FIELDS`, prefix length) of the prefix fields that the mask has as a prefix.
        ports: of a mask with transport ports, the ports of the rules; else None.
        ports_length: bits that matter in `ports`.
        base_mask: the mask without the transport ports.
    """

    __slots__ = (
        "base_mask",
        "early",
        "mask",
        "max_priority",
        "middle",
        "ports",
        "ports_length",
        "prefixes",
        "priorities",
        "rules",
    )

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self.rules: dict[int, Rule | list[Rule]] = {}
        self.max_priority = -1
        self.priorities: dict[int, int] = {}
        self.early: tuple[tuple[int, dict[int, int]], ...] = ()
        self.middle: tuple[int, dict[int, int]] | None = None
        so_far = mask & METADATA_BITS
        if so_far and so_far != mask:
            self.early = ((so_far, {}),)
        if mask & L2_BITS:
            so_far |= mask & L2_BITS
            if so_far != mask:
                self.early += ((so_far, {}),)
        if mask & L3_BITS and mask & L4_BITS:
            self.middle = (mask & ~L4_BITS, {})
        lengths = (prefix_length(field.get(mask), field.width) for field, _ in PREFIX_FIELDS)
        self.prefixes = tuple((place, length) for place, length in enumerate(lengths) if length)
        ports_mask = ports_of(mask)
        self.base_mask = mask & ~(f.TP_SRC.mask | f.TP_DST.mask)
        self.ports = PrefixSet(_PORTS_WIDTH) if ports_mask else None
        self.ports_length = _PORTS_WIDTH - ((ports_mask & -ports_mask).bit_length() - 1) if ports_mask else 0

    def insert(self, rule: Rule) -> bool:
        """Add a rule of this mask; True when `max_priority` changed."""
        value = rule.match.value
        there = self.rules.get(value)
        if there is None:
            self.rules[value] = rule
        elif isinstance(there, list):
            at = next((i for i, other in enumerate(there) if other.priority < rule.priority), len(there))
            there.insert(at, rule)
        else:
            self.rules[value] = [rule, there] if rule.priority > there.priority else [there, rule]
        for mask, index in self.early:
            digest = hash(value & mask)
            index[digest] = index.get(digest, 0) + 1
        if self.middle is not None:
            mask, index = self.middle
            digest = hash(value & mask)
            index[digest] = index.get(digest, 0) + 1
        if self.ports is not None:
            self.ports.add(ports_of(value), self.ports_length)
        priority = rule.priority
        self.priorities[priority] = self.priorities.get(priority, 0) + 1
        if priority > self.max_priority:
            self.max_priority = priority
            return True
        return False

    def remove(self, rule: Rule) -> bool:
        """Take a rule out that was inserted; True when `max_priority` changed."""
        value = rule.match.value
        there = self.rules[value]
        if isinstance(there, list):
            there.remove(rule)
            if len(there) == 1:
                self.rules[value] = there[0]
        else:
            del self.rules[value]
        for mask, index in self.early if self.middle is None else (*self.early, self.middle):
            digest = hash(value & mask)
            left = index[digest] - 1
            if left:
                index[digest] = left
            else:
                del index[digest]
        if self.ports is not None:
            self.ports.discard(ports_of(value), self.ports_length)
        priority = rule.priority
        left = self.priorities[priority] - 1
        if left:
            self.priorities[priority] = left
            return False
        del self.priorities[priority]
        if priority == self.max_priority:
            self.max_priority = max(self.priorities, default=-1)
            return True
        return False

    def at(self, value: int) -> Iterable[Rule]:
        """The rules with a value, of descending priority."""
        there = self.rules.get(value)
        if there is None:
            return ()
        return there if isinstance(there, list) else (there,)

    def all(self) -> Iterator[Rule]:
        """Every rule there is when the iteration begins."""
        for there in list(self.rules.values()):
            if isinstance(there, list):
                yield from list(there)
            else:
                yield there

    def looked_at_ports(self, key: int) -> int:
        """What a failed search for a key must hold fixed, given that its ports fit no rule or only some."""
        assert self.ports is not None
        bits = self.ports.bits_needed(ports_of(key) & ports_of(self.mask))
        narrowed = ports_of(self.mask) & (1 << _PORTS_WIDTH) - (1 << _PORTS_WIDTH - bits)
        return self.base_mask | (narrowed >> 16 | (narrowed & _PORT_MASK) << 16) << _PORTS_SHIFT
