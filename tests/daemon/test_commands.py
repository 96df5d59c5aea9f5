"""The commands every daemon has."""

import asyncio
import re
from pathlib import Path

import pytest

from jackfield import log
from jackfield.clock import Clock
from jackfield.daemon import commands as common
from jackfield.daemon.coverage import Coverage, MemoryReport
from jackfield.daemon.lag import LagMonitor
from jackfield.daemon.unixctl import Commands


class Daemon:
    """All common commands over parts that the tests look into."""

    def __init__(self) -> None:
        self.commands = Commands()
        self.clock = Clock()
        self.coverage = Coverage()
        self.memory = MemoryReport()
        self.lag = LagMonitor()
        self.exits: list[bool] = []
        common.register_common(self.commands, "prog (Jackfield) 1", self.exit)
        common.register_log(self.commands)
        common.register_reports(self.commands, self.coverage, self.memory)
        common.register_time(self.commands, self.clock)
        common.register_lag(self.commands, self.lag)

    async def exit(self, cleanup: bool) -> None:
        self.exits.append(cleanup)

    def run(self, name: str, *arguments: str) -> str:
        return asyncio.run(self.commands.run(name, list(arguments)))


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


def test_version_and_list(daemon: Daemon) -> None:
    assert daemon.run("version") == "prog (Jackfield) 1"
    assert "  vlog/set                {spec | PATTERN:destination:pattern}\n" in daemon.run("list-commands")


def test_exit(daemon: Daemon) -> None:
    assert daemon.run("exit") == ""
    assert daemon.run("exit", "--cleanup") == ""
    with pytest.raises(ValueError, match="takes only --cleanup"):
        daemon.run("exit", "now")
    assert daemon.exits == [False, True]


def test_vlog(daemon: Daemon, tmp_path: Path) -> None:
    log.configure("prog", console=log.OFF, syslog=log.OFF)
    with pytest.raises(ValueError, match="not configured"):
        daemon.run("vlog/reopen")
    log.sink().open_file(str(tmp_path / "x.log"))
    (tmp_path / "x.log").rename(tmp_path / "old")
    daemon.run("vlog/reopen")
    assert (tmp_path / "x.log").exists()
    daemon.run("vlog/set", "unixctl:file:err", "unixctl:console:warn")
    assert re.search(r"^unixctl +WARN +OFF +ERR$", daemon.run("vlog/list"), re.MULTILINE)
    daemon.run("vlog/set")
    assert "FILE" in daemon.run("vlog/list-pattern")
    daemon.run("vlog/close")
    log.get_logger("unixctl").error("unseen")
    assert "unseen" not in (tmp_path / "x.log").read_text()


def test_reports(daemon: Daemon) -> None:
    daemon.coverage.counter("flow_extract").count = 7
    daemon.memory.register(lambda: {"ports": 2})
    assert "total: 7" in daemon.run("coverage/show")
    assert daemon.run("coverage/read-counter", "flow_extract") == "7"
    assert daemon.run("memory/show") == "ports:2\n"


def test_time(daemon: Daemon) -> None:
    assert daemon.run("time/stop") == ""
    before = daemon.clock.now()
    ran: list[int] = []
    daemon.clock.call_later(150, lambda: ran.append(daemon.clock.now()))
    assert daemon.run("time/warp", "200", "50") == "warped"
    assert daemon.run("time/warp", "1000") == "warped"
    assert daemon.clock.now() == before + 1200
    assert ran == [before + 150]


@pytest.mark.parametrize("arguments", [["x"], ["-5"], ["0"], ["10", "20"], ["9" * 30]])
def test_warps_that_make_no_sense(daemon: Daemon, arguments: list[str]) -> None:
    with pytest.raises(ValueError):
        daemon.run("time/warp", *arguments)


def test_lag(daemon: Daemon) -> None:
    daemon.lag.add(60_000_000)
    assert daemon.run("loop/lag", "reset").startswith("passes:1 max:60.000ms")
    assert daemon.run("loop/lag").startswith("passes:0 max:0.000ms")
    with pytest.raises(ValueError, match="takes only reset"):
        daemon.run("loop/lag", "now")
