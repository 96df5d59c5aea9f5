r"""The control socket, as ovs-appctl(8) speaks to it: JSON-RPC 1.0 over a Unix socket.

    -> {"id": 0, "method": "version", "params": []}
    <- {"id": 0, "result": "text\n", "error": null}

A command's handler takes its arguments as strings and returns the text to print (a coroutine may come back later; the
requests of one connection are answered in order, those of others meanwhile). It refuses by raising `ValueError` or
`OSError`, whose text is the answer's error. A newline is added where one is missing. What is not a request ends the
connection; the daemon lives on.
"""

import asyncio
import errno
import inspect
import json
import os
import weakref
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jackfield.clock import Clock, spawn
from jackfield.daemon import paths
from jackfield.daemon.coverage import COVERAGE
from jackfield.daemon.pidfile import holder
from jackfield.errors import ProtocolError, describe, refuse
from jackfield.io import unixsocket
from jackfield.io.address import Address
from jackfield.io.jsonstream import JsonSplitter
from jackfield.io.passive import Listener
from jackfield.io.stream import Stream
from jackfield.log import get_logger

log = get_logger("unixctl")

Handler = Callable[[list[str]], str | Awaitable[str]]

_REQUEST_LIMIT: Final = 1024 * 1024
_CLOSE_TIMEOUT: Final = 0.5  # seconds
_received = COVERAGE.counter("unixctl_received")
_replied = COVERAGE.counter("unixctl_replied")


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: as typed, like "fdb/show".
        usage: its arguments in words, for `list-commands`.
        least: the fewest arguments.
        most: the most arguments; None is any number.
        handler: takes the arguments, returns the text.
    """

    name: str
    usage: str
    least: int
    most: int | None
    handler: Handler


class Commands:
    """The commands of a daemon."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def register(self, name: str, usage: str, least: int, most: int | None, handler: Handler) -> None:
        """Add a command.

        Raises:
            OSError: EEXIST when the name is taken.
        """
        if name in self._commands:
            raise refuse(errno.EEXIST, f"command {name} is registered already")
        self._commands[name] = Command(name, usage, least, most, handler)

    def unregister(self, name: str) -> None:
        """Remove a command; does nothing when there is none of that name."""
        self._commands.pop(name, None)

    def list_commands(self) -> str:
        """The text of `list-commands`."""
        lines = [f"  {each.name:<23} {each.usage}" for _, each in sorted(self._commands.items())]
        return "\n".join(["The available commands are:", *lines]) + "\n"

    async def run(self, name: str, arguments: list[str]) -> str:
        """Run a command and return its text.

        Raises:
            ValueError: no such command, too few or too many arguments, or the command's own refusal.
            OSError: the command's own refusal.
        """
        command = self._commands.get(name)
        if command is None:
            raise ValueError(f'"{name}" is not a valid command (use "list-commands" to see a list of valid commands)')
        if len(arguments) < command.least:
            raise ValueError(f'"{name}" command requires at least {command.least} arguments')
        if command.most is not None and len(arguments) > command.most:
            raise ValueError(f'"{name}" command takes at most {command.most} arguments')
        answer = command.handler(arguments)
        return await answer if inspect.isawaitable(answer) else answer


class _Connection:
    """The protocol of one connection: requests in, answers out, in order."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._splitter = JsonSplitter(_REQUEST_LIMIT)
        self._waiting: list[tuple[object, str, list[str]]] = []
        self.working: asyncio.Task[None] | None = None
        self._stream: Stream | None = None

    def opened(self, stream: Stream) -> None:
        self._stream = stream

    def received(self, data: bytes, now: int) -> None:
        for value in self._splitter.feed(data):
            self._waiting.append(_request(value))
            _received.count += 1
        if self._waiting and self.working is None:
            self.working = spawn(self._answer_all(), name="unixctl")

    def closed(self, error: Exception | None) -> None:
        self._waiting.clear()
        self._stream = None

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                identity, name, arguments = self._waiting.pop(0)
                log.debug("received request %s%s, id=%s", name, arguments, identity)
                result, error = await self._answer(name, arguments)
                if self._stream is not None:
                    reply = {"id": identity, "result": result, "error": error}
                    self._stream.send(json.dumps(reply).encode())
                    _replied.count += 1
        finally:
            self.working = None

    async def _answer(self, name: str, arguments: list[str]) -> tuple[str | None, str | None]:
        try:
            return _line(await self._commands.run(name, arguments)), None
        except (ValueError, OSError) as error:
            return None, _line(describe(error))
        except Exception as error:
            log.exception("command %s failed", name)
            return None, _line(f"internal error: {describe(error)}")


def _line(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"


def _request(value: object) -> tuple[object, str, list[str]]:
    if isinstance(value, dict):
        method, params = value.get("method"), value.get("params")
        if isinstance(method, str) and isinstance(params, list) and all(isinstance(each, str) for each in params):
            return value.get("id"), method, params
    raise ProtocolError("not a request: expected an object with a method and a list of strings as params")


class UnixctlServer:
    """The control socket of a daemon.

    Args:
        path: its file name.
        commands: what it serves.
        clock: the daemon's clock.
    """

    def __init__(self, path: str | Path, commands: Commands, clock: Clock) -> None:
        self.path = str(path)
        self._commands = commands
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._listener = Listener(Address("unix", passive=True, path=self.path), self._accept, clock)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the socket cannot be made.
        """
        await self._listener.start()

    async def close(self) -> None:
        """Let answers that are nearly there leave, then end all connections and remove the socket file."""
        working = [each.working for each in self._connections if each.working is not None]
        if working:
            await asyncio.wait(working, timeout=_CLOSE_TIMEOUT)
        await self._listener.close()

    def _accept(self) -> _Connection:
        connection = _Connection(self._commands)
        self._connections.add(connection)
        return connection


def default_path(program: str, rundir: Path | None = None) -> Path:
    """Where the running process, as `program`, puts its control socket."""
    return (rundir or paths.rundir()) / f"{program}.{os.getpid()}.ctl"


def find_target(target: str, rundir: Path | None = None) -> Path:
    """The control socket that `ovs-appctl -t TARGET` would use.

    Args:
        target: the absolute path of a socket, or the name of a daemon.
        rundir: where to look for a daemon's pidfile.

    Raises:
        OSError: ENOENT when no such daemon is running.
    """
    if target.startswith("/"):
        return Path(target)
    directory = rundir or paths.rundir()
    pid = holder(str(directory / f"{target}.pid"))
    if pid is None:
        raise refuse(errno.ENOENT, f"{directory / target}.pid: {target} is not running")
    return directory / f"{target}.{pid}.ctl"


def call(path: str | Path, command: str, arguments: list[str] | None = None, timeout: float = 30.0) -> str:
    """Run a command in a daemon and return its text; for programs without an event loop.

    Args:
        path: the daemon's control socket.
        command: the command's name.
        arguments: its arguments.
        timeout: seconds to wait for each step.

    Raises:
        ValueError: the daemon refused; the text says why.
        OSError: the daemon cannot be reached, or did not answer in time.
        ProtocolError: the answer is not one.
    """
    splitter = JsonSplitter()
    with unixsocket.connect_blocking(str(path), timeout) as sock:
        sock.sendall(json.dumps({"id": 0, "method": command, "params": arguments or []}).encode())
        while data := sock.recv(65536):
            for value in splitter.feed(data):
                return _result(value)
    raise refuse(errno.ECONNRESET, f"{path}: the daemon closed the connection without an answer")


def _result(value: object) -> str:
    if not isinstance(value, dict):
        raise ProtocolError("the answer is not an object")
    result, error = value.get("result"), value.get("error")
    if error is not None:
        raise ValueError(str(error).rstrip("\n"))
    if not isinstance(result, str):
        raise ProtocolError("the answer has neither a result nor an error")
    return result
