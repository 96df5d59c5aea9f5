"""`jackfield up`, as far as it goes without interfaces; tests/net has the rest."""

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jackfield.netdev.pcapfile import PcapWriter
from tests.cli.conftest import Run, Switch, end_switch, run_main, start_switch


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_it_and_nothing_is_left(number: int, short_dir: Path) -> None:
    rundir = short_dir / "a" / "run"
    process = start_switch(rundir, "jfup0", "--datapath", "dummy", output=short_dir / "log")
    assert stat.S_IMODE(rundir.stat().st_mode) & 0o022 == 0
    assert {path.suffix for path in rundir.iterdir()} == {".mgmt", ".snoop", ".ctl", ".pid"}
    assert end_switch(process, number) == 0
    assert list(rundir.iterdir()) == []


def test_hangup_is_ignored_under_nohup(short_dir: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start_switch(short_dir / "run", "jfup1", "--datapath", "dummy", output=short_dir / "log")
    finally:
        signal.signal(signal.SIGHUP, before)
    process.send_signal(signal.SIGHUP)
    assert run_main("--rundir", str(short_dir / "run"), "show").code == 0
    assert end_switch(process) == 0


def test_start_does_not_stall_the_loop(short_dir: Path) -> None:
    ports = [word for number in range(20) for word in ("--port", f"p{number},type=null")]
    process = start_switch(short_dir / "run", "jfup2", "--datapath", "dummy", *ports, output=short_dir / "log")
    try:
        from jackfield.cli.target import Target

        found = re.search(r"max:([\d.]+)ms", Target(str(short_dir / "run")).unixctl("loop/lag"))
        assert found is not None
        assert float(found.group(1)) < 50
    finally:
        end_switch(process)


def test_second_switch_in_the_same_run_directory(switch: Switch) -> None:
    done = switch("up", "--bridge", "other")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"jackfield: a switch is already running in {switch.rundir} (process ")
    assert done.err.count("\n") == 1
    assert switch("show").code == 0


def test_run_directory_as_an_option_of_the_verb(switch: Switch, tmp_path: Path, jackfield: Run) -> None:
    done = jackfield("--rundir", str(tmp_path), "up", "--rundir", str(switch.rundir))
    assert "already running" in done.err


@pytest.mark.parametrize(
    ("words", "token"),
    [
        (["--datapath", "foo"], "no datapath of type foo: expected one of dummy, netdev"),
        (["--controller", "foo:bar"], '"foo:bar" is not a connection'),
        (["--controller", "ssl:192.0.2.1"], "expected --private-key, --certificate and --ca-cert"),
        (["--bridge", "x", "--port", "x"], "x is named twice"),
        (["--fail-mode", "x"], "'x' is not one of"),
    ],
)
def test_refusals(words: list[str], token: str, tmp_path: Path, jackfield: Run) -> None:
    done = jackfield("--rundir", str(tmp_path / "run"), "up", *words)
    assert done.code in (1, 2)
    assert token in done.err
    assert done.err.count("\n") == 1


def test_run_directory_that_cannot_be(tmp_path: Path, jackfield: Run) -> None:
    (tmp_path / "file").touch()
    done = jackfield("--rundir", str(tmp_path / "file"), "up")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert str(tmp_path / "file") in done.err


def test_run_directory_of_somebody_else(tmp_path: Path, jackfield: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 4711)
    done = jackfield("--rundir", str(tmp_path), "up")
    assert done.code == 1
    assert "belongs to somebody else" in done.err


def test_socket_that_is_taken(short_dir: Path) -> None:
    """What fails after the loop has begun is one line, too, and nothing is left."""
    (short_dir / "br0.mgmt").touch()
    done = subprocess.run(
        [sys.executable, "-m", "jackfield", "--rundir", str(short_dir), "up", "--datapath", "dummy"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    assert "br0.mgmt" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert [path.name for path in short_dir.iterdir()] == ["br0.mgmt"]


def test_files_of_the_command_line_may_lie_anywhere(short_dir: Path) -> None:
    with PcapWriter(str(short_dir / "x.pcap")):
        pass
    port = f"c0,type=pcap,rx_pcap={short_dir / 'x.pcap'}"
    process = start_switch(short_dir / "run", "jfup3", "--datapath", "dummy", "--port", port, output=short_dir / "log")
    try:
        assert "c0" in run_main("--rundir", str(short_dir / "run"), "show").out
        assert "could not add" not in (short_dir / "log").read_text()
    finally:
        end_switch(process)
