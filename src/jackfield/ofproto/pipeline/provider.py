"""The built-in `OfprotoProvider`: a switch whose packets are forwarded by a datapath."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from jackfield.dpif.provider import Execute
from jackfield.dpif.registry import DPIFS
from jackfield.errors import refuse
from jackfield.flow.parse import parse_packet
from jackfield.flow.ports import DPP_NONE
from jackfield.netdev.provider import DeviceStats
from jackfield.ofproto.pipeline.backer import Backer, acquire, backers
from jackfield.ofproto.pipeline.bridge import VlanConfig, XBridge, XPort
from jackfield.ofproto.pipeline.compile import compile_actions, unsupported
from jackfield.ofproto.pipeline.report import Report
from jackfield.ofproto.pipeline.translate import Translation
from jackfield.ofproto.provider import OfprotoProvider
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import FragmentHandling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackfield.ofproto.ofproto import Ofproto
    from jackfield.ofproto.ports import Port
    from jackfield.ofproto.rule import Rule
    from jackfield.openflow.actions import Action
    from jackfield.openflow.messages import PacketOut, PortConfig

_MS: Final = 1000


class PipelineProvider(OfprotoProvider):
    """One switch on the datapath of its type.

    Attributes:
        backer: the datapath, shared with the other switches of the type.
        bridge: the switch as translation sees it.
    """

    backer: Backer
    bridge: XBridge

    def __init__(self, ofproto: Ofproto) -> None:
        super().__init__(ofproto)
        self._number = 0
        self._names: dict[str, XPort] = {}

    # -- the class -------------------------------------------------------------------------------------------------

    @classmethod
    def enumerate_types(cls) -> list[str]:
        """The types of datapaths there are."""
        return DPIFS.types()

    @classmethod
    def enumerate_names(cls, type_name: str) -> list[str]:
        """The bridges of a type: the open ones, and the local ports left in a datapath by another process."""
        return [
            provider.ofproto.name
            for backer in backers()
            if backer.dpif.type == type_name
            for provider in backer.bridges.values()
        ]

    @classmethod
    def delete(cls, type_name: str, name: str) -> None:
        """Delete a switch that is not open here; none outlives the process.

        Raises:
            OSError: EBUSY it is open, ENODEV there is none.
        """
        if name in cls.enumerate_names(type_name):
            raise refuse(errno.EBUSY, f"{name}: the switch is open in this process")
        raise refuse(errno.ENODEV, f"{name}: no such switch of type {type_name}")

    # -- life cycle ------------------------------------------------------------------------------------------------

    def construct(self) -> None:
        """Open the datapath, or join the bridges that share it."""
        self.backer = acquire(self.ofproto.type, self.ofproto.clock)
        self._number = self.backer.add_bridge(self)
        self.bridge = XBridge(
            self._number, self.ofproto.name, self.ofproto.flows, self.backer.revalidator.topic_changed
        )
        self.bridge.queue_priority = self._queue_priority
        self._take_settings()

    def destruct(self, *, delete: bool) -> None:
        """Leave the datapath; its last bridge ends it."""
        self.backer.revalidator.topic_changed(self.bridge.topic)
        self.backer.release(self._number, delete=delete)

    def run(self) -> int | None:
        """Age addresses; with the first bridge that is called, do the work of the datapath."""
        now = self.ofproto.clock.now()
        times = (self.bridge.macs.run(now), self.backer.run(now))
        return min((each for each in times if each is not None), default=None)

    # -- ports -----------------------------------------------------------------------------------------------------

    def port_added(self, port: Port) -> None:
        """Add the device to the datapath; a patch port only here."""
        netdev = port.netdev
        peer_name = None if netdev.carries_packets else netdev.options.get("peer", "")
        xport = XPort(self.bridge, port.ofp_port, port.name, None, peer_name)
        xport.netdev = netdev
        xport.configure(port.config, port.state, VlanConfig.of(port.tag, port.trunks, port.vlan_mode))
        self.backer.add_port(xport, netdev)
        port.provider_data = xport
        self._names[port.name] = xport
        self.bridge.add_port(xport)

    def port_deleted(self, port: Port) -> None:
        """Take the device out of the datapath."""
        xport = self._xport(port)
        port.provider_data = None
        del self._names[port.name]
        self.bridge.remove_port(xport)
        self.backer.remove_port(xport)

    def port_modified(self, port: Port) -> None:
        """Take over what the device shows; the datapath looks at it again."""
        xport = self._xport(port)
        if xport.dp_port is not None:
            self.backer.dpif.port_refresh(xport.dp_port)
        elif xport.peer_name is not None:
            self.backer.repeer(xport, port.netdev.options.get("peer", ""))
        self._configure(port, xport)

    def port_reconfigured(self, port: Port, old_config: PortConfig) -> None:
        """Take over what is configured."""
        self._configure(port, self._xport(port))

    def _configure(self, port: Port, xport: XPort) -> None:
        vlan = VlanConfig.of(port.tag, port.trunks, port.vlan_mode)
        if xport.configure(port.config, port.state, vlan):
            self.bridge.port_changed(xport)

    @staticmethod
    def _xport(port: Port) -> XPort:
        return cast(XPort, port.provider_data)

    def port_poll(self) -> str | None:
        """One of this bridge's devices that changed in the datapath."""
        return self.backer.poll_device(self._names)

    def port_is_present(self, name: str) -> bool:
        """Whether the datapath still has the device."""
        xport = self._names.get(name)
        if xport is None or xport.dp_port is None:
            return xport is not None
        try:
            return self.backer.dpif.port_query_by_number(xport.dp_port).name == name
        except OSError:
            return False

    def port_stats(self, port: Port) -> DeviceStats:
        """What the datapath counted, else the device; of a patch port what megaflows counted."""
        xport = self._xport(port)
        if xport.peer_name is not None:
            return DeviceStats(
                rx_packets=xport.rx_packets,
                tx_packets=xport.tx_packets,
                rx_bytes=xport.rx_bytes,
                tx_bytes=xport.tx_bytes,
            )
        counted = None if xport.dp_port is None else self.backer.dpif.port_stats(xport.dp_port)
        return port.netdev.get_stats() if counted is None else counted

    # -- rules -----------------------------------------------------------------------------------------------------

    def rule_check(self, rule: Rule) -> None:
        """Refuse actions that translation cannot do."""
        _check(rule.actions)

    def rule_inserted(self, rule: Rule) -> None:
        """Find, later, the megaflows it concerns."""
        self.backer.revalidator.rule_inserted(self.ofproto.flows.tables[rule.table_id], rule)

    def rule_replaced(self, old: Rule, new: Rule) -> None:
        """The megaflows that followed the old rule follow the new one."""
        self.backer.revalidator.rule_removed(self.ofproto.flows.tables[old.table_id], old)
        if new.conjunctions:
            self.rule_inserted(new)

    def rule_removed(self, rule: Rule) -> None:
        """The megaflows that followed it must find another."""
        self.backer.revalidator.rule_removed(self.ofproto.flows.tables[rule.table_id], rule)

    # -- tables and settings ---------------------------------------------------------------------------------------

    def table_changed(self, table_id: int) -> None:
        """Another way with misses."""
        self.backer.revalidator.topic_changed(self.bridge.topic)

    def set_fragments(self, handling: FragmentHandling) -> bool:
        """Everything but putting fragments together."""
        if handling == FragmentHandling.REASM:
            return False
        self.bridge.fragments = handling
        self.backer.revalidator.topic_changed(self.bridge.topic)
        return True

    def settings_changed(self) -> None:
        """Take the settings over."""
        self._take_settings()
        self.backer.revalidator.topic_changed(self.bridge.topic)

    def _take_settings(self) -> None:
        settings = self.ofproto.settings
        bridge = self.bridge
        bridge.forward_bpdu = settings.forward_bpdu
        bridge.flood_vlans = settings.flood_vlans
        bridge.fragments = self.ofproto.fragments
        bridge.wants_misses = self.ofproto.connections.wants_misses
        bridge.macs.ageing = settings.mac_aging_s * _MS
        bridge.macs.set_max_entries(settings.mac_table_size)

    def _queue_priority(self, queue_id: int) -> int | None:
        try:
            return self.backer.dpif.queue_to_priority(queue_id)
        except OSError:
            return None

    # -- packets ---------------------------------------------------------------------------------------------------

    def packet_check(self, out: PacketOut) -> None:
        """Refuse actions that translation cannot do."""
        _check(out.actions)

    def packet_execute(self, out: PacketOut) -> None:
        """Translate the actions, credit what they touch, and have the datapath do them."""
        in_port = self.bridge.ports.get(out.in_port)
        dp_port = DPP_NONE if in_port is None or in_port.dp_port is None else in_port.dp_port
        key = parse_packet(out.data, dp_port).key
        t = self.translate_out(key, out)
        backer = self.backer
        backer.settle(t, len(out.data), self.ofproto.clock.now())
        if t.actions:
            execute = Execute(out.data, key, t.result)
            backer.dpif.operate([execute])
            if execute.error is not None:
                raise OpenFlowError("OFPBRC_EPERM", f"packet-out: {execute.error}")

    def translate_out(
        self, key: int, out: PacketOut, *, learn: bool = True, report: Report | None = None
    ) -> Translation:
        """What a packet-out's actions make of a packet."""
        t = Translation(
            self.bridge, key, None, self.ofproto.clock.now(), self.backer.frozen, learn=learn, report=report
        )
        t.start_actions(compile_actions(out.actions), out.in_port)
        t.run()
        return t

    # -- completion ------------------------------------------------------------------------------------------------

    def sync(self, callback: Callable[[], None]) -> None:
        """Call back when all changes are in force."""
        self.backer.revalidator.sync(callback)

    def refresh_stats(self, callback: Callable[[], None], max_age: int = 0) -> None:
        """Call back when the counters are right."""
        self.backer.revalidator.refresh(callback, max_age)


def _check(actions: Sequence[Action]) -> None:
    refused = unsupported(actions)
    if refused is not None:
        raise OpenFlowError("OFPBAC_BAD_TYPE", f"{type(refused).__name__} is not supported")
