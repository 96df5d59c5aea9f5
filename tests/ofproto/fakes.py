"""A provider that forwards nothing and writes down what it is told, and devices that are only names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from jackfield.clock import Clock
from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort
from jackfield.netdev.provider import DeviceStats, LinkFeatures, Netdev
from jackfield.ofproto.connections.session import Session, SessionKind
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.ports import Port
from jackfield.ofproto.provider import OfprotoProvider, ofproto_registry
from jackfield.ofproto.rule import Rule
from jackfield.openflow import messages as m
from jackfield.openflow.actions import Output
from jackfield.openflow.connection import Connection, Negotiated, Received
from jackfield.openflow.dialect import OF10, OF13
from jackfield.openflow.messages import FragmentHandling, Message, PacketOut, PortConfig


class FakeProvider(OfprotoProvider):
    """`told` is every call, in order; `held` postpones the callbacks of `sync` and `refresh_stats` until `let_go`."""

    def __init__(self, ofproto: Ofproto) -> None:
        super().__init__(ofproto)
        self.told: list[tuple[Any, ...]] = []
        self.held = False
        self.waiting: list[Callable[[], None]] = []
        self.on_refresh: Callable[[], None] = lambda: None
        self.polled: list[str] = []
        self.vanished: set[str] = set()
        self.refuse_ports = False

    @classmethod
    def enumerate_types(cls) -> list[str]:
        return ["fake"]

    @classmethod
    def enumerate_names(cls, type_name: str) -> list[str]:
        return [instance.ofproto.name for instance in ofproto_registry.instances(type_name)]

    @classmethod
    def delete(cls, type_name: str, name: str) -> None:
        raise OSError

    def names(self) -> list[str]:
        return [call[0] for call in self.told]

    def let_go(self) -> None:
        self.held = False
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback()

    def _later(self, callback: Callable[[], None]) -> None:
        if self.held:
            self.waiting.append(callback)
        else:
            callback()

    def construct(self) -> None:
        self.told.append(("construct",))

    def destruct(self, *, delete: bool) -> None:
        self.told.append(("destruct", delete))

    def port_added(self, port: Port) -> None:
        if self.refuse_ports:
            raise OSError(16, f"{port.name}: busy")
        self.told.append(("port_added", port.name))

    def port_deleted(self, port: Port) -> None:
        self.told.append(("port_deleted", port.name))

    def port_modified(self, port: Port) -> None:
        self.told.append(("port_modified", port.name))

    def port_reconfigured(self, port: Port, old_config: PortConfig) -> None:
        self.told.append(("port_reconfigured", port.name, old_config, port.config))

    def port_poll(self) -> str | None:
        return self.polled.pop() if self.polled else None

    def port_is_present(self, name: str) -> bool:
        return name not in self.vanished

    def rule_inserted(self, rule: Rule) -> None:
        self.told.append(("inserted", rule))

    def rule_replaced(self, old: Rule, new: Rule) -> None:
        self.told.append(("replaced", old, new))

    def rule_removed(self, rule: Rule) -> None:
        self.told.append(("removed", rule))

    def set_fragments(self, handling: FragmentHandling) -> bool:
        return handling != FragmentHandling.REASM

    def settings_changed(self) -> None:
        self.told.append(("settings",))

    def packet_execute(self, out: PacketOut) -> None:
        self.told.append(("packet_out", out))

    def sync(self, callback: Callable[[], None]) -> None:
        self._later(callback)

    def refresh_stats(self, callback: Callable[[], None], max_age: int = 0) -> None:
        self.on_refresh()
        self._later(callback)


class FakeNetdev(Netdev):
    """A device that is up and counts what it is told to."""

    type = "fake"

    def __init__(self, name: str, mac: int = 0, **counters: int) -> None:
        super().__init__(name, {})
        self.mac = mac or 0xAA5500000000 | sum(name.encode())
        self.up = True
        self.carrier = True
        self.stats = DeviceStats(**counters)

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    def get_mac(self) -> int:
        return self.mac

    def get_mtu(self) -> int | None:
        return 1500

    def get_admin_up(self) -> bool:
        return self.up

    def set_admin_up(self, up: bool) -> None:
        self.up = up
        self.notify_change()

    def get_carrier(self) -> bool:
        return self.carrier

    def get_stats(self) -> DeviceStats:
        return self.stats

    def get_features(self) -> LinkFeatures:
        return LinkFeatures(10_000, True, current=1 << 6)


def make_switch(clock: Clock, name: str = "br0") -> tuple[Ofproto, FakeProvider]:
    """A constructed switch without ports and flows (its fail mode is secure)."""
    if "fake" not in ofproto_registry.types():
        ofproto_registry.register("fake", FakeProvider)
    ofproto = Ofproto("fake", name, clock)
    ofproto.construct()
    ofproto.connections.fail_mode = "secure"
    provider = ofproto.provider
    assert isinstance(provider, FakeProvider)
    provider.told.clear()
    return ofproto, provider


class FakeStream:
    """A stream whose other end is a list of bytes."""

    def __init__(self) -> None:
        self.name = "fake"
        self.sent: list[bytes] = []
        self.queued = 0
        self.paused = False
        self.error: Exception | None = None
        self.closed = False

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def pause_receiving(self) -> None:
        self.paused = True

    def resume_receiving(self) -> None:
        self.paused = False

    async def drained(self) -> None:
        pass

    def abort(self, error: Exception | None = None) -> None:
        self.error = error

    def close(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = True


class Peer:
    """A client on the other side of a session, through the real codec: messages in, messages out."""

    def __init__(self, session: Session, version: int = OF13) -> None:
        self.session = session
        self.stream = FakeStream()
        self.connection = Connection(session.ofproto.clock.now(), {version}, 0)
        session.opened(self.stream)  # type: ignore[arg-type]  # the shape is what counts
        self._deliver()
        self.receive()

    @property
    def now(self) -> int:
        return self.session.ofproto.clock.now()

    def _deliver(self) -> None:
        self.session.received(self.connection.to_send(), self.now)

    def send(self, *messages: Message) -> list[int]:
        """Send messages at once; their xids."""
        xids = [self.connection.send(message) for message in messages]
        self._deliver()
        return xids

    def send_bytes(self, data: bytes) -> None:
        self.session.received(data, self.now)

    def receive(self) -> list[tuple[int, Message]]:
        """What has come since last asked, with xids."""
        data = b"".join(self.stream.sent)
        self.stream.sent.clear()
        found = []
        for event in self.connection.receive(data, self.now):
            if isinstance(event, Received):
                found.append((event.xid, event.message))
            else:
                assert isinstance(event, Negotiated), event
        return found

    def messages(self) -> list[Message]:
        return [message for _, message in self.receive()]

    def ask(self, *messages: Message) -> list[Message]:
        """Send messages and take what comes back at once; every answer has the xid of a question."""
        xids = self.send(*messages)
        answers = self.receive()
        assert all(xid in xids for xid, _ in answers)
        return [message for _, message in answers]

    async def ask_slowly(self, *messages: Message) -> list[Message]:
        """The same for requests that take a few passes of the loop."""
        xids = self.send(*messages)
        found = []
        for _ in range(200):
            await asyncio.sleep(0)
            found += [message for xid, message in self.receive() if xid in xids]
            if self.session._task is None and self.session._resume is None:
                break
        return found


Switch = tuple[Ofproto, FakeProvider]
both = pytest.mark.parametrize("version", [OF10, OF13])


def connect(ofproto: Ofproto, version: int = OF13, kind: SessionKind = SessionKind.PRIMARY) -> Peer:
    session = Session(ofproto.connections, kind, Connection(ofproto.clock.now(), {OF10, OF13}, 5000))
    ofproto.connections._sessions[session] = None
    return Peer(session, version)


def add(source: int = 1, port: int = 1, **rest: Any) -> m.FlowMod:
    match = Match.from_fields({"eth_src": source})
    return m.FlowMod(m.FlowModCommand.ADD, match, (Output(OfPort(port)),), **rest)
