"""Datapaths: the contract between switches and what really forwards packets.

A *datapath* is a set of ports, a table of megaflows and a stream of upcalls. A packet that comes in on a port gets a
key; the megaflow whose mask makes the key equal to its own says what to do with it; a packet that no megaflow fits
goes up to user space. One datapath of a type backs every bridge of that type.

Keys and masks
    Plain integers over the datapath words (`DATAPATH_WORDS`) of `jackfield.flow.fields`. A flow's `key` has no bit
    outside its `mask`. `dp_in_port` and `recirc_id` are always matched exactly. Flows of one datapath never overlap
    with different actions; a caller who breaks this gets either flow's actions.

UFIDs
    A flow is known by a 128-bit unique flow identifier that the caller chooses (`jackfield.flow.hash.ufid`).

Life cycle
    The registry (`jackfield.dpif.registry.open_dpif`) constructs the class with ``(name, clock, create)``, which opens
    the datapath of that name, or fails with an ``OSError``. Several instances of one name are the same datapath.
    `close` gives up the instance and never fails; `destroy` ends the datapath itself, its ports given back; the
    instances that are left are then to be closed. All calls come from the main thread and are synchronous: when one
    returns, its effect is in force for every packet handled from then on. In particular no thread forwards by a flow
    once `operate` has deleted or modified it; an OpenFlow barrier leans on that. Replies to direct upcalls are in force
    soon after, and before any later operation.

Ports
    A port's device belongs to the caller of `port_add`, who calls `port_refresh` when the device's `change_seq` moved:
    a device that vanished or came back is polled again with new queues. `run` finds such ports too, later.

Upcalls, direct and polled
    A datapath that runs in this process calls the callback given to `register_upcall_cb`, from the main thread, with a
    batch of upcalls, and acts on the replies. Otherwise (a kernel) the owner polls `recv`. A provider has one of the
    two; `direct_upcalls` says which. Both are off until `recv_set(True)` or `enable_upcall()`.

Errors
    Failures are ``OSError`` with the errno named at each method and a text naming the thing and the expectation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from jackfield.dpif.actions import DpActions
from jackfield.flow.ports import DpPort
from jackfield.netdev.provider import DeviceStats
from jackfield.provider import Provider

if TYPE_CHECKING:
    from jackfield.clock import Clock
    from jackfield.netdev.provider import Netdev


class UpcallType(Enum):
    """Why a packet came up."""

    MISS = "miss"
    ACTION = "action"


@dataclass(slots=True)
class Upcall:
    """A packet handed to user space.

    Attributes:
        type: no flow fitted, or a `Userspace` action.
        packet: the whole frame, as it was at the upcall (VLAN tags in place).
        key: the packet's datapath key.
        ufid: the provider's identifier for the key, 0 where it computes none.
        userdata: of the `Userspace` action; None for a miss.
        actions: the flow's actions, where the action asked for them.
        length: the frame's original length in bytes, which truncation may have cut in `packet`.
    """

    type: UpcallType
    packet: bytes
    key: int
    ufid: int = 0
    userdata: bytes | None = None
    actions: DpActions | None = None
    length: int = 0


@dataclass(slots=True)
class UpcallReply:
    """What a direct upcall's callback wants done.

    Attributes:
        actions: run on the packet now.
        put: the megaflow to install, None when the packet's fate shall not be cached.
    """

    actions: DpActions
    put: FlowPut | None = None


UpcallCallback: TypeAlias = Callable[[Sequence[Upcall]], Sequence[UpcallReply]]


@dataclass(slots=True)
class FlowStats:
    """Counters of a datapath flow.

    Attributes:
        packets, bytes: what matched so far.
        tcp_flags: all TCP flags seen, or-ed.
        used: `Clock` time in ms of the last match, 0 when never.
    """

    packets: int = 0
    bytes: int = 0
    tcp_flags: int = 0
    used: int = 0


@dataclass(slots=True)
class DpFlow:
    """A megaflow as a datapath holds it; `actions` and `key`/`mask` may be absent (None) in terse dumps."""

    ufid: int
    key: int | None
    mask: int | None
    actions: DpActions | None
    stats: FlowStats
    offloaded: str = ""  #: where the flow landed: "" this datapath's software, else e.g. "tc"
    pmd_id: int | None = None


class PutFlags(IntFlag):
    """How `FlowPut` treats what is there."""

    CREATE = 1  #: make the flow if it is not there, else EEXIST (unless MODIFY too)
    MODIFY = 2  #: replace the actions if it is there, else ENOENT (unless CREATE too)
    ZERO_STATS = 4  #: start its counters again
    PROBE = 8  #: only find out whether the datapath could take it; nothing stays behind


@dataclass(slots=True)
class FlowPut:
    """Install or change a flow. Outputs: `error`, `stats` (before a change), `landed` (as `DpFlow.offloaded`)."""

    ufid: int
    key: int
    mask: int
    actions: DpActions
    flags: PutFlags = PutFlags.CREATE
    error: OSError | None = None
    stats: FlowStats | None = None
    landed: str = ""


@dataclass(slots=True)
class FlowDel:
    """Remove a flow by UFID. Outputs: `error` (ENOENT), `stats` as they finally were."""

    ufid: int
    key: int | None = None
    error: OSError | None = None
    stats: FlowStats | None = None


@dataclass(slots=True)
class FlowGet:
    """Read a flow by UFID. Outputs: `error` (ENOENT), `flow`."""

    ufid: int
    key: int | None = None
    error: OSError | None = None
    flow: DpFlow | None = None


@dataclass(slots=True)
class Execute:
    """Run actions on one packet now.

    Attributes:
        packet: a whole frame.
        key: its datapath key; metadata (`dp_in_port`, `skb_priority`, tunnel ...) is taken from here.
        actions: what to do.
        probe: only find out whether the datapath could.
        mtu: largest packet that outputs may carry, 0 for no limit.
    """

    packet: bytes
    key: int
    actions: DpActions
    probe: bool = False
    mtu: int = 0
    error: OSError | None = None


DpOp: TypeAlias = FlowPut | FlowDel | FlowGet | Execute


@dataclass(slots=True)
class DpStats:
    """Counters of a datapath: packets that hit a flow, missed, were lost on the way up; flows and masks it holds."""

    hits: int = 0
    misses: int = 0
    lost: int = 0
    flows: int = 0
    masks: int = 0
    mask_hits: int = 0
    cache_hits: int = 0


@dataclass(slots=True)
class DpPortInfo:
    """A port of a datapath."""

    port_no: DpPort
    name: str
    type: str


@dataclass(slots=True)
class PortsChanged:
    """What `port_poll` found: the name of a device, or None for "something changed"."""

    name: str | None


class FlowDump(ABC):
    """A resumable cursor over a datapath's flows.

    Several cursors may be open at once, and flows may come and go meanwhile: each flow there from start to end is
    given exactly once. Errors are kept until `finish`.
    """

    @abstractmethod
    def next_batch(self, max_flows: int) -> list[DpFlow]:
        """Up to `max_flows` more flows; an empty list at the end."""

    @abstractmethod
    def finish(self) -> None:
        """Close the cursor.

        Raises:
            OSError: what went wrong on the way, if anything did.
        """

    def __iter__(self) -> Iterator[DpFlow]:
        """All flows, then `finish`."""
        while batch := self.next_batch(100):
            yield from batch
        self.finish()


class Dpif(Provider, ABC):
    """One open datapath.

    Args:
        name: the datapath's name, "ovs-netdev".
        clock: the time.
        create: make the datapath if it is not there.

    Raises:
        OSError: ENODEV not there and not `create`; EPERM or EOPNOTSUPP where the machine cannot.

    Attributes:
        base_name: the datapath's name.
        netflow_engine_type, netflow_engine_id: what NetFlow records carry.
        features: what the datapath can do, as dpif/show-dp-features prints it: name, value.
    """

    type: ClassVar[str]
    #: True: upcalls come by the registered callback; False: by `recv`.
    direct_upcalls: ClassVar[bool] = False

    def __init__(self, name: str, clock: Clock, *, create: bool = False) -> None:
        self.base_name = name
        self.clock = clock
        self.netflow_engine_type = 0
        self.netflow_engine_id = 0
        self.features: dict[str, str] = {}

    @property
    def full_name(self) -> str:
        """Type and name, "netdev@ovs-netdev"."""
        return f"{self.type}@{self.base_name}"

    # -- the class -------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def enumerate(cls) -> list[str]:
        """Names of all datapaths of this type that exist now."""

    @classmethod
    def port_open_type(cls, port_type: str) -> str:
        """The netdev type to open for a port of `port_type` ("internal" is "tap" on a userspace datapath)."""
        return port_type

    @classmethod
    @abstractmethod
    def datapath_version(cls) -> str:
        """Version text of the implementation, "<built-in>" for userspace."""

    # -- the datapath ----------------------------------------------------------------------------------------------

    @abstractmethod
    def close(self) -> None:
        """Give up this instance; the datapath stays. Never fails."""

    @abstractmethod
    def destroy(self) -> None:
        """End the datapath; its devices are given back as they were."""

    def run(self) -> bool:
        """Do periodic work; True when all flows should be revalidated."""
        return False

    def wait(self) -> int | None:
        """When `run` next has something to do, as `Clock` ms; None for "when woken"."""
        return None

    @abstractmethod
    def get_stats(self) -> DpStats:
        """The datapath's counters."""

    # -- ports -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def port_add(self, netdev: Netdev, port_no: DpPort | None = None) -> DpPort:
        """Add an open device as a port and return its number, `port_no` if that is given.

        The datapath polls the device from now on; the caller keeps owning it and closes it after `port_del`.

        Raises:
            OSError: EBUSY number taken, EEXIST device name already there, EFBIG number too big.
        """

    @abstractmethod
    def port_del(self, port_no: DpPort) -> None:
        """Remove a port; when this returns no thread touches its device any more.

        Raises:
            OSError: ENODEV no such port, EINVAL the local port.
        """

    @abstractmethod
    def port_query_by_number(self, port_no: DpPort) -> DpPortInfo:
        """The port of that number. Raises ``OSError`` ENODEV."""

    @abstractmethod
    def port_query_by_name(self, name: str) -> DpPortInfo:
        """The port of that device name. Raises ``OSError`` ENODEV."""

    @abstractmethod
    def port_dump(self) -> list[DpPortInfo]:
        """All ports."""

    @abstractmethod
    def port_poll(self) -> PortsChanged | None:
        """One change of the set of ports since last asked, None when there is none."""

    def port_refresh(self, port_no: DpPort) -> None:
        """Look at a port's device again, whose `change_seq` moved. Raises ``OSError`` ENODEV."""

    def port_stats(self, port_no: DpPort) -> DeviceStats | None:
        """What the datapath itself counted at the port, None where only the device does. Raises ``OSError`` ENODEV."""
        return None

    def port_get_pid(self, port_no: DpPort | None, flow_hash: int) -> int:
        """The netlink port id for `Userspace` actions of packets from `port_no`.

        `port_no` None asks for the reserved one that belongs to no port. 0 where the datapath has no such ids.
        """
        return 0

    # -- flows -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def flow_flush(self) -> None:
        """Remove all flows and throw away all queued upcalls."""

    @abstractmethod
    def flow_dump(self, *, terse: bool = False) -> FlowDump:
        """A cursor over the flows."""

    @abstractmethod
    def operate(self, ops: Sequence[DpOp]) -> None:
        """Do `ops` in order; each one's result and error are in the op itself."""

    # -- upcalls ---------------------------------------------------------------------------------------------------

    def recv_set(self, enable: bool) -> None:
        """Start or stop upcalls for `recv`. May change what `port_get_pid` says."""

    def handlers_set(self, n_handlers: int) -> None:
        """Spread upcalls for `recv` over `n_handlers` queues."""

    def recv(self, handler: int, max_upcalls: int) -> list[Upcall]:
        """Up to `max_upcalls` waiting upcalls of a handler's queue; never blocks."""
        return []

    def recv_wait(self, handler: int, wake: Callable[[], None]) -> None:
        """Call `wake` (once, from the main loop) when `recv` of `handler` has something."""

    def recv_purge(self) -> None:
        """Throw away all waiting upcalls."""

    def register_upcall_cb(self, callback: UpcallCallback) -> None:
        """Set the callback for direct upcalls; it may be replaced."""

    def enable_upcall(self) -> None:
        """Start direct upcalls."""

    def disable_upcall(self) -> None:
        """Stop direct upcalls: packets that would go up are dropped and counted as lost."""

    def set_upcall_limit(self, per_port: int) -> None:
        """Bound how many upcalls of one port may wait; what comes on top is dropped and counted as lost."""

    # -- settings --------------------------------------------------------------------------------------------------

    def poll_threads_set(self, n_rxqs: int, cpu_mask: str | None) -> None:
        """Set receive queues per port and the CPUs (hex mask) whose threads poll them; in force when it returns.

        Raises:
            OSError: EINVAL for a mask that names no CPU of this machine.
        """

    def queue_to_priority(self, queue_id: int) -> int:
        """The `skb_priority` that means OpenFlow queue `queue_id`. Raises ``OSError`` EINVAL/EOPNOTSUPP."""
        return queue_id
