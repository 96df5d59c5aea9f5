"""A whole daemon, driven as a user drives it: flags, signals, control socket."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackfield.daemon.pidfile import holder
from jackfield.daemon.unixctl import call, find_target

PROGRAM = """
import asyncio, sys
from jackfield.daemon.options import take_options
from jackfield.daemon.service import run

async def work(service):
    if "--fail" in rest:
        raise OSError(98, "Address already in use", "br0.mgmt")
    if "--bug" in rest:
        raise KeyError("defect")
    async def stall(arguments):
        import time
        time.sleep(0.08)
        return ""
    service.commands.register("stall", "", 0, 0, stall)
    def stray(arguments):
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        return ""
    service.commands.register("stray", "", 0, 0, stray)
    service.ready()
    await service.stopping()
    await asyncio.sleep(0.1)
    open(service.options.program + ".undone", "w").close()
    print("cleanup", service.cleanup, flush=True)

options, rest = take_options("testd", sys.argv[1:])
sys.exit(run(options, "testd (Jackfield) 1.0", work))
"""


class Daemon:
    """Starts the program in a run directory of its own."""

    def __init__(self, python: str, directory: Path) -> None:
        self.directory = directory
        self.script = directory / "program.py"
        self.script.write_text(PROGRAM)
        self.command = [python, str(self.script)]
        self.environment = {**os.environ, "OVS_RUNDIR": str(directory), "OVS_LOGDIR": str(directory)}

    def launch(self, *flags: str) -> subprocess.CompletedProcess[str]:
        command = [*self.command, "--detach", "--no-chdir", "--pidfile", "--log-file", *flags]
        return subprocess.run(
            command, cwd=self.directory, env=self.environment, capture_output=True, text=True, timeout=20
        )

    def popen(self, *flags: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *flags],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int | None:
        return holder(str(self.directory / "testd.pid"))

    def call(self, command: str, *arguments: str) -> str:
        return call(find_target("testd", self.directory), command, list(arguments))

    def wait_gone(self) -> None:
        limit = time.monotonic() + 5
        while self.pid is not None:
            assert time.monotonic() < limit
            time.sleep(0.01)


@pytest.fixture
def daemon(python: str, short_dir: Path) -> Iterator[Daemon]:
    made = Daemon(python, short_dir)
    yield made
    if made.pid is not None:
        os.kill(made.pid, signal.SIGKILL)


def test_detached_it_serves_and_leaves_nothing_behind(daemon: Daemon) -> None:
    launched = daemon.launch()
    assert (launched.returncode, launched.stdout, launched.stderr) == (0, "", "")
    assert daemon.pid is not None
    assert (daemon.directory / f"testd.{daemon.pid}.ctl").is_socket()
    assert daemon.call("version") == "testd (Jackfield) 1.0\n"
    assert re.search(r"maxrss_kb:\d+", daemon.call("memory/show"))
    assert "unixctl_received" in daemon.call("coverage/show")
    assert daemon.call("exit", "--cleanup") == ""
    # Whoever asked for the end hears of it when everything is undone.
    assert (daemon.directory / "testd.undone").exists()
    daemon.wait_gone()
    assert sorted(path.name for path in daemon.directory.iterdir()) == ["program.py", "testd.log", "testd.undone"]
    for line in (daemon.directory / "testd.log").read_text().splitlines():
        assert re.fullmatch(r"[-\d]+T[:\d]+\.\d{3}Z\|\d{5}\|\w+\|(INFO|DBG)\|.*", line)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_within_a_second(daemon: Daemon, number: signal.Signals) -> None:
    daemon.launch()
    assert daemon.pid is not None
    started = time.monotonic()
    os.kill(daemon.pid, number)
    daemon.wait_gone()
    assert time.monotonic() - started < 1
    assert not list(daemon.directory.glob("*.ctl"))


def test_a_hangup_opens_the_log_again(daemon: Daemon) -> None:
    daemon.launch()
    log = daemon.directory / "testd.log"
    log.rename(daemon.directory / "testd.log.1")
    assert daemon.pid is not None
    os.kill(daemon.pid, signal.SIGHUP)
    limit = time.monotonic() + 5
    while not log.exists() and time.monotonic() < limit:
        time.sleep(0.01)
    assert "opened log file" in log.read_text()


@pytest.mark.parametrize(
    ("flag", "cause"), [("--fail", "br0.mgmt: Address already in use"), ("--bug", "KeyError: 'defect'")]
)
def test_a_failure_at_the_start_is_told_on_standard_error(daemon: Daemon, flag: str, cause: str) -> None:
    launched = daemon.launch(flag)
    assert launched.returncode == 1
    assert cause in launched.stderr
    assert cause in (daemon.directory / "testd.log").read_text()
    assert daemon.pid is None
    assert not list(daemon.directory.glob("*.ctl"))


def test_flags_that_cannot_be_used_are_told_in_one_line(daemon: Daemon) -> None:
    assert daemon.launch("-vnonsense").stderr == 'testd: no destination, level, or module "nonsense"\n'
    launched = daemon.launch("--log-file=/nonexistent/x.log")
    assert launched.returncode == 1
    assert launched.stderr == "testd: /nonexistent/x.log: No such file or directory\n"


def test_an_error_that_nobody_catches_is_logged_and_the_daemon_lives_on(daemon: Daemon) -> None:
    daemon.launch()
    assert daemon.call("stray") == ""
    assert daemon.call("version") == "testd (Jackfield) 1.0\n"
    assert "ZeroDivisionError" in (daemon.directory / "testd.log").read_text()


def test_in_the_foreground_with_a_named_socket(daemon: Daemon) -> None:
    process = daemon.popen("--unixctl=named.ctl")
    path = daemon.directory / "named.ctl"
    limit = time.monotonic() + 10
    while not path.exists() and time.monotonic() < limit:
        time.sleep(0.01)
    assert call(path, "exit") == ""
    out, err = process.communicate(timeout=5)
    assert (process.returncode, out) == (0, "cleanup False\n")
    assert "|WARN|" not in err
    assert "|ERR|" not in err


def test_a_stall_shows_in_the_reported_lag(daemon: Daemon) -> None:
    daemon.launch()
    daemon.call("loop/lag", "reset")
    daemon.call("stall")
    found = re.search(r"max:([\d.]+)ms", daemon.call("loop/lag"))
    assert found is not None
    assert 80 <= float(found.group(1)) < 1000


def test_an_idle_daemon_uses_no_processor(daemon: Daemon) -> None:
    daemon.launch()

    def used() -> int:
        fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    time.sleep(0.2)
    before = used()
    time.sleep(1)
    assert used() - before <= 1


@pytest.mark.skipif(shutil.which("ovs-appctl") is None, reason="ovs-appctl is not installed")
def test_stock_ovs_appctl_finds_it_by_its_pidfile(daemon: Daemon) -> None:
    daemon.launch()

    def appctl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ovs-appctl", "-t", "testd", *arguments]
        return subprocess.run(command, env=daemon.environment, capture_output=True, text=True, timeout=10)

    assert appctl("version").stdout == "testd (Jackfield) 1.0\n"
    assert appctl("vlog/set", "ANY:file:dbg").returncode == 0
    assert re.search(r"^unixctl +WARN +INFO +DBG$", appctl("vlog/list").stdout, re.MULTILINE)
    assert appctl("time/stop").returncode == 0
    assert appctl("time/warp", "1000", "100").stdout == "warped\n"
    assert appctl("nope").returncode == 2
    assert appctl("exit").returncode == 0
    daemon.wait_gone()
