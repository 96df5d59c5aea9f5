"""The in-memory rig: packets replayed from memory, switched, and dropped at a null device, on one polling thread.

Megaflows are made in the upcall as translation makes them of the rules: every field that a rule of a higher priority
asked for is in the mask, addresses and ports as far as tells them apart from every rule's.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from benchmarks import dpdk_peer
from benchmarks.result import Figure
from benchmarks.rules import traffic
from jackfield.clock import Clock
from jackfield.dpif.actions import Output, SetMasked
from jackfield.dpif.provider import Dpif, DpStats, FlowPut, Upcall, UpcallReply
from jackfield.dpif.registry import close_dpif, open_dpif
from jackfield.flow import fields as f
from jackfield.netdev.compiled import replay_queue
from jackfield.netdev.null import NullNetdev
from jackfield.netdev.provider import CompiledQueue

SECONDS = 3.0
WARM_UP = 0.5
FLOWS = (1, 1_000, 10_000)
MUST = {1: "0.7x", 1_000: "1.0x", 10_000: "2.0x"}
AIM = {1: "1.5x", 1_000: "3x", 10_000: "5x"}

_ALWAYS = f.DP_IN_PORT.mask | f.RECIRC_ID.mask | f.PACKET_TYPE.mask | f.ETH_TYPE.mask | f.NW_FRAG.mask
_SOURCES = {10 << 24 | 1 << 16 | i % 40 << 8 | i: i for i in range(256)}
_DESTINATIONS = {(10 << 24 | 2 << 16 | i, 80 + i % 7): i for i in range(256)}
_SOURCE_PORTS = {1024 + 31 * i for i in range(200)}


class ReplayNetdev(NullNetdev):
    """Gives frames over and over."""

    def __init__(self, name: str, frames: Sequence[bytes]) -> None:
        super().__init__(name)
        self._frames = frames

    def compiled_queues(self, n_queues: int) -> list[CompiledQueue]:
        return [replay_queue(self._frames, endless=True)]


def measure() -> list[Figure]:
    """Packets per second for each number of flows, beside the peer's."""
    peer = dpdk_peer.measure(list(FLOWS)) if dpdk_peer.installed() else {}
    figures = []
    for flows in FLOWS:
        rate, stats = forward(flows)
        note = f"{stats.flows} megaflows of {stats.masks} masks, {stats.cache_hits / stats.hits:.0%} by the cache"
        theirs = peer[flows] / 1e6 if flows in peer else None
        name = f"in-memory switching, {flows:,} flows, 657 rules"
        figures.append(Figure(name, "Mpps", rate / 1e6, theirs, must=MUST[flows], aim=AIM[flows], note=note))
    return figures


def forward(flows: int) -> tuple[float, DpStats]:
    """Packets per second that one polling thread forwards, and what the datapath counted meanwhile."""
    dpif = open_dpif("netdev", "bench", Clock(), create=True)
    numbers = itertools.count(1)
    source, sink = ReplayNetdev("in", traffic(flows)), NullNetdev("out")

    def translate(upcalls: Sequence[Upcall]) -> list[UpcallReply]:
        return [_translate(upcall, next(numbers)) for upcall in upcalls]

    try:
        dpif.register_upcall_cb(translate)
        dpif.enable_upcall()
        dpif.port_add(sink)
        assert dpif.port_query_by_name("out").port_no == 1
        dpif.port_add(source)
        misses = -1
        while misses != (misses := dpif.get_stats().misses):
            _settle(dpif, WARM_UP)
        before, counted, started = dpif.port_stats(1).tx_packets, dpif.get_stats(), time.perf_counter()
        _settle(dpif, SECONDS)
        seconds = time.perf_counter() - started
        stats = dpif.get_stats()
        stats.hits -= counted.hits
        stats.cache_hits -= counted.cache_hits
        return (dpif.port_stats(1).tx_packets - before) / seconds, stats
    finally:
        dpif.destroy()
        close_dpif(dpif)


def _settle(dpif: Dpif, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        dpif.run()
        time.sleep(0.01)


def _translate(upcall: Upcall, ufid: int) -> UpcallReply:
    """What the pipeline makes of the rules of `benchmarks.rules`."""
    key = upcall.key
    mask = _ALWAYS
    rule = _SOURCES.get(f.IP_SRC.get(key))
    if rule is not None:
        mask |= f.IP_SRC.mask | f.NW_TTL.mask | f.ETH_DST.mask
        value = f.ETH_DST.put(f.NW_TTL.put(0, f.NW_TTL.get(key) - 1), 0x020000000000 | rule)
        return _reply(key, mask, ufid, (SetMasked(value, f.ETH_DST.mask | f.NW_TTL.mask), Output(1)))
    mask |= _prefix(f.IP_SRC.get(key), _SOURCES) << f.IP_SRC.offset | f.NW_PROTO.mask
    rule = _DESTINATIONS.get((f.IP_DST.get(key), f.UDP_DST.get(key)))
    if rule is not None:
        mask |= f.IP_DST.mask | f.UDP_DST.mask | f.ETH_SRC.mask
        value = f.ETH_SRC.put(0, 0x020000000100 | rule)
        return _reply(key, mask, ufid, (SetMasked(value, f.ETH_SRC.mask), Output(1)))
    mask |= f.IP_DST.mask | f.UDP_DST.mask
    if f.UDP_SRC.get(key) in _SOURCE_PORTS:
        mask |= f.UDP_SRC.mask
    else:
        mask |= (_prefix(f.UDP_SRC.get(key), _SOURCE_PORTS, 16)) << f.UDP_SRC.offset
    return _reply(key, mask, ufid, (Output(1),))


def _prefix(value: int, known: dict[int, int] | set[int], width: int = 32) -> int:
    """The mask of as many leading bits as tell a value apart from all the known ones."""
    differs = min((value ^ other).bit_length() for other in known)
    return (1 << width) - (1 << max(differs - 1, 0))


def _reply(key: int, mask: int, ufid: int, actions: tuple[SetMasked | Output, ...]) -> UpcallReply:
    return UpcallReply(actions, FlowPut(ufid, key & mask, mask, actions))
