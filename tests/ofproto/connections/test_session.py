"""One connection, message in, messages out, through the real codec."""

import asyncio
from typing import Any

import pytest

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_ANY, OFPP_CONTROLLER, OFPP_LOCAL, OFPP_TABLE, OfPort
from jackfield.ofproto.connections.handlers import HANDLERS
from jackfield.ofproto.connections.session import Session, SessionKind
from jackfield.ofproto.ofproto import Ofproto
from jackfield.ofproto.tables import N_TABLES
from jackfield.openflow import messages as m
from jackfield.openflow import multipart as mp
from jackfield.openflow.actions import Output
from jackfield.openflow.codec import encode
from jackfield.openflow.connection import Connection
from jackfield.openflow.dialect import OF10, OF13
from tests.ofproto.fakes import FakeNetdev, FakeProvider, FakeStream, Peer

Switch = tuple[Ofproto, FakeProvider]
both = pytest.mark.parametrize("version", [OF10, OF13])


def connect(ofproto: Ofproto, version: int = OF13, kind: SessionKind = SessionKind.PRIMARY) -> Peer:
    session = Session(ofproto.connections, kind, Connection(ofproto.clock.now(), {OF10, OF13}, 5000))
    ofproto.connections._sessions[session] = None
    return Peer(session, version)


def add(source: int = 1, port: int = 1, **rest: Any) -> m.FlowMod:
    match = Match.from_fields({"eth_src": source})
    return m.FlowMod(m.FlowModCommand.ADD, match, (Output(OfPort(port)),), **rest)


@both
def test_features(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    ofproto.set_datapath_id(0xABC)
    ofproto.add_port(FakeNetdev("p1"))
    (reply,) = connect(ofproto, version).ask(m.FeaturesRequest())
    assert isinstance(reply, m.FeaturesReply)
    assert (reply.datapath_id, reply.n_buffers, reply.n_tables) == (0xABC, 0, N_TABLES)
    assert [port.name for port in reply.ports] == (["p1"] if version == OF10 else [])
    assert not reply.capabilities & m.Capability.GROUP_STATS


@both
def test_configuration(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, version)
    (before,) = peer.ask(m.GetConfigRequest())
    assert before == m.GetConfigReply(m.FragmentHandling.NORMAL, 128)
    (after,) = peer.ask(m.SetConfig(m.FragmentHandling.DROP, 64), m.GetConfigRequest())
    assert after == m.GetConfigReply(m.FragmentHandling.DROP, 64)
    assert ofproto.fragments is m.FragmentHandling.DROP


@both
def test_flows_added_and_read_back(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, version)
    assert peer.ask(add(1, idle_timeout=9, new_cookie=7, table_id=0xFF if version == OF10 else 0)) == []
    ofproto.clock.advance(1500)
    (rule,) = ofproto.tables[0].classifier
    rule.stats.packets, rule.stats.bytes = 3, 180
    (reply,) = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match())))
    assert isinstance(reply, mp.FlowStatsReply)
    (entry,) = reply.entries
    assert (entry.match, entry.actions, entry.cookie, entry.idle_timeout) == (rule.match, rule.actions, 7, 9)
    assert (entry.packet_count, entry.byte_count, entry.duration_ns) == (3, 180, 1_500_000_000)
    (sums,) = asyncio.run(peer.ask_slowly(mp.AggregateRequest(Match())))
    assert sums == mp.AggregateReply(3, 180, 1)
    (nothing,) = asyncio.run(peer.ask_slowly(mp.AggregateRequest(Match.from_fields({"eth_src": 5}))))
    assert nothing == mp.AggregateReply(0, 0, 0)


def test_nicira_flow_statistics_have_ages(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, OF10)
    peer.ask(add(1))
    ofproto.clock.advance(4000)
    (rule,) = ofproto.tables[0].classifier
    rule.stats.used += 3000
    (reply,) = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match(), nxm=True)))
    assert isinstance(reply, mp.FlowStatsReply)
    assert (reply.entries[0].idle_age, reply.entries[0].hard_age) == (1, 4)


def test_counters_are_brought_up_to_date_before_they_are_read(switch: Switch) -> None:
    ofproto, provider = switch
    peer = connect(ofproto)
    peer.ask(add(1, table_id=0))
    (rule,) = ofproto.tables[0].classifier
    provider.held = True

    async def late() -> list[m.Message]:
        asyncio.get_running_loop().call_later(0.01, count)
        found = []
        peer.send(mp.FlowStatsRequest(Match()))
        while not found:
            await asyncio.sleep(0.001)
            found = peer.messages()
        return found

    def count() -> None:
        rule.stats.packets = 5
        provider.let_go()

    (reply,) = asyncio.run(late())
    assert isinstance(reply, mp.FlowStatsReply)
    assert reply.entries[0].packet_count == 5


def test_a_long_dump_comes_in_parts(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    for source in range(1, 1001):
        peer.ask(add(source, table_id=0))
    replies = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match())))
    assert len(replies) > 1
    assert all(isinstance(reply, mp.FlowStatsReply) for reply in replies)
    assert [reply.more for reply in replies] == [True] * (len(replies) - 1) + [False]  # type: ignore[attr-defined]  # replies
    assert sum(len(reply.entries) for reply in replies) == 1000  # type: ignore[attr-defined]  # the same


@both
def test_errors_name_the_request(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, version)
    xid, other = peer.send(
        m.PortMod(OfPort(99), 0, m.PortConfig(0), m.PortConfig(1)),
        m.PacketOut(b"", (), buffer_id=5),
    )
    (first_xid, first), (second_xid, second) = peer.receive()
    assert isinstance(first, m.ErrorMsg)
    assert isinstance(second, m.ErrorMsg)
    assert (first_xid, first.name) == (xid, "OFPPMFC_BAD_PORT")
    assert int.from_bytes(first.data[4:8], "big") == xid
    assert (second_xid, second.name) == (other, "OFPBRC_BUFFER_UNKNOWN")


def test_a_message_that_is_no_request_or_cannot_be_read_is_refused_and_the_connection_lives(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    (answer,) = peer.ask(m.BarrierReply())
    assert isinstance(answer, m.ErrorMsg)
    assert answer.name == "OFPBRC_BAD_TYPE"
    peer.send_bytes(bytes([OF13, 99, 0, 8, 0, 0, 0, 7]))
    (answer,) = peer.messages()
    assert isinstance(answer, m.ErrorMsg)
    assert answer.name == "OFPBRC_BAD_TYPE"
    assert peer.ask(m.BarrierRequest()) == [m.BarrierReply()]


def test_garbage_ends_only_its_own_connection(switch: Switch) -> None:
    ofproto, _ = switch
    peer, other = connect(ofproto), connect(ofproto)
    peer.send_bytes(bytes([OF13, 0, 0, 1, 0, 0, 0, 0]))
    assert peer.stream.error is not None
    assert other.ask(m.BarrierRequest()) == [m.BarrierReply()]


def test_replies_keep_the_order_of_requests(switch: Switch) -> None:
    """What follows a barrier waits for it, whether it can be answered, must be refused, or cannot even be read."""
    ofproto, provider = switch
    peer = connect(ofproto)

    async def talk() -> None:
        provider.held = True
        xids = peer.send(add(1, table_id=0), m.BarrierRequest(), m.GetConfigRequest(), m.BarrierReply())
        peer.send_bytes(bytes([OF13, 99, 0, 8, 0, 0, 0, 77]))
        xids += peer.send(m.EchoRequest(b"x"), add(2, table_id=0))
        await asyncio.sleep(0.01)
        assert peer.receive() == []
        assert ofproto.flows.n_flows == 1
        assert peer.stream.paused
        provider.let_go()
        await asyncio.sleep(0.01)
        answers = peer.receive()
        kinds = [type(message) for _, message in answers]
        assert kinds == [m.BarrierReply, m.GetConfigReply, m.ErrorMsg, m.ErrorMsg]
        assert [xid for xid, _ in answers] == [xids[1], xids[2], xids[3], 77]
        assert ofproto.flows.n_flows == 2
        assert not peer.stream.paused

    asyncio.run(talk())


def test_a_change_of_many_flows_holds_up_its_own_connection_only(switch: Switch) -> None:
    ofproto, _ = switch
    peer, other = connect(ofproto), connect(ofproto)
    for source in range(1, 3001):
        peer.ask(add(source, table_id=0))

    async def talk() -> None:
        peer.send(m.FlowMod(m.FlowModCommand.DELETE, Match()), m.BarrierRequest())
        assert peer.receive() == []
        assert other.ask(m.BarrierRequest()) == [m.BarrierReply()]
        while not (answers := peer.messages()):
            await asyncio.sleep(0)
        assert answers == [m.BarrierReply()]
        assert ofproto.flows.n_flows == 0

    asyncio.run(talk())


def test_a_change_goes_on_when_its_connection_does_not(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    for source in range(1, 3001):
        peer.ask(add(source, table_id=0))

    async def talk() -> None:
        peer.send(m.FlowMod(m.FlowModCommand.DELETE, Match()))
        peer.session.closed(None)
        while len(ofproto.tables[0].classifier):
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(talk(), 5))


def test_a_refused_change_in_slices_is_answered(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    peer.ask(add(1, table_id=0))
    overlapping = m.FlowMod(m.FlowModCommand.ADD, Match(), table_id=0, flags=m.FlowModFlags.CHECK_OVERLAP)
    (answer,) = asyncio.run(peer.ask_slowly(overlapping))
    assert isinstance(answer, m.ErrorMsg)
    assert answer.name == "OFPFMFC_OVERLAP"


@both
def test_packet_out(switch: Switch, version: int) -> None:
    ofproto, provider = switch
    peer = connect(ofproto, version)
    packet_out = m.PacketOut(b"\0" * 60, (Output(OfPort(1)),), in_port=OFPP_CONTROLLER)
    assert peer.ask(packet_out) == []
    assert provider.told[-1] == ("packet_out", packet_out)
    assert peer.ask(m.PacketOut(b"\0" * 60, (), in_port=OFPP_LOCAL)) == []
    (answer,) = peer.ask(m.PacketOut(b"\0" * 60, (), in_port=OFPP_TABLE))
    assert isinstance(answer, m.ErrorMsg)
    assert answer.name == "OFPBRC_BAD_PORT"


@both
def test_the_switch_describes_itself(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    (reply,) = connect(ofproto, version).ask(mp.DescRequest())
    assert isinstance(reply, mp.DescReply)
    assert reply.manufacturer == "Jackfield"


@both
def test_table_statistics(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    ofproto.tables[2].name, ofproto.tables[2].lookups, ofproto.tables[2].matches = "two", 9, 4
    peer = connect(ofproto, version)
    peer.ask(add(1) if version == OF10 else add(1, table_id=0))
    replies = peer.ask(mp.TableStatsRequest())
    entries = [entry for reply in replies for entry in reply.entries]  # type: ignore[attr-defined]  # replies
    assert len(entries) == N_TABLES
    assert (entries[0].active_count, entries[2].lookup_count, entries[2].matched_count) == (1, 9, 4)
    if version == OF10:
        assert [entry.name for entry in entries[:3]] == ["", "", "two"]


def test_table_features(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    replies = asyncio.run(peer.ask_slowly(mp.TableFeaturesRequest()))
    entries = [entry for reply in replies for entry in reply.entries]  # type: ignore[attr-defined]  # replies
    assert [entry.table_id for entry in entries] == list(range(N_TABLES))
    following = {each.kind: each.values for each in entries[250].properties}
    assert following[mp.TablePropertyKind.NEXT_TABLES] == (251, 252, 253)
    (answer,) = asyncio.run(peer.ask_slowly(mp.TableFeaturesRequest((entries[0],))))
    assert isinstance(answer, m.ErrorMsg)
    assert answer.name == "OFPTFFC_EPERM"


@both
def test_port_statistics_and_descriptions(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    for i in range(1, 1001):
        ofproto.add_port(FakeNetdev(f"p{i}", rx_packets=i))
    ofproto.clock.advance(2000)
    peer = connect(ofproto, version)
    replies = asyncio.run(peer.ask_slowly(mp.PortStatsRequest(OFPP_ANY)))
    entries = [entry for reply in replies for entry in reply.entries]  # type: ignore[attr-defined]  # replies
    assert [(entry.port_no, entry.rx_packets) for entry in entries] == [(i, i) for i in range(1, 1001)]
    assert entries[0].tx_packets == m.UNKNOWN_COUNT
    assert entries[0].duration_ns == (None if version == OF10 else 2_000_000_000)
    (one,) = asyncio.run(peer.ask_slowly(mp.PortStatsRequest(OfPort(7))))
    assert [entry.port_no for entry in one.entries] == [7]  # type: ignore[attr-defined]  # a reply
    assert asyncio.run(peer.ask_slowly(mp.PortStatsRequest(OfPort(2000)))) == [mp.PortStatsReply(())]
    if version == OF13:
        replies = asyncio.run(peer.ask_slowly(mp.PortDescRequest()))
        assert sum(len(reply.ports) for reply in replies) == 1000  # type: ignore[attr-defined]  # replies


@both
def test_queues(switch: Switch, version: int) -> None:
    ofproto, _ = switch
    ofproto.add_port(FakeNetdev("p1"))
    peer = connect(ofproto, version)
    assert peer.ask(mp.QueueStatsRequest()) == [mp.QueueStatsReply(())]
    assert peer.ask(m.QueueGetConfigRequest(OfPort(1))) == [m.QueueGetConfigReply(OfPort(1), ())]
    names = [
        answer.name
        for answer in peer.ask(
            mp.QueueStatsRequest(OfPort(9)), mp.QueueStatsRequest(OfPort(1), 5), m.QueueGetConfigRequest(OfPort(9))
        )
        if isinstance(answer, m.ErrorMsg)
    ]
    assert names == ["OFPQOFC_BAD_PORT", "OFPQOFC_BAD_QUEUE", "OFPQOFC_BAD_PORT"]


def test_a_secondary_controller_may_not_change_anything(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    peer.ask(m.RoleRequest(m.Role.SECONDARY, 1))
    changes = (
        add(1, table_id=0),
        m.PacketOut(b"", ()),
        m.PortMod(OfPort(1), 0, m.PortConfig(0), m.PortConfig(0)),
    )
    answers = peer.ask(*changes)
    assert [isinstance(a, m.ErrorMsg) and a.name for a in answers] == ["OFPBRC_IS_SECONDARY"] * 3
    assert {kind for kind, handler in HANDLERS.items() if handler.changes} == {type(change) for change in changes}
    peer.ask(m.SetConfig(m.FragmentHandling.DROP, 77))
    assert ofproto.fragments is m.FragmentHandling.NORMAL
    assert peer.ask(m.GetConfigRequest()) == [m.GetConfigReply(m.FragmentHandling.NORMAL, 77)]


def test_async_configuration_is_per_version_until_it_is_set(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    (default,) = peer.ask(m.GetAsyncRequest())
    assert isinstance(default, m.GetAsyncReply)
    assert default.config.secondary[m.AsyncKind.PACKET_IN] == 0
    wanted = m.AsyncConfig((1, 2, 3), (4, 5, 6))
    assert peer.ask(m.SetAsyncConfig(wanted), m.GetAsyncRequest()) == [m.GetAsyncReply(wanted)]


def test_nicira_choices_count_for_the_next_message(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto, OF10)
    data = encode(m.FlowModTableId(True), OF10, 1)
    peer.connection.dialect = m_dialect = type(peer.connection.dialect)(table_id=True)
    data += encode(add(1, table_id=5), OF10, 2, m_dialect)
    peer.send_bytes(data)
    assert ofproto.tables[5].n_flows == 1


def test_a_silent_controller_is_probed_and_given_up(switch: Switch) -> None:
    ofproto, _ = switch
    peer = connect(ofproto)
    ofproto.clock.advance(5_000)
    assert [type(message) for message in raw(peer)] == [m.EchoRequest]
    assert peer.stream.error is None
    ofproto.clock.advance(5_000)
    assert peer.stream.error is not None


def raw(peer: Peer) -> list[m.Message]:
    """What the session sent, requests that the peer's own connection would answer included."""
    from jackfield.openflow.codec import decode

    data = b"".join(peer.stream.sent)
    found = []
    while data:
        length = int.from_bytes(data[2:4], "big")
        found.append(decode(data[:length], peer.session.version)[1])
        data = data[length:]
    return found


def test_version_negotiation_fails_politely(switch: Switch) -> None:
    ofproto, _ = switch
    session = Session(ofproto.connections, SessionKind.SERVICE, Connection(0, {OF10}, 0))
    stream = FakeStream()
    session.opened(stream)  # type: ignore[arg-type]  # the shape is what counts
    session.received(encode(m.Hello(frozenset({OF13})), OF13, 1), 0)
    assert stream.error is not None
    assert any(data[1] == 1 for data in stream.sent[1:])


def test_flows_that_the_form_cannot_say_are_shown_as_well_as_it_can(switch: Switch) -> None:
    """As Open vSwitch does: an OpenFlow 1.0 client without NXM sees the parts it knows."""
    ofproto, _ = switch
    match = Match.from_fields({"eth_src": 5, "reg3": 7})
    ofproto.flows.apply(m.FlowMod(m.FlowModCommand.ADD, match, table_id=0, flags=m.FlowModFlags.SEND_FLOW_REM))
    peer = connect(ofproto, OF10)
    (reply,) = asyncio.run(peer.ask_slowly(mp.FlowStatsRequest(Match())))
    assert isinstance(reply, mp.FlowStatsReply)
    assert [entry.match for entry in reply.entries] == [Match.from_fields({"eth_src": 5})]
    work = ofproto.flows.apply(m.FlowMod(m.FlowModCommand.DELETE, Match()))
    assert work is not None
    list(work)
    (removed,) = peer.messages()
    assert isinstance(removed, m.FlowRemoved)
    assert removed.match == Match.from_fields({"eth_src": 5})
