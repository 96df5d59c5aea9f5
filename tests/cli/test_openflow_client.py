"""The blocking OpenFlow client, against a peer that says what a test wants it to say."""

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jackfield.cli import openflow_client
from jackfield.cli.openflow_client import Client
from jackfield.errors import ProtocolError
from jackfield.flow.match import Match
from jackfield.openflow.codec import decode, encode
from jackfield.openflow.dialect import OF13
from jackfield.openflow.flow_text import parse_flow
from jackfield.openflow.framing import Framer
from jackfield.openflow.messages import (
    BarrierReply,
    BarrierRequest,
    Capability,
    EchoReply,
    EchoRequest,
    ErrorMsg,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    FlowModCommand,
    Hello,
    Message,
)
from jackfield.openflow.multipart import FlowStatsReply, FlowStatsRequest

FEATURES = FeaturesReply(datapath_id=0x12, n_buffers=0, n_tables=254, capabilities=Capability(0))

Answer = Callable[[Message, int], Iterator[bytes]]


class Peer:
    """Accepts one connection; `answer` yields what to send for each message but the hello."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.heard: list[Message] = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(10)

    def _serve(self) -> None:
        framer = Framer()
        with self._listener, self._listener.accept()[0] as accepted:
            accepted.sendall(encode(Hello(frozenset({OF13})), OF13, 0))
            while data := accepted.recv(65536):
                framer.feed(data)
                for frame in framer.frames():
                    xid, message = decode(frame, OF13)
                    if isinstance(message, Hello):
                        continue
                    self.heard.append(message)
                    for each in self._answer(message, xid):
                        if not each:
                            return
                        accepted.sendall(each)


def of13(message: Message, xid: int) -> bytes:
    return encode(message, OF13, xid)


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "br0.mgmt"


def test_reply_to_the_request(path: Path) -> None:
    def answer(message: Message, xid: int) -> Iterator[bytes]:
        if isinstance(message, FeaturesRequest):
            yield of13(EchoRequest(b"are you there"), 99)
            yield of13(BarrierReply(), xid + 7)
            for byte in of13(FEATURES, xid):
                yield bytes([byte])

    peer = Peer(path, answer)
    with Client(path) as client:
        assert client.features().datapath_id == 0x12
    peer.join()
    assert peer.heard[0] == FeaturesRequest()
    assert EchoReply(b"are you there") in peer.heard


def test_reply_in_parts(path: Path) -> None:
    parts = itertools.count()

    def answer(message: Message, xid: int) -> Iterator[bytes]:
        for _ in range(3):
            yield of13(FlowStatsReply(entries=(), more=next(parts) < 2), xid)

    Peer(path, answer)
    with Client(path) as client:
        request = FlowStatsRequest(Match(0, 0))
        assert [part.more for part in client.dump(request, FlowStatsReply)] == [True, True, False]


RULE = parse_flow("ip,actions=drop", FlowModCommand.ADD, {})


def test_change_of_flows_waits_for_the_barrier(path: Path) -> None:
    def answer(message: Message, xid: int) -> Iterator[bytes]:
        if isinstance(message, BarrierRequest):
            yield of13(BarrierReply(), xid)

    peer = Peer(path, answer)
    with Client(path) as client:
        client.flow_mod(RULE)
    peer.join()
    assert [type(each) for each in peer.heard] == [FlowMod, BarrierRequest]


def test_refused_change_is_told_by_the_name_of_the_error(path: Path) -> None:
    def answer(message: Message, xid: int) -> Iterator[bytes]:
        if isinstance(message, FlowMod):
            yield of13(ErrorMsg("OFPFMFC_TABLE_FULL", 5, 1), xid)
        else:
            yield of13(BarrierReply(), xid)

    Peer(path, answer)
    with Client(path) as client, pytest.raises(ValueError, match="the switch refused: OFPFMFC_TABLE_FULL"):
        client.flow_mod(RULE)


def test_peer_that_goes_away(path: Path) -> None:
    def answer(message: Message, xid: int) -> Iterator[bytes]:
        yield b""

    peer = Peer(path, answer)
    with Client(path) as client:
        with pytest.raises(ConnectionResetError, match="the switch closed the connection"):
            client.features()
        peer.join()
        with pytest.raises(ConnectionResetError, match="the switch closed the connection"):
            client.flow_mod(RULE)


def test_silent_peer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openflow_client, "TIMEOUT", 0.1)
    Peer(path, lambda message, xid: iter(()))
    with Client(path) as client, pytest.raises(TimeoutError, match="did not answer"):
        client.features()


@pytest.mark.parametrize("garbage", [b"\x04\x06\x00\x03\0\0\0\1", b"\x04\x06\x00\x09\0\0\0\1x", os.urandom(2000)])
def test_garbage(path: Path, garbage: bytes) -> None:
    def answer(message: Message, xid: int) -> Iterator[bytes]:
        yield garbage
        yield b""

    Peer(path, answer)
    with Client(path) as client, pytest.raises((ProtocolError, ConnectionResetError)):
        client.features()
