"""Finding the switch that a command means."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jackfield.cli.target import Target, default_rundir
from jackfield.errors import ProtocolError
from tests.cli.conftest import Switch


@pytest.mark.parametrize(
    ("uid", "private", "expected"),
    [
        (0, "/run/user/0", "/run/jackfield"),
        (1000, "/run/user/1000", "/run/user/1000/jackfield"),
        (1000, None, "/tmp/jackfield-1000"),
    ],
)
def test_default_run_directory(uid: int, private: str | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    if private is not None:
        monkeypatch.setenv("XDG_RUNTIME_DIR", private)
    assert default_rundir() == Path(expected)
    assert Target(None).rundir == Path(expected)
    assert Target("/else").rundir == Path("/else")


def test_bridge_that_is_meant(tmp_path: Path) -> None:
    target = Target(str(tmp_path))
    with pytest.raises(ValueError, match="no switch runs"):
        target.bridge(None)
    (tmp_path / "br1.mgmt").touch()
    (tmp_path / "br1.snoop").touch()
    assert target.bridge(None) == "br1"
    (tmp_path / "br0.mgmt").touch()
    assert target.bridges() == ["br0", "br1"]
    assert target.bridge("br1") == "br1"
    assert target.management_socket("br0") == tmp_path / "br0.mgmt"
    with pytest.raises(ValueError, match=r"several bridges are there \(br0, br1\)"):
        target.bridge(None)
    with pytest.raises(ValueError, match=r"no bridge named br2 \(there: br0, br1\)"):
        target.bridge("br2")


def test_run_directory_that_is_none(tmp_path: Path) -> None:
    assert Target(str(tmp_path / "none")).bridges() == []
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        Target(str(tmp_path / "file")).bridges()


def test_running_switch(switch: Switch) -> None:
    target = Target(str(switch.rundir))
    assert "Jackfield" in target.unixctl("version")
    assert target.query("jackfield/show", "name")[0]["name"] == switch.bridge
    with pytest.raises(ValueError, match='"nonsense" is not a valid command'):
        target.unixctl("nonsense")
    with pytest.raises(ProtocolError):
        target.query("version")
    with pytest.raises(ProtocolError):
        target.query("jackfield/show", "name", "colour")


@pytest.fixture
def peer(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes | None], Target]:
    """A target whose control socket answers with these bytes; with None, it ends the connection at once."""
    monkeypatch.setattr("jackfield.daemon.unixctl.find_target", lambda name, rundir: short_dir / "ctl")

    def make(answer: bytes | None) -> Target:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(short_dir / "ctl"))
        listener.listen()

        def serve() -> None:
            with listener, listener.accept()[0] as accepted:
                if answer is not None:
                    accepted.recv(4096)
                    accepted.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return Target(str(short_dir))

    return make


@pytest.mark.parametrize("answer", [b"GET / HTTP/1.1\r\n", b'{"result": "garbage", "error": null}', b"\xff\xfe", b"[]"])
def test_garbage_in_place_of_an_answer(answer: bytes, peer: Callable[[bytes | None], Target]) -> None:
    with pytest.raises(ProtocolError):
        peer(answer).query("jackfield/show", "name")


def test_connection_that_ends(peer: Callable[[bytes | None], Target]) -> None:
    with pytest.raises(OSError, match="closed the connection"):
        peer(None).query("jackfield/show", "name")


def test_control_socket_that_a_killed_switch_left(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short_dir / "ctl"))
    monkeypatch.setattr("jackfield.daemon.unixctl.find_target", lambda name, rundir: short_dir / "ctl")
    with pytest.raises(ValueError, match="no switch runs"):
        Target(str(short_dir)).unixctl("version")
