"""Devices: the contract between network devices and whoever moves packets through them.

A *netdev* is something packets go into and come out of: a Linux interface, a tap, one end of a patch, a file of
packets. `jackfield.dpif` polls it for packets; `jackfield.ofproto` shows its state to controllers.

Life cycle
    The registry constructs the class with ``(name, options)`` and then calls `Netdev.open`, which may fail with an
    ``OSError`` whose text names the device and what was expected. From then on every method may be called until
    `Netdev.close`, which never fails, may be repeated, and gives the device back as it was found (administrative
    state, MTU, promiscuous mode).

Threads
    All methods are called on the main thread only, and none may block. What polls a device in another thread sees
    only a `CompiledQueue`, numbers and memory, never the Python object.

Two ways to move packets
    A device that returns queues from `Netdev.compiled_queues` is moved by compiled code: each queue is a *kind* (from
    the closed list `QueueKind`) and a few 64-bit words whose meaning belongs to the kind. Every other device
    implements `receive_batch` and `send_batch` in plain Python; the datapath bridges the two worlds with memory rings.
    Such a device calls `self.notify_ready()` (from the main thread) whenever `receive_batch` has something new; the
    datapath also calls `receive_batch` once after it has set `on_ready`, and again as long as it gives a full batch.
    A device may do so from within `send_batch`, so `on_ready` only makes a note of it and receives later.
    A device that has no packets at all (a patch) sets `carries_packets` to False and is given to no datapath.

Changes
    `change_seq` moves and `on_change` is called, on the main thread and possibly from within a setter, whenever
    something that a port shows has changed. Two of these changes concern who polls the device: when `present` or
    `ifindex` differs from what it was when the queues were made, the queues are dead. Their owner then releases them,
    once no thread touches them any more, and asks `compiled_queues` anew; the answer is empty while the device is gone.

Vanishing
    A device that disappears (unplugged, deleted, renamed, moved to another namespace) stays open: its carrier is down,
    reads give nothing, sends drop, `present` is False, `ifindex` is 0, and `change_seq` moves. When a device of the
    name comes back it serves again, with what was set on it: administrative state, MTU, Ethernet address. A setter
    called while it is gone is ENODEV.

Administrative state
    `open` brings a device up, except tap and internal devices: those come up when somebody says so, as with Open
    vSwitch. A plain Python device that is down gives no packets and drops what it is sent.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from errno import EOPNOTSUPP
from typing import Any, ClassVar

from jackfield.errors import refuse
from jackfield.provider import Provider


class QueueKind(IntEnum):
    """What the compiled code knows how to poll; the closed list of design section 6."""

    PACKET_SOCKET = 1  #: AF_PACKET with a TPACKET_V2 ring and vnet headers
    TAP = 2  #: /dev/net/tun with vnet headers
    NULL = 3  #: swallows what is sent, gives nothing
    REPLAY = 4  #: gives packets from memory, endlessly or once; swallows what is sent
    MEMORY_RING = 5  #: two rings in memory, the other ends of which are a Python device


@dataclass
class CompiledQueue:
    """One queue of a device, as compiled code sees it.

    Attributes:
        kind: what the words mean.
        words: up to 16 integers (descriptors, addresses, sizes), laid out by `jackfield.netdev.compiled`.
        fd: the descriptor to sleep on, -1 where there is none.
        owner: objects that must stay alive while the words are in use (maps, arrays, sockets).
    """

    kind: QueueKind
    words: Sequence[int]
    fd: int = -1
    owner: Any = None


@dataclass(slots=True)
class DeviceStats:
    """Counters of a device since it was opened or made; None where the device does not count."""

    rx_packets: int | None = None
    tx_packets: int | None = None
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    rx_dropped: int | None = None
    tx_dropped: int | None = None
    rx_errors: int | None = None
    tx_errors: int | None = None
    multicast: int | None = None
    collisions: int | None = None
    rx_length_errors: int | None = None
    rx_over_errors: int | None = None
    rx_crc_errors: int | None = None
    rx_frame_errors: int | None = None
    rx_fifo_errors: int | None = None
    rx_missed_errors: int | None = None
    tx_aborted_errors: int | None = None
    tx_carrier_errors: int | None = None
    tx_fifo_errors: int | None = None
    tx_heartbeat_errors: int | None = None
    tx_window_errors: int | None = None


@dataclass(slots=True)
class LinkFeatures:
    """Speed and mode as ethtool reports them; OpenFlow's port features are made of these.

    Attributes:
        speed_mbps: current speed in Mbit/s, 0 when unknown.
        full_duplex: True, False, or None when unknown.
        current: bits of OpenFlow's OFPPF_* (1.1 numbering) for the mode in use.
        advertised: bits for the modes offered to the peer.
        supported: bits for the modes the device has.
        peer: bits for the modes the peer offers.
    """

    speed_mbps: int = 0
    full_duplex: bool | None = None
    current: int = 0
    advertised: int = 0
    supported: int = 0
    peer: int = 0


@dataclass(eq=False)
class Netdev(Provider, ABC):
    """One open device. See the module's prose for life cycle, threads and the two ways to move packets.

    Attributes:
        type: what the user calls this kind of device.
        carries_packets: False for a device that exists in translation only.
        name: the device's name as the configuration gives it.
        options: the interface's options, verbatim strings.
        change_seq: grows whenever anything a port shows (MAC, MTU, carrier, admin state, presence, ifindex) changed.
        on_change: called with the device after `change_seq` grew; set by the one owner of the device.
        on_ready: set by the datapath for plain Python devices; `notify_ready` calls it.
    """

    type: ClassVar[str]
    carries_packets: ClassVar[bool] = True

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    change_seq: int = 1
    on_change: Callable[[Netdev], None] | None = None
    on_ready: Callable[[], None] | None = None

    @abstractmethod
    def open(self) -> None:
        """Take the device into use.

        Raises:
            OSError: ENODEV no such device, EBUSY in use, EINVAL not Ethernet or bad option, EPERM not allowed.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the device back as it was; never fails and may be repeated."""

    @abstractmethod
    def get_mac(self) -> int:
        """The Ethernet address as a 48-bit integer, 0 when the device has none."""

    def set_mac(self, mac: int) -> None:
        """Set the Ethernet address.

        Raises:
            OSError: EOPNOTSUPP where the device cannot.
        """
        raise unsupported(self, "setting its Ethernet address")

    @abstractmethod
    def get_mtu(self) -> int | None:
        """The largest layer-3 payload in bytes, None when the device has no such limit."""

    def set_mtu(self, mtu: int) -> None:
        """Set the MTU in bytes.

        Raises:
            OSError: EOPNOTSUPP where the device cannot, EINVAL when out of its range.
        """
        raise unsupported(self, "setting its MTU")

    @abstractmethod
    def get_admin_up(self) -> bool:
        """Whether the device is administratively up."""

    @abstractmethod
    def set_admin_up(self, up: bool) -> None:
        """Bring the device up or down."""

    @abstractmethod
    def get_carrier(self) -> bool:
        """Whether the link is up."""

    @abstractmethod
    def get_stats(self) -> DeviceStats:
        """The device's counters, as the device sees them (received means into the switch)."""

    @property
    def present(self) -> bool:
        """False while the device behind the name is gone."""
        return True

    @property
    def ifindex(self) -> int:
        """The Linux interface index, 0 where there is none."""
        return 0

    @property
    def link_resets(self) -> int:
        """How often the carrier has changed since the device was opened."""
        return 0

    def get_features(self) -> LinkFeatures:
        """Speed and mode."""
        return LinkFeatures()

    def set_options(self, options: Mapping[str, str]) -> None:
        """Take changed options into use.

        Raises:
            OSError: EINVAL names the option and what was expected; the old options stay in force.
        """
        self.options = dict(options)

    def get_status(self) -> dict[str, str]:
        """What `Interface.status` shows."""
        return {}

    # -- packets ---------------------------------------------------------------------------------------------------

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue] | None:
        """Open up to `n_queues` receive queues for compiled code; None for a plain Python device.

        The caller returns them with `release_queues` once no thread touches them any more, and before `close`. Whether
        the answer is None never changes while the device is open; the list is empty while the device is gone.

        Raises:
            OSError: the device is there but cannot be polled.
        """
        return None

    def release_queues(self, queues: Sequence[CompiledQueue]) -> None:
        """Take back what `compiled_queues` gave; never fails."""

    def receive_batch(self, limit: int) -> list[bytes]:
        """Up to `limit` packets that have arrived (plain Python devices)."""
        return []

    def send_batch(self, packets: Sequence[bytes]) -> int:
        """Send packets, each a whole Ethernet frame; returns how many went (plain Python devices)."""
        return 0

    def notify_ready(self) -> None:
        """Tell the datapath that `receive_batch` has something (plain Python devices)."""
        if self.on_ready is not None:
            self.on_ready()

    def notify_change(self) -> None:
        """Count a change and tell the owner."""
        self.change_seq += 1
        if self.on_change is not None:
            self.on_change(self)


def unsupported(device: Netdev, what: str) -> OSError:
    """The error of an optional method that a device does not have."""
    return refuse(EOPNOTSUPP, f"{device.name}: a device of type {device.type} does not support {what}")
