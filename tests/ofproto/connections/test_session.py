"""One connection, message in, messages out, through the real codec."""

import asyncio

from jackfield.flow.match import Match
from jackfield.flow.ports import OfPort
from jackfield.ofproto.connections.session import Session, SessionKind
from jackfield.openflow import messages as m
from jackfield.openflow.codec import encode
from jackfield.openflow.connection import Connection
from jackfield.openflow.dialect import OF10, OF13
from tests.ofproto.fakes import FakeStream, Peer, Switch, add, both, connect


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
