"""Datapath actions as a program of 64-bit words, for `jit_actions.execute`.

A program is a sequence of instructions, each an operation and its operands, and ends with END. It names no address, so
it may lie anywhere. What can be known beforehand is decided here: whether a packet is changed after an output (then the
output needs a copy), and whether the body of a sample or clone changes it (then the body needs one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Final

from jackfield.dpif import actions as a
from jackfield.flow import fields as f

OP_END: Final = 0
OP_OUTPUT: Final = 1
"""port"""
OP_OUTPUT_COPY: Final = 2
"""port; the packet is changed afterwards"""
OP_USERSPACE: Final = 3
"""number that the caller gave the action"""
OP_SET: Final = 4
"""word of the key, value, mask"""
OP_PUSH_VLAN: Final = 5
"""TPID, TCI"""
OP_POP_VLAN: Final = 6
OP_TRUNCATE: Final = 7
"""bytes"""
OP_HASH: Final = 8
"""basis"""
OP_RECIRC: Final = 9
"""recirc_id; on a copy"""
OP_RECIRC_LAST: Final = 10
"""recirc_id; nothing else happens to the packet"""
OP_BLOCK: Final = 11
"""probability (EVERY: always), 1 when the body needs a copy, length of the body, which ends with END"""
OP_DROP: Final = 12
"""reason"""

EVERY: Final = 0xFFFF_FFFF

SETTABLE_FIELDS: Final = (
    f.SKB_PRIORITY,
    f.PKT_MARK,
    f.ETH_SRC,
    f.ETH_DST,
    f.VLAN_TCI,
    f.MPLS_LSES[0],
    f.IP_TOS,
    f.NW_TTL,
    f.IP_SRC,
    f.IP_DST,
    f.IPV6_SRC,
    f.IPV6_DST,
    f.IPV6_LABEL,
    f.ARP_OP,
    f.ARP_SPA,
    f.ARP_TPA,
    f.ARP_SHA,
    f.ARP_THA,
    f.TP_SRC,
    f.TP_DST,
    f.ND_TARGET,
    f.ND_SLL,
    f.ND_TLL,
)
"""What a `SetMasked` may change here, but for two bits that say which headers there are (`SETTABLE_MASK`)."""

SETTABLE_MASK: Final = (
    reduce(or_, (field.mask for field in SETTABLE_FIELDS)) & ~(f.VLAN_CFI << f.VLAN_TCI.offset) & ~f.MPLS_BOS.mask
)
"""The bits a `SetMasked` may change: that a tag is present, and that a label is the last, stay as they are."""

_WORD: Final = (1 << 64) - 1


def compile_actions(actions: a.DpActions, userspace_id: Callable[[a.Userspace], int]) -> list[int]:
    """The program of a list of actions, as signed 64-bit integers.

    Args:
        actions: what to do; nothing means drop.
        userspace_id: gives the number by which `execute` names a userspace action when it stops for it.

    Raises:
        ValueError: an action that this datapath does not have: a field that cannot be set, a hash algorithm other
            than 0, a truncation below 14 bytes.
    """
    return _compile(actions, userspace_id, changed_later=False, own=True)


def _compile(
    actions: Sequence[a.DpAction], userspace_id: Callable[[a.Userspace], int], *, changed_later: bool, own: bool
) -> list[int]:
    """The program of a list whose packet is (`own`) or is not its own, and may be changed by who comes later."""
    parts: list[list[int]] = []
    for index in range(len(actions) - 1, -1, -1):
        action = actions[index]
        last = own and index == len(actions) - 1
        match action:
            case a.Output(port):
                part = [OP_OUTPUT_COPY if changed_later else OP_OUTPUT, port]
            case a.Userspace():
                part = [OP_USERSPACE, userspace_id(action)]
            case a.SetMasked(value, mask):
                part = _compile_set(value, mask)
            case a.PushVlan(tpid, tci):
                part = [OP_PUSH_VLAN, tpid, tci]
            case a.PopVlan():
                part = [OP_POP_VLAN]
            case a.Truncate(max_len):
                if max_len < 14:
                    raise ValueError(f"truncate to {max_len} bytes (expected at least 14)")
                part = [OP_TRUNCATE, max_len]
            case a.Hash(algorithm, basis):
                if algorithm != 0:
                    raise ValueError(f"hash algorithm {algorithm} (expected 0)")
                part = [OP_HASH, basis]
            case a.Recirc(recirc_id):
                part = [OP_RECIRC_LAST if last else OP_RECIRC, recirc_id]
            case a.Sample(probability, body):
                part = _compile_block(probability, body, userspace_id, changed_later, last)
            case a.Clone(body):
                part = _compile_block(EVERY, body, userspace_id, changed_later, last)
            case a.Drop(reason):
                part = [OP_DROP, reason]
        changed_later = changed_later or _changes(action) or (last and _may_change(action))
        parts.append(part)
    return [signed(word) for part in reversed(parts) for word in part] + [OP_END]


def _compile_block(
    probability: int,
    body: a.DpActions,
    userspace_id: Callable[[a.Userspace], int],
    changed_later: bool,
    last: bool,
) -> list[int]:
    """A body gets a packet of its own if it changes it and somebody still wants it unchanged."""
    changes = any(map(_changes, body))
    copies = changes and not last
    own = copies or last
    program = _compile(body, userspace_id, changed_later=changed_later and not own, own=own)
    return [OP_BLOCK, probability, int(copies), len(program), *program]


def _changes(action: a.DpAction) -> bool:
    """Whether an action changes the packet, or the part of its key that recirculation keeps."""
    if isinstance(action, a.Sample | a.Clone):
        return False
    return isinstance(action, a.SetMasked | a.PushVlan | a.PopVlan | a.Hash)


def _may_change(action: a.DpAction) -> bool:
    """Whether the packet may be changed by an action that comes last and so has the packet for itself."""
    if isinstance(action, a.Sample | a.Clone):
        return any(map(_may_change, action.actions))
    return isinstance(action, a.Recirc) or _changes(action)


def _compile_set(value: int, mask: int) -> list[int]:
    if unknown := mask & ~SETTABLE_MASK:
        names = [field.name for field in f.FIELDS if field.mask & unknown and field.writable]
        raise ValueError(f"the userspace datapath cannot set {', '.join(names) or 'these bits of the key'}")
    if value & ~mask:
        raise ValueError("a value to set has bits outside its mask")
    program: list[int] = []
    for word in range(f.DATAPATH_WORDS):
        word_mask = mask >> 64 * word & _WORD
        if word_mask:
            program += [OP_SET, word, value >> 64 * word & _WORD, word_mask]
    return program


def signed(word: int) -> int:
    """A word of 64 bits as a signed integer; one that is signed already stays."""
    return word - (1 << 64) if word >> 63 == 1 else word


HASH_MULTIPLIER: Final = 0x9E37_79B9_7F4A_7C15 - (1 << 64)
"""As a signed word: 2**64 divided by the golden ratio."""


def hash_l4(key: int, basis: int) -> int:
    """dp_hash of a key: 32 bits that depend on addresses, protocol and ports, never zero."""
    hashed = (f.NW_PROTO.mask | f.TP_SRC.mask | f.TP_DST.mask) & key
    words = [f.NW_PROTO.word, f.IP_SRC.word, *range(f.IPV6_SRC.word, f.IPV6_SRC.word + 4)]
    value = basis
    for word in words:
        part = hashed if word == f.NW_PROTO.word else key
        value = ((value ^ part >> 64 * word & _WORD) * HASH_MULTIPLIER) & _WORD
        value ^= value >> 29
    return value & 0xFFFF_FFFF or 1
