import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.flow.match import Match
from jackfield.openflow.codec import encode
from jackfield.openflow.connection import Closed, Connection, Negotiated, Received, Refused
from jackfield.openflow.dialect import Dialect
from jackfield.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    EchoReply,
    EchoRequest,
    ErrorMsg,
    FeaturesRequest,
    FlowMod,
    FlowModCommand,
    FlowModTableId,
    Hello,
)
from tests.openflow.strategies import needs_ofctl, ofp_print


def join(one, other, now=0):
    """Carry bytes both ways until nothing is left; the events of each side."""
    events = [], []
    while True:
        data = one.to_send(), other.to_send()
        if not any(data):
            return events
        events[1].extend(other.receive(data[0], now))
        events[0].extend(one.receive(data[1], now))


def opened(versions=(1, 4)):
    one, other = Connection(0, versions), Connection(0, versions)
    join(one, other)
    return one, other


@pytest.mark.parametrize(
    ("mine", "theirs", "version"),
    [({1, 4}, {1, 2, 3, 4, 5, 6}, 4), ({1}, {1, 4}, 1), ({1, 4}, {1, 6}, 1), ({1, 2, 3, 4, 5, 6}, {3}, 3)],
)
def test_negotiation(mine, theirs, version):
    one, other = Connection(0, mine), Connection(0, theirs)
    assert join(one, other) == ([Negotiated(version)], [Negotiated(version)])
    assert one.version == other.version == version


def test_hello_without_bitmap_means_all_versions_up_to_its_own():
    switch = Connection(0, {1, 4})
    assert switch.receive(bytes.fromhex("03 00 0008 00000001"), 0) == [Negotiated(1)]


def test_broken_hello_elements_are_ignored():
    switch = Connection(0, {1, 4})
    assert switch.receive(bytes.fromhex("04 00 000c 00000001 0001 00ff"), 0) == [Negotiated(4)]


def test_no_common_version():
    switch = Connection(0, {1})
    switch.to_send()
    (event,) = switch.receive(encode(Hello(frozenset({6})), 6, 77), 0)
    assert isinstance(event, Closed)
    assert "peer supports version 1.5" in event.reason
    assert switch.is_closed
    answer = switch.to_send()
    assert answer[:2] == b"\1\1"
    assert answer[4:12] == bytes.fromhex("0000004d 0000 0000")
    assert answer[12:] == b"We support version 1.0, you support version 1.5, no common versions."


def test_peer_refuses_our_hello():
    switch = Connection(0, {1})
    (event,) = switch.receive(bytes.fromhex("06 01 0012 00000001 0000 0000") + b"go now", 0)
    assert event == Closed("peer refused hello: go now")


def test_anything_else_before_hello_closes():
    switch = Connection(0)
    assert switch.receive(bytes.fromhex("01 05 0008 00000001"), 0) == [Closed("expected hello, got message type 5")]


def test_echo_is_answered_inside():
    one, other = opened()
    one.send(EchoRequest(b"ping"), 9)
    assert other.receive(one.to_send(), 0) == []
    assert other.to_send() == encode(EchoReply(b"ping"), 4, 9)


def test_messages_carry_their_xid():
    one, other = opened()
    xid = one.send(BarrierRequest())
    assert other.receive(one.to_send(), 0) == [Received(xid, BarrierRequest())]
    other.send(BarrierReply(), xid)
    assert one.receive(other.to_send(), 0) == [Received(xid, BarrierReply())]


@given(st.lists(st.integers(1, 100), max_size=30))
def test_bytes_may_come_in_any_pieces(cuts):
    one, other = opened()
    xids = [one.send(FeaturesRequest()) for _ in range(20)]
    data = one.to_send()
    events = []
    place = 0
    for cut in [*cuts, len(data)]:
        events += other.receive(data[place : place + cut], 0)
        place += cut
    assert events == [Received(xid, FeaturesRequest()) for xid in xids]


def test_events_one_at_a_time():
    one, other = opened({1})
    one.send(FeaturesRequest(), 5)
    one.send(EchoRequest(b"x"), 6)
    one.send(BarrierRequest(), 7)
    other.feed(one.to_send(), 0)
    assert other.next_event() == Received(5, FeaturesRequest())
    assert other.request == encode(FeaturesRequest(), 1, 5)
    assert other.to_send() == b"", "the echo request behind it has not had its turn"
    assert other.next_event() == Received(7, BarrierRequest())
    assert other.to_send() == encode(EchoReply(b"x"), 1, 6)
    assert other.next_event() is None


def test_change_of_dialect_counts_from_the_next_message():
    one, other = opened({1})
    one.send(FlowModTableId(True))
    one.dialect = Dialect(table_id=True)
    one.send(FlowMod(FlowModCommand.ADD, Match(), table_id=3))
    other.feed(one.to_send(), 0)
    assert other.next_event().message == FlowModTableId(True)
    other.dialect = Dialect(table_id=True)
    assert other.next_event().message.table_id == 3


def test_what_cannot_be_understood_is_answered_and_the_connection_lives_on():
    one, other = opened({1})
    bad = bytes.fromhex("01 63 000a 000000aa 1234")
    good = encode(FeaturesRequest(), 1, 5)
    refused, received = other.receive(bad + good, 0)
    assert isinstance(refused, Refused)
    assert refused.xid == 0xAA
    assert refused.error.name == "OFPBRC_BAD_TYPE"
    assert received == Received(5, FeaturesRequest())
    (answer,) = one.receive(other.to_send(), 0)
    assert answer == Received(0xAA, ErrorMsg("OFPBRC_BAD_TYPE", 1, 1, bad))


def test_error_echoes_64_bytes():
    one, other = opened({4})
    other.receive(bytes.fromhex("04 63 0100 000000aa") + bytes(248), 0)
    (event,) = one.receive(other.to_send(), 0)
    assert len(event.message.data) == 64


def test_an_error_is_not_answered():
    _, other = opened({1})
    (event,) = other.receive(bytes.fromhex("01 01 0009 00000001 00"), 0)
    assert isinstance(event, Refused)
    assert other.to_send() == b""


def test_wrong_version_on_an_open_connection():
    _, other = opened({1})
    (event,) = other.receive(bytes.fromhex("04 05 0008 00000001"), 0)
    assert event.error.name == "OFPBRC_BAD_VERSION"
    assert other.to_send()[:2] == b"\1\1"


def test_bad_framing_closes():
    _, other = opened()
    (event,) = other.receive(bytes(8), 0)
    assert isinstance(event, Closed)
    assert other.receive(encode(FeaturesRequest(), 4, 1), 0) == []


def test_probe_then_give_up():
    one, other = opened()
    assert one.next_timer() == 5000
    assert one.run(4999) == []
    assert one.to_send() == b""
    assert one.run(5000) == []
    probe = one.to_send()
    assert probe[1] == 2
    assert one.next_timer() == 10000
    assert one.run(9999) == []
    (event,) = one.run(10000)
    assert event == Closed("no response to inactivity probe after 5 seconds")
    assert one.next_timer() is None
    assert other.run(1) == []


def test_any_byte_answers_a_probe():
    one, other = opened()
    one.run(5000)
    other.receive(one.to_send(), 5000)
    assert one.receive(other.to_send(), 5100) == []
    assert one.next_timer() == 10100


def test_silence_instead_of_hello():
    switch = Connection(100, probe_interval=1000)
    assert switch.next_timer() == 1100
    assert switch.run(1100) == [Closed("no hello within 1 seconds")]


def test_no_probes():
    assert Connection(0, probe_interval=0).next_timer() is None


def test_sending_before_hello_is_a_mistake():
    with pytest.raises(ValueError, match="connection is waiting for hello"):
        Connection(0).send(FeaturesRequest())


def test_unknown_version_is_a_mistake():
    with pytest.raises(ValueError, match="expected some of"):
        Connection(0, {9})


def test_end_of_stream():
    one, _ = opened()
    assert one.end_of_stream() == [Closed("connection closed by peer")]
    assert one.end_of_stream() == []


@given(st.lists(st.binary(max_size=64), max_size=10))
def test_garbage_never_raises(pieces):
    for connection in (Connection(0), opened()[0]):
        for piece in pieces:
            connection.receive(piece, 0)


@needs_ofctl
def test_stock_client_reads_our_hello():
    assert "version bitmap: 0x01, 0x04" in ofp_print(Connection(0, {1, 4}).to_send())
