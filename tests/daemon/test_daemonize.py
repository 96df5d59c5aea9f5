"""Detaching and restarting, watched from outside."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jackfield.daemon.pidfile import holder

PROGRAM = """
import os, signal, sys, time
from jackfield.daemon import daemonize as module
from jackfield.daemon.daemonize import daemonize
module._RESTART_INTERVAL = 0.2
words = sys.argv[2:]
daemon = daemonize(
    detach="detach" in words, monitor="monitor" in words, pidfile=sys.argv[1], overwrite_pidfile="overwrite" in words
)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
loaded = [name for name in ("asyncio", "numba", "pyroute2", "numpy") if name in sys.modules]
with open(sys.argv[1] + ".starts", "a") as starts:
    print(os.getpid(), os.getsid(0) != os.getppid(), os.getcwd(), loaded, file=starts)
if "fail" in words:
    print("cannot go on", file=sys.stderr)
    sys.exit(3)
if "slow" in words:
    time.sleep(0.3)
print("before ready", file=sys.stderr, flush=True)
daemon.ready()
daemon.ready()
print("after ready", file=sys.stderr, flush=True)
signal.sigwait({signal.SIGTERM, signal.SIGUSR1})
daemon.end()
if "crash" in words:
    os.abort()
"""


def until(condition: Callable[[], object], timeout: float = 10.0) -> None:
    limit = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < limit, "it did not happen"
        time.sleep(0.01)


class Program:
    """Starts the program and knows its processes."""

    def __init__(self, python: str, directory: Path) -> None:
        self.python = python
        self.script = directory / "program.py"
        self.script.write_text(PROGRAM)
        self.pidfile = directory / "a.pid"

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [self.python, str(self.script), str(self.pidfile), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10)

    def popen(self, *words: str) -> subprocess.Popen[str]:
        command = [self.python, str(self.script), str(self.pidfile), *words]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int | None:
        return holder(str(self.pidfile))

    @property
    def starts(self) -> list[str]:
        path = Path(f"{self.pidfile}.starts")
        return path.read_text().splitlines() if path.exists() else []

    def parent(self) -> int:
        assert self.pid is not None
        return int(Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def program(python: str, tmp_path: Path) -> Iterator[Program]:
    made = Program(python, tmp_path)
    yield made
    for line in made.starts:
        pid = int(line.split()[0])
        try:
            if str(made.script) in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
        except FileNotFoundError:
            continue


def test_the_launcher_leaves_when_the_daemon_is_ready_and_prints_nothing_of_its_own(program: Program) -> None:
    started = time.monotonic()
    launched = program.start("detach", "slow")
    assert launched.returncode == 0
    assert time.monotonic() - started >= 0.3
    # Until it is ready, a daemon may still complain; afterwards it has let go of the terminal.
    assert (launched.stdout, launched.stderr) == ("", "before ready\n")
    assert program.pid is not None
    assert program.pidfile.read_text() == f"{program.pid}\n"
    assert program.starts == [f"{program.pid} True / []"]
    os.kill(program.pid, signal.SIGTERM)
    until(lambda: not program.pidfile.exists())


def test_a_daemon_that_fails_at_the_start_fails_its_launcher(program: Program) -> None:
    launched = program.start("detach", "fail")
    assert launched.returncode == 3
    assert launched.stderr == "cannot go on\n"
    assert program.pid is None


def test_a_second_daemon_is_refused(program: Program) -> None:
    program.start("detach")
    first = program.pid
    launched = program.start("detach")
    assert launched.returncode == 1
    assert "already running" in launched.stderr
    assert program.pid == first
    assert program.start("detach", "overwrite").returncode == 0
    assert program.pid not in (first, None)


@pytest.mark.parametrize("mode", [["detach", "monitor"], ["monitor"]])
def test_a_crash_is_followed_by_a_restart_under_the_same_monitor(program: Program, mode: list[str]) -> None:
    foreground = program.popen(*mode)
    until(lambda: program.pid)
    if "detach" in mode:
        assert foreground.wait(10) == 0
    first, monitor = program.pid, program.parent()
    assert first is not None
    assert monitor != first
    os.kill(first, signal.SIGSEGV)
    until(lambda: program.pid not in (first, None))
    assert program.parent() == monitor
    assert len(program.starts) == 2
    # SIGTERM to the monitor ends the daemon, in order, and then the monitor.
    time.sleep(0.1)
    os.kill(monitor, signal.SIGTERM)
    until(lambda: not program.pidfile.exists())
    if "detach" not in mode:
        assert foreground.wait(10) == 0
    until(lambda: not os.path.exists(f"/proc/{monitor}"))
    assert foreground.stderr is not None
    foreground.stderr.close()


def test_an_end_in_order_is_not_restarted(program: Program) -> None:
    foreground = program.popen("monitor")
    until(lambda: program.pid)
    time.sleep(0.1)
    assert program.pid is not None
    os.kill(program.pid, signal.SIGUSR1)
    assert foreground.wait(10) == 0
    assert len(program.starts) == 1
    assert foreground.stderr is not None
    foreground.stderr.close()


def test_a_monitor_is_small(program: Program) -> None:
    program.start("detach", "monitor")
    monitor = program.parent()
    status = Path(f"/proc/{monitor}/status").read_text()
    resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident < 40_000
    os.kill(monitor, signal.SIGTERM)
    until(lambda: program.pid is None)
