"""From OpenFlow actions to steps: which handler does what, looked up once for each rule.

`compile_actions` is called when a rule is first used, `compile_action_set` when a packet's action set is done: it puts
the set in the order of OpenFlow 1.3.5 section 5.10, where the last action of each kind counts and fields are set in
the order in which they were written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from jackfield.flow import fields as f
from jackfield.flow.prerequisites import Prerequisite
from jackfield.ofproto.pipeline import xlate_actions as xa
from jackfield.ofproto.pipeline import xlate_output as xo
from jackfield.openflow import actions as of

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.frames import Step, Steps
    from jackfield.ofproto.pipeline.translate import Translation

_Handler = Callable[["Translation", Any], None]
_Made = tuple[_Handler, Any]


def _set_field(field: f.Field, value: int, mask: int) -> _Made:
    in_place = mask << field.offset & field.mask
    if field is f.VLAN_VID or field is f.DL_VLAN:
        # Of a VLAN that is there, only the number is set (OpenFlow 1.3 names the present bit too).
        in_place &= ~(f.VLAN_CFI << field.offset)
        return xa.set_vlan_vid, (value & 0xFFF, False)
    if field.prerequisite is Prerequisite.NONE and field not in _SPECIAL:
        return xa.set_bits, (in_place, value << field.offset & in_place)
    return xa.set_field, (field, in_place, value << field.offset & in_place)


_SPECIAL: Final = frozenset({f.VLAN_TCI})


def _whole(field: f.Field, value: int) -> _Made:
    return _set_field(field, value, field.max_value)


def _reg_load(action: of.RegLoad) -> _Made:
    dst = action.dst
    if dst.field in (f.VLAN_VID, f.DL_VLAN):
        return xa.set_field, (dst.field, dst.mask, action.value << dst.field.offset + dst.ofs & dst.mask)
    return _set_field(dst.field, action.value << dst.ofs, dst.max_value << dst.ofs)


_MAKERS: Final[dict[type[of.Action], Callable[[Any], _Made]]] = {
    of.Output: lambda a: (xo.output, (a.port, a.max_len)),
    of.OutputReg: lambda a: (xo.output_register, (a.src, a.max_len)),
    of.OutputTruncated: lambda a: (xo.truncated_output, (a.port, a.max_len)),
    of.Controller: lambda a: (xo.controller, a),
    of.Enqueue: lambda a: (xo.enqueue, (a.port, a.queue_id)),
    of.SetQueue: lambda a: (xo.set_queue, a.queue_id),
    of.PopQueue: lambda _: (xo.restore_priority, None),
    of.SetVlanVid: lambda a: (xa.set_vlan_vid, (a.vid, a.push)),
    of.SetVlanPcp: lambda a: (xa.set_vlan_pcp, (a.pcp, a.push)),
    of.StripVlan: lambda _: (xa.strip_vlan, None),
    of.PushVlan: lambda a: (xa.add_vlan, a.ethertype),
    of.SetEthSrc: lambda a: _whole(f.ETH_SRC, a.address),
    of.SetEthDst: lambda a: _whole(f.ETH_DST, a.address),
    of.SetIpSrc: lambda a: _whole(f.IP_SRC, a.address),
    of.SetIpDst: lambda a: _whole(f.IP_DST, a.address),
    of.SetTos: lambda a: _whole(f.IP_DSCP, a.tos >> 2),
    of.SetEcn: lambda a: _whole(f.NW_ECN, a.ecn),
    of.SetTtl: lambda a: _whole(f.NW_TTL, a.ttl),
    of.DecTtl: lambda a: (xa.dec_ttl, a.controller_ids),
    of.SetL4Src: lambda a: (xa.set_l4_port, (f.TP_SRC.mask, a.port << f.TP_SRC.offset)),
    of.SetL4Dst: lambda a: (xa.set_l4_port, (f.TP_DST.mask, a.port << f.TP_DST.offset)),
    of.SetTunnel: lambda a: _whole(f.TUN_ID, a.tunnel_id),
    of.SetField: lambda a: _set_field(a.field, a.value, a.mask),
    of.RegLoad: _reg_load,
    of.RegMove: lambda a: (xa.move, (a.src, a.dst)),
    of.StackPush: lambda a: (xa.push, a.src),
    of.StackPop: lambda a: (xa.pop, a.dst),
    of.Resubmit: lambda a: (xa.resubmit, (a.in_port, a.table_id)),
    of.Note: lambda _: (xa.note, None),
    of.Exit: lambda _: (xa.leave, None),
    of.ClearActions: lambda _: (xa.clear_actions, None),
    of.WriteActions: lambda a: (xa.write_actions, a.actions),
    of.WriteMetadata: lambda a: _set_field(f.METADATA, a.metadata & a.mask, a.mask),
    of.GotoTable: lambda a: (xa.goto_table, a.table_id),
}

_WRITABLE_HEADERS: Final = frozenset(
    {
        Prerequisite.NONE,
        Prerequisite.ETHERNET,
        Prerequisite.VLAN_VID,
        Prerequisite.ARP,
        Prerequisite.IPV4,
        Prerequisite.IPV6,
        Prerequisite.IP_ANY,
        Prerequisite.TCP,
        Prerequisite.UDP,
        Prerequisite.SCTP,
        Prerequisite.ICMPV4,
        Prerequisite.ICMPV6,
        Prerequisite.ND,
        Prerequisite.ND_SOLICIT,
        Prerequisite.ND_ADVERT,
    }
)
_UNWRITABLE: Final = frozenset({f.CT_MARK, f.CT_LABEL, f.ND_RESERVED, f.ND_OPTIONS_TYPE})


def unsupported(actions: Sequence[of.Action]) -> of.Action | None:
    """The first action that translation cannot do, None when it can do all."""
    for action in actions:
        written = _written(action)
        if type(action) not in _MAKERS or (
            written is not None and (written.prerequisite not in _WRITABLE_HEADERS or written in _UNWRITABLE)
        ):
            return action
        if isinstance(action, of.WriteActions) and (inner := unsupported(action.actions)) is not None:
            return inner
    return None


def _written(action: of.Action) -> f.Field | None:
    if isinstance(action, of.SetField):
        return action.field
    if isinstance(action, (of.RegLoad, of.RegMove, of.StackPop)):
        return action.dst.field
    return None


def _step(action: of.Action) -> Step:
    handler, argument = _MAKERS[type(action)](action)
    return handler, argument, action


def compile_actions(actions: Sequence[of.Action]) -> Steps:
    """The steps of a list of actions, every one of which `unsupported` lets pass."""
    return tuple(map(_step, actions))


#: Kinds of actions that an action set holds once, by the order in which they are done; all others set fields and come
#: between the two.
_FIRST: Final = (of.StripVlan, of.PushVlan, of.DecTtl)
_LAST: Final = (of.SetQueue, of.Output)
_ONCE: Final = frozenset((*_FIRST, *_LAST))


def compile_action_set(actions: Sequence[of.Action]) -> Steps:
    """The steps of an action set, given as it was written; without an output it does nothing at all."""
    last = {type(action): action for action in actions}
    output = last.get(of.Output)
    if output is None:
        return ()
    ordered = [last[kind] for kind in _FIRST if kind in last]
    ordered += [action for action in actions if type(action) not in _ONCE]
    ordered += [last[kind] for kind in _LAST if kind in last]
    return compile_actions(ordered)
