"""What `jackfield up` shows, of a switch on the dummy datapath."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackfield.cli.status import Status
from jackfield.clock import Clock
from jackfield.netdev.dummy import DummyNetdev
from jackfield.netdev.registry import find_netdev
from jackfield.vswitchd.bridge import Bridge
from jackfield.vswitchd.config import BridgeConfig, PortConfig
from tests.cli.conftest import PACKET, Terminal

CONFIG = BridgeConfig(
    "br0",
    (PortConfig("p1"), PortConfig("p2"), PortConfig("bad", "nonsense")),
    "dummy",
    0x12,
    ("tcp:127.0.0.1:1",),
)


@contextlib.asynccontextmanager
async def running(clock: Clock, folder: Path, config: BridgeConfig = CONFIG) -> AsyncIterator[Bridge]:
    bridge = Bridge(config, clock, folder, None)
    try:
        await bridge.start()
        yield bridge
    finally:
        await bridge.stop()


def receive(name: str, count: int) -> None:
    device = find_netdev(name)
    assert isinstance(device, DummyNetdev)
    for _ in range(count):
        device.receive(PACKET)


def test_lines(held_clock: Clock, short_dir: Path) -> None:
    async def look() -> None:
        async with running(held_clock, short_dir) as bridge:
            status = Status(bridge, short_dir, held_clock)
            lines = status.lines(80)
            assert lines[1].startswith("br0   datapath dummy   id 0000000000000012")
            names = [line.split()[1] for line in lines[5:8]]
            assert names == ["p1", "p2", "br0"]
            assert any(line.startswith("bad: unknown netdev type nonsense") for line in lines)
            assert any(line.startswith("controller tcp:127.0.0.1:1: ") for line in lines)
            assert max(map(len, lines)) <= 80

    asyncio.run(look())


def test_rates(held_clock: Clock, short_dir: Path) -> None:
    async def look() -> None:
        async with running(held_clock, short_dir) as bridge:
            status = Status(bridge, short_dir, held_clock)
            status.rows()
            receive("p1", 30)
            held_clock.advance(2_000)
            first, *_ = status.rows()
            assert (first["rx_packets"], first["rx_rate"]) == (30, 15)
            held_clock.advance(1_000)
            assert status.rows()[0]["rx_rate"] == 0

    asyncio.run(look())


def test_two_lines_where_there_is_no_terminal(
    held_clock: Clock, short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def show() -> None:
        async with running(held_clock, short_dir) as bridge:
            status = Status(bridge, short_dir, held_clock)
            status.start()
            held_clock.advance(5_000)
            status.stop()

    asyncio.run(show())
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"br0 runs with 3 ports; sockets are in {short_dir}"
    assert second.startswith(f"try: jackfield --rundir {short_dir} flows")


def test_display_on_a_terminal(held_clock: Clock, short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr("sys.stdout", terminal := Terminal())

    async def show() -> None:
        async with running(held_clock, short_dir) as bridge:
            status = Status(bridge, short_dir, held_clock)
            status.start()
            assert "received/s" in terminal.getvalue()
            receive("p1", 77)
            held_clock.advance(1_000)
            assert "77" in terminal.getvalue()
            status.stop()
            after = terminal.getvalue()
            held_clock.advance(5_000)
            assert terminal.getvalue() == after

    asyncio.run(show())


def test_terminal_that_goes_away(held_clock: Clock, short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Terminal):
        broken = False

        def write(self, text: str) -> int:
            if self.broken:
                raise OSError(5, "Input/output error")
            return super().write(text)

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", terminal := Gone())

    async def show() -> None:
        async with running(held_clock, short_dir) as bridge:
            status = Status(bridge, short_dir, held_clock)
            status.start()
            terminal.broken = True
            held_clock.advance(3_000)
            status.stop()
            terminal.broken = False

    asyncio.run(show())
