"""Whether the actions of a flow make sense for what it matches, and where they send and go.

An action on a header needs a match that guarantees the header; actions before it count, as they push and pop headers.
OpenFlow 1.0 has no error for its own actions on absent headers and ignores them, as Open vSwitch does; Nicira's
actions and everything later are held to it. Sources: OpenFlow 1.3.5 sections 5.9 and 5.12, ovs-actions(7).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from jackfield.flow import fields as f
from jackfield.flow.fields import Field
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP10_MAX, OFPP_CONTROLLER, OFPP_IN_PORT, OFPP_LOCAL, OFPP_NONE, OFPP_UNSET, OfPort
from jackfield.flow.prerequisites import Prerequisite
from jackfield.openflow import actions as a
from jackfield.openflow.actions import Action
from jackfield.openflow.dialect import OF10, OF12
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import ALL_TABLES

N_TABLES: Final = 254
"""Tables that flows can be in and go to."""


_TAGGED: Final = f.VLAN_CFI << f.VLAN_TCI.offset


class _State:
    """What is known of the packet at an action: the match, as actions before it changed it."""

    __slots__ = ("match", "version")

    def __init__(self, match: Match, version: int) -> None:
        self.match = match
        self.version = version

    def need(self, prerequisite: Prerequisite, what: str) -> None:
        if not self.match.allows(prerequisite):
            raise OpenFlowError("OFPBAC_MATCH_INCONSISTENT", f"{what} needs a match on {prerequisite.value}")

    def need_since_of11(self, prerequisite: Prerequisite, what: str) -> None:
        if self.version > OF10:
            self.need(prerequisite, what)

    def need_field(self, field: Field) -> None:
        self.need(field.prerequisite, field.name)

    def become(self, eth_type: int) -> None:
        """The Ethernet type is now another, and what followed the old one is unknown."""
        link = f.ETH_SRC.mask | f.ETH_DST.mask | f.VLAN_TCI.mask | f.PACKET_TYPE.mask
        keep = self.match.mask & link
        self.match = Match.masked(self.match.value, keep).with_field(f.ETH_TYPE, eth_type)


def check_out_port(port: OfPort) -> None:
    """Hold a port number to those a packet can be sent to, reserved ones included.

    Raises:
        OpenFlowError: OFPBAC_BAD_OUT_PORT.
    """
    if port == OFPP_NONE or OFPP10_MAX <= port <= OFPP_UNSET:
        raise OpenFlowError("OFPBAC_BAD_OUT_PORT", f"port {port:#x}")


def _check_output(action: a.Output | a.OutputTruncated, _state: _State) -> None:
    check_out_port(action.port)


def _check_enqueue(action: a.Enqueue, _state: _State) -> None:
    port = action.port
    if port >= OFPP10_MAX and port not in (OFPP_IN_PORT, OFPP_LOCAL):
        raise OpenFlowError("OFPBAC_BAD_OUT_PORT", f"queue of port {port:#x}")


def _check_set_vlan(action: a.SetVlanVid | a.SetVlanPcp, state: _State) -> None:
    if not action.push:
        state.need_since_of11(Prerequisite.VLAN_VID, "setting VLAN fields")
    _tag(state)


def _tag(state: _State) -> None:
    match = state.match
    state.match = Match(match.value | _TAGGED, match.mask | _TAGGED)


def _check_push_vlan(_action: a.PushVlan, state: _State) -> None:
    _tag(state)


def _check_strip_vlan(_action: a.StripVlan, state: _State) -> None:
    state.match = state.match.without(f.VLAN_TCI)


def _needs(prerequisite: Prerequisite) -> Callable[[Action, _State], None]:
    def check(action: Action, state: _State) -> None:
        state.need_since_of11(prerequisite, type(action).__name__)

    return check


def _check_l4(action: a.SetL4Src | a.SetL4Dst, state: _State) -> None:
    if state.version > OF10 and not any(
        state.match.allows(transport) for transport in (Prerequisite.TCP, Prerequisite.UDP, Prerequisite.SCTP)
    ):
        raise OpenFlowError("OFPBAC_MATCH_INCONSISTENT", f"{type(action).__name__} needs a match on TCP, UDP or SCTP")


def _check_push_mpls(action: a.PushMpls, state: _State) -> None:
    state.become(action.ethertype)


def _check_pop_mpls(action: a.PopMpls, state: _State) -> None:
    state.need_since_of11(Prerequisite.MPLS, "PopMpls")
    state.become(action.ethertype)


def _check_set_field(action: a.SetField, state: _State) -> None:
    field = action.field
    if field is f.VLAN_VID and state.version >= OF12 and not action.value & f.VLAN_CFI and action.mask & f.VLAN_CFI:
        raise OpenFlowError("OFPBAC_BAD_SET_ARGUMENT", "vlan_vid without its present bit")
    if field is f.VLAN_VID and state.version > OF10:
        state.need(Prerequisite.VLAN_VID, field.name)
    state.need_field(field)


def _check_load(action: a.RegLoad | a.StackPop, state: _State) -> None:
    state.need_field(action.dst.field)


def _check_source(action: a.OutputReg | a.StackPush, state: _State) -> None:
    state.need_field(action.src.field)


def _check_move(action: a.RegMove, state: _State) -> None:
    state.need_field(action.src.field)
    state.need_field(action.dst.field)


def _check_written(action: a.WriteActions, state: _State) -> None:
    _check_all(action.actions, _State(state.match, state.version))


_CHECKS: Final[dict[type[Action], Callable[[Any, _State], None]]] = {
    a.Output: _check_output,
    a.OutputTruncated: _check_output,
    a.Enqueue: _check_enqueue,
    a.OutputReg: _check_source,
    a.SetVlanVid: _check_set_vlan,
    a.SetVlanPcp: _check_set_vlan,
    a.PushVlan: _check_push_vlan,
    a.StripVlan: _check_strip_vlan,
    a.SetIpSrc: _needs(Prerequisite.IPV4),
    a.SetIpDst: _needs(Prerequisite.IPV4),
    a.SetTos: _needs(Prerequisite.IP_ANY),
    a.SetEcn: _needs(Prerequisite.IP_ANY),
    a.SetTtl: _needs(Prerequisite.IP_ANY),
    a.DecTtl: _needs(Prerequisite.IP_ANY),
    a.SetL4Src: _check_l4,
    a.SetL4Dst: _check_l4,
    a.PushMpls: _check_push_mpls,
    a.PopMpls: _check_pop_mpls,
    a.SetMplsLabel: _needs(Prerequisite.MPLS),
    a.SetMplsTc: _needs(Prerequisite.MPLS),
    a.SetMplsTtl: _needs(Prerequisite.MPLS),
    a.DecMplsTtl: _needs(Prerequisite.MPLS),
    a.SetField: _check_set_field,
    a.RegLoad: _check_load,
    a.StackPop: _check_load,
    a.StackPush: _check_source,
    a.RegMove: _check_move,
    a.WriteActions: _check_written,
}


def _check_all(actions: tuple[Action, ...], state: _State) -> None:
    for action in actions:
        check = _CHECKS.get(type(action))
        if check is not None:
            check(action, state)


def check_flow(actions: tuple[Action, ...], match: Match, table_id: int, version: int) -> None:
    """Hold a flow's actions to its match and table (`ALL_TABLES` if the switch chooses it).

    Raises:
        OpenFlowError: OFPBAC_BAD_OUT_PORT, MATCH_INCONSISTENT or BAD_SET_ARGUMENT, OFPBIC_BAD_TABLE_ID.
    """
    if not actions:
        return
    if len(actions) == 1 and type(actions[0]) is a.Output:
        check_out_port(actions[0].port)
        return
    _check_all(actions, _State(match, version))
    last = actions[-1]
    if type(last) is a.GotoTable and (
        last.table_id >= N_TABLES or (table_id != ALL_TABLES and last.table_id <= table_id)
    ):
        raise OpenFlowError("OFPBIC_BAD_TABLE_ID", f"goto table {last.table_id} from table {table_id}")


def check_packet_out(actions: tuple[Action, ...], in_port: OfPort, version: int) -> None:
    """Hold the actions of a packet-out to what is known before the packet is looked at, which is no header at all.

    Raises:
        OpenFlowError: OFPBRC_BAD_PORT, the in_port is none a packet can come from; OFPBAC_BAD_OUT_PORT.
    """
    if in_port >= OFPP10_MAX and in_port not in (OFPP_LOCAL, OFPP_CONTROLLER, OFPP_NONE):
        raise OpenFlowError("OFPBRC_BAD_PORT", f"in_port {in_port:#x}")
    for action in actions:
        if isinstance(action, a.Output | a.OutputTruncated):
            check_out_port(action.port)
        elif isinstance(action, a.Enqueue):
            _check_enqueue(action, _State(Match(), version))
