"""Handlers that change the key, the stack or the action set, and those that steer between tables.

A field is written only if the packet has it; to find that out means looking at its prerequisites, and to write a bit
means that the megaflow must know it: whether the packet is changed at all depends on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.ports import OFPP_UNSET
from jackfield.flow.prerequisites import REQUIRED_MASK, Prerequisite, met_by_key
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.frames import MAX_STACK, STACK_TOO_DEEP
from jackfield.ofproto.pipeline.xlate_normal import pop_vlan, push_vlan
from jackfield.openflow import actions as of
from jackfield.openflow.messages import PacketInReason

if TYPE_CHECKING:
    from jackfield.flow.subfield import Subfield
    from jackfield.ofproto.pipeline.translate import Translation

_ACTSET_UNSET: Final = OFPP_UNSET << k.ACTSET_OUTPUT_OFF
_8021Q: Final = 0x8100
_NO_PREREQUISITE: Final = frozenset({Prerequisite.NONE, Prerequisite.ETHERNET})
_VLAN_FIELDS: Final = frozenset({f.VLAN_TCI, f.VLAN_VID, f.DL_VLAN, f.DL_VLAN_PCP, f.VLAN_PCP})


def exists(t: Translation, field: Field) -> bool:
    """Whether the packet has a field."""
    prerequisite = field.prerequisite
    if prerequisite in _NO_PREREQUISITE:
        return True
    t.wildcards |= REQUIRED_MASK[prerequisite]
    return met_by_key(prerequisite, t.key)


def set_field(t: Translation, argument: tuple[Field, int, int]) -> None:
    """Set bits of a field, if there is one; (field, mask in place, value in place)."""
    field, mask, value = argument
    if not exists(t, field):
        t.wildcards |= mask
        return
    t.set_bits(mask, value)
    if field in _VLAN_FIELDS:
        _settle_tag(t)


def set_bits(t: Translation, argument: tuple[int, int]) -> None:
    """Set bits that every packet has; (mask, value), in place."""
    mask, value = argument
    t.set_bits(mask, value)


def _settle_tag(t: Translation) -> None:
    """After its TCI was written as a field: a tag that is there has a TPID, one that is not has nothing."""
    key = t.key
    if not key & k.VLAN_PRESENT:
        t.key = pop_vlan(key) if t.base & k.VLAN_PRESENT else key & ~k.VLAN_TAG
        t.wildcards |= k.VLAN_TAG | k.VLAN2_TAG
    elif not key & k.VLAN_TPID:
        t.key = key | _8021Q << f.VLAN_TPID.offset
    t.changed |= k.ANY_VLAN_TAG


def move(t: Translation, argument: tuple[Subfield, Subfield]) -> None:
    """Copy bits, if the packet has both fields."""
    src, dst = argument
    if exists(t, dst.field) and exists(t, src.field):
        t.wildcards |= src.mask
        mask = dst.mask
        value = src.get(t.key) << dst.field.offset + dst.ofs
        t.set_bits(mask, value & mask)
        if dst.field in _VLAN_FIELDS:
            _settle_tag(t)
        if t.report is not None:
            t.report.detail(f"{dst} is now {dst.get(t.key):#x}")


def push(t: Translation, src: Subfield) -> None:
    """Push bits on the stack; zero for a field the packet has not."""
    if len(t.stack) >= MAX_STACK:
        t.fail(STACK_TOO_DEEP)
        return
    value = 0
    if exists(t, src.field):
        t.wildcards |= src.mask
        value = src.get(t.key)
    t.stack.append((value, src.n_bits))


def pop(t: Translation, dst: Subfield) -> None:
    """Pop the stack into bits; the high bits are lost or zero where the widths differ. Nothing on an empty stack."""
    if not t.stack:
        t.warn("stack underflow")
        return
    value, _ = t.stack.pop()
    if exists(t, dst.field):
        t.set_bits(dst.mask, value << dst.field.offset + dst.ofs & dst.mask)
        if dst.field in _VLAN_FIELDS:
            _settle_tag(t)


def set_vlan_vid(t: Translation, argument: tuple[int, bool]) -> None:
    """Set the VLAN ID; an untagged packet gets a tag if that is asked for."""
    vid, add = argument
    _set_tag_bits(t, k.VLAN_VID, vid << k.VLAN_TCI_OFF, add=add)


def set_vlan_pcp(t: Translation, argument: tuple[int, bool]) -> None:
    """Set the VLAN priority; an untagged packet gets a tag if that is asked for."""
    pcp, add = argument
    _set_tag_bits(t, k.VLAN_PCP, pcp << f.VLAN_PCP.offset, add=add)


def _set_tag_bits(t: Translation, mask: int, value: int, *, add: bool) -> None:
    if not t.key & k.VLAN_PRESENT:
        if not add:
            return
        t.key = push_vlan(t.key, _8021Q, f.VLAN_CFI)
        t.changed |= k.ANY_VLAN_TAG
    t.set_bits(mask, value)


def strip_vlan(t: Translation, _argument: None) -> None:
    """Remove the outermost tag, if there is one."""
    key = t.key
    if key & k.VLAN_PRESENT:
        t.wildcards |= k.VLAN2_TAG if key & k.VLAN2_PRESENT else k.VLAN2_PRESENT
        t.key = pop_vlan(key)
        t.changed |= k.ANY_VLAN_TAG
        t.stripped = True


def add_vlan(t: Translation, tpid: int) -> None:
    """Add a tag with VLAN 0 and priority 0 outermost."""
    key = t.key
    if key & k.VLAN_PRESENT:
        t.wildcards |= k.VLAN_TAG | (k.VLAN2_TAG if key & k.VLAN2_PRESENT else k.VLAN2_PRESENT)
    t.key = push_vlan(key, tpid, f.VLAN_CFI)
    t.changed |= k.ANY_VLAN_TAG


_WITH_PORTS: Final = frozenset({6, 17, 132})


def set_l4_port(t: Translation, argument: tuple[int, int]) -> None:
    """Set a port of TCP, UDP or SCTP; (mask, value), in place."""
    if exists(t, f.NW_PROTO) and not t.key & k.FRAG_LATER:
        t.wildcards |= k.NW_PROTO
        if f.NW_PROTO.get(t.key) in _WITH_PORTS:
            mask, value = argument
            t.set_bits(mask, value)


def dec_ttl(t: Translation, controller_ids: tuple[int, ...]) -> None:
    """Decrement the TTL; a packet that has none left goes to controllers, and the rule's other actions are not done."""
    if not exists(t, f.NW_TTL):
        return
    t.wildcards |= k.NW_TTL
    ttl = f.NW_TTL.get(t.key)
    if ttl > 1:
        t.set_bits(k.NW_TTL, ttl - 1 << k.NW_TTL_OFF)
        return
    t.warn("IPv4 decrement TTL exception")
    for controller_id in controller_ids:
        t.to_controllers(PacketInReason.INVALID_TTL, of.CONTROLLER_MAX_LEN, controller_id)
    t.frames[-1].index = len(t.frames[-1].steps)


def note(_t: Translation, _argument: None) -> None:
    """Nothing."""


def leave(t: Translation, _argument: None) -> None:
    """End everything the packet would still do in this bridge."""
    t.stopped = True


def resubmit(t: Translation, argument: tuple[int, int]) -> None:
    """Search a table in between; (in_port, table)."""
    in_port, table_id = argument
    if in_port == of.RESUBMIT_IN_PORT:
        in_port = (t.key & k.IN_PORT) >> k.IN_PORT_OFF
    t.resubmit(t.table_id if table_id == of.RESUBMIT_THIS_TABLE else table_id, in_port)


def goto_table(t: Translation, table_id: int) -> None:
    """Go on in a later table."""
    t.enter_table(table_id)


def clear_actions(t: Translation, _argument: None) -> None:
    """Empty the action set."""
    t.action_set = []
    t.key = t.key & ~k.ACTSET_OUTPUT | _ACTSET_UNSET


def write_actions(t: Translation, actions: tuple[of.Action, ...]) -> None:
    """Add to the action set."""
    t.action_set = [*t.action_set, *actions]
    for action in actions:
        if isinstance(action, of.Output):
            t.key = t.key & ~k.ACTSET_OUTPUT | action.port << k.ACTSET_OUTPUT_OFF
