"""What devices without a Linux interface have in common: their state is a few attributes.

Also the shortest way to a device of one's own: derive from `VirtualNetdev`, put packets into the switch with
`deliver`, and say in `transmit` what becomes of those that leave it. `examples/python-device` is one.
"""

from __future__ import annotations

import errno
import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from jackfield.errors import refuse
from jackfield.netdev.provider import DeviceStats, Netdev

MIN_MTU: Final = 68  # RFC 791: every host must be able to take that much
MAX_MTU: Final = 65535
_HEADERS: Final = 14 + 8  # Ethernet and two VLAN tags, which an MTU does not count


def local_mac() -> int:
    """A random address, locally administered and unicast (IEEE 802)."""
    return (random.getrandbits(48) & ~(1 << 40)) | 1 << 41


class VirtualNetdev(Netdev):
    """A device that lives in memory.

    Attributes:
        default_mtu: the MTU it starts with; None for a device that has no such limit.
        queue_limit: packets that wait to be received; more are dropped and counted.
        counters: its statistics, which it keeps itself.
    """

    default_mtu: ClassVar[int | None] = 1500
    queue_limit: ClassVar[int] = 4096

    def __init__(self, name: str, options: Mapping[str, str] | None = None) -> None:
        super().__init__(name, dict(options or {}))
        self.counters = DeviceStats(
            rx_packets=0, tx_packets=0, rx_bytes=0, tx_bytes=0, rx_dropped=0, tx_dropped=0, rx_errors=0, tx_errors=0
        )
        self._mac = local_mac()
        self._mtu = self.default_mtu
        self._up = False
        self._carrier = True
        self._link_resets = 0
        self._received: deque[bytes] = deque()

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse options that cannot work; the base class takes any.

        Raises:
            OSError: EINVAL names the option and what was expected.
        """

    def transmit(self, packet: bytes) -> None:
        """Take one packet that the switch sends; the base class swallows it.

        Raises:
            OSError: it could not be sent, which is counted.
        """

    def deliver(self, packet: bytes) -> bool:
        """Put one packet into the switch; False when it is dropped, because the device is down or its queue is full."""
        if not self._up or len(self._received) >= self.queue_limit:
            self.counters.rx_dropped = (self.counters.rx_dropped or 0) + 1
            return False
        self._received.append(packet)
        if len(self._received) == 1:
            self.notify_ready()
        return True

    # -- the contract --------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Check the options and come up."""
        self.check_options(self.options)
        self._up = True

    def close(self) -> None:
        """Drop what has not been received."""
        self._up = False
        self._received.clear()

    def set_options(self, options: Mapping[str, str]) -> None:
        """Take changed options into use, if they can work."""
        self.check_options(options)
        self.options = dict(options)

    def get_mac(self) -> int:
        """The address, random unless it was set."""
        return self._mac

    def set_mac(self, mac: int) -> None:
        """Set the address.

        Raises:
            OSError: EADDRNOTAVAIL: not a unicast address.
        """
        if not 0 < mac < 1 << 48 or mac >> 40 & 1:
            raise refuse(errno.EADDRNOTAVAIL, f"{self.name}: {mac:#x} is not the address of one station")
        self._change("_mac", mac)

    def get_mtu(self) -> int | None:
        """The MTU."""
        return self._mtu

    def set_mtu(self, mtu: int) -> None:
        """Set the MTU."""
        if self.default_mtu is None:
            super().set_mtu(mtu)
        if not MIN_MTU <= mtu <= MAX_MTU:
            raise refuse(errno.EINVAL, f"{self.name}: MTU {mtu} (expected {MIN_MTU} to {MAX_MTU})")
        self._change("_mtu", mtu)

    def get_admin_up(self) -> bool:
        """Whether it is up."""
        return self._up

    def set_admin_up(self, up: bool) -> None:
        """Bring it up or down; what waited to be received is dropped when it goes down."""
        if not up:
            self.counters.rx_dropped = (self.counters.rx_dropped or 0) + len(self._received)
            self._received.clear()
        self._change("_up", up)

    def get_carrier(self) -> bool:
        """Whether the link is up."""
        return self._carrier

    def set_carrier(self, carrier: bool) -> None:
        """Say whether the link is up."""
        if carrier != self._carrier:
            self._link_resets += 1
        self._change("_carrier", carrier)

    @property
    def link_resets(self) -> int:
        """How often `set_carrier` changed it."""
        return self._link_resets

    def get_stats(self) -> DeviceStats:
        """The counters."""
        return self.counters

    def receive_batch(self, limit: int) -> list[bytes]:
        """Packets that were delivered."""
        take = self._received.popleft
        packets = [take() for _ in range(min(limit, len(self._received)))]
        self.counters.rx_packets = (self.counters.rx_packets or 0) + len(packets)
        self.counters.rx_bytes = (self.counters.rx_bytes or 0) + sum(map(len, packets))
        return packets

    def send_batch(self, packets: Sequence[bytes]) -> int:
        """Give each packet to `transmit`; one longer than the MTU allows is dropped."""
        stats = self.counters
        longest = _HEADERS + (MAX_MTU if self._mtu is None else self._mtu)
        sent = 0
        for packet in packets:
            if not self._up or not self._carrier or len(packet) > longest:
                stats.tx_dropped = (stats.tx_dropped or 0) + 1
                continue
            try:
                self.transmit(packet)
            except OSError:
                stats.tx_errors = (stats.tx_errors or 0) + 1
                continue
            sent += 1
            stats.tx_packets = (stats.tx_packets or 0) + 1
            stats.tx_bytes = (stats.tx_bytes or 0) + len(packet)
        return sent

    def _change(self, attribute: str, value: object) -> None:
        if getattr(self, attribute) != value:
            setattr(self, attribute, value)
            self.notify_change()


def option_is(options: Mapping[str, str], name: str, device: str) -> bool:
    """A true/false option; false when it is not there.

    Raises:
        OSError: EINVAL: it is neither.
    """
    value = options.get(name, "false").lower()
    if value not in ("true", "false"):
        raise refuse(errno.EINVAL, f"{device}: option {name}={options[name]} (expected true or false)")
    return value == "true"


def required_option(options: Mapping[str, str], name: str, device: str, expected: str) -> str:
    """An option that must be there.

    Raises:
        OSError: EINVAL: it is missing or empty.
    """
    value = options.get(name, "")
    if not value:
        raise refuse(errno.EINVAL, f"{device}: option {name} is missing (expected {expected})")
    return value
