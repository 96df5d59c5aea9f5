"""Several connections at once: roles, what each is told unasked, controllers on real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jackfield.clock import Clock
from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort
from jackfield.io.active import Connector
from jackfield.io.address import parse_address
from jackfield.ofproto.connections.controllers import ControllerSettings
from jackfield.ofproto.connections.session import SessionKind
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.provider import PacketInEvent, ofproto_registry
from jackfield.openflow import messages as m
from jackfield.openflow.connection import Connection, Received
from jackfield.openflow.dialect import OF10, OF13
from tests.ofproto.connections.test_session import connect
from tests.ofproto.fakes import FakeNetdev, FakeProvider, make_switch

Switch = tuple[Ofproto, FakeProvider]


def roles(*peers: object) -> list[m.Role]:
    return [peer.session.role for peer in peers]  # type: ignore[attr-defined]  # peers have sessions


def test_there_is_one_primary(switch: Switch) -> None:
    ofproto, _ = switch
    one, two, three = connect(ofproto), connect(ofproto), connect(ofproto)
    assert one.ask(m.RoleRequest(m.Role.PRIMARY, 5)) == [m.RoleReply(m.Role.PRIMARY, 5)]
    assert two.ask(m.RoleRequest(m.Role.PRIMARY, 6)) == [m.RoleReply(m.Role.PRIMARY, 6)]
    assert roles(one, two, three) == [m.Role.SECONDARY, m.Role.PRIMARY, m.Role.EQUAL]
    assert three.ask(m.RoleRequest(m.Role.NOCHANGE, 0)) == [m.RoleReply(m.Role.EQUAL, 6)]


def test_an_old_generation_is_refused_and_the_numbers_go_round(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    last = (1 << 64) - 1
    assert peer.ask(m.RoleRequest(m.Role.SECONDARY, last - 1)) == [m.RoleReply(m.Role.SECONDARY, last - 1)]
    (stale,) = peer.ask(m.RoleRequest(m.Role.PRIMARY, last - 2))
    assert isinstance(stale, m.ErrorMsg)
    assert stale.name == "OFPRRFC_STALE"
    assert peer.ask(m.RoleRequest(m.Role.PRIMARY, 3)) == [m.RoleReply(m.Role.PRIMARY, 3)]
    assert peer.ask(m.RoleRequest(m.Role.EQUAL, last)) == [m.RoleReply(m.Role.EQUAL, 3)]


def test_nicira_roles_have_no_generation(switch: Switch) -> None:
    ofproto, _ = switch
    one, two = connect(ofproto, OF10), connect(ofproto, OF10)
    assert one.ask(m.RoleRequest(m.Role.PRIMARY)) == [m.RoleReply(m.Role.PRIMARY)]
    assert two.ask(m.RoleRequest(m.Role.PRIMARY)) == [m.RoleReply(m.Role.PRIMARY)]
    assert roles(one, two) == [m.Role.SECONDARY, m.Role.PRIMARY]


def packet(**rest: object) -> PacketInEvent:
    return PacketInEvent(bytes(200), OfPort(1), m.PacketInReason.NO_MATCH, **rest)  # type: ignore[arg-type]  # as given


def test_misses_reach_those_whose_version_wants_them(switch: Switch) -> None:
    ofproto, provider = switch
    old, new = connect(ofproto, OF10), connect(ofproto, OF13)
    assert ofproto.connections.wants_misses
    ofproto.connections.packet_in(packet(implicit_miss=True))
    (seen,) = old.messages()
    assert isinstance(seen, m.PacketIn)
    assert (len(seen.data), seen.total_len) == (200, 200)
    assert new.messages() == []
    ofproto.connections.packet_in(packet(max_len=0xFFFF))
    assert [len(seen.data) for seen in new.messages() if isinstance(seen, m.PacketIn)] == [200]
    told = provider.names().count("settings")
    old.session.closed(None)
    assert not ofproto.connections.wants_misses
    assert provider.names().count("settings") == told + 1


def test_packets_go_to_the_controller_they_are_for(switch: Switch) -> None:
    ofproto, _ = switch
    one, two = connect(ofproto), connect(ofproto)
    assert two.ask(m.SetControllerId(7)) == []
    ofproto.connections.packet_in(packet(controller_id=7, max_len=10))
    assert one.messages() == []
    assert len(two.messages()) == 1


def test_secondary_and_service_connections_hear_little(switch: Switch) -> None:
    ofproto, _ = switch
    secondary, service = connect(ofproto), connect(ofproto, kind=SessionKind.SERVICE)
    secondary.ask(m.RoleRequest(m.Role.SECONDARY, 1))
    ofproto.connections.packet_in(packet(max_len=10))
    ofproto.add_port(FakeNetdev("p1"))
    assert [type(message) for message in secondary.messages()] == [m.PortStatus]
    assert service.messages() == []
    service.ask(m.SetConfig(m.FragmentHandling.NORMAL, 100))
    ofproto.connections.packet_in(packet(max_len=10))
    assert [type(message) for message in service.messages()] == [m.PacketIn]


def test_a_peer_that_does_not_read_is_sent_no_packets(switch: Switch) -> None:
    ofproto, _ = switch
    slow, quick = connect(ofproto), connect(ofproto)
    slow.stream.queued = 1 << 20
    ofproto.connections.packet_in(packet(max_len=10))
    assert slow.messages() == []
    assert len(quick.messages()) == 1


def test_removed_flows_and_ports_are_told(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    port = ofproto.add_port(FakeNetdev("p1"))
    netdev = port.netdev
    assert isinstance(netdev, FakeNetdev)
    netdev.carrier = False
    netdev.notify_change()
    netdev.notify_change()
    ofproto.delete_port(port)
    reasons = [message.reason for message in peer.messages() if isinstance(message, m.PortStatus)]
    assert reasons == [m.PortReason.ADD, m.PortReason.MODIFY, m.PortReason.DELETE]
    where = Match.from_fields({"eth_src": 1})
    peer.ask(
        m.FlowMod(
            m.FlowModCommand.ADD, where, table_id=2, new_cookie=8, hard_timeout=4, flags=m.FlowModFlags.SEND_FLOW_REM
        )
    )
    ofproto.clock.advance(4_000)
    (removed,) = peer.messages()
    assert isinstance(removed, m.FlowRemoved)
    assert (removed.match, removed.table_id, removed.cookie) == (where, 2, 8)
    assert (removed.reason, removed.duration_ns) == (m.FlowRemovedReason.HARD_TIMEOUT, 4_000_000_000)


# Controllers on real sockets


class Client:
    """The least of a controller: greets, and asks for features when told to."""

    def __init__(self, clock: Clock) -> None:
        self.connection = Connection(clock.now(), {OF13}, 0)
        self.heard: list[m.Message] = []
        self.stream: object = None
        self.over = False

    def opened(self, stream: object) -> None:
        self.stream = stream
        self.flush()

    def received(self, data: bytes, now: int) -> None:
        self.heard += [event.message for event in self.connection.receive(data, now) if isinstance(event, Received)]
        self.flush()

    def closed(self, error: Exception | None) -> None:
        self.over = True

    def flush(self) -> None:
        self.stream.send(self.connection.to_send())  # type: ignore[attr-defined]  # a stream

    def ask(self, message: m.Message) -> None:
        self.connection.send(message)
        self.flush()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def with_switch(talk: Callable[[Ofproto], Awaitable[None]]) -> None:
    async def main() -> None:
        ofproto, _ = make_switch(Clock())
        try:
            await talk(ofproto)
        finally:
            await ofproto.destruct()
            ofproto_registry.close_all()

    asyncio.run(main())


async def dial(ofproto: Ofproto, target: str) -> tuple[Connector, Client]:
    client = Client(ofproto.clock)
    connector = Connector(parse_address(target), lambda: client, ofproto.clock)
    connector.start()
    await until(lambda: client.connection.version)
    return connector, client


def test_a_passive_controller_target_and_the_fail_mode() -> None:
    async def talk(ofproto: Ofproto) -> None:
        connections = ofproto.connections
        connections.fail_mode = "standalone"
        assert ofproto.flows.n_flows == 1
        await connections.set_controllers([ControllerSettings("ptcp:0:127.0.0.1", probe_interval=100)])
        assert ofproto.flows.n_flows == 0
        (controller,) = connections.controllers()
        assert (controller.state, controller.connected, controller.role) == ("LISTENING", False, "other")
        await until(lambda: connections.failing_open)
        connector, client = await dial(ofproto, f"tcp:127.0.0.1:{controller.port}")
        assert connections.failing_open
        client.ask(m.FeaturesRequest())
        await until(lambda: client.heard)
        assert not connections.failing_open
        assert (controller.state, controller.connected) == ("ACTIVE", True)
        client.ask(m.RoleRequest(m.Role.PRIMARY, 1))
        await until(lambda: controller.role == "master")
        await connector.stop()
        await until(lambda: connections.failing_open)
        await connections.set_controllers([])
        assert not connections.failing_open
        assert ofproto.flows.n_flows == 1

    with_switch(talk)


def test_controllers_that_stay_keep_their_connection(short_dir: Path) -> None:
    async def talk(ofproto: Ofproto) -> None:
        await ofproto.connections.set_controllers([f"punix:{short_dir}/a", f"punix:{short_dir}/b"])
        _, client = await dial(ofproto, f"unix:{short_dir}/a")
        other_connector, other = await dial(ofproto, f"unix:{short_dir}/b")
        await ofproto.connections.set_controllers([f"punix:{short_dir}/a"])
        await until(lambda: other.over)
        await other_connector.stop()
        assert not client.over
        with pytest.raises(ValueError, match="nonsense"):
            await ofproto.connections.set_controllers(["nonsense"])
        assert [each.target for each in ofproto.connections.controllers()] == [f"punix:{short_dir}/a"]
        assert not client.over

    with_switch(talk)


def test_a_new_datapath_id_makes_controllers_connect_anew(short_dir: Path) -> None:
    async def talk(ofproto: Ofproto) -> None:
        await ofproto.connections.set_controllers([f"punix:{short_dir}/a"])
        connector, client = await dial(ofproto, f"unix:{short_dir}/a")
        ofproto.set_datapath_id(77)
        await until(lambda: client.over)
        await connector.stop()

    with_switch(talk)


def test_what_passes_can_be_listened_to(short_dir: Path) -> None:
    async def talk(ofproto: Ofproto) -> None:
        await ofproto.connections.listen(f"{short_dir}/mgmt", f"{short_dir}/snoop")
        await ofproto.connections.set_controllers([f"punix:{short_dir}/a"])
        listening, snoop = await dial(ofproto, f"unix:{short_dir}/snoop")
        connector, client = await dial(ofproto, f"unix:{short_dir}/a")
        client.ask(m.BarrierRequest())
        await until(lambda: len(snoop.heard) >= 2)
        assert [type(message) for message in snoop.heard] == [m.BarrierRequest, m.BarrierReply]
        managing, manager = await dial(ofproto, f"unix:{short_dir}/mgmt")
        manager.ask(m.BarrierRequest())
        await until(lambda: manager.heard)
        assert len(snoop.heard) == 2
        for each in (listening, connector, managing):
            await each.stop()

    with_switch(talk)


def test_a_fail_mode_that_is_none_is_refused(switch: Switch) -> None:
    ofproto, _ = switch
    with pytest.raises(ValueError, match="open: expected one of standalone, secure"):
        ofproto.connections.fail_mode = "open"
