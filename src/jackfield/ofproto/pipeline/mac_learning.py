"""Where MAC addresses are: what NORMAL learns and looks up, one table for each bridge.

An address is known by VLAN and MAC. A table is bounded: when it is full, the port with the most addresses gives up the
one it has used least recently, so that one port that floods addresses costs only itself. Addresses unused for the
ageing time are forgotten.

Packets choose the addresses, so that a plain integer would make a dict key whose hash an attacker can aim at; keys are
bytes, whose hash Python keys by a secret of the process. A key names the bridge too: it is also the *topic* under
which megaflows that depend on the address are found (`flows`).

Whoever passes `changed` is told each key whose port changed, appeared or vanished.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.bridge import XPort

DEFAULT_AGEING: Final = 300_000
"""How long (ms) an unused address is kept (IEEE 802.1Q, table 8-6)."""
DEFAULT_MAX_ENTRIES: Final = 8192
"""Addresses a table holds unless it is told otherwise (ovs-vswitchd.conf.db(5), "mac-table-size")."""

_GROUP_BIT: Final = 1 << 40
_BRIDGE_SHIFT: Final = 60
_KEY_BYTES: Final = 12


class MacEntry:
    """One address.

    Attributes:
        key: its key, see `MacTable.key`.
        vlan, mac: the address.
        port: where it is.
        used: clock ms when it last sent.
        moved: clock ms when it came to `port`.
    """

    __slots__ = ("key", "mac", "moved", "port", "used", "vlan")

    def __init__(self, key: bytes, vlan: int, mac: int, port: XPort, now: int) -> None:
        self.key = key
        self.vlan = vlan
        self.mac = mac
        self.port = port
        self.used = now
        self.moved = now


class MacTable:
    """The addresses of one bridge.

    Args:
        bridge_id: the bridge's number, part of each key.
        changed: told each key whose answer changed.
    """

    def __init__(self, bridge_id: int, changed: Callable[[bytes], None]) -> None:
        self._prefix = bridge_id << _BRIDGE_SHIFT
        self._changed = changed
        self.ageing = DEFAULT_AGEING
        self._max_entries = DEFAULT_MAX_ENTRIES
        #: Read-only for others: NORMAL looks keys up here directly.
        self.entries: dict[bytes, MacEntry] = {}
        # Of each port its entries, least recently used first; and the ports by how many entries they have.
        self._by_port: dict[XPort, OrderedDict[bytes, MacEntry]] = {}
        self._ports_by_count: dict[int, dict[XPort, None]] = {}
        self._most = 0
        self.learned = 0
        self.moved = 0
        self.expired = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[MacEntry]:
        return iter(self.entries.values())

    def key(self, vlan: int, mac: int) -> bytes:
        """The key of an address: what `entries` and the topics are keyed by."""
        return (self._prefix | vlan << 48 | mac).to_bytes(_KEY_BYTES, "little")

    def lookup(self, vlan: int, mac: int) -> XPort | None:
        """Where an address is."""
        entry = self.entries.get(self.key(vlan, mac))
        return None if entry is None else entry.port

    def learn(self, vlan: int, mac: int, port: XPort, now: int) -> bytes | None:
        """A packet of this address came in by `port` at `now`; group addresses are not learned.

        Returns:
            The address's key, None for a group address. Whoever counts packets of it later calls `refresh`.
        """
        if mac & _GROUP_BIT:
            return None
        key = (self._prefix | vlan << 48 | mac).to_bytes(_KEY_BYTES, "little")
        entry = self.entries.get(key)
        if entry is None:
            self._insert(MacEntry(key, vlan, mac, port, now))
        elif entry.port is port:
            if now > entry.used:
                entry.used = now
                self._by_port[port].move_to_end(key)
        else:
            self._move(entry, port, now)
        return key

    def refresh(self, key: bytes, vlan: int, mac: int, port: XPort, used: int) -> None:
        """Packets of a learned address passed, the last at `used`: it stays, or is back, where they came from."""
        entry = self.entries.get(key)
        if entry is None or (used > entry.used and (entry.port is port or used > entry.moved)):
            self.learn(vlan, mac, port, used)

    def run(self, now: int) -> int | None:
        """Forget what is too old; returns the clock ms of the next one, None when there is none."""
        next_expiry: int | None = None
        for order in list(self._by_port.values()):
            for entry in list(_oldest(order, now - self.ageing)):
                self.expired += 1
                self._remove(entry)
            if order:
                expiry = next(iter(order.values())).used + self.ageing
                next_expiry = expiry if next_expiry is None else min(next_expiry, expiry)
        return next_expiry

    def set_max_entries(self, max_entries: int) -> None:
        """Bound the table, at least 10 addresses as ovs-vswitchd does."""
        self._max_entries = max(10, max_entries)
        while len(self.entries) > self._max_entries:
            self._evict()

    @property
    def max_entries(self) -> int:
        """How many addresses the table holds at most."""
        return self._max_entries

    def flush(self) -> None:
        """Forget all addresses."""
        for entry in list(self.entries.values()):
            self._remove(entry)

    def flush_port(self, port: XPort) -> None:
        """Forget the addresses of a port."""
        for entry in list(self._by_port.get(port, OrderedDict()).values()):
            self._remove(entry)

    def _insert(self, entry: MacEntry) -> None:
        if len(self.entries) >= self._max_entries:
            self._evict()
        self.learned += 1
        self.entries[entry.key] = entry
        self._attach(entry)
        self._changed(entry.key)

    def _move(self, entry: MacEntry, port: XPort, now: int) -> None:
        self.moved += 1
        self._detach(entry)
        entry.port = port
        entry.used = entry.moved = now
        self._attach(entry)
        self._changed(entry.key)

    def _remove(self, entry: MacEntry) -> None:
        del self.entries[entry.key]
        self._detach(entry)
        self._changed(entry.key)

    def _evict(self) -> None:
        port = next(iter(self._ports_by_count[self._most]))
        self.evicted += 1
        self._remove(next(iter(self._by_port[port].values())))

    def _attach(self, entry: MacEntry) -> None:
        order = self._by_port.get(entry.port)
        if order is None:
            order = self._by_port[entry.port] = OrderedDict()
        order[entry.key] = entry
        self._recount(entry.port, len(order) - 1, len(order))

    def _detach(self, entry: MacEntry) -> None:
        order = self._by_port[entry.port]
        del order[entry.key]
        self._recount(entry.port, len(order) + 1, len(order))
        if not order:
            del self._by_port[entry.port]

    def _recount(self, port: XPort, before: int, after: int) -> None:
        """Keep `_ports_by_count` and `_most`: a count moves by one, so that each change is a constant effort."""
        if before:
            ports = self._ports_by_count[before]
            del ports[port]
            if not ports:
                del self._ports_by_count[before]
        if after:
            self._ports_by_count.setdefault(after, {})[port] = None
        if after > self._most or (before == self._most and before not in self._ports_by_count):
            self._most = after


def _oldest(order: dict[bytes, MacEntry], limit: int) -> Iterator[MacEntry]:
    """The entries last used at `limit` or before, of entries in the order of their use."""
    for entry in order.values():
        if entry.used > limit:
            return
        yield entry
