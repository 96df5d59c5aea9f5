"""Unix sockets: long names, dead and live predecessors, permissions."""

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from jackfield.io import unixsocket


@pytest.fixture
def long_path(tmp_path: Path) -> str:
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    directory.mkdir(parents=True)
    return str(directory / "x.sock")


def test_a_path_longer_than_a_socket_name(long_path: str) -> None:
    listener = unixsocket.listen(long_path)
    client = unixsocket.connect_blocking(long_path, 1)
    listener.setblocking(True)
    server, _ = listener.accept()
    server.sendall(b"hi")
    assert client.recv(2) == b"hi"
    assert stat.S_ISSOCK(os.lstat(long_path).st_mode)
    for each in (listener, client, server):
        each.close()


def test_a_file_name_that_cannot_be_shortened(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        unixsocket.listen(str(tmp_path / ("x" * 200)))
    assert caught.value.errno == errno.ENAMETOOLONG


def test_only_the_owner_may_connect_unless_told(short_dir: Path) -> None:
    path = short_dir / "a"
    unixsocket.listen(str(path)).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_dead_socket_is_replaced(short_dir: Path) -> None:
    path = str(short_dir / "a")
    unixsocket.listen(path).close()
    unixsocket.listen(path).close()


def test_a_live_socket_is_not_replaced(short_dir: Path) -> None:
    path = str(short_dir / "a")
    with unixsocket.listen(path), pytest.raises(OSError) as caught:
        unixsocket.listen(path)
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.filename == path


def test_another_file_is_not_replaced(short_dir: Path) -> None:
    path = short_dir / "a"
    path.write_text("precious")
    with pytest.raises(OSError) as caught:
        unixsocket.listen(str(path))
    assert caught.value.errno == errno.EEXIST
    assert path.read_text() == "precious"


def test_errors_name_the_path(short_dir: Path) -> None:
    path = str(short_dir / "missing")
    with pytest.raises(FileNotFoundError) as caught:
        asyncio.run(unixsocket.connect(path))
    assert caught.value.filename == path
    with pytest.raises(FileNotFoundError):
        unixsocket.listen(str(short_dir / "no" / "such"))


def test_connecting_waits_for_room_in_the_backlog(short_dir: Path) -> None:
    path = str(short_dir / "a")

    async def main() -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(0)
        clients = [asyncio.ensure_future(unixsocket.connect(path)) for _ in range(3)]
        await asyncio.sleep(0.03)
        assert not all(client.done() for client in clients)
        accepted = []
        for _ in clients:
            accepted.append(listener.accept()[0])
            await asyncio.sleep(0.03)
        for client in await asyncio.wait_for(asyncio.gather(*clients), 2):
            client.close()
        for each in accepted:
            each.close()
        listener.close()

    asyncio.run(main())
