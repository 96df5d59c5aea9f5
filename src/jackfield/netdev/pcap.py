"""A device whose packets come from one file and go to another.

Options: `rx_pcap` the file whose packets are received, as fast as they are taken; `tx_pcap` the file to which packets
are sent; `loop=true` to receive those of `rx_pcap` over and over, from memory and by compiled code, which is for
measurements and swallows what is sent. File names are subject to `jackfield.netdev.files`.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from jackfield.errors import describe, refuse
from jackfield.log import get_logger
from jackfield.netdev import files
from jackfield.netdev.pcapfile import PcapReader, PcapWriter
from jackfield.netdev.provider import CompiledQueue, DeviceStats
from jackfield.netdev.virtual import VirtualNetdev, option_is

log = get_logger("netdev_pcap")


class PcapNetdev(VirtualNetdev):
    """The device behind type "pcap"."""

    type: ClassVar[str] = "pcap"

    def __init__(self, name: str, options: Mapping[str, str] | None = None) -> None:
        super().__init__(name, options)
        self._reader: PcapReader | None = None
        self._writer: PcapWriter | None = None
        self._replay: CompiledQueue | None = None

    def check_options(self, options: Mapping[str, str]) -> None:
        """Refuse options that have no meaning together."""
        if "rx_pcap" not in options and "tx_pcap" not in options:
            raise refuse(
                errno.EINVAL, f"{self.name}: neither option rx_pcap nor tx_pcap is there (expected a file name)"
            )
        if option_is(options, "loop", self.name):
            if "rx_pcap" not in options:
                raise refuse(errno.EINVAL, f"{self.name}: option loop=true without rx_pcap (expected a file name)")
            if "tx_pcap" in options:
                raise refuse(errno.EINVAL, f"{self.name}: options loop=true and tx_pcap exclude each other")

    def open(self) -> None:
        """Open the files; with `loop`, read the packets into memory.

        Raises:
            OSError: EINVAL bad options or a file that is not pcap; or why a file cannot be opened.
        """
        self.check_options(self.options)
        try:
            if "rx_pcap" in self.options:
                self._reader = PcapReader(files.resolve(self.options["rx_pcap"]))
            if option_is(self.options, "loop", self.name) and self._reader is not None:
                self._replay = self._load(self._reader)
            if "tx_pcap" in self.options:
                self._writer = PcapWriter(files.resolve(self.options["tx_pcap"]))
        except ValueError as error:
            self.close()
            raise refuse(errno.EINVAL, f"{self.name}: {error}") from error
        except OSError:
            self.close()
            raise
        super().open()

    @staticmethod
    def _load(reader: PcapReader) -> CompiledQueue:
        from jackfield.netdev.compiled import replay_queue

        frames = [record.data for record in reader]
        try:
            return replay_queue(frames, endless=True)
        except ValueError as error:
            raise ValueError(f"{reader.path}: {error}") from error

    def close(self) -> None:
        """Close the files; what was sent is in them."""
        for each in (self._reader, self._writer):
            if each is not None:
                try:
                    each.close()
                except OSError as error:
                    log.warning("%s: %s", self.name, describe(error))
        self._reader = self._writer = self._replay = None
        super().close()

    def set_options(self, options: Mapping[str, str]) -> None:
        """Only what it has already: another file is another device.

        Raises:
            OSError: EINVAL: an option differs.
        """
        for option in ("rx_pcap", "tx_pcap", "loop"):
            if options.get(option) != self.options.get(option):
                raise refuse(errno.EINVAL, f"{self.name}: option {option} cannot change while the device is open")
        super().set_options(options)

    def get_stats(self) -> DeviceStats:
        """The counters; a looping device does not count, the datapath does."""
        return self.counters if self._replay is None else DeviceStats()

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue] | None:
        """One queue that replays, for a looping device."""
        return None if self._replay is None else [self._replay]

    def release_queues(self, queues: Sequence[CompiledQueue]) -> None:
        """The memory goes with the queue."""

    def receive_batch(self, limit: int) -> list[bytes]:
        """The next packets of the file; at a damaged place it ends, which is logged and counted."""
        while self._up and self._reader is not None and len(self._received) < limit:
            try:
                record = self._reader.read()
            except (OSError, ValueError) as error:
                log.error("%s: %s", self.name, describe(error))
                self.counters.rx_errors = (self.counters.rx_errors or 0) + 1
                record = None
            if record is None:
                self._reader.close()
                self._reader = None
                break
            self._received.append(record.data)
        return super().receive_batch(limit)

    def transmit(self, packet: bytes) -> None:
        """Append a packet to the file, if there is one."""
        if self._writer is not None:
            self._writer.write(packet, time.time_ns())

    def set_admin_up(self, up: bool) -> None:
        """Bring it up or down; the file waits meanwhile."""
        super().set_admin_up(up)
        if up and self._reader is not None:
            self.notify_ready()
