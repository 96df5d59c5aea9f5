"""What `system` and `tap` devices share: a Linux interface, read and changed over rtnetlink.

The watcher of links says that something has changed; what it is now is then read from the kernel. So a notification
that lies behind a change of our own cannot bring back the past, and getters never wait.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from jackfield.errors import refuse
from jackfield.netdev import ethtool
from jackfield.netdev.provider import DeviceStats, LinkFeatures, Netdev
from jackfield.netlink import watcher
from jackfield.netlink.link import Link, LinkSocket


class LinkNetdev(Netdev):
    """A device that is a Linux interface."""

    def __init__(self, name: str, options: Mapping[str, str] | None = None) -> None:
        super().__init__(name, dict(options or {}))
        self._link: Link | None = None
        self._watcher: watcher.LinkWatcher | None = None
        self._watch: watcher.Watch | None = None
        self._resets = 0
        self._wanted_up: bool | None = None
        self._wanted_mtu: int | None = None
        self._wanted_mac: int | None = None

    # -- for the derived classes ---------------------------------------------------------------------------------------

    def _start_watching(self) -> None:
        """Get the process's watcher of links, for requests and for news of the name."""
        self._watcher = watcher.acquire()
        self._watch = self._watcher.watch_name(self.name, lambda _: self._look())

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._watcher is not None:
            self._watcher = None
            watcher.release()

    @property
    def _requests(self) -> LinkSocket:
        if self._watcher is None:
            raise self._refuse(errno.ENODEV, "the device is not open")
        return self._watcher.requests

    def _refuse(self, number: int | None, text: str | None) -> OSError:
        return refuse(number or errno.EIO, f"{self.name}: {text}")

    def _look(self) -> None:
        """Read what the interface is now, and tell the owner if a port would show a difference."""
        self._take(self._requests.find(self.name))

    def _take(self, link: Link | None) -> None:
        before = self._link
        self._link = link
        if before is not None and link is not None and before.ifindex == link.ifindex:
            self._resets += (link.carrier_changes - before.carrier_changes) & 0xFFFFFFFF
        elif (before is not None and before.carrier) != (link is not None and link.carrier):
            self._resets += 1
        if _shown(before) != _shown(link):
            self.notify_change()

    def _there(self) -> Link:
        if self._link is None:
            raise self._refuse(errno.ENODEV, "the device is gone")
        return self._link

    # -- the contract --------------------------------------------------------------------------------------------------

    @property
    def present(self) -> bool:
        """Whether there is an interface of the name."""
        return self._link is not None

    @property
    def ifindex(self) -> int:
        """Its index."""
        return 0 if self._link is None else self._link.ifindex

    @property
    def link_resets(self) -> int:
        """As the kernel counts them."""
        return self._resets

    def get_mac(self) -> int:
        """The address."""
        return 0 if self._link is None else self._link.mac

    def set_mac(self, mac: int) -> None:
        """Set the address; an interface that does not take it while it is up is brought down for the moment."""
        link = self._there()
        requests = self._requests
        try:
            try:
                requests.set_mac(link.ifindex, mac)
            except OSError as error:
                if error.errno != errno.EBUSY or not link.up:
                    raise
                requests.set_up(link.ifindex, False)
                try:
                    requests.set_mac(link.ifindex, mac)
                finally:
                    requests.set_up(link.ifindex, True)
        except OSError as error:
            raise self._refuse(error.errno, f"cannot set the Ethernet address: {error.strerror}") from error
        self._wanted_mac = mac
        self._look()

    def get_mtu(self) -> int | None:
        """The MTU; None while the device is gone."""
        return None if self._link is None else self._link.mtu

    def set_mtu(self, mtu: int) -> None:
        """Set the MTU."""
        link = self._there()
        try:
            self._requests.set_mtu(link.ifindex, mtu)
        except OSError as error:
            expected = f" (expected {link.min_mtu} to {link.max_mtu})" if link.max_mtu else ""
            raise self._refuse(error.errno, f"cannot set the MTU to {mtu}{expected}: {error.strerror}") from error
        self._wanted_mtu = mtu
        self._look()

    def get_admin_up(self) -> bool:
        """Whether the interface is up."""
        return self._link is not None and self._link.up

    def set_admin_up(self, up: bool) -> None:
        """Bring the interface up or down."""
        link = self._there()
        if link.up != up:
            try:
                self._requests.set_up(link.ifindex, up)
            except OSError as error:
                word = "up" if up else "down"
                raise self._refuse(error.errno, f"cannot bring the device {word}: {error.strerror}") from error
        self._wanted_up = up
        self._look()

    def get_carrier(self) -> bool:
        """Whether the interface is up and running."""
        return self._link is not None and self._link.carrier

    def get_stats(self) -> DeviceStats:
        """The kernel's counters; none while the device is gone."""
        if self._link is None:
            return DeviceStats()
        try:
            return DeviceStats(**self._requests.stats(self._link.ifindex))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            return DeviceStats()

    def get_features(self) -> LinkFeatures:
        """What the driver says."""
        return ethtool.link_features(self.name) if self.present else LinkFeatures()

    def get_status(self) -> dict[str, str]:
        """Driver name and versions."""
        return ethtool.driver_info(self.name) if self.present else {}


def _shown(link: Link | None) -> tuple[object, ...]:
    """What of an interface a port shows."""
    return () if link is None else (link.ifindex, link.mac, link.mtu, link.up, link.carrier, link.carrier_changes)
