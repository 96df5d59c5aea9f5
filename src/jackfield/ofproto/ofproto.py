"""The OpenFlow switch: what belongs together, and its life.

An `Ofproto` has ports (`ports`), tables (`flow_tables`) and connections (`connections`), and a provider that makes
packets follow them (`provider`). It is made by whoever configures switches, on the main thread, inside the event loop.
"""

from __future__ import annotations

import errno
import secrets
from typing import TYPE_CHECKING, Final

from jackfield.clock import Clock, Timer
from jackfield.errors import describe, refuse
from jackfield.log import get_logger
from jackfield.ofproto.connections.manager import ConnectionManager
from jackfield.ofproto.flow_tables import FlowTables
from jackfield.ofproto.ports import SETTABLE_CONFIG, Port, PortTable
from jackfield.ofproto.provider import ofproto_registry
from jackfield.ofproto.settings import Descriptions, Settings
from jackfield.ofproto.slices import begin
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import FragmentHandling, PortConfig, PortReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackfield.flow.ports import OfPort
    from jackfield.netdev.provider import Netdev
    from jackfield.ofproto.flow_tables import Work
    from jackfield.ofproto.tables import Table
    from jackfield.openflow.messages import PortMod

log = get_logger("ofproto")

_RANDOM_DPID_OUI: Final = 0x002320 << 24


def random_datapath_id() -> int:
    """A datapath id for a switch that has no better one: a random address of the Nicira OUI."""
    return _RANDOM_DPID_OUI | secrets.randbits(24)


class Ofproto:
    """One OpenFlow switch.

    Args:
        type_name: the datapath type, which is the provider's type too.
        name: the bridge's name.
        clock: the time.

    Attributes:
        datapath_id: 64 bits, how controllers know the switch; the fallback until one is set.
        fallback_datapath_id: a random one.
        descriptions: texts for description requests.
        settings: see `Settings`; change them by `configure`.
        fragments: how IP fragments are handled.
        ports: see `PortTable`.
        flows: the tables and their changes.
        connections: controllers and who else speaks OpenFlow with the switch.
        provider: see `OfprotoProvider`.
        on_port_change: called with a port after its device changed; for whoever configured it.
    """

    def __init__(self, type_name: str, name: str, clock: Clock) -> None:
        self.type = type_name
        self.name = name
        self.clock = clock
        self.fallback_datapath_id = random_datapath_id()
        self.datapath_id = self.fallback_datapath_id
        self.descriptions = Descriptions()
        self.settings = Settings()
        self.fragments = FragmentHandling.NORMAL
        self.ports = PortTable()
        self.flows = FlowTables(clock, lambda: self.provider, lambda told: self.connections.flows_removed(told))
        self.connections = ConnectionManager(self)
        self.on_port_change: Callable[[Port], None] | None = None
        self._run_timer: Timer | None = None
        self._alive = False
        self.provider = ofproto_registry.open(type_name, self)

    @property
    def tables(self) -> list[Table]:
        """The tables by number."""
        return self.flows.tables

    @property
    def version(self) -> int:
        """The version of the tables that packets see now."""
        return self.flows.version

    # -- life ------------------------------------------------------------------------------------------------------

    def construct(self) -> None:
        """Bring the switch up, without ports and controllers.

        Raises:
            OSError: the provider refused; the object is of no more use.
        """
        try:
            self.provider.construct()
        except OSError:
            ofproto_registry.close(self.provider)
            raise
        self._alive = True
        self.connections.flushed()
        self.wake_provider()

    async def destruct(self, *, delete: bool = True) -> None:
        """Take the switch down: connections, ports, provider. With `delete`, leave nothing behind."""
        if not self._alive:
            return
        self._alive = False
        await self.connections.stop()
        if self._run_timer is not None:
            self._run_timer.cancel()
        for port in list(self.ports):
            self._drop_port(port)
        self.flows.stop()
        self.provider.destruct(delete=delete)
        ofproto_registry.close(self.provider)

    def wake_provider(self, within: int = 0) -> None:
        """Have the provider's `run` called from the loop, in `within` ms at the latest."""
        self._schedule(self.clock.now() + within)

    def _schedule(self, when: int) -> None:
        if self._run_timer is not None:
            if self._run_timer.pending and self._run_timer.when <= when:
                return
            self._run_timer.cancel()
        self._run_timer = self.clock.call_at(when, self._run)

    def _run(self) -> None:
        if not self._alive:
            return
        self.poll_ports()
        again = self.provider.run()
        if again is not None:
            self._schedule(again)

    def configure(self, settings: Settings) -> None:
        """Change the settings."""
        if settings != self.settings:
            self.settings = settings
            self.provider.settings_changed()

    def set_datapath_id(self, datapath_id: int | None) -> None:
        """Set the datapath id, None for the fallback; controllers must connect anew to learn of a change."""
        new = self.fallback_datapath_id if datapath_id is None else datapath_id
        if new != self.datapath_id:
            self.datapath_id = new
            self.connections.reconnect_all()

    def set_fragments(self, handling: FragmentHandling) -> bool:
        """Change how fragments are handled; False, and no change, where the provider cannot."""
        if handling == self.fragments:
            return True
        if not self.provider.set_fragments(handling):
            return False
        self.fragments = handling
        return True

    def flush(self) -> None:
        """Remove all flows; the switch then behaves as if it had just been made."""
        begin(self._flush(), f"{self.name}: flush of flows")

    def _flush(self) -> Work:
        yield from self.flows.flush()
        if self._alive:
            self.connections.flushed()

    # -- ports -----------------------------------------------------------------------------------------------------

    def add_port(self, netdev: Netdev, requested: OfPort | None = None) -> Port:
        """Add an open device as a port; the caller closes the device after the port is gone.

        Raises:
            OSError: EEXIST or EBUSY name or number taken, EINVAL number not allowed, ENOSPC, or the provider's.
        """
        if self.ports.by_name(netdev.name) is not None:
            raise refuse(errno.EEXIST, f"{self.name}: there is a port {netdev.name}")
        now = self.clock.now()
        port = Port(self.ports.choose_number(netdev.name, requested, now), netdev, now)
        self.ports.add(port)
        try:
            self.provider.port_added(port)
        except OSError:
            self.ports.remove(port, now)
            raise
        netdev.on_change = self._device_changed
        self.connections.port_status(PortReason.ADD, port.description())
        return port

    def delete_port(self, port: Port) -> None:
        """Remove a port; nothing touches its device any more on return. Does nothing when it is gone."""
        if self.ports.get(port.ofp_port) is port:
            description = port.description()
            self._drop_port(port)
            self.connections.port_status(PortReason.DELETE, description)

    def _drop_port(self, port: Port) -> None:
        port.netdev.on_change = None
        self.ports.remove(port, self.clock.now())
        self.provider.port_deleted(port)

    def _device_changed(self, netdev: Netdev) -> None:
        port = self.ports.by_name(netdev.name)
        if port is not None and port.netdev is netdev:
            self.refresh_port(port)

    def refresh_port(self, port: Port) -> None:
        """Read a port's device again, and tell provider and controllers of what changed."""
        changed = port.update_from_device()
        self.provider.port_modified(port)
        if changed:
            self.connections.port_status(PortReason.MODIFY, port.description())
        if self.on_port_change is not None:
            self.on_port_change(port)

    def poll_ports(self) -> None:
        """Take note of devices that the provider says appeared, vanished or changed in the datapath."""
        while (name := self.provider.port_poll()) is not None:
            known = self.ports.by_name(name)
            for port in list(self.ports) if name == "" else [known] if known is not None else []:
                if self.provider.port_is_present(port.name):
                    self.refresh_port(port)
                else:
                    log.warning("%s: port %s vanished from the datapath", self.name, port.name)
                    self.delete_port(port)

    def port_mod(self, mod: PortMod) -> None:
        """Change a port's configuration as a controller asks.

        Raises:
            OpenFlowError: OFPPMFC_BAD_PORT, OFPPMFC_BAD_HW_ADDR, OFPPMFC_EPERM.
        """
        port = self.ports.get(mod.port_no)
        if port is None:
            raise OpenFlowError("OFPPMFC_BAD_PORT", f"port {mod.port_no}")
        if mod.hw_addr != port.hw_addr:
            raise OpenFlowError("OFPPMFC_BAD_HW_ADDR", f"port {mod.port_no} has {port.hw_addr:012x}")
        toggle = (mod.config ^ port.config) & mod.mask & SETTABLE_CONFIG
        if not toggle:
            return
        old = port.config
        if toggle & PortConfig.PORT_DOWN:
            try:
                port.netdev.set_admin_up(bool(port.config & PortConfig.PORT_DOWN))
            except OSError as error:
                raise OpenFlowError("OFPPMFC_EPERM", describe(error)) from error
        port.config ^= toggle & ~PortConfig.PORT_DOWN
        port.update_from_device()
        if port.config != old:
            self.provider.port_reconfigured(port, old)
            self.connections.port_status(PortReason.MODIFY, port.description())
