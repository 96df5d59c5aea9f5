"""What a flow does with a packet: OpenFlow actions and instructions as values, in no particular wire form.

A flow's behaviour is one tuple of `Action`, in the order in which it takes effect. The actions of an Apply-Actions
instruction stand in the tuple directly; the other instructions follow as members of the same tuple, in the order
OpenFlow 1.3.5 section 5.9 executes them: `ClearActions`, `WriteActions`, `WriteMetadata`, `GotoTable`. The wire form
is in `action_codec`, the text form in `action_text`.

Sources: OpenFlow 1.0.1 section 5.2.4, OpenFlow 1.3.5 section 7.2.5, ovs-actions(7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jackfield.flow.ports import OfPort

if TYPE_CHECKING:
    from jackfield.flow.fields import Field
    from jackfield.flow.subfield import Subfield

CONTROLLER_MAX_LEN: Final = 0xFFFF
"""`max_len` that asks for the whole packet (OFPCML_NO_BUFFER)."""

MIN_TRUNCATED_LEN: Final = 14
"""Smallest `OutputTruncated.max_len`: an Ethernet header."""

RESUBMIT_IN_PORT: Final = OfPort(0xFFFFFFF8)
"""`Resubmit.in_port` that keeps the packet's own in_port (OFPP_IN_PORT)."""

RESUBMIT_THIS_TABLE: Final = 0xFF
"""`Resubmit.table_id` that searches the table in which the action stands."""


class Action:
    """Base of every action and instruction."""

    __slots__ = ()


class Instruction(Action):
    """Base of the members that are instructions in OpenFlow 1.1 and later; at most one of each, after all actions."""

    __slots__ = ()


# Where the packet goes


@dataclass(frozen=True, slots=True)
class Output(Action):
    """Send the packet to a port; `max_len` bytes of it when the port is CONTROLLER."""

    port: OfPort
    max_len: int = 0


@dataclass(frozen=True, slots=True)
class OutputReg(Action):
    """Send the packet to the port whose number stands in `src`."""

    src: Subfield
    max_len: int = CONTROLLER_MAX_LEN


@dataclass(frozen=True, slots=True)
class OutputTruncated(Action):
    """Send the first `max_len` bytes of the packet to a port."""

    port: OfPort
    max_len: int


@dataclass(frozen=True, slots=True)
class Controller(Action):
    """Send the packet to the controllers with `controller_id` (the Nicira controller action)."""

    max_len: int = CONTROLLER_MAX_LEN
    controller_id: int = 0
    reason: int = 1
    userdata: bytes = b""


@dataclass(frozen=True, slots=True)
class Enqueue(Action):
    """Send the packet to a port through one of its queues."""

    port: OfPort
    queue_id: int


@dataclass(frozen=True, slots=True)
class SetQueue(Action):
    """Choose the queue for outputs that follow."""

    queue_id: int


@dataclass(frozen=True, slots=True)
class PopQueue(Action):
    """Return to the queue the packet had on arrival."""


# Changing the packet, one header field an action (OpenFlow 1.0 and 1.1)


@dataclass(frozen=True, slots=True)
class SetVlanVid(Action):
    """Set the VLAN ID; adds a tag to an untagged packet when `push` (OpenFlow 1.0), else leaves that packet alone."""

    vid: int
    push: bool = True


@dataclass(frozen=True, slots=True)
class SetVlanPcp(Action):
    """Set the VLAN priority; `push` as in `SetVlanVid`."""

    pcp: int
    push: bool = True


@dataclass(frozen=True, slots=True)
class StripVlan(Action):
    """Remove the outermost VLAN tag, if there is one (strip_vlan, pop_vlan)."""


@dataclass(frozen=True, slots=True)
class PushVlan(Action):
    """Add a VLAN tag of type `ethertype` (0x8100 or 0x88a8)."""

    ethertype: int


@dataclass(frozen=True, slots=True)
class SetEthSrc(Action):
    """Set the Ethernet source address, a 48-bit integer."""

    address: int


@dataclass(frozen=True, slots=True)
class SetEthDst(Action):
    """Set the Ethernet destination address, a 48-bit integer."""

    address: int


@dataclass(frozen=True, slots=True)
class SetIpSrc(Action):
    """Set the IPv4 source address, a 32-bit integer."""

    address: int


@dataclass(frozen=True, slots=True)
class SetIpDst(Action):
    """Set the IPv4 destination address, a 32-bit integer."""

    address: int


@dataclass(frozen=True, slots=True)
class SetTos(Action):
    """Set the DSCP bits of the IP TOS byte; `tos` is the whole byte with its two low bits zero."""

    tos: int


@dataclass(frozen=True, slots=True)
class SetEcn(Action):
    """Set the two ECN bits of the IP TOS byte."""

    ecn: int


@dataclass(frozen=True, slots=True)
class SetTtl(Action):
    """Set the IP TTL or hop limit."""

    ttl: int


@dataclass(frozen=True, slots=True)
class DecTtl(Action):
    """Decrement the IP TTL; a packet whose TTL has expired goes to the controllers listed instead."""

    controller_ids: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class SetL4Src(Action):
    """Set the TCP, UDP or SCTP source port."""

    port: int


@dataclass(frozen=True, slots=True)
class SetL4Dst(Action):
    """Set the TCP, UDP or SCTP destination port."""

    port: int


@dataclass(frozen=True, slots=True)
class PushMpls(Action):
    """Add an MPLS label stack entry and set the Ethernet type to `ethertype`."""

    ethertype: int


@dataclass(frozen=True, slots=True)
class PopMpls(Action):
    """Remove the outermost MPLS label stack entry and set the Ethernet type to `ethertype`."""

    ethertype: int


@dataclass(frozen=True, slots=True)
class SetMplsLabel(Action):
    """Set the label (20 bits) of the outermost MPLS entry."""

    label: int


@dataclass(frozen=True, slots=True)
class SetMplsTc(Action):
    """Set the traffic class (3 bits) of the outermost MPLS entry."""

    tc: int


@dataclass(frozen=True, slots=True)
class SetMplsTtl(Action):
    """Set the TTL of the outermost MPLS entry."""

    ttl: int


@dataclass(frozen=True, slots=True)
class DecMplsTtl(Action):
    """Decrement the TTL of the outermost MPLS entry."""


@dataclass(frozen=True, slots=True)
class SetTunnel(Action):
    """Set the tunnel key; `wide` keeps the 64-bit form (set_tunnel64) that the controller chose."""

    tunnel_id: int
    wide: bool = False


# Changing any field


@dataclass(frozen=True, slots=True)
class SetField(Action):
    """Set the bits of `field` that are 1 in `mask` to those of `value`; both are aligned to the field's own bit 0."""

    field: Field
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class RegLoad(Action):
    """Set the bits `dst` to `value` (the Nicira load action)."""

    dst: Subfield
    value: int


@dataclass(frozen=True, slots=True)
class RegMove(Action):
    """Copy the bits `src` to `dst`, which are as many."""

    src: Subfield
    dst: Subfield


@dataclass(frozen=True, slots=True)
class StackPush(Action):
    """Push the bits `src` on the packet's stack."""

    src: Subfield


@dataclass(frozen=True, slots=True)
class StackPop(Action):
    """Pop the packet's stack into the bits `dst`."""

    dst: Subfield


# Control of the pipeline


@dataclass(frozen=True, slots=True)
class Resubmit(Action):
    """Search `table_id` as if the packet had come from `in_port`, then go on with the next action."""

    in_port: OfPort = RESUBMIT_IN_PORT
    table_id: int = RESUBMIT_THIS_TABLE


@dataclass(frozen=True, slots=True)
class Note(Action):
    """Do nothing; carries bytes for the controller's own use."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Exit(Action):
    """End the processing of the packet, in resubmitting tables too."""


# Instructions


@dataclass(frozen=True, slots=True)
class ClearActions(Instruction):
    """Empty the packet's action set."""


@dataclass(frozen=True, slots=True)
class WriteActions(Instruction):
    """Merge actions into the packet's action set."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class WriteMetadata(Instruction):
    """Set the bits of the metadata field that are 1 in `mask`."""

    metadata: int
    mask: int = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class GotoTable(Instruction):
    """Go on in a later table."""

    table_id: int


INSTRUCTION_RANK: Final[dict[type[Action], int]] = {ClearActions: 1, WriteActions: 2, WriteMetadata: 3, GotoTable: 4}
"""Rank of each instruction in a flow's tuple; plain actions have rank 0."""
