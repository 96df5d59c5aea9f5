"""Letting a packet out by one port: into the datapath, or through a patch into another bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jackfield.flow.ports import OFPP_UNSET
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.commit import COMMITTED
from jackfield.ofproto.pipeline.frames import ACTION_SET_STEPS, MAX_DEPTH, TOO_DEEP, Frame

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.bridge import XPort
    from jackfield.ofproto.pipeline.translate import Translation

_ACTSET_UNSET: Final = OFPP_UNSET << k.ACTSET_OUTPUT_OFF
#: What a packet that crosses a patch leaves behind: it begins anew in the other bridge.
_OF_BRIDGE: Final = k.IN_PORT | k.METADATA | k.REGISTERS | k.ACTSET_OUTPUT | k.TUNNEL | k.CONNTRACK


def output_to(t: Translation, ofp_port: int) -> None:
    """Output to an ordinary port, also the one the packet came in by."""
    bridge = t.bridge
    port = bridge.ports.get(ofp_port)
    if port is None:
        t.topics.append(bridge.port_topic(ofp_port))
        t.warn("Nonexistent output port")
    else:
        t.topics.append(port.topic)
        send(t, port)


def send(t: Translation, port: XPort) -> None:
    """Let the packet out by a port that may well refuse it."""
    if not port.forwards:
        t.warn("OFPPC_NO_FWD set, skipping output")
        return
    if port.output is None:
        _through_patch(t, port)
        return
    if (t.base ^ t.key) & COMMITTED or t.stripped:
        t.commit()
    t.emit(port.output)


def _through_patch(t: Translation, port: XPort) -> None:
    """Go on in the bridge at the other end of a patch; what it does with the packet shows afterwards only there."""
    peer = port.peer
    if peer is None:
        t.warn("Nonexistent patch peer")
        return
    if t.depth >= MAX_DEPTH:
        t.fail(TOO_DEEP)
        return
    before = (
        t.bridge,
        t.key,
        t.changed,
        t.version,
        t.table_id,
        t.of_table_miss,
        t.cookie,
        t.action_set,
        t.stack,
        t.in_action_set,
        t.packet_out,
    )
    t.depth += 1
    t.patches.append(port)
    t.bridge = peer.bridge
    t.version = peer.bridge.switch.version
    t.key = t.key & ~_OF_BRIDGE | peer.ofp_port << k.IN_PORT_OFF | _ACTSET_UNSET
    t.changed |= _OF_BRIDGE
    t.action_set, t.stack = [], []
    t.in_action_set = t.packet_out = False
    t.topics.append(peer.bridge.topic)
    t.topics.append(peer.topic)
    opened = 0
    if t.report is not None:
        opened = t.report.depth
        t.report.bridge(peer.bridge.name)
    t.frames.append(Frame(ACTION_SET_STEPS, end_patch, before, opened))
    if t.may_receive(peer):
        t.enter_table(0)
    else:
        t.frames[-1].index = len(ACTION_SET_STEPS)


def end_patch(t: Translation, saved: tuple[Any, ...]) -> None:
    """Come back through a patch. A frozen translation reaches down to here and no further: the rest goes on now."""
    (
        t.bridge,
        t.key,
        t.changed,
        t.version,
        t.table_id,
        t.of_table_miss,
        t.cookie,
        t.action_set,
        t.stack,
        t.in_action_set,
        t.packet_out,
    ) = saved
    t.depth -= 1
    if t.error is None:
        # An exit over there does not end anything here.
        t.stopped = False
