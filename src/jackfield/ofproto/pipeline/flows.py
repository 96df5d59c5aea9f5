"""The megaflows that were installed: what each rests on, and whom to credit for its packets.

A `Megaflow` is found by its UFID, by the *topics* it depends on (`bridge`; a rule is a topic too, whose going concerns
just the megaflows that follow it), and by the keys with which it searched tables (`sweep`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jackfield.ofproto.pipeline import keybits as k
from jackfield.ofproto.pipeline.sweep import Dependency, DependencyIndex

if TYPE_CHECKING:
    from jackfield.dpif.actions import DpActions
    from jackfield.dpif.provider import FlowStats
    from jackfield.ofproto.pipeline.bridge import XPort
    from jackfield.ofproto.pipeline.translate import LearnedMac, Translation
    from jackfield.ofproto.rule import FlowCounters
    from jackfield.ofproto.tables import Table

_NOTHING: Final[frozenset[Megaflow]] = frozenset()


class Megaflow:
    """One flow of the datapath.

    Attributes:
        ufid, key, mask, actions: as installed.
        packets, bytes, tcp_flags, used: as the datapath last said; these are credited already.
        created: clock ms when it was installed.
        searches: for each search of a table, the table and its counters' owner, None for a miss.
        macs, patches: addresses and patch ports to credit.
        topics, dependencies: what it rests on.
        recirc_ids: frozen states it holds.
    """

    __slots__ = (
        "actions",
        "bytes",
        "created",
        "dependencies",
        "key",
        "macs",
        "mask",
        "packets",
        "patches",
        "recirc_ids",
        "searches",
        "tcp_flags",
        "topics",
        "ufid",
        "used",
    )

    def __init__(self, ufid: int, key: int, mask: int, actions: DpActions, now: int) -> None:
        self.ufid = ufid
        self.key = key
        self.mask = mask
        self.actions = actions
        self.packets = 0
        self.bytes = 0
        self.tcp_flags = 0
        self.used = 0
        self.created = now
        self.searches: list[tuple[Table, FlowCounters | None]] = []
        self.macs: list[LearnedMac] = []
        self.patches: list[XPort] = []
        self.topics: list[object] = []
        self.dependencies: list[Dependency] = []
        self.recirc_ids: list[int] = []


def credit(
    searches: list[tuple[Table, FlowCounters | None]],
    macs: list[LearnedMac],
    patches: list[XPort],
    packets: int,
    n_bytes: int,
    used: int,
) -> None:
    """Count packets, the last at clock ms `used`, for all that had a part in forwarding them."""
    for table, stats in searches:
        table.lookups += packets
        if stats is not None:
            table.matches += packets
            stats.packets += packets
            stats.bytes += n_bytes
            if used > stats.used:
                stats.used = used
    for table_of_macs, key, vlan, mac, port in macs:
        table_of_macs.refresh(key, vlan, mac, port, used)
    for port in patches:
        port.tx_packets += packets
        port.tx_bytes += n_bytes
        if port.peer is not None:
            port.peer.rx_packets += packets
            port.peer.rx_bytes += n_bytes


class MegaflowTable:
    """All megaflows of one datapath."""

    def __init__(self) -> None:
        self._by_ufid: dict[int, Megaflow] = {}
        self._by_topic: dict[object, set[Megaflow]] = {}
        self.searches = DependencyIndex()

    def __len__(self) -> int:
        return len(self._by_ufid)

    def get(self, ufid: int) -> Megaflow | None:
        """The megaflow of a UFID."""
        return self._by_ufid.get(ufid)

    def all(self) -> list[Megaflow]:
        """All megaflows now."""
        return list(self._by_ufid.values())

    def of_topic(self, topic: object) -> frozenset[Megaflow] | set[Megaflow]:
        """The megaflows that depend on a topic; not to be changed by the caller."""
        return self._by_topic.get(topic, _NOTHING)

    def add(self, flow: Megaflow, translation: Translation) -> None:
        """Enter a megaflow that was just installed."""
        self._by_ufid[flow.ufid] = flow
        self._attach(flow, translation)

    def retranslated(self, flow: Megaflow, translation: Translation) -> list[int]:
        """A megaflow rests on another translation from now on.

        Returns:
            The recirculation ids it held before.
        """
        self._detach(flow)
        released = flow.recirc_ids
        self._attach(flow, translation)
        return released

    def remove(self, flow: Megaflow) -> None:
        """A megaflow is gone from the datapath."""
        del self._by_ufid[flow.ufid]
        self._detach(flow)

    def _attach(self, flow: Megaflow, translation: Translation) -> None:
        known = flow.mask | k.KNOWN_PIPELINE
        add = self.searches.add
        flow.searches = []
        flow.dependencies = []
        for table, key, changed, rule in translation.lookups:
            flow.searches.append((table, None if rule is None else rule.stats))
            flow.dependencies.append(add(flow, table, key, known | changed))
        flow.macs = translation.macs
        flow.patches = translation.patches
        flow.recirc_ids = translation.recirc_ids
        flow.topics = translation.topics
        by_topic = self._by_topic
        for topic in flow.topics:
            flows = by_topic.get(topic)
            if flows is None:
                by_topic[topic] = {flow}
            else:
                flows.add(flow)

    def _detach(self, flow: Megaflow) -> None:
        by_topic = self._by_topic
        for topic in flow.topics:
            flows = by_topic.get(topic)
            if flows is not None:
                flows.discard(flow)
                if not flows:
                    del by_topic[topic]
        for (table, _), dependency in zip(flow.searches, flow.dependencies, strict=True):
            self.searches.remove(table, dependency)
        # Each of them refers back to the megaflow: without this, only the garbage collector could free them.
        flow.dependencies = []


def advance(flow: Megaflow, stats: FlowStats) -> None:
    """Credit what a megaflow has forwarded since the datapath last said."""
    packets = stats.packets - flow.packets
    if packets > 0:
        n_bytes = stats.bytes - flow.bytes
        flow.packets = stats.packets
        flow.bytes = stats.bytes
        flow.used = max(flow.used, stats.used)
        flow.tcp_flags |= stats.tcp_flags
        credit(flow.searches, flow.macs, flow.patches, packets, n_bytes, flow.used)
