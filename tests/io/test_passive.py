"""Listening on every transport, with real clients."""

import asyncio
import os
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from jackfield.clock import Clock
from jackfield.io.address import Address, parse_address
from jackfield.io.passive import Listener
from jackfield.io.tls import TlsFiles

from .peers import Recorder, echo, until


async def listening(text: str, recorders: list[Recorder], tls: TlsFiles | None = None) -> Listener:
    def make() -> Recorder:
        recorders.append(Recorder(echo))
        return recorders[-1]

    listener = Listener(parse_address(text), make, Clock(), tls=tls)
    await listener.start()
    return listener


@pytest.mark.parametrize(
    ("text", "host"),
    [("ptcp:0:127.0.0.1", "127.0.0.1"), ("ptcp:0:[::1]", "::1"), ("ptcp:0", "127.0.0.1"), ("ptcp:0", "::1")],
)
def test_tcp(text: str, host: str) -> None:
    async def main() -> None:
        recorders: list[Recorder] = []
        listener = await listening(text, recorders)
        reader, writer = await asyncio.open_connection(host, listener.port)
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        stream = recorders[0].stream
        assert stream is not None
        assert stream.name == "tcp#1"
        assert stream.peer is not None
        assert stream.local is not None
        assert stream.local[1] == listener.port
        assert listener.streams == [stream]
        await listener.close()
        assert await reader.read() == b""
        assert recorders[0].events == ["opened", "closed"]
        writer.close()

    asyncio.run(main())


def test_unix_socket_is_removed_on_close_but_not_a_successors(short_dir: Path) -> None:
    async def main() -> None:
        path = short_dir / "a"
        listener = await listening(f"punix:{path}", [])
        assert path.is_socket()
        await listener.close()
        assert not path.exists()
        await listener.close()

        listener = await listening(f"punix:{path}", [])
        path.unlink()
        path.write_text("another's")
        await listener.close()
        assert path.read_text() == "another's"

    asyncio.run(main())


def test_a_taken_port_is_an_error_that_names_it() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="ptcp:"):
            await listening(f"ptcp:{taken.getsockname()[1]}:127.0.0.1", [])

    asyncio.run(main())


def test_a_name_is_not_looked_up() -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="is not an IP address"):
            await listening("ptcp:0:localhost", [])

    asyncio.run(main())


def test_what_cannot_listen_is_refused() -> None:
    with pytest.raises(ValueError, match="not a passive"):
        Listener(Address("tcp", host="127.0.0.1", port=1), Recorder, Clock())
    with pytest.raises(ValueError, match="needs a private key"):
        Listener(Address("ssl", passive=True), Recorder, Clock())


def test_closing_does_not_wait_for_a_peer_that_does_not_read(short_dir: Path) -> None:
    async def main() -> None:
        recorders: list[Recorder] = []
        listener = await listening(f"punix:{short_dir / 'a'}", recorders)
        with socket.socket(socket.AF_UNIX) as stuck:
            stuck.connect(str(short_dir / "a"))
            await until(lambda: recorders and recorders[0].stream)
            assert recorders[0].stream is not None
            recorders[0].stream.send(bytes(1 << 20))
            await asyncio.wait_for(listener.close(), 2)
        assert recorders[0].events == ["opened", "closed"]

    asyncio.run(main())


def pki(directory: Path, authority: trustme.CA, name: str) -> TlsFiles:
    leaf = authority.issue_cert(name)
    paths = [directory / f"{name}.{kind}" for kind in ("key", "cert", "ca")]
    leaf.private_key_pem.write_to_path(paths[0])
    leaf.cert_chain_pems[0].write_to_path(paths[1])
    authority.cert_pem.write_to_path(paths[2])
    return TlsFiles(*(str(path) for path in paths))


def test_tls_takes_only_peers_with_a_certificate_of_our_authority(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()

    async def main() -> None:
        recorders: list[Recorder] = []
        listener = await listening("pssl:0:127.0.0.1", recorders, pki(tmp_path, authority, "switch"))

        async def exchange(files: TlsFiles) -> bytes:
            context = files.context(server=False)
            context.load_verify_locations(tmp_path / "switch.ca")
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context, server_hostname="")
            try:
                writer.write(b"secret")
                return await asyncio.wait_for(reader.read(6), 5)
            finally:
                writer.close()

        assert await exchange(pki(tmp_path, authority, "controller")) == b"secret"
        try:
            refused = await exchange(pki(tmp_path, stranger, "stranger"))
        except (ssl.SSLError, ConnectionError):
            refused = b""
        assert refused == b""
        # A peer that speaks no TLS at all, and one that says nothing, disturb nobody.
        with socket.create_connection(("127.0.0.1", listener.port)) as plain:
            plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with socket.create_connection(("127.0.0.1", listener.port)):
                assert await exchange(pki(tmp_path, authority, "again")) == b"secret"
        assert all(recorder.data in (b"", b"secret") for recorder in recorders)
        await listener.close()

    asyncio.run(main())


def test_many_connections_come_and_go(short_dir: Path) -> None:
    async def main() -> None:
        recorders: list[Recorder] = []
        path = str(short_dir / "a")
        listener = await listening(f"punix:{path}", recorders)
        descriptors = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            pairs = [await asyncio.open_unix_connection(path) for _ in range(5)]
            for reader, writer in pairs:
                writer.write(b"x")
                assert await reader.readexactly(1) == b"x"
                writer.close()
        await until(lambda: not listener.streams)
        await until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)
        assert len(recorders) == 100
        await listener.close()

    asyncio.run(main())
