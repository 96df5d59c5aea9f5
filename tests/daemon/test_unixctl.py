"""The control socket, with our client, raw bytes and the stock ovs-appctl."""

import asyncio
import errno
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jackfield.clock import Clock
from jackfield.daemon import unixctl
from jackfield.daemon.pidfile import Pidfile
from jackfield.daemon.unixctl import Commands, UnixctlServer, call
from jackfield.errors import ProtocolError, refuse


@pytest.fixture
def commands() -> Commands:
    commands = Commands()

    async def slow(arguments: list[str]) -> str:
        await asyncio.sleep(0.02)
        return "slow"

    def fail(arguments: list[str]) -> str:
        raise {"value": ValueError("bad flow"), "os": refuse(errno.ENODEV, "no br9"), "bug": KeyError("k")}[
            arguments[0]
        ]

    commands.register("echo", "[text]...", 0, None, " ".join)
    commands.register("slow", "", 0, 0, slow)
    commands.register("fail", "how", 1, 1, fail)
    commands.register("big", "", 0, 0, lambda arguments: "x" * 3_000_000)
    return commands


def serving(short_dir: Path, commands: Commands, body: Callable[[str], Awaitable[None]]) -> None:
    async def main() -> None:
        server = UnixctlServer(short_dir / "x.ctl", commands, Clock())
        await server.start()
        try:
            await body(server.path)
        finally:
            await server.close()
        assert not (short_dir / "x.ctl").exists()

    asyncio.run(main())


def test_our_client(short_dir: Path, commands: Commands, caplog: pytest.LogCaptureFixture) -> None:
    async def body(path: str) -> None:
        assert await asyncio.to_thread(call, path, "echo", ["a", "ü"]) == "a ü\n"
        assert await asyncio.to_thread(call, path, "echo") == ""
        assert await asyncio.to_thread(call, path, "slow") == "slow\n"
        assert len(await asyncio.to_thread(call, path, "big")) == 3_000_001
        for command, arguments, refusal in [
            ("nope", [], '"nope" is not a valid command (use "list-commands" to see a list of valid commands)'),
            ("slow", ["x"], '"slow" command takes at most 0 arguments'),
            ("fail", [], '"fail" command requires at least 1 arguments'),
            ("fail", ["value"], "bad flow"),
            ("fail", ["os"], "no br9 (No such device)"),
            ("fail", ["bug"], "internal error: 'k'"),
        ]:
            with pytest.raises(ValueError) as caught:
                await asyncio.to_thread(call, path, command, arguments)
            assert str(caught.value) == refusal

    serving(short_dir, commands, body)
    assert "command fail failed" in caplog.text


def test_requests_of_one_connection_are_answered_in_order(short_dir: Path, commands: Commands) -> None:
    async def body(path: str) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        for number, name in enumerate(["slow", "echo", "slow", "echo"]):
            writer.write(json.dumps({"id": number, "method": name, "params": []}).encode())
        answers = b""
        while answers.count(b"}") < 4:
            answers += await asyncio.wait_for(reader.read(1000), 5)
        decoded = json.loads("[" + answers.decode().replace("}{", "},{") + "]")
        assert [answer["id"] for answer in decoded] == [0, 1, 2, 3]
        assert decoded[0] == {"id": 0, "result": "slow\n", "error": None}
        writer.close()

    serving(short_dir, commands, body)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.0\r\n\r\n", b"[]", b'{"method": "echo"}', b'{"method": "echo", "params": [1]}', b"[" * 5000]
)
def test_what_is_no_request_ends_its_connection_only(short_dir: Path, commands: Commands, data: bytes) -> None:
    async def body(path: str) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(data)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert await asyncio.to_thread(call, path, "echo", ["alive"]) == "alive\n"

    serving(short_dir, commands, body)


def test_a_client_that_leaves_before_the_answer_disturbs_nobody(
    short_dir: Path, commands: Commands, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(path: str) -> None:
        for _ in range(5):
            _, writer = await asyncio.open_unix_connection(path)
            writer.write(b'{"id": 1, "method": "slow", "params": []}' * 3)
            await asyncio.sleep(0.005)
            writer.close()
        assert await asyncio.to_thread(call, path, "slow") == "slow\n"

    serving(short_dir, commands, body)
    assert "failed" not in caplog.text


def test_a_name_is_registered_once_and_listed_in_order(commands: Commands) -> None:
    with pytest.raises(OSError) as caught:
        commands.register("echo", "", 0, 0, lambda arguments: "")
    assert caught.value.errno == errno.EEXIST
    assert commands.list_commands() == (
        "The available commands are:\n"
        "  big                     \n"
        "  echo                    [text]...\n"
        "  fail                    how\n"
        "  slow                    \n"
    )
    commands.unregister("big")
    commands.unregister("big")
    assert "big" not in commands.list_commands()


def test_a_daemon_that_says_nothing_or_nonsense(short_dir: Path) -> None:
    path = str(short_dir / "a")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    with pytest.raises(TimeoutError):
        call(path, "version", timeout=0.05)
    listener.close()
    with pytest.raises(ConnectionRefusedError):
        call(path, "version")


@pytest.mark.parametrize("answer", [b"[1]", b"{}", b"oops"])
def test_an_answer_that_is_none(short_dir: Path, answer: bytes) -> None:
    async def main() -> None:
        async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(answer)
            writer.close()

        server = await asyncio.start_unix_server(reply, short_dir / "a")
        with pytest.raises(ProtocolError):
            await asyncio.to_thread(call, short_dir / "a", "version")
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_targets(short_dir: Path, python: str) -> None:
    assert unixctl.find_target("/a/b.ctl") == Path("/a/b.ctl")
    with pytest.raises(FileNotFoundError, match="not running"):
        unixctl.find_target("ovs-vswitchd", short_dir)
    held = Pidfile.create(str(short_dir / "ovs-vswitchd.pid"))
    code = (
        "import sys, pathlib; from jackfield.daemon.unixctl import find_target;"
        "print(find_target('ovs-vswitchd', pathlib.Path(sys.argv[1])))"
    )
    shown = subprocess.run([python, "-c", code, str(short_dir)], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(short_dir / f"ovs-vswitchd.{os.getpid()}.ctl")
    held.remove()


@pytest.mark.skipif(shutil.which("ovs-appctl") is None, reason="ovs-appctl is not installed")
def test_stock_ovs_appctl(short_dir: Path, commands: Commands) -> None:
    async def appctl(path: str, *arguments: str) -> tuple[int | None, str, str]:
        process = await asyncio.create_subprocess_exec(
            "ovs-appctl", "-t", path, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def body(path: str) -> None:
        assert await appctl(path, "echo", "a", "b c") == (0, "a b c\n", "")
        assert await appctl(path, "slow") == (0, "slow\n", "")
        status, out, err = await appctl(path, "fail", "value")
        assert (status, out) == (2, "")
        assert err == f"bad flow\novs-appctl: {path}: server returned an error\n"
        status, out, _ = await appctl(path, "big")
        assert (status, len(out)) == (0, 3_000_001)

    serving(short_dir, commands, body)
