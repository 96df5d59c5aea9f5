"""The ports of a userspace datapath: devices, their queues, and the bridge to devices in plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from jackfield.dpif.userspace.state import P_NUMBER, P_UP_LIMIT, Arena
from jackfield.flow.ports import DpPort
from jackfield.log import get_logger
from jackfield.netdev.compiled import (
    QUEUE_ROW,
    QUEUE_RX_BYTES,
    QUEUE_RX_DROPS,
    QUEUE_RX_PACKETS,
    QUEUE_TX_BYTES,
    QUEUE_TX_DROPS,
    QUEUE_TX_ERRORS,
    QUEUE_TX_PACKETS,
    init_queue_row,
)
from jackfield.netdev.provider import CompiledQueue, DeviceStats, Netdev

log = get_logger("dpif_netdev")

_RING_BYTES: Final = 1 << 20
_BATCH: Final = 64
"""Packets that a Python device gives or takes before the loop gets its turn."""


class Bridge:
    """Moves packets between a device in plain Python and the two rings that polling threads use, on the main thread.

    Args:
        device: the device.

    Attributes:
        queue: what compiled code sees.
        out_fd: becomes readable when the device has packets to send.
        pushed: packets given to compiled code so far.
    """

    def __init__(self, device: Netdev) -> None:
        # Here and not above: numba may be imported only after `warm` said where its cache is.
        from jackfield.netdev.jit_ring import MemoryRing, memory_ring_queue

        self.device = device
        self._in = MemoryRing(_RING_BYTES)
        self._out = MemoryRing(_RING_BYTES)
        self.queue = memory_ring_queue(self._in, self._out)
        self.out_fd: int = self._out.fd
        self.pushed = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduled = False

    def start(self, loop: asyncio.AbstractEventLoop | None, ready: Callable[[], None] | None) -> None:
        """Begin to move packets: by `ready` and `pump` where that is given, else on `loop` as they come."""
        self._loop = loop
        if ready is not None:
            self.device.on_ready = ready
            return
        self.device.on_ready = self._schedule
        if loop is not None:
            loop.add_reader(self._out.fd, self._schedule)
        self._schedule()

    def stop(self) -> None:
        """Move no more; rings are closed. No thread uses them any more."""
        self.device.on_ready = None
        if self._loop is not None:
            self._loop.remove_reader(self._out.fd)
        self._in.close()
        self._out.close()
        self._loop = None
        self._scheduled = True

    def pump(self) -> int:
        """Move one batch each way; how many packets that were."""
        try:
            packets = self.device.receive_batch(_BATCH)
            for packet in packets:
                self.pushed += self._in.push(packet)
            sent = self._out.pop(_BATCH)
            if sent:
                self.device.send_batch(sent)
        except Exception:  # a device of somebody else's making fails; the other ports go on
            log.exception("%s: moving packets failed", self.device.name)
            return 0
        return len(packets) + len(sent)

    def _schedule(self) -> None:
        if not self._scheduled and self._loop is not None:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        if self._loop is None:
            return
        self._scheduled = False
        if self.pump():
            self._schedule()


@dataclass(eq=False)
class Port:
    """A port.

    Attributes:
        number: its number.
        netdev: its device, which the caller of `port_add` owns.
        block: `P_*` words, at the same place in all arenas.
        queues: what the device gave; row `i` belongs to queue `i`. A worker sends on row ``index of worker % rows``.
        rows: queue rows, at the same place in all arenas.
        receivers: (worker's index, row, descriptor) of each queue that is polled.
        attached: what the device was when its queues were made.
    """

    number: DpPort
    netdev: Netdev
    block: int
    queues: list[CompiledQueue] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    receivers: list[tuple[int, int, int]] = field(default_factory=list)
    bridge: Bridge | None = None
    attached: tuple[bool, int] = (False, 0)
    change_seq: int = 0
    before: DeviceStats = field(default_factory=DeviceStats)

    def write(self, arena: Arena, upcall_limit: int) -> None:
        """Write the port's block and rows into an arena whose thread does not use them."""
        arena.words[self.block + P_NUMBER] = self.number
        arena.words[self.block + P_UP_LIMIT] = upcall_limit
        for queue, row in zip(self.queues, self.rows, strict=True):
            init_queue_row(arena.array, row, queue)

    def stats(self, arenas: Sequence[Arena]) -> DeviceStats:
        """What polling threads counted at the port since it was added."""
        total = [0] * len(_COUNTERS)
        for arena in arenas:
            for row in self.rows:
                words = arena.words[row : row + QUEUE_ROW]
                for i, (_, place) in enumerate(_COUNTERS):
                    total[i] += words[place]
        stats = DeviceStats()
        for (name, _), value in zip(_COUNTERS, total, strict=True):
            setattr(stats, name, value + (getattr(self.before, name) or 0))
        return stats


_COUNTERS: Final = (
    ("rx_packets", QUEUE_RX_PACKETS),
    ("rx_bytes", QUEUE_RX_BYTES),
    ("rx_dropped", QUEUE_RX_DROPS),
    ("tx_packets", QUEUE_TX_PACKETS),
    ("tx_bytes", QUEUE_TX_BYTES),
    ("tx_dropped", QUEUE_TX_DROPS),
    ("tx_errors", QUEUE_TX_ERRORS),
)
