"""The flags of stock daemons, taken out of a command line."""

from pathlib import Path

import pytest

from jackfield.daemon.options import take_options
from jackfield.io.tls import TlsFiles


@pytest.fixture(autouse=True)
def _directories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVS_RUNDIR", "/run/x")
    monkeypatch.setenv("OVS_LOGDIR", "/log/x")


def test_stock_flags_are_taken_and_the_rest_is_left() -> None:
    line = ["--detach", "unix:db.sock", "--no-chdir", "--pidfile", "--log-file", "--monitor"]
    line += ["-vconsole:off", "--verbose=dpif", "--mlockall"]
    options, rest = take_options("ovs-vswitchd", line)
    assert rest == ["unix:db.sock", "--mlockall"]
    assert options.detach
    assert options.monitor
    assert options.no_chdir
    assert not options.overwrite_pidfile
    assert options.pidfile == Path("/run/x/ovs-vswitchd.pid")
    assert options.log_file == Path("/log/x/ovs-vswitchd.log")
    assert options.verbosity == ["console:off", "dpif"]
    assert options.unixctl is None
    assert options.tls() is None


def test_values_after_an_equals_sign_or_as_the_next_word() -> None:
    options, rest = take_options(
        "d",
        ["--pidfile=/a.pid", "--log-file=b.log", "--unixctl", "c.ctl", "-p", "k", "--certificate=c", "-C", "ca", "-v"],
    )
    assert rest == []
    assert options.pidfile == Path("/a.pid")
    assert options.log_file == Path("/log/x/b.log")
    assert options.unixctl == "/run/x/c.ctl"
    assert options.tls() == TlsFiles("k", "c", "ca")
    assert options.verbosity == ["any:any:dbg"]


def test_no_control_socket_and_the_end_of_flags() -> None:
    options, rest = take_options("d", ["--unixctl=none", "--", "--detach"])
    assert options.unixctl == "none"
    assert rest == ["--", "--detach"]
    assert not options.detach


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (["--detach=yes"], "--detach takes no value"),
        (["--unixctl"], "--unixctl needs a value"),
        (["--private-key="], "--private-key needs a value"),
    ],
)
def test_what_cannot_be_read_is_refused(line: list[str], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        take_options("d", line)
