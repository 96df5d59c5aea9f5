"""A device for tests: packets are put in by hand, and what it is sent can be looked at.

`jackfield vswitchd --enable-dummy` opens it for every port; the netdev-dummy/* commands of unixctl end here.

Options, all optional: `hwaddr` the Ethernet address, and files of packets: `rxq_pcap` of those put in, `tx_pcap`
of those sent, `pcap` of both (as in Open vSwitch's dummy devices).
"""

from __future__ import annotations

import errno
import itertools
import re
import time
from collections import deque
from collections.abc import Mapping
from typing import ClassVar, Final

from jackfield.errors import describe, refuse
from jackfield.log import get_logger
from jackfield.netdev import files
from jackfield.netdev.pcapfile import PcapWriter
from jackfield.netdev.virtual import VirtualNetdev

log = get_logger("netdev_dummy")

_FIRST_MAC: Final = 0xAA55AA550000
_count = itertools.count(0)
_CAPTURES: Final = ("pcap", "rxq_pcap", "tx_pcap")


class DummyNetdev(VirtualNetdev):
    """A device in memory.

    Attributes:
        transmitted: what it was sent last, oldest first.
    """

    type: ClassVar[str] = "dummy"
    transmitted_limit: ClassVar[int] = 65536

    def __init__(self, name: str, options: Mapping[str, str] | None = None) -> None:
        super().__init__(name, options)
        self.transmitted: deque[bytes] = deque(maxlen=self.transmitted_limit)
        self._mac = _FIRST_MAC + (next(_count) & 0xFFFF)
        self._captures: dict[str, PcapWriter] = {}

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse an address that is none."""
        address = options.get("hwaddr")
        if address is not None and not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", address):
            raise refuse(errno.EINVAL, f"{self.name}: option hwaddr={address} (expected as 02:00:00:00:00:01)")

    def open(self) -> None:
        """Open the files and come up."""
        self.check_options(self.options)
        self._apply(self.options)
        super().open()

    def set_options(self, options: Mapping[str, str]) -> None:
        """Take another address or other files into use."""
        self.check_options(options)
        self._apply(options)
        self.options = dict(options)

    def _apply(self, options: Mapping[str, str]) -> None:
        opened: dict[str, PcapWriter] = {}
        try:
            for option in _CAPTURES:
                if option in options and options[option] != self._captured(option):
                    opened[option] = PcapWriter(files.resolve(options[option]))
        except OSError:
            for writer in opened.values():
                self._close_capture(writer)
            raise
        for option in _CAPTURES:
            if option in opened or option not in options:
                old = self._captures.pop(option, None)
                if old is not None:
                    self._close_capture(old)
        self._captures.update(opened)
        if "hwaddr" in options:
            self.set_mac(int(options["hwaddr"].replace(":", ""), 16))

    def _captured(self, option: str) -> str | None:
        return self.options.get(option) if option in self._captures else None

    def close(self) -> None:
        """Close the files."""
        for writer in self._captures.values():
            self._close_capture(writer)
        self._captures.clear()
        super().close()

    def _close_capture(self, writer: PcapWriter) -> None:
        try:
            writer.close()
        except OSError as error:
            log.warning("%s: %s", self.name, describe(error))

    def receive(self, packet: bytes) -> bool:
        """Let the switch receive a packet (netdev-dummy/receive); False when it is dropped."""
        if not self.deliver(packet):
            return False
        self._capture("rxq_pcap", packet)
        return True

    def transmit(self, packet: bytes) -> None:
        """Keep what the switch sends."""
        self.transmitted.append(packet)
        self._capture("tx_pcap", packet)

    def _capture(self, direction: str, packet: bytes) -> None:
        for option in ("pcap", direction):
            writer = self._captures.get(option)
            if writer is not None:
                writer.write(packet, time.time_ns())
                writer.flush()
