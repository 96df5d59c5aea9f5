"""Multipart messages (OpenFlow 1.0 calls them statistics) as values; see `messages` for the others.

Sources: OpenFlow 1.0.1 section 5.3.5, OpenFlow 1.3.5 section 7.3.5, and the Nicira extensions NXST_FLOW and
NXST_AGGREGATE.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from jackfield.flow.ports import OFPP_ANY, OfPort
from jackfield.openflow.messages import (
    ALL_TABLES,
    ANY_GROUP,
    ANY_QUEUE,
    NO_FLAGS,
    UNKNOWN_COUNT,
    FlowModFlags,
    MultipartReply,
    MultipartRequest,
    PortDescription,
)

if TYPE_CHECKING:
    from jackfield.flow.match import Match
    from jackfield.openflow.actions import Action


@dataclass(frozen=True, slots=True)
class DescRequest(MultipartRequest):
    """Asks who made the switch."""


@dataclass(frozen=True, slots=True)
class DescReply(MultipartReply):
    """Who made the switch; longer texts are cut to what the wire holds (255 bytes, serial number 31)."""

    manufacturer: str
    hardware: str
    software: str
    serial_number: str
    datapath: str
    more: bool = False


@dataclass(frozen=True, slots=True)
class FlowStatsRequest(MultipartRequest):
    """Asks for flows.

    The filters are those of a non-strict delete. `nxm` is set for the NXST_FLOW form, whose reply has that form too.
    """

    match: Match
    table_id: int = ALL_TABLES
    out_port: OfPort = OFPP_ANY
    out_group: int = ANY_GROUP
    cookie: int = 0
    cookie_mask: int = 0
    nxm: bool = False


@dataclass(frozen=True, slots=True)
class FlowStats:
    """One flow of a reply; ages are seconds, None where the form has none (only NXST_FLOW has ages)."""

    match: Match
    actions: tuple[Action, ...]
    table_id: int = 0
    priority: int = 0x8000
    cookie: int = 0
    duration_ns: int = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    idle_age: int | None = None
    hard_age: int | None = None
    flags: FlowModFlags = NO_FLAGS
    importance: int = 0
    packet_count: int = 0
    byte_count: int = 0


@dataclass(frozen=True, slots=True)
class FlowStatsReply(MultipartReply):
    """Some of the flows asked for."""

    entries: tuple[FlowStats, ...]
    nxm: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class AggregateRequest(MultipartRequest):
    """Asks for the sums over flows; as `FlowStatsRequest`."""

    match: Match
    table_id: int = ALL_TABLES
    out_port: OfPort = OFPP_ANY
    out_group: int = ANY_GROUP
    cookie: int = 0
    cookie_mask: int = 0
    nxm: bool = False


@dataclass(frozen=True, slots=True)
class AggregateReply(MultipartReply):
    """Sums over flows."""

    packet_count: int
    byte_count: int
    flow_count: int
    nxm: bool = False
    more: bool = False


@dataclass(frozen=True, slots=True)
class TableStatsRequest(MultipartRequest):
    """Asks for the counters of every table."""


@dataclass(frozen=True, slots=True)
class TableStats:
    """A table's counters; name, wildcards (OFPFW_*) and size are on the wire in OpenFlow 1.0 only."""

    table_id: int
    active_count: int
    lookup_count: int
    matched_count: int
    name: str = ""
    max_entries: int = 0
    wildcards: int = 0x3FFFFF


@dataclass(frozen=True, slots=True)
class TableStatsReply(MultipartReply):
    """Counters of tables."""

    entries: tuple[TableStats, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class PortStatsRequest(MultipartRequest):
    """Asks for the counters of a port, or of all (ANY)."""

    port_no: OfPort = OFPP_ANY


@dataclass(frozen=True, slots=True)
class PortStats:
    """A port's counters; `duration_ns` is since OpenFlow 1.3, None where the form has none."""

    port_no: OfPort
    rx_packets: int = UNKNOWN_COUNT
    tx_packets: int = UNKNOWN_COUNT
    rx_bytes: int = UNKNOWN_COUNT
    tx_bytes: int = UNKNOWN_COUNT
    rx_dropped: int = UNKNOWN_COUNT
    tx_dropped: int = UNKNOWN_COUNT
    rx_errors: int = UNKNOWN_COUNT
    tx_errors: int = UNKNOWN_COUNT
    rx_frame_errors: int = UNKNOWN_COUNT
    rx_over_errors: int = UNKNOWN_COUNT
    rx_crc_errors: int = UNKNOWN_COUNT
    collisions: int = UNKNOWN_COUNT
    duration_ns: int | None = None


@dataclass(frozen=True, slots=True)
class PortStatsReply(MultipartReply):
    """Counters of ports."""

    entries: tuple[PortStats, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class PortDescRequest(MultipartRequest):
    """Asks for the descriptions of a port (OpenFlow 1.5), or of all (ANY)."""

    port_no: OfPort = OFPP_ANY


@dataclass(frozen=True, slots=True)
class PortDescReply(MultipartReply):
    """Descriptions of ports."""

    ports: tuple[PortDescription, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class QueueStatsRequest(MultipartRequest):
    """Asks for the counters of queues: of a port or all (ANY), one queue or all (`ANY_QUEUE`)."""

    port_no: OfPort = OFPP_ANY
    queue_id: int = ANY_QUEUE


@dataclass(frozen=True, slots=True)
class QueueStats:
    """A queue's counters; `duration_ns` as in `PortStats`."""

    port_no: OfPort
    queue_id: int
    tx_bytes: int = UNKNOWN_COUNT
    tx_packets: int = UNKNOWN_COUNT
    tx_errors: int = UNKNOWN_COUNT
    duration_ns: int | None = None


@dataclass(frozen=True, slots=True)
class QueueStatsReply(MultipartReply):
    """Counters of queues."""

    entries: tuple[QueueStats, ...]
    more: bool = False


class TablePropertyKind(IntEnum):
    """The lists a table's features consist of (ofp_table_feature_prop_type).

    The odd ones are for the table-miss flow.
    """

    INSTRUCTIONS = 0
    INSTRUCTIONS_MISS = 1
    NEXT_TABLES = 2
    NEXT_TABLES_MISS = 3
    WRITE_ACTIONS = 4
    WRITE_ACTIONS_MISS = 5
    APPLY_ACTIONS = 6
    APPLY_ACTIONS_MISS = 7
    MATCH = 8
    WILDCARDS = 10
    WRITE_SETFIELD = 12
    WRITE_SETFIELD_MISS = 13
    APPLY_SETFIELD = 14
    APPLY_SETFIELD_MISS = 15


@dataclass(frozen=True, slots=True)
class TableProperty:
    """One list: instruction types, table numbers, action types, or OXM headers (32 bits), according to `kind`."""

    kind: TablePropertyKind
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TableFeatures:
    """What a table can do."""

    table_id: int
    name: str
    metadata_match: int = 0xFFFFFFFFFFFFFFFF
    metadata_write: int = 0xFFFFFFFFFFFFFFFF
    config: int = 0
    max_entries: int = 0
    properties: tuple[TableProperty, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFeaturesRequest(MultipartRequest):
    """Asks for the features of every table; with entries, asks to change them, which this switch refuses."""

    entries: tuple[TableFeatures, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFeaturesReply(MultipartReply):
    """Features of tables."""

    entries: tuple[TableFeatures, ...]
    more: bool = False
