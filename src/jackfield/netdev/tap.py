"""A Linux interface of our own, made with /dev/net/tun: types "tap" and "internal".

The host sees an ordinary interface; what its stack sends there is received by the switch, and the other way round. A
vnet header goes before each packet, so partial checksums and segments up to 64 kB pass unchanged in both directions.

The interface exists from `open` to `close`, and ends with the process. It is made anew each time: one of the name that
is there already is never taken over. When somebody deletes it, it stays gone until the port is opened again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from jackfield.netdev.link import LinkNetdev
from jackfield.netdev.provider import CompiledQueue, DeviceStats, QueueKind
from jackfield.netlink.link import IFNAMSIZ, Link

TUN_PATH: Final = "/dev/net/tun"
VNET_HEADER: Final = 10  # struct virtio_net_hdr

# linux/if_tun.h
_TUNSETIFF: Final = 0x400454CA
_TUNSETOFFLOAD: Final = 0x400454D0
_TUNSETVNETHDRSZ: Final = 0x400454D8
_IFF_TAP: Final = 0x0002
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000
_IFF_TUN_EXCL: Final = 0x8000
_F_CSUM: Final = 0x01
_F_TSO4: Final = 0x02
_F_TSO6: Final = 0x04
_F_TSO_ECN: Final = 0x08
_F_USO: Final = 0x20 | 0x40  # IPv4 and IPv6, Linux 6.2

_OPEN_ERRORS: Final = {
    errno.ENOENT: "is not there (the kernel's tun module is not loaded)",
    errno.ENXIO: "has no driver (the kernel's tun module is not loaded)",
    errno.ENODEV: "has no driver (the kernel's tun module is not loaded)",
    errno.EACCES: "may not be opened",
    errno.EPERM: "may not be opened",
}
_CREATE_ERRORS: Final = {
    errno.EBUSY: "an interface of this name exists",
    errno.EPERM: "making an interface is not permitted (expected CAP_NET_ADMIN)",
    errno.EINVAL: "not a name for an interface",
}


class TapNetdev(LinkNetdev):
    """The device behind the types "tap" and "internal"."""

    type: ClassVar[str] = "tap"

    def __init__(self, name: str, options: Mapping[str, str] | None = None) -> None:
        super().__init__(name, options)
        self._fd = -1
        self._index = 0

    def open(self) -> None:
        """Make the interface; it is down.

        Raises:
            OSError: EINVAL the name cannot be an interface's; EBUSY there is one of the name; EPERM; ENODEV no tun.
        """
        encoded = self.name.encode(errors="surrogateescape")
        if not 0 < len(encoded) < IFNAMSIZ or "%" in self.name:
            raise self._refuse(errno.EINVAL, f"not a name for an interface (expected 1 to {IFNAMSIZ - 1} bytes, no %)")
        try:
            self._start_watching()
            self._fd = self._create(encoded)
            link = self._requests.find(self.name)
            if link is None:
                raise self._refuse(errno.ENODEV, "the interface went as soon as it was made")
            self._index = link.ifindex
            self._take(link)
            self._resets = 0
        except OSError:
            self.close()
            raise

    def _create(self, encoded: bytes) -> int:
        try:
            fd = os.open(TUN_PATH, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            number = errno.ENODEV if error.errno in (errno.ENOENT, errno.ENXIO) else error.errno
            text = _OPEN_ERRORS.get(error.errno or 0, error.strerror)
            raise self._refuse(number, f"{TUN_PATH} {text}") from error
        try:
            flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | _IFF_TUN_EXCL
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("=16sH22x", encoded, flags))
            fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("=i", VNET_HEADER))
            offloads = _F_CSUM | _F_TSO4 | _F_TSO6 | _F_TSO_ECN
            try:
                fcntl.ioctl(fd, _TUNSETOFFLOAD, offloads | _F_USO)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                fcntl.ioctl(fd, _TUNSETOFFLOAD, offloads)  # a kernel that does not know UDP segmentation here
        except OSError as error:
            os.close(fd)
            raise self._refuse(error.errno, _CREATE_ERRORS.get(error.errno or 0, error.strerror)) from error
        return fd

    def close(self) -> None:
        """Remove the interface."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._link = None
        self._stop_watching()

    def _take(self, link: Link | None) -> None:
        """An interface of our name that is not ours is none of our business."""
        super()._take(link if link is not None and link.ifindex == self._index else None)

    def get_stats(self) -> DeviceStats:
        """The kernel's counters, turned round: what the host's side sends, the switch receives."""
        host = super().get_stats()
        return DeviceStats(
            rx_packets=host.tx_packets,
            tx_packets=host.rx_packets,
            rx_bytes=host.tx_bytes,
            tx_bytes=host.rx_bytes,
            rx_dropped=host.tx_dropped,
            tx_dropped=host.rx_dropped,
            rx_errors=host.tx_errors,
            tx_errors=host.rx_errors,
            collisions=host.collisions,
        )

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue]:
        """One queue on the descriptor; none once the interface is gone."""
        if self._link is None:
            return []
        return [CompiledQueue(QueueKind.TAP, (self._fd,), fd=self._fd, owner=self)]

    def release_queues(self, queues: Sequence[CompiledQueue]) -> None:
        """The descriptor stays with the device."""
