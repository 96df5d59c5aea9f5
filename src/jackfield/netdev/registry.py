"""Opening and closing devices.

One device of a name is open at a time in a process, whatever its type: the name is what configuration, statistics and
stock tools know it by.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from jackfield.errors import refuse
from jackfield.netdev.provider import Netdev
from jackfield.provider import ProviderRegistry

DEFAULT_TYPE: Final = "system"

#: The device classes: built-in, of installed packages (entry points `jackfield.netdev`), and registered by hand.
NETDEVS: Final[ProviderRegistry[Netdev]] = ProviderRegistry(
    "netdev",
    Netdev,  # type: ignore[type-abstract]  # the contract that classes are held against; nothing is made of it
)


_open: Final[dict[str, Netdev]] = {}


def find_netdev(name: str) -> Netdev | None:
    """The open device of that name."""
    return _open.get(name)


def open_netdevs() -> list[Netdev]:
    """All open devices, oldest first."""
    return list(_open.values())


def open_netdev(name: str, type_name: str = DEFAULT_TYPE, options: Mapping[str, str] | None = None) -> Netdev:
    """Open a device.

    Args:
        name: the device's name.
        type_name: its type; empty means "system", as in the Interface table.
        options: the interface's options.

    Raises:
        OSError: EINVAL no such type, bad name or option; EBUSY a device of the name is open; and what
            `Netdev.open` raises.
    """
    kind = type_name or DEFAULT_TYPE
    if not name or not name.isprintable() or "/" in name or any(each.isspace() for each in name):
        raise refuse(errno.EINVAL, f"{name!r} is not a device name (expected printable, without blanks or slashes)")
    NETDEVS.get(kind)
    known = find_netdev(name)
    if known is not None:
        raise refuse(errno.EBUSY, f"{name}: a device of this name is open already (type {known.type})")
    device = NETDEVS.open(kind, name, dict(options or {}))
    try:
        device.open()
    except BaseException:
        NETDEVS.close(device)
        raise
    _open[name] = device
    return device


def close_netdev(device: Netdev) -> None:
    """Close a device that `open_netdev` gave; never fails, and may be repeated."""
    if _open.get(device.name) is device:
        del _open[device.name]
    NETDEVS.close(device)


def close_netdevs() -> None:
    """Close all devices, latest first, and then their classes; may be repeated."""
    for device in reversed(open_netdevs()):
        close_netdev(device)
    NETDEVS.close_all()
