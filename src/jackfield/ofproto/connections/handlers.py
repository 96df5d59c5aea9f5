"""What the switch does with each kind of request: one row a message type.

A handler answers with `Session.reply`, refuses with `OpenFlowError`, and returns a coroutine when it cannot finish at
once. Statistics are in `stats_replies` and `flow_replies`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jackfield import log as logging
from jackfield.flow.ports import OFPP_CONTROLLER, OFPP_LOCAL, OFPP_NONE, is_reserved
from jackfield.log import get_logger
from jackfield.ofproto.connections import flow_replies, stats_replies
from jackfield.ofproto.connections.async_config import default_async_config
from jackfield.ofproto.tables import N_TABLES
from jackfield.openflow import messages as m
from jackfield.openflow import multipart as mp
from jackfield.openflow.dialect import OF10
from jackfield.openflow.errors import OpenFlowError

if TYPE_CHECKING:
    from jackfield.ofproto.connections.session import Session

log = get_logger("ofproto")
_limit = logging.RateLimit(1, 5)

_ACTIONS10: Final = (1 << 12) - 1
"""Bits of the OpenFlow 1.0 actions, output to enqueue."""

_CAPABILITIES: Final = (
    m.Capability.FLOW_STATS | m.Capability.TABLE_STATS | m.Capability.PORT_STATS | m.Capability.QUEUE_STATS
)

Waiting = Coroutine[Any, Any, None]


class Handler(NamedTuple):
    """How one kind of message is handled; `changes` are not for secondary controllers."""

    call: Callable[[Session, Any, int], Waiting | None]
    changes: bool = False


# The switch


def _features(session: Session, _message: m.FeaturesRequest, xid: int) -> None:
    ofproto = session.ofproto
    old = session.version == OF10
    session.reply(
        m.FeaturesReply(
            datapath_id=ofproto.datapath_id,
            n_buffers=0,
            n_tables=N_TABLES,
            capabilities=_CAPABILITIES | (m.Capability.ARP_MATCH_IP if old else m.Capability(0)),
            actions=_ACTIONS10 if old else 0,
            ports=tuple(port.description() for port in ofproto.ports.select(OFPP_NONE)) if old else (),
        ),
        xid,
    )


def _get_config(session: Session, _message: m.GetConfigRequest, xid: int) -> None:
    session.reply(m.GetConfigReply(session.ofproto.fragments, session.miss_send_len, session.invalid_ttl), xid)


def _set_config(session: Session, message: m.SetConfig, _xid: int) -> None:
    """A secondary controller configures its own connection, not the switch."""
    if session.role is not m.Role.SECONDARY and not session.ofproto.set_fragments(message.fragments):
        _limit.log(log, logging.WARN, "%s: fragments cannot be handled as asked: %s", session.name, message.fragments)
    session.miss_send_len = message.miss_send_len
    session.invalid_ttl = message.invalid_ttl_to_controller
    session.manager.update_wants()


def _port_mod(session: Session, message: m.PortMod, _xid: int) -> None:
    session.ofproto.port_mod(message)


# Flows and packets


def _flow_mod(session: Session, message: m.FlowMod, _xid: int) -> Waiting | None:
    work = session.ofproto.flows.apply(message)
    return None if work is None else session.drive(work)


def _packet_out(session: Session, message: m.PacketOut, _xid: int) -> None:
    if message.buffer_id != m.NO_BUFFER:
        raise OpenFlowError("OFPBRC_BUFFER_UNKNOWN", f"buffer {message.buffer_id}: this switch has none")
    in_port = message.in_port
    if is_reserved(in_port) and in_port not in (OFPP_LOCAL, OFPP_NONE, OFPP_CONTROLLER):
        raise OpenFlowError("OFPBRC_BAD_PORT", f"packet-out from port {in_port:#x}")
    provider = session.ofproto.provider
    provider.packet_check(message)
    provider.packet_execute(message)


def _barrier(session: Session, _message: m.BarrierRequest, xid: int) -> Waiting | None:
    return session.after(session.ofproto.provider.sync, lambda: session.reply(m.BarrierReply(), xid))


# The connection


def _role(session: Session, message: m.RoleRequest, xid: int) -> None:
    manager = session.manager
    if message.role is not m.Role.NOCHANGE:
        if message.generation_id is not None and message.role is not m.Role.EQUAL:
            manager.check_generation(message.generation_id)
        manager.set_role(session, message.role)
    session.reply(m.RoleReply(session.role, manager.generation_for_reply), xid)


def _get_async(session: Session, _message: m.GetAsyncRequest, xid: int) -> None:
    config = session.async_config or default_async_config(session.version, invalid_ttl=session.invalid_ttl)
    session.reply(m.GetAsyncReply(config), xid)


def _set_async(session: Session, message: m.SetAsyncConfig, _xid: int) -> None:
    session.async_config = message.config
    session.manager.update_wants()


def _set_controller_id(session: Session, message: m.SetControllerId, _xid: int) -> None:
    session.controller_id = message.controller_id


def _set_packet_in_format(session: Session, message: m.SetPacketInFormat, _xid: int) -> None:
    session.connection.dialect = replace(session.connection.dialect, packet_in_format=message.format)


def _set_flow_format(session: Session, message: m.SetFlowFormat, _xid: int) -> None:
    session.connection.dialect = replace(session.connection.dialect, flow_format=message.format)


def _flow_mod_table_id(session: Session, message: m.FlowModTableId, _xid: int) -> None:
    session.connection.dialect = replace(session.connection.dialect, table_id=message.enabled)


def _error(session: Session, message: m.ErrorMsg, _xid: int) -> None:
    _limit.log(log, logging.INFO, "%s: the peer sent an error: %s", session.name, message.name or message.type)


HANDLERS: Final[dict[type[m.Message], Handler]] = {
    m.FeaturesRequest: Handler(_features),
    m.GetConfigRequest: Handler(_get_config),
    m.SetConfig: Handler(_set_config),
    m.PortMod: Handler(_port_mod, changes=True),
    m.FlowMod: Handler(_flow_mod, changes=True),
    m.PacketOut: Handler(_packet_out, changes=True),
    m.BarrierRequest: Handler(_barrier),
    m.RoleRequest: Handler(_role),
    m.GetAsyncRequest: Handler(_get_async),
    m.SetAsyncConfig: Handler(_set_async),
    m.SetControllerId: Handler(_set_controller_id),
    m.SetPacketInFormat: Handler(_set_packet_in_format),
    m.SetFlowFormat: Handler(_set_flow_format),
    m.FlowModTableId: Handler(_flow_mod_table_id),
    m.ErrorMsg: Handler(_error),
    m.QueueGetConfigRequest: Handler(stats_replies.queue_config),
    mp.DescRequest: Handler(stats_replies.description),
    mp.FlowStatsRequest: Handler(flow_replies.flow_stats),
    mp.AggregateRequest: Handler(flow_replies.aggregate),
    mp.TableStatsRequest: Handler(stats_replies.table_stats),
    mp.PortStatsRequest: Handler(stats_replies.port_stats),
    mp.PortDescRequest: Handler(stats_replies.port_desc),
    mp.QueueStatsRequest: Handler(stats_replies.queue_stats),
    mp.TableFeaturesRequest: Handler(stats_replies.table_features),
}
"""Every request there is an answer to; the rest gets OFPBRC_BAD_TYPE."""
