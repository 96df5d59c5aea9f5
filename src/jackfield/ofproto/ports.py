"""A switch's ports: OpenFlow numbers, configuration and state, and how controllers see a device.

A `Port` is a device with an OpenFlow number. Numbers are given once: a port that leaves and comes back soon gets its
old number, so that a controller's flows still mean it; a new port takes the number longest unused.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any, Final

from jackfield.errors import refuse
from jackfield.flow.ports import OFPP10_MAX, OFPP_ANY, OFPP_LOCAL, OfPort
from jackfield.netdev.provider import Netdev
from jackfield.openflow.messages import NO_CONFIG, PortConfig, PortDescription, PortFeature, PortState

REUSE_AFTER: Final = 60 * 60 * 1000
"""How long (ms) the number of a port that left is kept for its name, unless numbers run out."""

SETTABLE_CONFIG: Final = PortConfig(0x7F)
"""The configuration bits a port-mod may change."""

_BITS_TO_KBPS: Final = 1000


class Port:
    """One port of a switch.

    Attributes:
        ofp_port: its OpenFlow number.
        netdev: the open device behind it.
        config: what controllers ask of it.
        state: link state, liveness and STP state.
        tag: VLAN of an access port (or the native VLAN), None for a trunk.
        trunks: VLANs a trunk carries; empty for all.
        vlan_mode: "access", "trunk", "native-tagged" or "native-untagged" (ovs-vswitchd.conf.db(5)); None derives it
            from `tag`.
        provider_data: the provider's own.
        created: clock ms when the port was added.
        hw_addr: Ethernet address as controllers see it.
        change_seq: of the device, when the state was last read.
    """

    __slots__ = (
        "change_seq",
        "config",
        "created",
        "hw_addr",
        "netdev",
        "ofp_port",
        "provider_data",
        "state",
        "tag",
        "trunks",
        "vlan_mode",
    )

    def __init__(self, ofp_port: OfPort, netdev: Netdev, created: int) -> None:
        self.ofp_port = ofp_port
        self.netdev = netdev
        self.created = created
        self.config = NO_CONFIG
        self.state = PortState.LIVE
        self.tag: int | None = None
        self.trunks: frozenset[int] = frozenset()
        self.vlan_mode: str | None = None
        self.provider_data: Any = None
        self.hw_addr = 0
        self.change_seq = -1
        self.update_from_device()

    @property
    def name(self) -> str:
        """The device's name."""
        return self.netdev.name

    def update_from_device(self) -> bool:
        """Read address, administrative state and link from the device; True when anything changed."""
        netdev = self.netdev
        before = (self.hw_addr, self.config, self.state)
        self.change_seq = netdev.change_seq
        self.hw_addr = netdev.get_mac()
        if netdev.get_admin_up():
            self.config &= ~PortConfig.PORT_DOWN
        else:
            self.config |= PortConfig.PORT_DOWN
        link_up = netdev.get_carrier()
        state = self.state & ~(PortState.LINK_DOWN | PortState.LIVE)
        self.state = state | (PortState.LIVE if link_up and not self.config & PortConfig.PORT_DOWN else PortState(0))
        if not link_up:
            self.state |= PortState.LINK_DOWN
        return before != (self.hw_addr, self.config, self.state)

    def description(self) -> PortDescription:
        """The port as controllers see it."""
        features = self.netdev.get_features()
        return PortDescription(
            port_no=self.ofp_port,
            hw_addr=self.hw_addr,
            name=self.netdev.name,
            config=self.config,
            state=self.state,
            current=PortFeature(features.current),
            advertised=PortFeature(features.advertised),
            supported=PortFeature(features.supported),
            peer=PortFeature(features.peer),
            current_speed=features.speed_mbps * _BITS_TO_KBPS,
            max_speed=_max_speed(features.supported),
        )

    def __repr__(self) -> str:
        return f"<Port {self.ofp_port} {self.netdev.name}>"


_SPEEDS: Final = (
    (PortFeature.FD_1TB, 1_000_000_000),
    (PortFeature.FD_100GB, 100_000_000),
    (PortFeature.FD_40GB, 40_000_000),
    (PortFeature.FD_10GB, 10_000_000),
    (PortFeature.FD_1GB | PortFeature.HD_1GB, 1_000_000),
    (PortFeature.FD_100MB | PortFeature.HD_100MB, 100_000),
    (PortFeature.FD_10MB | PortFeature.HD_10MB, 10_000),
)


def _max_speed(supported: int) -> int:
    """The fastest of the supported modes, in kbit/s; 0 when none is known."""
    return next((speed for bits, speed in _SPEEDS if supported & bits), 0)


class PortTable:
    """The ports of a switch by number and by name, and the numbers that are free."""

    def __init__(self) -> None:
        self._by_number: dict[OfPort, Port] = {}
        self._by_name: dict[str, Port] = {}
        self._left: dict[str, tuple[OfPort, int]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[Port]:
        return iter(self._by_number.values())

    def __contains__(self, number: OfPort) -> bool:
        return number in self._by_number

    def get(self, number: OfPort) -> Port | None:
        """The port of a number, None when there is none."""
        return self._by_number.get(number)

    def by_name(self, name: str) -> Port | None:
        """The port of a device's name, None when there is none."""
        return self._by_name.get(name)

    def select(self, number: OfPort) -> list[Port]:
        """The port of a number, all of them (by number) for ANY; empty when there is none."""
        if number == OFPP_ANY:
            return [self._by_number[each] for each in sorted(self._by_number)]
        port = self._by_number.get(number)
        return [] if port is None else [port]

    def choose_number(self, name: str, requested: OfPort | None, now: int) -> OfPort:
        """The number for a new port of that name.

        Raises:
            OSError: EBUSY the requested number is taken, EINVAL it is not an ordinary one, ENOSPC all are taken.
        """
        if requested is not None:
            if requested in self._by_number:
                raise refuse(errno.EBUSY, f"{name}: OpenFlow port {requested} is taken")
            if requested != OFPP_LOCAL and not 0 < requested < OFPP10_MAX:
                raise refuse(errno.EINVAL, f"{name}: OpenFlow port {requested} is not in 1 to {OFPP10_MAX - 1}")
            return requested
        kept = self._left.get(name)
        if kept is not None and kept[0] not in self._by_number:
            return kept[0]
        return self._free_number(now) or self._free_number(now + REUSE_AFTER) or self._none_left(name)

    def add(self, port: Port) -> None:
        """Enter a port under a number from `choose_number`.

        Raises:
            OSError: EEXIST there is a port of that name.
        """
        if port.name in self._by_name:
            raise refuse(errno.EEXIST, f"{port.name}: there is a port of this name")
        self._by_number[port.ofp_port] = port
        self._by_name[port.name] = port
        self._left.pop(port.name, None)

    def remove(self, port: Port, now: int) -> None:
        """Take a port out, and keep its number for its name for a while."""
        del self._by_number[port.ofp_port]
        del self._by_name[port.name]
        if port.ofp_port != OFPP_LOCAL:
            self._left[port.name] = (port.ofp_port, now)

    def _free_number(self, now: int) -> OfPort | None:
        self._left = {name: left for name, left in self._left.items() if left[1] + REUSE_AFTER > now}
        reserved = {number for number, _ in self._left.values()}
        for _ in range(OFPP10_MAX - 1):
            self._next = self._next % (OFPP10_MAX - 1) + 1
            candidate = OfPort(self._next)
            if candidate not in self._by_number and candidate not in reserved:
                return candidate
        return None

    def _none_left(self, name: str) -> OfPort:
        raise refuse(errno.ENOSPC, f"{name}: all OpenFlow port numbers are taken")
