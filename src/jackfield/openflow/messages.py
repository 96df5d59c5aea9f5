"""OpenFlow messages as values, the same for every version of the protocol.

A message says what was meant; the codec says how a version writes it. The transaction id (xid) belongs to the codec
too: it travels beside the message, never in it. Port numbers are in the 32-bit numbering, addresses are integers,
durations are nanoseconds.

Sources: OpenFlow 1.0.1 section 5, OpenFlow 1.3.5 section 7, OpenFlow 1.4.1 and 1.5.1 section 7, and the Nicira
extensions as ovs-ofctl(8) names them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Final

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_ANY, OFPP_CONTROLLER, OfPort

if TYPE_CHECKING:
    from jackfield.openflow.actions import Action

NO_BUFFER: Final = 0xFFFFFFFF
"""`buffer_id` of a message that carries its packet itself; the only one this switch hands out."""

ALL_TABLES: Final = 0xFF
"""`table_id` that means any table (a delete, a statistics request) or the table of the switch's choice (an add)."""

ANY_GROUP: Final = 0xFFFFFFFF
"""`out_group` that restricts nothing."""

ANY_QUEUE: Final = 0xFFFFFFFF
"""`queue_id` that means every queue."""

UNKNOWN_COUNT: Final = 0xFFFFFFFFFFFFFFFF
"""Counter value that says the switch does not count this."""


class Message:
    """Base of every message."""

    __slots__ = ()


class MultipartRequest(Message):
    """Base of the requests that a multipart (OpenFlow 1.0: statistics) message carries."""

    __slots__ = ()


class MultipartReply(Message):
    """Base of the replies to a `MultipartRequest`; `more` is set when another part of the same reply follows."""

    __slots__ = ()


# Symmetric messages and the session


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Opens a connection; `versions` are the wire version numbers the sender speaks."""

    versions: frozenset[int]


@dataclass(frozen=True, slots=True)
class ErrorMsg(Message):
    """A request failed.

    `name` is the error's name (see `errors`), None when the peer sent one that has none; `experimenter` is 0 for
    standard errors. `data` is the beginning of the request, or text for a failed hello.
    """

    name: str | None
    type: int
    code: int
    data: bytes = b""
    experimenter: int = 0


@dataclass(frozen=True, slots=True)
class EchoRequest(Message):
    """Asks whether the peer lives."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class EchoReply(Message):
    """Answers an `EchoRequest` with its data."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class BarrierRequest(Message):
    """Asks for an answer when all earlier messages have taken effect."""


@dataclass(frozen=True, slots=True)
class BarrierReply(Message):
    """Answers a `BarrierRequest`."""


# The switch and its configuration


class Capability(IntFlag):
    """What a switch can do (ofp_capabilities); values are ours, the codec places them."""

    FLOW_STATS = 1 << 0
    TABLE_STATS = 1 << 1
    PORT_STATS = 1 << 2
    GROUP_STATS = 1 << 3
    IP_REASM = 1 << 5
    QUEUE_STATS = 1 << 6
    ARP_MATCH_IP = 1 << 7
    PORT_BLOCKED = 1 << 8
    BUNDLES = 1 << 9
    FLOW_MONITORING = 1 << 10
    STP = 1 << 16


class PortConfig(IntFlag):
    """What the administrator asks of a port (ofp_port_config); OpenFlow 1.1 and later know bits 0, 2, 5 and 6."""

    PORT_DOWN = 1 << 0
    NO_STP = 1 << 1
    NO_RECV = 1 << 2
    NO_RECV_STP = 1 << 3
    NO_FLOOD = 1 << 4
    NO_FWD = 1 << 5
    NO_PACKET_IN = 1 << 6


class PortState(IntFlag):
    """A port's state (ofp_port_state): BLOCKED and LIVE since OpenFlow 1.1, the two-bit STP state in 1.0 only."""

    LINK_DOWN = 1 << 0
    BLOCKED = 1 << 1
    LIVE = 1 << 2
    STP_LISTEN = 0 << 8
    STP_LEARN = 1 << 8
    STP_FORWARD = 2 << 8
    STP_BLOCK = 3 << 8
    STP_MASK = 3 << 8


class PortFeature(IntFlag):
    """Speed, duplex and medium of a port (ofp_port_features), numbered as OpenFlow 1.1 and later do."""

    HD_10MB = 1 << 0
    FD_10MB = 1 << 1
    HD_100MB = 1 << 2
    FD_100MB = 1 << 3
    HD_1GB = 1 << 4
    FD_1GB = 1 << 5
    FD_10GB = 1 << 6
    FD_40GB = 1 << 7
    FD_100GB = 1 << 8
    FD_1TB = 1 << 9
    OTHER = 1 << 10
    COPPER = 1 << 11
    FIBER = 1 << 12
    AUTONEG = 1 << 13
    PAUSE = 1 << 14
    PAUSE_ASYM = 1 << 15


NO_CONFIG: Final = PortConfig(0)
NO_STATE: Final = PortState(0)
NO_FEATURES: Final = PortFeature(0)


@dataclass(frozen=True, slots=True)
class PortDescription:
    """A port as controllers see it (ofp_phy_port, ofp_port); speeds are in kbit/s."""

    port_no: OfPort
    hw_addr: int
    name: str
    config: PortConfig = NO_CONFIG
    state: PortState = NO_STATE
    current: PortFeature = NO_FEATURES
    advertised: PortFeature = NO_FEATURES
    supported: PortFeature = NO_FEATURES
    peer: PortFeature = NO_FEATURES
    current_speed: int = 0
    max_speed: int = 0


@dataclass(frozen=True, slots=True)
class FeaturesRequest(Message):
    """Asks what the switch is."""


@dataclass(frozen=True, slots=True)
class FeaturesReply(Message):
    """What the switch is.

    `actions` (bits by OpenFlow 1.0 action type) and `ports` are on the wire where the version has them.
    """

    datapath_id: int
    n_buffers: int
    n_tables: int
    capabilities: Capability
    auxiliary_id: int = 0
    actions: int = 0
    ports: tuple[PortDescription, ...] = ()


class FragmentHandling(IntEnum):
    """What to do with IP fragments (ofp_config_flags and its Nicira extension)."""

    NORMAL = 0
    DROP = 1
    REASM = 2
    NX_MATCH = 3


@dataclass(frozen=True, slots=True)
class GetConfigRequest(Message):
    """Asks for the switch configuration."""


@dataclass(frozen=True, slots=True)
class GetConfigReply(Message):
    """The switch configuration; `invalid_ttl_to_controller` exists in OpenFlow 1.1 and 1.2 only."""

    fragments: FragmentHandling
    miss_send_len: int
    invalid_ttl_to_controller: bool = False


@dataclass(frozen=True, slots=True)
class SetConfig(Message):
    """Sets the switch configuration."""

    fragments: FragmentHandling
    miss_send_len: int
    invalid_ttl_to_controller: bool = False


class PortReason(IntEnum):
    """What happened to a port (ofp_port_reason)."""

    ADD = 0
    DELETE = 1
    MODIFY = 2


@dataclass(frozen=True, slots=True)
class PortStatus(Message):
    """Something happened to a port."""

    reason: PortReason
    port: PortDescription


@dataclass(frozen=True, slots=True)
class PortMod(Message):
    """Changes the `config` bits chosen by `mask`.

    `hw_addr` must be the port's own. `advertise` 0 leaves the features alone.
    """

    port_no: OfPort
    hw_addr: int
    config: PortConfig
    mask: PortConfig
    advertise: PortFeature = NO_FEATURES


# Flows


class FlowModCommand(IntEnum):
    """What a flow-mod does (ofp_flow_mod_command)."""

    ADD = 0
    MODIFY = 1
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


class FlowModFlags(IntFlag):
    """How a flow is added and what it does later (ofp_flow_mod_flags); values are those of OpenFlow 1.3, EMERG is ours.

    An ADD of OpenFlow 1.0 or 1.1 always resets the counters, and is decoded so.
    """

    SEND_FLOW_REM = 1 << 0
    CHECK_OVERLAP = 1 << 1
    RESET_COUNTS = 1 << 2
    NO_PKT_COUNTS = 1 << 3
    NO_BYT_COUNTS = 1 << 4
    EMERG = 1 << 16


NO_FLAGS: Final = FlowModFlags(0)


@dataclass(frozen=True, slots=True)
class FlowMod(Message):
    """Adds, modifies or deletes flows.

    `new_cookie` is the cookie that added or modified flows get, None to leave that of modified ones alone. Modify and
    delete touch only flows whose cookie equals `cookie` in the bits of `cookie_mask`; a delete touches only flows
    that output to `out_port` and `out_group`.
    """

    command: FlowModCommand
    match: Match
    actions: tuple[Action, ...] = ()
    priority: int = 0x8000
    table_id: int = ALL_TABLES
    cookie: int = 0
    cookie_mask: int = 0
    new_cookie: int | None = 0
    idle_timeout: int = 0
    hard_timeout: int = 0
    flags: FlowModFlags = NO_FLAGS
    importance: int = 0
    buffer_id: int = NO_BUFFER
    out_port: OfPort = OFPP_ANY
    out_group: int = ANY_GROUP


class FlowRemovedReason(IntEnum):
    """Why a flow is gone (ofp_flow_removed_reason)."""

    IDLE_TIMEOUT = 0
    HARD_TIMEOUT = 1
    DELETE = 2
    GROUP_DELETE = 3
    METER_DELETE = 4
    EVICTION = 5


@dataclass(frozen=True, slots=True)
class FlowRemoved(Message):
    """A flow is gone."""

    match: Match
    priority: int
    cookie: int
    reason: FlowRemovedReason
    table_id: int
    duration_ns: int
    idle_timeout: int
    hard_timeout: int
    packet_count: int
    byte_count: int


# Packets


class PacketInReason(IntEnum):
    """Why a packet goes to the controller (ofp_packet_in_reason); what a version does not know becomes ACTION."""

    NO_MATCH = 0
    ACTION = 1
    INVALID_TTL = 2
    ACTION_SET = 3
    GROUP = 4
    PACKET_OUT = 5


class PacketInFormat(IntEnum):
    """The form of packet-ins a controller chooses (NXT_SET_PACKET_IN_FORMAT)."""

    STANDARD = 0
    NXT_PACKET_IN = 1
    NXT_PACKET_IN2 = 2


@dataclass(frozen=True, slots=True)
class PacketIn(Message):
    """A packet for the controller.

    `metadata` has exact matches on the pipeline fields the packet carries, `in_port` apart; `cookie` is that of the
    flow, all ones when there is none. `data` is the beginning of a packet of `total_len` bytes.
    """

    in_port: OfPort
    data: bytes
    total_len: int
    reason: PacketInReason
    table_id: int = 0
    cookie: int = 0xFFFFFFFFFFFFFFFF
    metadata: Match = field(default_factory=Match)
    buffer_id: int = NO_BUFFER
    userdata: bytes = b""


@dataclass(frozen=True, slots=True)
class PacketOut(Message):
    """A packet from the controller, to go through `actions`."""

    data: bytes
    actions: tuple[Action, ...]
    in_port: OfPort = OFPP_CONTROLLER
    buffer_id: int = NO_BUFFER


# Controllers


class Role(IntEnum):
    """A controller's role (ofp_controller_role)."""

    NOCHANGE = 0
    EQUAL = 1
    PRIMARY = 2
    SECONDARY = 3


@dataclass(frozen=True, slots=True)
class RoleRequest(Message):
    """Asks for a role; `generation_id` is None where the version has none (NXT_ROLE_REQUEST)."""

    role: Role
    generation_id: int | None = None


@dataclass(frozen=True, slots=True)
class RoleReply(Message):
    """The role a controller has; `generation_id` all ones when none was ever set."""

    role: Role
    generation_id: int | None = None


class AsyncKind(IntEnum):
    """The kinds of messages that a switch sends unasked and a controller can filter."""

    PACKET_IN = 0
    PORT_STATUS = 1
    FLOW_REMOVED = 2


@dataclass(frozen=True, slots=True)
class AsyncConfig:
    """For each kind, a bitmap by reason of what is sent: to a primary or equal controller, and to a secondary one."""

    primary: tuple[int, int, int]
    secondary: tuple[int, int, int]

    def wants(self, kind: AsyncKind, reason: int, *, secondary: bool) -> bool:
        """Whether a message of this kind and reason goes to a controller."""
        return bool((self.secondary if secondary else self.primary)[kind] >> reason & 1)


@dataclass(frozen=True, slots=True)
class GetAsyncRequest(Message):
    """Asks for the asynchronous configuration."""


@dataclass(frozen=True, slots=True)
class GetAsyncReply(Message):
    """The asynchronous configuration of this connection."""

    config: AsyncConfig


@dataclass(frozen=True, slots=True)
class SetAsyncConfig(Message):
    """Sets the asynchronous configuration of this connection (also NXT_SET_ASYNC_CONFIG)."""

    config: AsyncConfig


@dataclass(frozen=True, slots=True)
class SetControllerId(Message):
    """Names the connection, so that `Controller` actions can address it (NXT_SET_CONTROLLER_ID)."""

    controller_id: int


@dataclass(frozen=True, slots=True)
class SetPacketInFormat(Message):
    """Chooses the form of packet-ins on this connection (NXT_SET_PACKET_IN_FORMAT)."""

    format: PacketInFormat


class FlowFormat(IntEnum):
    """How an OpenFlow 1.0 connection writes flows the switch sends unasked (NXT_SET_FLOW_FORMAT)."""

    OPENFLOW10 = 0
    NXM = 2


@dataclass(frozen=True, slots=True)
class SetFlowFormat(Message):
    """Chooses the form of flows on this OpenFlow 1.0 connection (NXT_SET_FLOW_FORMAT)."""

    format: FlowFormat


@dataclass(frozen=True, slots=True)
class FlowModTableId(Message):
    """Lets OpenFlow 1.0 flow-mods name a table in the high byte of their command (NXT_FLOW_MOD_TABLE_ID)."""

    enabled: bool


# Queue configuration


@dataclass(frozen=True, slots=True)
class PacketQueue:
    """A queue of a port; rates are in tenths of a percent, None when unset."""

    queue_id: int
    port_no: OfPort
    min_rate: int | None = None
    max_rate: int | None = None


@dataclass(frozen=True, slots=True)
class QueueGetConfigRequest(Message):
    """Asks for the queues of a port."""

    port_no: OfPort


@dataclass(frozen=True, slots=True)
class QueueGetConfigReply(Message):
    """The queues of a port."""

    port_no: OfPort
    queues: tuple[PacketQueue, ...]
