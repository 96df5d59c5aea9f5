"""What translation sees of a switch: its ports with everything precomputed that a packet asks of them.

An `XBridge` stands for one `Ofproto`, an `XPort` for one of its ports. They hold no state of packets, the table of MAC
addresses apart.

*Topics* name what a megaflow depends on besides rules, so that a change finds the megaflows (`flows`): a port by
`XPort.topic` (also one that does not exist yet), the set of ports a bridge floods to by `XBridge.flood_topic`, the
bridge's settings by `XBridge.topic`, an address by its key in the `MacTable`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from jackfield.dpif.actions import Output
from jackfield.flow.ports import OFPP_ANY, OFPP_CONTROLLER, OFPP_UNSET, DpPort, OfPort
from jackfield.ofproto.pipeline.mac_learning import MacTable
from jackfield.openflow.messages import FragmentHandling, PortConfig, PortState

if TYPE_CHECKING:
    from jackfield.netdev.provider import Netdev
    from jackfield.ofproto.tables import Table

_TOPIC_SHIFT: Final = 32
_PLANS_LIMIT: Final = 1 << 16


class SwitchView(Protocol):
    """What of an `Ofproto` translation reads."""

    @property
    def tables(self) -> list[Table]:
        """The tables by number."""

    @property
    def version(self) -> int:
        """The version of the tables that packets see now."""


@dataclass(frozen=True, slots=True)
class VlanConfig:
    """How a port treats VLANs (ovs-vswitchd.conf.db(5), "vlan_mode").

    Attributes:
        native: VLAN of untagged packets; 0 for a trunk without one.
        tagged: whether the port carries tagged packets at all (everything but an access port).
        native_tagged: whether packets of the native VLAN leave with a tag.
        trunks: VLANs carried tagged; empty for all.
    """

    native: int = 0
    tagged: bool = True
    native_tagged: bool = False
    trunks: frozenset[int] = frozenset()

    @classmethod
    def of(cls, tag: int | None, trunks: frozenset[int], mode: str | None) -> VlanConfig:
        """From a port's settings; without a mode a tag makes an access port."""
        if mode is None:
            mode = "access" if tag is not None else "trunk"
        if mode == "access":
            return cls(native=tag or 0, tagged=False)
        if mode == "trunk":
            return cls(trunks=trunks)
        return cls(native=tag or 0, native_tagged=mode == "native-tagged", trunks=trunks)

    def carries(self, vlan: int) -> bool:
        """Whether packets of a VLAN may leave by the port."""
        if vlan == self.native and (vlan or not self.tagged):
            return True
        return self.tagged and (not self.trunks or vlan in self.trunks)

    def leaves_tagged(self, vlan: int) -> bool:
        """Whether packets of a VLAN the port carries leave with a tag."""
        return vlan != 0 and (vlan != self.native or (self.tagged and self.native_tagged))


class XPort:
    """One port, as translation needs it.

    Attributes:
        bridge: its bridge.
        ofp_port: its OpenFlow number.
        dp_port: its number in the datapath, None for a patch port.
        name: the device's name.
        peer_name: for a patch port the name of the other end.
        peer: the other end, None while there is none.
        output: the datapath action that sends to it.
        pid: where a kernel sends upcalls of its packets (`Dpif.port_get_pid`).
        topic: see the module's prose.
        receives, receives_stp, forwards, floods, packet_ins: what its configuration lets through.
        vlan: how it treats VLANs.
        netdev: the device.
        tx_packets, ...: packets that passed a patch port, counted from megaflows.
    """

    __slots__ = (
        "bridge",
        "dp_port",
        "floods",
        "forwards",
        "name",
        "netdev",
        "ofp_port",
        "output",
        "packet_ins",
        "peer",
        "peer_name",
        "pid",
        "receives",
        "receives_stp",
        "rx_bytes",
        "rx_packets",
        "topic",
        "tx_bytes",
        "tx_packets",
        "vlan",
    )

    #: Set by whoever makes the port; a port nobody configured has none.
    netdev: Netdev

    def __init__(
        self, bridge: XBridge, ofp_port: OfPort, name: str, dp_port: DpPort | None, peer_name: str | None = None
    ) -> None:
        self.bridge = bridge
        self.ofp_port = ofp_port
        self.name = name
        self.dp_port = dp_port
        self.peer_name = peer_name
        self.peer: XPort | None = None
        self.pid = 0
        self.output = None if dp_port is None else Output(dp_port)
        self.topic = bridge.port_topic(ofp_port)
        self.vlan = VlanConfig()
        self.receives = self.receives_stp = self.forwards = self.floods = self.packet_ins = True
        self.rx_packets = self.rx_bytes = self.tx_packets = self.tx_bytes = 0

    def set_dp_port(self, dp_port: DpPort) -> None:
        """The datapath has given the port a number."""
        self.dp_port = dp_port
        self.output = Output(dp_port)

    def configure(self, config: PortConfig, state: PortState, vlan: VlanConfig) -> bool:
        """Take configuration, state and VLANs over; True when anything changed for packets."""
        blocked = bool(state & PortState.BLOCKED)
        wanted = (
            not config & PortConfig.NO_RECV and not blocked,
            not config & PortConfig.NO_RECV_STP and not blocked,
            not config & PortConfig.NO_FWD and not blocked,
            not config & PortConfig.NO_FLOOD and not blocked,
            not config & PortConfig.NO_PACKET_IN,
            vlan,
        )
        before = (self.receives, self.receives_stp, self.forwards, self.floods, self.packet_ins, self.vlan)
        self.receives, self.receives_stp, self.forwards, self.floods, self.packet_ins, self.vlan = wanted
        return before != wanted

    def __repr__(self) -> str:
        return f"<XPort {self.bridge.name}:{self.ofp_port} {self.name}>"


def _no_queues(_queue_id: int) -> None:
    return None


class FloodPlan:
    """Where NORMAL floods a VLAN.

    Attributes:
        ports: in order, with whether packets leave tagged.
        plain: the datapath actions when the packet has, and leaves by all ports with, the same tag or none, and no
            port is a patch; None otherwise. By whether it is tagged.
    """

    __slots__ = ("plain_tagged", "plain_untagged", "ports")

    def __init__(self, ports: list[tuple[XPort, bool]]) -> None:
        self.ports = ports
        outputs = tuple(port.output for port, _ in ports if port.output is not None)
        simple = len(outputs) == len(ports)
        self.plain_untagged = outputs if simple and not any(tagged for _, tagged in ports) else None
        self.plain_tagged = outputs if simple and all(tagged for _, tagged in ports) else None


class XBridge:
    """One bridge.

    Args:
        number: the bridge's number in its process, part of its topics and cookies.
        name: its name.
        switch: its tables.
        changed: told each topic of the bridge when what it stands for changed.
    """

    def __init__(self, number: int, name: str, switch: SwitchView, changed: Callable[[object], None]) -> None:
        self.number = number
        self.name = name
        self.switch = switch
        self.ports: dict[int, XPort] = {}
        self.changed = changed
        self.topic = self.port_topic(OFPP_UNSET)
        self.flood_topic = self.port_topic(OFPP_ANY)
        self.macs = MacTable(number, changed)
        self.forward_bpdu = False
        #: VLANs that are flooded without learning.
        self.flood_vlans: frozenset[int] = frozenset()
        self.fragments = FragmentHandling.NORMAL
        self.wants_misses = False
        #: The datapath's priority for an OpenFlow queue, None where there is none.
        self.queue_priority: Callable[[int], int | None] = _no_queues
        #: Where packets come from that a controller made up: a trunk of everything that is never learned on.
        self.nowhere = XPort(self, OFPP_CONTROLLER, "OFPP_NONE", None)
        self._plans: dict[tuple[XPort, int], FloodPlan] = {}
        self._plans_size = 0

    def port_topic(self, ofp_port: int) -> int:
        """The topic of a port by number, whether it exists or not."""
        return self.number << _TOPIC_SHIFT | ofp_port

    def add_port(self, port: XPort) -> None:
        """A new port."""
        self.ports[port.ofp_port] = port
        self.port_changed(port)

    def remove_port(self, port: XPort) -> None:
        """A port is gone; what was learned on it is forgotten."""
        del self.ports[port.ofp_port]
        self.macs.flush_port(port)
        self.port_changed(port)

    def port_changed(self, port: XPort) -> None:
        """Something translation asks of a port changed."""
        self._plans.clear()
        self._plans_size = 0
        self.changed(port.topic)
        self.changed(self.flood_topic)

    def flood_plan(self, in_port: XPort, vlan: int) -> FloodPlan:
        """Where NORMAL floods a packet of a VLAN that came in by a port."""
        plan = self._plans.get((in_port, vlan))
        if plan is None:
            if self._plans_size > _PLANS_LIMIT:
                self._plans.clear()
                self._plans_size = 0
            ports = [
                (port, port.vlan.leaves_tagged(vlan))
                for port in self.ports.values()
                if port is not in_port and port.floods and port.forwards and port.vlan.carries(vlan)
            ]
            plan = self._plans[in_port, vlan] = FloodPlan(ports)
            self._plans_size += len(ports)
        return plan
