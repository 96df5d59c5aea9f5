"""OpenFlow peers of a switch, written on the bytes alone so that they judge the codec: well-behaved and not."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, FEATURES_REQUEST, FEATURES_REPLY = 0, 1, 2, 3, 5, 6
SET_CONFIG, PACKET_IN, FLOW_REMOVED, PORT_STATUS, PACKET_OUT, FLOW_MOD = 9, 10, 11, 12, 13, 14
ROLE_REQUEST_13, ROLE_REPLY_13 = 24, 25
BARRIER = {1: 18, 4: 20}

Message = tuple[int, int, int, bytes]
"""Version, type, xid and body."""


class Peer:
    """One OpenFlow connection, seen from the controller's side; a context manager.

    Args:
        connection: a connected stream.
        version: of the hello and of what is sent; the switch must agree to it.
        greet: whether to say hello at once and wait for the switch's.
    """

    def __init__(self, connection: socket.socket, version: int = 4, *, greet: bool = True) -> None:
        self.socket = connection
        self.socket.settimeout(10)
        self.version = version
        self._buffer = b""
        self._xid = 1000
        if greet:
            self.send(HELLO)
            kind = self.receive()[1]
            if kind != HELLO:
                raise RuntimeError(f"the switch's first message is of type {kind}")

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def send(self, kind: int, body: bytes = b"", version: int | None = None, length: int | None = None) -> int:
        """Send a message; its xid. `length` lies about its length."""
        self._xid += 1
        header = struct.pack(
            ">BBHI", self.version if version is None else version, kind, length or 8 + len(body), self._xid
        )
        self.socket.sendall(header + body)
        return self._xid

    def receive(self) -> Message:
        """The next message, echo requests answered.

        Raises:
            EOFError: the switch has closed the connection.
            TimeoutError: nothing came for ten seconds.
        """
        while True:
            if len(self._buffer) >= 8:
                version, kind, length, xid = struct.unpack_from(">BBHI", self._buffer)
                if len(self._buffer) >= length:
                    body, self._buffer = self._buffer[8:length], self._buffer[length:]
                    if kind != ECHO_REQUEST:
                        return version, kind, xid, body
                    self.socket.sendall(struct.pack(">BBHI", version, ECHO_REPLY, 8 + len(body), xid) + body)
                    continue
            data = self.socket.recv(1 << 16)
            if not data:
                raise EOFError("the switch closed the connection")
            self._buffer += data

    def answer(self, xid: int) -> Message:
        """The answer to a request, whatever else comes before it."""
        while True:
            message = self.receive()
            if message[2] == xid:
                return message

    def error(self, kind: int, body: bytes = b"", version: int | None = None) -> tuple[int, int]:
        """Send something wrong; type and code of the error that answers it."""
        answer = self.answer(self.send(kind, body, version))
        if answer[1] != ERROR:
            raise AssertionError(f"answered by a message of type {answer[1]}")
        error: tuple[int, int] = struct.unpack_from(">HH", answer[3])
        return error

    def barrier(self) -> None:
        """Wait until everything sent has been done.

        Raises:
            RuntimeError: the switch answered with an error.
        """
        number = BARRIER[self.version]
        xid = self.send(number)
        while True:
            _, kind, got, body = self.receive()
            if kind == ERROR:
                raise RuntimeError(f"the switch refused: type and code {struct.unpack_from('>HH', body)}")
            if got == xid:
                return


def dial(path: Path, version: int = 4, *, greet: bool = True) -> Peer:
    """Connect to a management socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(str(path))
    return Peer(connection, version, greet=greet)


class Listener:
    """Where a switch's controller connection is awaited.

    Attributes:
        target: what to give to `--controller`.
    """

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.settimeout(15)
        self.port: int = self._socket.getsockname()[1]
        self.target = f"tcp:127.0.0.1:{self.port}"

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def accept(self) -> socket.socket:
        """Wait for the switch."""
        return self._socket.accept()[0]

    def peer(self, version: int = 4) -> Peer:
        """Wait for the switch, greet it, and ask for its features as controllers do."""
        peer = Peer(self.accept(), version)
        peer.answer(peer.send(FEATURES_REQUEST))
        return peer


def _garbage(connection: socket.socket, chance: random.Random) -> None:
    connection.sendall(struct.pack(">BBHI", 4, HELLO, 8, 1))
    for _ in range(50):
        body = chance.randbytes(chance.randrange(64))
        connection.sendall(struct.pack(">BBHI", 4, chance.randrange(40), 8 + len(body), 7) + body)
    connection.sendall(chance.randbytes(2000))
    connection.recv(1 << 16)


def _noise(connection: socket.socket, chance: random.Random) -> None:
    connection.sendall(chance.randbytes(chance.randrange(1, 3000)))
    connection.recv(1 << 16)


def _vanish(connection: socket.socket, chance: random.Random) -> None:
    # A reset rather than an orderly end.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if chance.random() < 0.5:
        connection.sendall(struct.pack(">BBHI", 4, HELLO, 8, 1)[: chance.randrange(1, 9)])


def _stall(connection: socket.socket, chance: random.Random) -> None:
    connection.sendall(struct.pack(">BBHI", 4, HELLO, 8, 1) + struct.pack(">BBHI", 4, FEATURES_REQUEST, 8, 2))
    # Wants everything the switch has, and reads none of it.
    with contextlib.suppress(OSError):
        for _ in range(2000):
            connection.sendall(struct.pack(">BBHIHHI", 4, 18, 16, 3, 4, 0, 0) * 50)


BEHAVIOURS = {"garbage": _garbage, "noise": _noise, "vanish": _vanish, "stall": _stall}


@contextlib.contextmanager
def misbehaving(behaviour: str) -> Iterator[str]:
    """A controller that misbehaves on each connection, in a thread; gives its target."""
    chance = random.Random(behaviour)
    server = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    kept: list[socket.socket] = []

    def serve() -> None:
        while not over.is_set():
            try:
                connection = server.accept()[0]
            except OSError:
                return
            connection.settimeout(1)
            kept.append(connection)
            with contextlib.suppress(OSError):
                BEHAVIOURS[behaviour](connection, chance)
            if behaviour != "stall":
                connection.close()

    thread = threading.Thread(target=serve, name=behaviour)
    thread.start()
    try:
        yield f"tcp:127.0.0.1:{server.getsockname()[1]}"
    finally:
        over.set()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
        for connection in kept:
            connection.close()


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def flow_mod_13(
    *,
    table: int = 0,
    command: int = 0,
    priority: int = 0x8000,
    match: bytes = b"",
    instructions: bytes = b"",
    flags: int = 0,
    cookie: int = 0,
    idle: int = 0,
    hard: int = 0,
) -> bytes:
    """The body of an OpenFlow 1.3 flow-mod; `match` is a list of OXM fields (OpenFlow 1.3.5 section 7.3.4.1)."""
    length = 4 + len(match)
    padded = struct.pack(">HH", 1, length) + match + bytes(-length % 8)
    return (
        struct.pack(
            ">QQBBHHHIIIH2x", cookie, 0, table, command, idle, hard, priority, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, flags
        )
        + padded
        + instructions
    )


def apply_output_13(port: int) -> bytes:
    """An apply-actions instruction that outputs to a port (OpenFlow 1.3.5 sections 7.2.4 and 7.2.5)."""
    return struct.pack(">HH4xHHIH6x", 4, 24, 0, 16, port, 0xFFFF)


def osken_command(port: int, application: str = "os_ken.app.simple_switch_13") -> list[str]:
    """The command that runs an os-ken application on a TCP port of this machine.

    Raises:
        FileNotFoundError: its environment has not been made; `./run test` does.
    """
    root = Path(__file__).parents[1]
    python = root / ".venv-osken" / "bin" / "python"
    if not os.access(python, os.X_OK):
        raise FileNotFoundError(f"{python} is not there")
    where = ["--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", str(port)]
    return [str(python), str(root / "tests" / "osken_manager.py"), *where, application]
