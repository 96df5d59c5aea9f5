"""Answers to questions about the switch, its tables, ports and queues; those about flows are in `flow_replies`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from jackfield.flow.fields import FIELDS, OXM_CLASS_EXPERIMENTER, Masking
from jackfield.flow.ports import OFPP_ANY
from jackfield.ofproto.tables import N_TABLES
from jackfield.openflow import multipart as mp
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import ANY_QUEUE, UNKNOWN_COUNT, QueueGetConfigReply, QueueGetConfigRequest

if TYPE_CHECKING:
    from jackfield.flow.ports import OfPort
    from jackfield.netdev.provider import DeviceStats
    from jackfield.ofproto.connections.session import Session
    from jackfield.ofproto.ports import Port
    from jackfield.ofproto.tables import Table

T = TypeVar("T")

MAX_ENTRIES: Final = 1_000_000
"""Flows a table without a limit claims to hold; the real limit is memory."""

NANOSECONDS_PER_MS: Final = 1_000_000

# Instruction and action types of OpenFlow 1.3 that the switch carries out (OpenFlow 1.3.5 sections 7.2.4 and 7.2.5).
_INSTRUCTIONS: Final = (1, 2, 3, 4, 5)
_INSTRUCTIONS_LAST: Final = (2, 3, 4, 5)
_ACTIONS: Final = (0, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25)

_PORTS_A_MESSAGE: Final = 400
_TABLES_A_MESSAGE: Final = 15


def _batches(items: Iterable[T], size: int) -> Iterator[tuple[tuple[T, ...], bool]]:
    """Items in batches, each with whether more follow; at least one batch."""
    everything = tuple(items)
    for start in range(0, max(1, len(everything)), size):
        yield everything[start : start + size], start + size < len(everything)


def description(session: Session, _request: mp.DescRequest, xid: int) -> None:
    """Who made the switch."""
    texts = session.ofproto.descriptions
    session.reply(
        mp.DescReply(texts.manufacturer, texts.hardware, texts.software, texts.serial_number, texts.datapath), xid
    )


# Tables


def table_stats(session: Session, _request: mp.TableStatsRequest, xid: int) -> None:
    """Counters of every table."""
    entries = (
        mp.TableStats(
            table.table_id,
            active_count=table.n_flows,
            lookup_count=table.lookups,
            matched_count=table.matches,
            name=table.name,
            max_entries=MAX_ENTRIES if table.max_flows is None else table.max_flows,
        )
        for table in session.ofproto.tables
    )
    for batch, more in _batches(entries, N_TABLES):
        session.reply(mp.TableStatsReply(batch, more), xid)


class _Use(Enum):
    """What a list of OXM headers in a table's features is about."""

    MATCH = "match"  #: may be matched on; the mask bit says whether by parts
    WILDCARD = "wildcard"  #: may be left out
    SET = "set"  #: actions may set it


@cache
def _headers(version: int, use: _Use) -> tuple[int, ...]:
    """OXM headers of the fields of a list; experimenter fields, whose headers are longer, are left out."""
    headers = []
    for field in FIELDS:
        oxm = field.oxm_for(version)
        if oxm is None or oxm.oxm_class == OXM_CLASS_EXPERIMENTER or (use is _Use.SET and not field.writable):
            continue
        masked = use is _Use.MATCH and field.masking is not Masking.EXACT
        headers.append(int.from_bytes(oxm.header(field.n_bytes, masked), "big"))
    return tuple(dict.fromkeys(headers))


def _table_features(table: Table, version: int) -> mp.TableFeatures:
    kind = mp.TablePropertyKind
    last = table.table_id == N_TABLES - 1
    instructions = _INSTRUCTIONS_LAST if last else _INSTRUCTIONS
    settable = _headers(version, _Use.SET)
    following = tuple(range(table.table_id + 1, N_TABLES))
    return mp.TableFeatures(
        table.table_id,
        table.name,
        max_entries=MAX_ENTRIES if table.max_flows is None else table.max_flows,
        properties=(
            mp.TableProperty(kind.INSTRUCTIONS, instructions),
            mp.TableProperty(kind.NEXT_TABLES, following),
            mp.TableProperty(kind.WRITE_ACTIONS, _ACTIONS),
            mp.TableProperty(kind.WRITE_SETFIELD, settable),
            mp.TableProperty(kind.APPLY_ACTIONS, _ACTIONS),
            mp.TableProperty(kind.APPLY_SETFIELD, settable),
            mp.TableProperty(kind.MATCH, _headers(version, _Use.MATCH)),
            mp.TableProperty(kind.WILDCARDS, _headers(version, _Use.WILDCARD)),
        ),
    )


async def table_features(session: Session, request: mp.TableFeaturesRequest, xid: int) -> None:
    """What every table can do; changing that is refused."""
    if request.entries:
        raise OpenFlowError("OFPTFFC_EPERM", "table features cannot be changed")
    version = session.version

    def parts() -> Iterator[bytes]:
        for tables, more in _batches(session.ofproto.tables, _TABLES_A_MESSAGE):
            session.reply(mp.TableFeaturesReply(tuple(_table_features(each, version) for each in tables), more), xid)
            yield b""

    await session.send_parts(parts())


# Ports and queues


def _known(value: int | None) -> int:
    return UNKNOWN_COUNT if value is None else value


def _port_stats(port: Port, stats: DeviceStats, now: int) -> mp.PortStats:
    return mp.PortStats(
        port.ofp_port,
        rx_packets=_known(stats.rx_packets),
        tx_packets=_known(stats.tx_packets),
        rx_bytes=_known(stats.rx_bytes),
        tx_bytes=_known(stats.tx_bytes),
        rx_dropped=_known(stats.rx_dropped),
        tx_dropped=_known(stats.tx_dropped),
        rx_errors=_known(stats.rx_errors),
        tx_errors=_known(stats.tx_errors),
        rx_frame_errors=_known(stats.rx_frame_errors),
        rx_over_errors=_known(stats.rx_over_errors),
        rx_crc_errors=_known(stats.rx_crc_errors),
        collisions=_known(stats.collisions),
        duration_ns=(now - port.created) * NANOSECONDS_PER_MS,
    )


async def port_stats(session: Session, request: mp.PortStatsRequest, xid: int) -> None:
    """Counters of a port or of all; none, and no error, for a port that does not exist, as Open vSwitch has it."""
    ofproto = session.ofproto
    now = ofproto.clock.now()

    def search() -> Iterator[mp.PortStats]:
        for port in ofproto.ports.select(request.port_no):
            yield _port_stats(port, ofproto.provider.port_stats(port), now)

    for batch, more in _batches(await session.gather(search()), _PORTS_A_MESSAGE):
        session.reply(mp.PortStatsReply(batch, more), xid)


async def port_desc(session: Session, request: mp.PortDescRequest, xid: int) -> None:
    """Descriptions of a port or of all."""
    ports = await session.gather(port.description() for port in session.ofproto.ports.select(request.port_no))
    for batch, more in _batches(ports, _PORTS_A_MESSAGE):
        session.reply(mp.PortDescReply(batch, more), xid)


def _check_port(session: Session, port_no: OfPort) -> None:
    if port_no not in session.ofproto.ports:
        raise OpenFlowError("OFPQOFC_BAD_PORT", f"port {port_no}")


def queue_stats(session: Session, request: mp.QueueStatsRequest, xid: int) -> None:
    """Counters of queues; no port has any."""
    if request.port_no != OFPP_ANY:
        _check_port(session, request.port_no)
    if request.queue_id != ANY_QUEUE:
        raise OpenFlowError("OFPQOFC_BAD_QUEUE", f"queue {request.queue_id}")
    session.reply(mp.QueueStatsReply(()), xid)


def queue_config(session: Session, request: QueueGetConfigRequest, xid: int) -> None:
    """The queues of a port; it has none."""
    if request.port_no != OFPP_ANY:
        _check_port(session, request.port_no)
    session.reply(QueueGetConfigReply(request.port_no, ()), xid)
