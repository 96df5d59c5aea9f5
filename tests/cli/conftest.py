"""A running switch for the verbs, without root: its packets come from a file."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from jackfield.cli.main import main
from jackfield.netdev.pcapfile import PcapWriter

PACKET = bytes.fromhex("02000000990202000000990108004500001c000000004001000a0a6300010a6300020800f7ff00000000")
PACKETS = 5


@dataclass(frozen=True)
class Done:
    """What a command has done."""

    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """Stands in for a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def run_main(*arguments: str, stdout: io.StringIO | None = None) -> Done:
    """Run the `jackfield` command in this process."""
    out, err = stdout or io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["jackfield", *arguments]
    code: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = before
    return Done(int(str(code or 0)), out.getvalue(), err.getvalue())


Run = Callable[..., Done]


@dataclass(frozen=True)
class Switch:
    """A running `jackfield up`: the ports "out" (1) and "in" (2), from which five packets came, and a missing one."""

    rundir: Path
    bridge: str
    process: subprocess.Popen[bytes]

    def __call__(self, *arguments: str, stdout: io.StringIO | None = None) -> Done:
        return run_main("--rundir", str(self.rundir), *arguments, stdout=stdout)


def start_switch(folder: Path, bridge: str, *arguments: str, output: Path) -> subprocess.Popen[bytes]:
    """Start a switch and wait until it is there."""
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jackfield", "--rundir", str(folder), "up", "--bridge", bridge, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + 110
    while " runs with " not in output.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise RuntimeError(output.read_text())
        time.sleep(0.02)
    return process


def end_switch(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
    """End a switch; its exit status."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        return process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@pytest.fixture(scope="session")
def _running() -> Iterator[Switch]:
    with tempfile.TemporaryDirectory(prefix="jf", dir="/tmp") as name:
        folder = Path(name)
        with PcapWriter(str(folder / "in.pcap")) as writer:
            for number in range(PACKETS):
                writer.write(PACKET, number)
        bridge = f"jfcli{os.getpid() % 100000}"
        ports = ["out,type=null", f"in,type=pcap,rx_pcap={folder / 'in.pcap'}", "gone,type=nonsense"]
        words = [word for port in ports for word in ("--port", port)]
        process = start_switch(folder / "run", bridge, *words, output=folder / "log")
        try:
            yield Switch(folder / "run", bridge, process)
        finally:
            end_switch(process)


@pytest.fixture
def switch(_running: Switch) -> Switch:
    """The switch, its flows as after the start."""
    assert _running("del-flows").code == 0
    assert _running("add-flow", "priority=0,actions=NORMAL").code == 0
    return _running


@pytest.fixture
def jackfield() -> Run:
    """Runs the `jackfield` command."""
    return run_main
