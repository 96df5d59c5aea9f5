"""Connecting again: the waits, the states, the time-outs, on a clock that is held."""

import asyncio
import socket
from pathlib import Path

import pytest
import trustme

from jackfield.clock import Clock
from jackfield.io.active import Backoff, Connector
from jackfield.io.address import Address, parse_address
from jackfield.io.passive import Listener
from jackfield.io.tls import TlsFiles

from .peers import Recorder, echo, until


def test_waits_double_from_one_to_eight_seconds() -> None:
    backoff = Backoff()
    assert backoff.wait == 0
    assert [backoff.failed() for _ in range(6)] == [1000, 2000, 4000, 8000, 8000, 8000]


def test_a_connection_that_outlived_the_wait_resets_it() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.failed()
    assert backoff.ended(lasted=100) == 8000
    assert backoff.ended(lasted=8000) == 1000
    assert Backoff().ended(lasted=0) == 1000


def connector(text: str, recorders: list[Recorder], clock: Clock, tls: TlsFiles | None = None) -> Connector:
    def make() -> Recorder:
        recorders.append(Recorder())
        return recorders[-1]

    return Connector(parse_address(text), make, clock, tls=tls)


def test_connects_again_after_each_wait(short_dir: Path, held_clock: Clock) -> None:
    path = short_dir / "a"

    async def main() -> None:
        recorders: list[Recorder] = []
        active = connector(f"unix:{path}", recorders, held_clock)
        active.start()
        for wait in (1000, 2000, 4000):
            await until(lambda: active.state == "BACKOFF")
            assert active.last_error is not None
            assert "No such file" in active.last_error
            held_clock.advance(wait - 1)
            assert active.state == "BACKOFF"
            held_clock.advance(1)
            assert active.state == "CONNECTING"
        await until(lambda: active.state == "BACKOFF")

        listener = Listener(Address("unix", True, path=str(path)), lambda: Recorder(echo), held_clock)
        await listener.start()
        held_clock.advance(8000)
        await until(lambda: active.state == "ACTIVE")
        assert active.last_error is None
        assert active.stream is not None
        active.stream.send(b"hello")
        await until(lambda: recorders[-1].data == b"hello")

        held_clock.advance(20_000)
        await listener.close()
        await until(lambda: active.state == "BACKOFF")
        assert recorders[-1].events == ["opened", "closed"]
        held_clock.advance(1000)
        assert active.state == "CONNECTING"
        await active.stop()
        assert active.state == "VOID"

    asyncio.run(main())


def test_an_attempt_that_hangs_is_given_up(held_clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def hang(*arguments: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(loop, "sock_connect", hang)
        active = connector("tcp:127.0.0.1:9", [], held_clock)
        active.start()
        await asyncio.sleep(0.05)
        assert active.state == "CONNECTING"
        held_clock.advance(1000)
        await until(lambda: active.state == "BACKOFF")
        assert active.last_error == "Connection timed out"
        held_clock.advance(1000)
        await asyncio.sleep(0.05)
        assert active.state == "CONNECTING"
        await active.stop()
        held_clock.advance(100_000)
        assert active.state == "VOID"

    asyncio.run(main())


def test_tcp_refused_then_accepted() -> None:
    async def main() -> None:
        clock = Clock()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        recorders: list[Recorder] = []
        active = connector(f"tcp:127.0.0.1:{port}", recorders, clock)
        active.start()
        await until(lambda: active.state == "BACKOFF")
        assert active.last_error == "Connection refused"
        listener = Listener(Address("tcp", True, "127.0.0.1", port), lambda: Recorder(echo), clock)
        await listener.start()
        clock.advance(1000)
        await until(lambda: active.state == "ACTIVE")
        assert recorders[0].stream is not None
        assert recorders[0].stream.peer == ("127.0.0.1", port)
        active.reconnect()
        await until(lambda: active.state == "BACKOFF")
        await active.stop()
        await listener.close()

    asyncio.run(main())


def test_tls_both_ways(tmp_path: Path) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert("both")
    names = [str(tmp_path / name) for name in ("key", "cert", "ca")]
    leaf.private_key_pem.write_to_path(names[0])
    leaf.cert_chain_pems[0].write_to_path(names[1])
    authority.cert_pem.write_to_path(names[2])
    files = TlsFiles(*names)

    async def main() -> None:
        clock = Clock()
        listener = Listener(Address("ssl", True, "127.0.0.1", 0), lambda: Recorder(echo), clock, tls=files)
        await listener.start()
        recorders: list[Recorder] = []
        active = connector(f"ssl:127.0.0.1:{listener.port}", recorders, clock, files)
        active.start()
        await until(lambda: active.state == "ACTIVE")
        assert active.stream is not None
        active.stream.send(bytes(300_000))
        await until(lambda: len(recorders[0].data) == 300_000)
        await active.stop()
        await listener.close()
        assert recorders[0].events == ["opened", "closed"]

    asyncio.run(main())


def test_what_cannot_connect_is_refused() -> None:
    with pytest.raises(ValueError, match="not an active"):
        Connector(Address("tcp", True), Recorder, Clock())
    with pytest.raises(ValueError, match="needs a private key"):
        Connector(Address("ssl", host="h", port=1), Recorder, Clock())
