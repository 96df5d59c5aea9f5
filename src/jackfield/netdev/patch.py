"""One end of a patch: a cable between two bridges of this process.

No packet passes through the device. Translation of a rule that outputs to a patch port goes on at the port's peer, in
the bridge that has it, and credits the counters of both.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import ClassVar

from jackfield.errors import refuse
from jackfield.netdev.virtual import VirtualNetdev, required_option


class PatchNetdev(VirtualNetdev):
    """A patch port; the option `peer` names the other end. It has no MTU, and always a carrier."""

    type: ClassVar[str] = "patch"
    carries_packets: ClassVar[bool] = False
    default_mtu: ClassVar[int | None] = None

    @property
    def peer(self) -> str:
        """Name of the patch port at the other end."""
        return self.options["peer"]

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse a missing peer, and itself."""
        if required_option(options, "peer", self.name, "the name of the port at the other end") == self.name:
            raise refuse(errno.EINVAL, f"{self.name}: option peer={self.name} (expected another port's name)")

    def set_options(self, options: Mapping[str, str]) -> None:
        """Take another peer."""
        before = self.peer
        super().set_options(options)
        if self.peer != before:
            self.notify_change()

    def add_rx(self, packets: int, n_bytes: int) -> None:
        """Credit packets that came in through the port."""
        self.counters.rx_packets = (self.counters.rx_packets or 0) + packets
        self.counters.rx_bytes = (self.counters.rx_bytes or 0) + n_bytes

    def add_tx(self, packets: int, n_bytes: int) -> None:
        """Credit packets that left through the port."""
        self.counters.tx_packets = (self.counters.tx_packets or 0) + packets
        self.counters.tx_bytes = (self.counters.tx_bytes or 0) + n_bytes
