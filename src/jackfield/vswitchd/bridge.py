"""One bridge: its switch, its devices, its controllers, kept as a `BridgeConfig` says.

A port whose device cannot be had does not keep the others from working: the cause is logged and remembered, and the
port is added as soon as a device of its name appears.

The local port has the bridge's name and is an internal device. Its address is the smallest of the other ports'
addresses, as with Open vSwitch, and unless one is configured, the datapath id is that address. Its MTU follows the
smallest of the other ports'.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from jackfield.clock import Clock
from jackfield.errors import describe, errno_of
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.io.tls import TlsFiles
from jackfield.log import get_logger
from jackfield.netdev.provider import Netdev
from jackfield.netdev.registry import close_netdev, open_netdev
from jackfield.netlink.watcher import Watch
from jackfield.netlink.watcher import acquire as acquire_watcher
from jackfield.netlink.watcher import release as release_watcher
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.ports import Port
from jackfield.vswitchd.config import BridgeConfig, PortConfig, check_name

log = get_logger("bridge")

_MULTICAST: Final = 1 << 40  # the group bit of an Ethernet address


class Bridge:
    """A bridge that runs.

    Attributes:
        config: what it shall be.
        ofproto: its switch.
        errors: by port name, why a port is not there.
    """

    def __init__(self, config: BridgeConfig, clock: Clock, rundir: Path, tls: TlsFiles | None) -> None:
        self.config = config
        self.errors: dict[str, str] = {}
        self.ofproto = Ofproto(config.datapath_type, check_name(config.name), clock)
        self._rundir = rundir
        self._tls = tls
        self._devices: dict[str, Netdev] = {}
        self._watches: dict[str, Watch] = {}

    async def start(self) -> None:
        """Bring the bridge up.

        Raises:
            OSError: the datapath cannot be had.
            ValueError: a controller's target cannot be read.
        """
        self.ofproto.construct()
        acquire_watcher()
        local_type = self.local_type
        self._add_port(PortConfig(self.config.name, local_type, ofport_request=OFPP_LOCAL))
        for port in self.config.ports:
            self._add_port(port)
        self._settle()
        self.ofproto.on_port_change = self._settle
        connections = self.ofproto.connections
        connections.fail_mode = self.config.fail_mode
        name = self.config.name
        await connections.listen(str(self._rundir / f"{name}.mgmt"), str(self._rundir / f"{name}.snoop"))
        await connections.set_controllers(self.config.controllers, self._tls)

    async def stop(self) -> None:
        """Take the bridge down; every device is given back as it was."""
        for watch in self._watches.values():
            watch.cancel()
        self._watches.clear()
        self.ofproto.on_port_change = None
        await self.ofproto.destruct()
        for device in reversed(list(self._devices.values())):
            close_netdev(device)
        self._devices.clear()
        release_watcher()

    @property
    def local_type(self) -> str:
        """The device type of the local port."""
        return "dummy" if self.config.datapath_type == "dummy" else "internal"

    # -- ports -----------------------------------------------------------------------------------------------------

    def _add_port(self, config: PortConfig) -> None:
        name = config.name
        try:
            device = open_netdev(name, config.type, config.options)
        except (OSError, ValueError) as error:
            self._not_added(config, error)
            return
        try:
            port = self.ofproto.add_port(device, config.ofport_request)
        except OSError as error:
            close_netdev(device)
            self._not_added(config, error)
            return
        self._devices[name] = device
        self.errors.pop(name, None)
        if (watch := self._watches.pop(name, None)) is not None:
            watch.cancel()
        log.info("bridge %s: added interface %s on port %s", self.config.name, name, _number(port))

    def _not_added(self, config: PortConfig, error: Exception) -> None:
        name = config.name
        text = describe(error)
        if self.errors.get(name) != text:
            log.warning("could not add network device %s to bridge %s: %s", name, self.config.name, text)
        self.errors[name] = text
        if errno_of(error) == errno.ENODEV and name not in self._watches:
            self._watches[name] = acquire_watcher().watch_name(name, lambda link: self._appeared(config, link))
            release_watcher()

    def _appeared(self, config: PortConfig, link: object) -> None:
        if link is not None and config.name not in self._devices:
            self._add_port(config)
            self._settle()

    # -- what follows from the ports -------------------------------------------------------------------------------

    def _settle(self, changed: Port | None = None) -> None:
        """Let address and MTU of the local port, and the datapath id, follow the other ports."""
        local = self._devices.get(self.config.name)
        others = [device for name, device in self._devices.items() if name != self.config.name]
        address = self._address(local, others)
        if local is not None:
            try:
                if address and local.get_mac() != address:
                    local.set_mac(address)
                self._follow_mtu(local, others)
            except OSError as error:
                log.warning("bridge %s: local port: %s", self.config.name, describe(error))
        self.ofproto.set_datapath_id(self.config.datapath_id or address or None)

    def _address(self, local: Netdev | None, others: list[Netdev]) -> int:
        usable = [
            mac for device in others if device.type != "internal" and (mac := device.get_mac()) and not mac & _MULTICAST
        ]
        if usable:
            return min(usable)
        return local.get_mac() if local is not None else 0

    def _follow_mtu(self, local: Netdev, others: list[Netdev]) -> None:
        sizes = [size for device in others if device.type != "internal" and (size := device.get_mtu()) is not None]
        if sizes and local.get_mtu() not in (None, min(sizes)):
            local.set_mtu(min(sizes))


def _number(port: Port) -> str:
    return "LOCAL" if port.ofp_port == OFPP_LOCAL else str(port.ofp_port)
