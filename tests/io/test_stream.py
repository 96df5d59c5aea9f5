"""What a protocol is told, and what its sends do, on a real socket."""

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine

import pytest

from jackfield.clock import Clock
from jackfield.errors import ProtocolError
from jackfield.io.stream import Stream, StreamProtocol

from .peers import Recorder, echo, until

Body = Callable[[Stream, socket.socket], Coroutine[None, None, None]]


def on_a_pair(protocol: StreamProtocol, body: Body, limit: int = 1 << 20, clock: Clock | None = None) -> None:
    """Run `body` with a stream for `protocol` and the blocking socket at its other end."""

    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.settimeout(5)
        stream = Stream(protocol, clock or Clock(), "pair", limit)
        await asyncio.get_running_loop().create_connection(lambda: stream, sock=ours)
        try:
            await body(stream, theirs)
        finally:
            theirs.close()
            stream.abort()
            await asyncio.wait_for(stream.wait_closed(), 5)

    asyncio.run(main())


def test_bytes_go_both_ways_with_the_clocks_time(held_clock: Clock) -> None:
    recorder = Recorder(echo)

    async def body(stream: Stream, theirs: socket.socket) -> None:
        theirs.sendall(b"hello")
        await until(lambda: recorder.data == b"hello")
        assert theirs.recv(100) == b"hello"
        assert recorder.times == [1_000_000]

    on_a_pair(recorder, body, clock=held_clock)
    assert recorder.events == ["opened", "closed"]


def test_sending_does_not_wait_for_the_loop() -> None:
    async def body(stream: Stream, theirs: socket.socket) -> None:
        stream.send(b"now")
        assert theirs.recv(100) == b"now"
        assert stream.queued == 0

    on_a_pair(Recorder(), body)


def test_what_one_call_sends_leaves_together() -> None:
    def answers(recorder: Recorder, data: bytes) -> None:
        assert recorder.stream is not None
        for _ in range(100):
            recorder.stream.send(b"0123456789")
        assert recorder.stream.queued == 1000

    async def body(stream: Stream, theirs: socket.socket) -> None:
        writes: list[int] = []
        assert stream._transport is not None
        write = stream._transport.write
        stream._transport.write = lambda data: (writes.append(len(data)), write(data))[1]  # type: ignore[method-assign]  # counts
        theirs.sendall(b"?")
        await until(lambda: writes)
        assert writes == [1000]
        assert stream.queued == 0

    on_a_pair(Recorder(answers), body)


def test_a_peer_that_does_not_read_is_bounded_then_dropped() -> None:
    recorder = Recorder()

    async def body(stream: Stream, theirs: socket.socket) -> None:
        sent = 0
        while "closed" not in recorder.events and sent < 64 << 20:
            stream.send(bytes(65536))
            sent += 65536
            assert stream.queued <= (1 << 20) + 65536
            await asyncio.sleep(0)
        assert isinstance(recorder.error, OSError)
        assert recorder.error.errno == errno.ENOBUFS
        stream.send(b"to nobody")

    on_a_pair(recorder, body)


def test_a_slow_peer_gets_everything_when_the_sender_waits() -> None:
    recorder = Recorder()

    async def body(stream: Stream, theirs: socket.socket) -> None:
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        got = 0

        async def read() -> None:
            nonlocal got
            while got < 8 << 20:
                got += len(await loop.sock_recv(theirs, 300_000))

        reading = asyncio.ensure_future(read())
        for _ in range(128):
            stream.send(bytes(65536))
            await stream.drained()
        await asyncio.wait_for(reading, 5)
        assert got == 8 << 20
        assert recorder.events == ["opened"]

    on_a_pair(recorder, body)


def test_pausing_holds_the_peer_back() -> None:
    recorder = Recorder()

    async def body(stream: Stream, theirs: socket.socket) -> None:
        stream.pause_receiving()
        stream.pause_receiving()
        theirs.sendall(b"later")
        await asyncio.sleep(0.02)
        assert recorder.data == b""
        stream.resume_receiving()
        await until(lambda: recorder.data == b"later")

    on_a_pair(recorder, body)


def test_a_pass_of_the_loop_hands_over_at_most_32_kib() -> None:
    sizes: list[int] = []

    async def body(stream: Stream, theirs: socket.socket) -> None:
        theirs.sendall(bytes(100_000))
        await until(lambda: sum(sizes) == 100_000)
        assert max(sizes) <= 32 * 1024

    on_a_pair(Recorder(lambda recorder, data: sizes.append(len(data))), body)


def test_close_sends_what_is_queued_first() -> None:
    recorder = Recorder()

    async def body(stream: Stream, theirs: socket.socket) -> None:
        stream.send(bytes(900_000))
        assert stream.queued > 0
        stream.close()
        stream.send(b"too late")
        loop = asyncio.get_running_loop()
        theirs.setblocking(False)
        got = 0
        while data := await loop.sock_recv(theirs, 65536):
            got += len(data)
        assert got == 900_000
        await stream.wait_closed()
        assert recorder.error is None

    on_a_pair(recorder, body)


def test_closing_does_not_wait_for_ever(held_clock: Clock) -> None:
    recorder = Recorder()

    async def body(stream: Stream, theirs: socket.socket) -> None:
        stream.send(bytes(900_000))
        stream.close()
        await asyncio.sleep(0.01)
        assert recorder.events == ["opened"]
        held_clock.advance(5_000)
        await until(lambda: recorder.events == ["opened", "closed"])

    on_a_pair(recorder, body, clock=held_clock)


def test_the_peers_end_is_the_end() -> None:
    recorder = Recorder()

    async def body(stream: Stream, theirs: socket.socket) -> None:
        theirs.close()
        await until(lambda: recorder.events == ["opened", "closed"])
        assert recorder.error is None
        assert stream.queued == 0

    on_a_pair(recorder, body)


@pytest.mark.parametrize("error", [ProtocolError("a length of 0"), ZeroDivisionError("a defect")])
def test_an_error_of_the_protocol_ends_its_connection_and_is_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(recorder: Recorder, data: bytes) -> None:
        raise error

    recorder = Recorder(fail)

    async def body(stream: Stream, theirs: socket.socket) -> None:
        theirs.sendall(b"x")
        await until(lambda: "closed" in recorder.events)
        assert recorder.error is error

    on_a_pair(recorder, body)
    assert str(error) in caplog.text
    # A defect of ours comes with its traceback, a mistake of the peer's in one line.
    assert ("Traceback" in caplog.text) == isinstance(error, ZeroDivisionError)


def test_what_was_answered_before_the_error_still_leaves() -> None:
    def fail(recorder: Recorder, data: bytes) -> None:
        assert recorder.stream is not None
        recorder.stream.send(b"bye")
        recorder.stream.close()

    recorder = Recorder(fail)

    async def body(stream: Stream, theirs: socket.socket) -> None:
        theirs.sendall(b"x")
        await until(lambda: "closed" in recorder.events)
        assert theirs.recv(10) == b"bye"
        assert theirs.recv(10) == b""

    on_a_pair(recorder, body)
