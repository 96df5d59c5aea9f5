"""One bridge: its switch, its devices, its controllers, kept as a `BridgeConfig` says.

A port whose device cannot be had does not keep the others from working: the cause is logged and remembered, and the
port is added as soon as a device of its name appears.

The local port has the bridge's name and is an internal device. Its address is the smallest of the other ports'
addresses, as with Open vSwitch, and unless one is configured, the datapath id is that address. The MTU of internal
ports follows the smallest of the other ports', unless one was asked for.
"""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace
from pathlib import Path
from typing import Final

from jackfield.clock import Clock
from jackfield.dpif.registry import DPIFS
from jackfield.errors import describe, errno_of
from jackfield.flow.ports import OFPP_LOCAL
from jackfield.io.tls import TlsFiles
from jackfield.log import get_logger
from jackfield.netdev.provider import Netdev
from jackfield.netdev.registry import NETDEVS, close_netdev, open_netdev
from jackfield.netlink.watcher import LinkWatcher, Watch
from jackfield.netlink.watcher import acquire as acquire_watcher
from jackfield.netlink.watcher import release as release_watcher
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.ports import Port
from jackfield.ofproto.provider import ofproto_registry
from jackfield.vswitchd.config import BridgeConfig, PortConfig, check_name

log = get_logger("bridge")

_MULTICAST: Final = 1 << 40  # the group bit of an Ethernet address


def load(config: BridgeConfig) -> None:
    """Import what a bridge is made of; to be called before the event loop runs, which it would stall.

    Raises:
        ValueError: there is no such type of datapath. A port's type is looked at when the port is added.
        OSError: why the datapath cannot be had.
    """
    known = set(ofproto_registry.types()) & set(DPIFS.types())
    if config.datapath_type not in known:
        raise ValueError(f"no datapath of type {config.datapath_type}: expected one of {', '.join(sorted(known))}")
    ofproto_registry.get(config.datapath_type)
    datapath = DPIFS.get(config.datapath_type)
    types = {datapath.port_open_type(type_name) for type_name in ("internal", *(port.type for port in config.ports))}
    for type_name in types & set(NETDEVS.types()):
        try:
            NETDEVS.get(type_name)
        except OSError:
            continue  # said again, and why, when a port of this type is added


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
        self._watcher: LinkWatcher | None = None
        self._settling = False
        # The local port comes first; what is configured under its name is said of it.
        local = next((port for port in config.ports if port.name == config.name), PortConfig(config.name, "internal"))
        others = [port for port in config.ports if port.name != config.name]
        self._ports = {port.name: port for port in (replace(local, ofport_request=OFPP_LOCAL), *others)}

    async def start(self) -> None:
        """Bring the bridge up.

        Raises:
            OSError: the datapath cannot be had, or a socket.
            ValueError: a controller's target cannot be read.
        """
        self.ofproto.construct()
        self._watcher = acquire_watcher()
        for port in self._ports.values():
            # Attaching a device takes the kernel milliseconds; the loop runs in between.
            await asyncio.sleep(0)
            self._add_port(port)
        self._settle()
        self.ofproto.on_port_change = self._settle
        connections = self.ofproto.connections
        connections.fail_mode = self.config.fail_mode
        name = self.config.name
        await connections.listen(str(self._rundir / f"{name}.mgmt"), str(self._rundir / f"{name}.snoop"))
        await connections.set_controllers(self.config.controllers, self._tls)

    async def stop(self) -> None:
        """Take the bridge down; every device is given back as it was. Does nothing when it is not up."""
        if self._watcher is None:
            return
        self._watcher = None
        for watch in self._watches.values():
            watch.cancel()
        self._watches.clear()
        self.ofproto.on_port_change = None
        await self.ofproto.destruct()
        for device in reversed(list(self._devices.values())):
            close_netdev(device)
        self._devices.clear()
        release_watcher()

    # -- ports -----------------------------------------------------------------------------------------------------

    def _add_port(self, config: PortConfig) -> None:
        name = config.name
        try:
            kind = DPIFS.get(self.config.datapath_type).port_open_type(config.type)
            device = open_netdev(name, kind, config.options)
        except (OSError, ValueError) as error:
            self._not_added(config, error)
            return
        try:
            if config.mtu_request is not None:
                device.set_mtu(config.mtu_request)
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
        text = describe(error).removeprefix(f"{name}: ")
        if self.errors.get(name) != text:
            log.warning("could not add network device %s to bridge %s: %s", name, self.config.name, text)
        self.errors[name] = text
        if errno_of(error) == errno.ENODEV and name not in self._watches and self._watcher is not None:
            self._watches[name] = self._watcher.watch_name(name, lambda link: self._appeared(config, link))

    def _appeared(self, config: PortConfig, link: object) -> None:
        if link is not None and config.name not in self._devices:
            self._add_port(config)
            self._settle()

    # -- what follows from the ports -------------------------------------------------------------------------------

    def _settle(self, changed: Port | None = None) -> None:
        """Let address and MTU of internal ports, and the datapath id, follow the other ports."""
        if self._settling:
            return  # told of a change made here
        self._settling = True
        try:
            outer = [each for each in self._devices.values() if not self._is_internal(each)]
            self._follow_mtu(outer)
            address = self._follow_address(outer)
            self.ofproto.set_datapath_id(self.config.datapath_id or address or None)
        finally:
            self._settling = False

    def _follow_address(self, outer: list[Netdev]) -> int:
        """Give the local port the smallest address of the other ports'; the bridge's address, 0 for none."""
        local = self._devices.get(self.config.name)
        usable = [mac for device in outer if (mac := device.get_mac()) and not mac & _MULTICAST]
        own = 0 if local is None else local.get_mac()
        if not usable:
            return own
        if local is not None and own != min(usable):
            try:
                local.set_mac(min(usable))
            except OSError as error:
                log.warning("bridge %s: %s", self.config.name, describe(error))
        return min(usable)

    def _follow_mtu(self, outer: list[Netdev]) -> None:
        sizes = [size for device in outer if (size := device.get_mtu()) is not None]
        for device in self._devices.values():
            if not sizes or not self._is_internal(device) or self._ports[device.name].mtu_request is not None:
                continue
            try:
                if device.get_mtu() not in (None, min(sizes)):
                    device.set_mtu(min(sizes))
            except OSError as error:
                log.warning("bridge %s: %s", self.config.name, describe(error))

    def _is_internal(self, device: Netdev) -> bool:
        return self._ports[device.name].type == "internal"


def _number(port: Port) -> str:
    return "LOCAL" if port.ofp_port == OFPP_LOCAL else str(port.ofp_port)
