"""An existing Linux interface.

While it is open the interface is up, promiscuous, and the switch's alone:

* It is promiscuous by a request that the kernel counts and takes back by itself (`jackfield.netdev.promiscuous`).
* The host's own stack gets nothing of what arrives (`jackfield.netlink.ingress`); packet sockets do. Where the kernel
  has no nf_tables, this is logged and the stack goes on answering.
* Administrative state, MTU and address are put back at `close`, if they were changed here and nobody else changed them
  since.

The interface is looked for by name. When it goes, whatever the cause, it is given back as far as it still exists; when
one of the name comes, with whatever index, it is taken into use again with the state, MTU and address that had been
set. Neither works on loopback nor on anything but Ethernet.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from jackfield.errors import describe
from jackfield.log import get_logger
from jackfield.netdev.claim import Claim
from jackfield.netdev.link import LinkNetdev
from jackfield.netdev.promiscuous import PromiscuousMode
from jackfield.netdev.provider import CompiledQueue
from jackfield.netlink.background import close_in_background
from jackfield.netlink.ingress import IngressGuard
from jackfield.netlink.link import ARPHRD_ETHER, IFF_LOOPBACK, Link

log = get_logger("netdev_system")

_guard: Final = IngressGuard()
_promiscuous: Final = PromiscuousMode()


class SystemNetdev(LinkNetdev):
    """The device behind type "system"."""

    type: ClassVar[str] = "system"

    def __init__(self, name: str, options: Mapping[str, str] | None = None) -> None:
        super().__init__(name, options)
        self._found: Link | None = None
        self._wanted_up = True
        self._claim: Claim | None = None

    def open(self) -> None:
        """Take the interface.

        Raises:
            OSError: ENODEV there is none of the name; EINVAL loopback or not Ethernet; EBUSY another switch has it;
                EPERM.
        """
        try:
            self._start_watching()
            link = self._requests.find(self.name)
            if link is None:
                raise self._refuse(errno.ENODEV, "there is no such network interface")
            self._attach(link)
            self._resets = 0
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Give the interface back as it was found."""
        self._detach()
        self._link = None
        self._stop_watching()

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue]:
        """Packet sockets; none while the interface is gone."""
        if self._link is None:
            return []
        from jackfield.netdev.packet_socket import open_queues

        return open_queues(self.name, self._link.ifindex, n_queues)

    def release_queues(self, queues: Sequence[CompiledQueue]) -> None:
        """Close the packet sockets."""
        from jackfield.netdev.packet_socket import close_queues

        close_in_background(partial(close_queues, list(queues)))

    def _look(self) -> None:
        link = self._requests.find(self.name)
        if self._found is not None and (link is None or link.ifindex != self._found.ifindex):
            log.info("%s: the device is gone", self.name)
            self._detach()
            self._take(None)
        if link is not None and self._found is None:
            try:
                self._attach(link)
            except OSError as error:
                log.warning("%s", describe(error))
            else:
                log.info("%s: the device is back", self.name)
            return
        if self._found is not None:
            self._take(link)

    def _attach(self, link: Link) -> None:
        """Take an interface into use, with what was asked for.

        Raises:
            OSError: it cannot be used; nothing is held.
        """
        if link.flags & IFF_LOOPBACK:
            raise self._refuse(errno.EINVAL, "a loopback interface cannot be a port (expected Ethernet)")
        if link.hardware != ARPHRD_ETHER:
            raise self._refuse(errno.EINVAL, f"not an Ethernet interface (hardware type {link.hardware})")
        self._claim = Claim(link.ifindex, self.name)
        self._found = link
        try:
            _guard.add(link.ifindex, link.name)
        except OSError as error:
            log.warning("%s: the host's own stack also receives its packets: %s", self.name, describe(error))
        try:
            _promiscuous.add(link.ifindex)
            requests = self._requests
            if self._wanted_mac not in (None, link.mac):
                requests.set_mac(link.ifindex, self._wanted_mac or 0)
            if self._wanted_mtu not in (None, link.mtu):
                requests.set_mtu(link.ifindex, self._wanted_mtu or 0)
            if self._wanted_up is not None and self._wanted_up != link.up:
                requests.set_up(link.ifindex, self._wanted_up)
            now = requests.get(link.ifindex)
        except OSError as error:
            self._detach()
            raise self._refuse(error.errno, f"cannot take the interface: {error.strerror}") from error
        self._take(now)

    def _detach(self) -> None:
        """Give back what is held of the interface; what fails is logged."""
        found, self._found = self._found, None
        if found is None:
            return
        self._try(lambda: _promiscuous.remove(found.ifindex))
        self._try(lambda: self._put_back(found))
        self._try(lambda: _guard.remove(found.ifindex))
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    def _put_back(self, found: Link) -> None:
        requests = self._requests
        try:
            now = requests.get(found.ifindex)
        except OSError as error:
            if error.errno == errno.ENODEV:
                return
            raise
        if now.up != found.up and now.up == self._wanted_up:
            self._try(lambda: requests.set_up(found.ifindex, found.up))
        if now.mtu != found.mtu and now.mtu == self._wanted_mtu:
            self._try(lambda: requests.set_mtu(found.ifindex, found.mtu))
        if now.mac != found.mac and now.mac == self._wanted_mac:
            self._try(lambda: requests.set_mac(found.ifindex, found.mac))

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            log.warning("%s: giving it back: %s", self.name, describe(error))
