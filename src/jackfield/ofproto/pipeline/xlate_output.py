"""Handlers that let packets out by number: to a port, to many, to controllers; and what a table miss leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jackfield.dpif.actions import Truncate
from jackfield.flow.ports import (
    OFPP_ALL,
    OFPP_CONTROLLER,
    OFPP_FLOOD,
    OFPP_IN_PORT,
    OFPP_NONE,
    OFPP_NORMAL,
    OFPP_TABLE,
    OFPP_UNSET,
    from_of10,
)
from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.frames import Frame
from jackfield.ofproto.pipeline.xlate_normal import normal
from jackfield.ofproto.pipeline.xlate_port import output_to, send
from jackfield.ofproto.provider import NO_COOKIE
from jackfield.ofproto.tables import N_TABLES, TableMiss
from jackfield.openflow.messages import PacketInReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackfield.flow.subfield import Subfield
    from jackfield.ofproto.pipeline.translate import Translation
    from jackfield.openflow.actions import Controller


def output(t: Translation, argument: tuple[int, int]) -> None:
    """Output to a port by number; the argument is the number and, for CONTROLLER, the bytes wanted."""
    ofp_port, max_len = argument
    reserved = _RESERVED.get(ofp_port)
    if reserved is not None:
        reserved(t, max_len)
    elif ofp_port == (t.key & k.IN_PORT) >> k.IN_PORT_OFF:
        t.warn("skipping output to input port")
    else:
        output_to(t, ofp_port)


def output_register(t: Translation, argument: tuple[Subfield, int]) -> None:
    """Output to the port whose number stands in a field; (field, bytes wanted by controllers)."""
    src, max_len = argument
    t.wildcards |= src.mask
    ofp_port = src.get(t.key)
    if src.n_bits == 16:
        ofp_port = from_of10(ofp_port)
    t.note(f"output port is {ofp_port}")
    output(t, (ofp_port, max_len))


def truncated_output(t: Translation, argument: tuple[int, int]) -> None:
    """Output no more than so many bytes of the packet to a port; (port, bytes)."""
    ofp_port, max_len = argument
    if ofp_port == OFPP_IN_PORT:
        ofp_port = (t.key & k.IN_PORT) >> k.IN_PORT_OFF
    port = t.bridge.ports.get(ofp_port)
    if port is None or port.output is None:
        t.topics.append(t.bridge.port_topic(ofp_port))
        t.warn("Nonexistent or unsupported port of truncated output")
        return
    t.topics.append(port.topic)
    if not port.forwards:
        t.warn("OFPPC_NO_FWD set, skipping output")
        return
    t.commit()
    t.emit(Truncate(max_len))
    t.emit(port.output)


def flood(t: Translation, _max_len: int) -> None:
    """Output to every port that floods."""
    _to_many(t, every=False)


def to_all(t: Translation, _max_len: int) -> None:
    """Output to every port."""
    _to_many(t, every=True)


def _to_many(t: Translation, *, every: bool) -> None:
    bridge = t.bridge
    t.topics.append(bridge.flood_topic)
    in_port = (t.key & k.IN_PORT) >> k.IN_PORT_OFF
    ports = [port for port in bridge.ports.values() if port.ofp_port != in_port and (every or port.floods)]
    if all(port.output is not None for port in ports):
        for port in ports:
            send(t, port)
    else:
        # A patch must be through before the next port is served.
        t.frames.append(Frame(tuple((send, port, None) for port in ports)))


def _to_in_port(t: Translation, _max_len: int) -> None:
    output_to(t, (t.key & k.IN_PORT) >> k.IN_PORT_OFF)


def _to_table(t: Translation, _max_len: int) -> None:
    before = (t.table_id, t.of_table_miss, t.cookie)
    t.frames.append(Frame((), _end_table, before))
    t.enter_table(0)


def _end_table(t: Translation, saved: tuple[int, bool, int]) -> None:
    t.table_id, t.of_table_miss, t.cookie = saved


def _to_normal(t: Translation, _max_len: int) -> None:
    normal(t)


def _to_controller(t: Translation, max_len: int) -> None:
    reason = PacketInReason.ACTION
    if t.packet_out:
        reason = PacketInReason.PACKET_OUT
    elif t.in_action_set:
        reason = PacketInReason.ACTION_SET
    elif t.of_table_miss:
        reason = PacketInReason.NO_MATCH
    t.to_controllers(reason, max_len)


def _nowhere(t: Translation, _max_len: int) -> None:
    """Output to NONE: nothing."""


_RESERVED: Final[dict[int, Callable[[Translation, int], None]]] = {
    OFPP_IN_PORT: _to_in_port,
    OFPP_TABLE: _to_table,
    OFPP_NORMAL: _to_normal,
    OFPP_FLOOD: flood,
    OFPP_ALL: to_all,
    OFPP_CONTROLLER: _to_controller,
    OFPP_NONE: _nowhere,
    OFPP_UNSET: _nowhere,
}


def controller(t: Translation, action: Controller) -> None:
    """The Nicira controller action."""
    t.to_controllers(action.reason, action.max_len, action.controller_id, action.userdata)


def enter_next_on_miss(t: Translation, table_id: int) -> int:
    """What follows when no rule of a table fits.

    Returns:
        The table to go on in, -1 when that was all.
    """
    if t.stopped:
        return -1
    t.cookie = NO_COOKIE
    if t.report is not None:
        t.report.miss(t.bridge, table_id)
    miss = t.bridge.switch.tables[table_id].miss
    if miss is TableMiss.CONTINUE and table_id + 1 < N_TABLES:
        return table_id + 1
    explicit = miss is TableMiss.CONTROLLER
    if explicit or (miss is TableMiss.DEFAULT and t.bridge.wants_misses):
        in_port = t.current_port()
        if in_port is None or in_port.packet_ins:
            t.to_controllers(PacketInReason.NO_MATCH, None, implicit_miss=not explicit)
    return -1


def enqueue(t: Translation, argument: tuple[int, int]) -> None:
    """Output to a port through one of its queues; (port, queue). Without such queues, just output."""
    ofp_port, queue_id = argument
    before = t.key & k.SKB_PRIORITY
    set_queue(t, queue_id)
    t.frames.append(Frame(((_restore_priority, before, None),)))
    output(t, (ofp_port, 0))


def set_queue(t: Translation, queue_id: int) -> None:
    """Choose the queue of outputs that follow."""
    priority = t.bridge.queue_priority(queue_id)
    if priority is None:
        t.warn("the datapath has no such queue")
    else:
        t.set_bits(k.SKB_PRIORITY, priority << k.SKB_PRIORITY_OFF)


def restore_priority(t: Translation, _argument: None) -> None:
    """Go back to the priority the packet arrived with."""
    t.key = t.key & ~k.SKB_PRIORITY | t.original & k.SKB_PRIORITY


def _restore_priority(t: Translation, before: int) -> None:
    t.key = t.key & ~k.SKB_PRIORITY | before
