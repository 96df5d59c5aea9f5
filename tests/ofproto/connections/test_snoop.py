import pytest

from jackfield.clock import Clock
from jackfield.errors import ProtocolError
from jackfield.ofproto.connections.snoop import SnoopSession
from jackfield.openflow.codec import encode
from jackfield.openflow.dialect import OF10, OF13
from jackfield.openflow.messages import Hello
from tests.ofproto.fakes import FakeStream


def listener(clock: Clock) -> tuple[SnoopSession, FakeStream, list[SnoopSession]]:
    ended: list[SnoopSession] = []
    snoop, stream = SnoopSession(clock, frozenset({OF10, OF13}), ended.append), FakeStream()
    snoop.opened(stream)  # type: ignore[arg-type]  # the shape is what counts
    assert stream.sent.pop()[1] == 0
    return snoop, stream, ended


def test_copies_are_sent_once_the_version_is_agreed_on(held_clock: Clock) -> None:
    snoop, stream, ended = listener(held_clock)
    snoop.copy(b"too early")
    snoop.received(encode(Hello(frozenset({OF13})), OF13, 1), 0)
    snoop.copy(b"now")
    stream.queued = 1 << 30
    snoop.copy(b"too slow")
    assert b"".join(stream.sent) == b"now"
    snoop.closed(None)
    snoop.copy(b"too late")
    assert b"".join(stream.sent) == b"now"
    assert ended == [snoop]


def test_a_listener_without_a_common_version_is_dropped(held_clock: Clock) -> None:
    snoop, _, _ = listener(held_clock)
    with pytest.raises(ProtocolError, match="version negotiation failed"):
        snoop.received(encode(Hello(frozenset({6})), 6, 1), 0)
