"""Who holds a pidfile, as seen from other processes."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from jackfield.daemon.pidfile import Pidfile, holder

HOLD = """
import sys
from jackfield.daemon.pidfile import Pidfile
held = Pidfile.create(sys.argv[1], overwrite="overwrite" in sys.argv)
print("held", flush=True)
sys.stdin.read()
held.remove()
"""


def start_holder(python: str, path: Path, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [python, "-c", HOLD, str(path), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def finish(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=10)


def test_the_file_holds_the_number_of_the_process_that_has_it_locked(python: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    assert holder(str(path)) is None
    process = start_holder(python, path)
    assert path.read_text() == f"{process.pid}\n"
    assert holder(str(path)) == process.pid
    assert os.listdir(tmp_path) == ["a.pid"]
    finish(process)
    assert not path.exists()


def test_a_held_pidfile_is_refused_and_stays(python: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    process = start_holder(python, path)
    with pytest.raises(OSError, match=f"already running as pid {process.pid}") as caught:
        Pidfile.create(str(path))
    assert caught.value.errno == errno.EEXIST
    assert holder(str(path)) == process.pid
    assert os.listdir(tmp_path) == ["a.pid"]
    finish(process)


def test_a_stale_pidfile_is_replaced(python: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    process = start_holder(python, path)
    process.kill()
    process.communicate()
    assert path.exists()
    assert holder(str(path)) is None
    finish(start_holder(python, path))


def test_overwriting_takes_over_and_the_old_daemon_leaves_it_alone(python: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pid"
    old = start_holder(python, path)
    new = start_holder(python, path, "overwrite")
    assert holder(str(path)) == new.pid
    finish(old)
    assert holder(str(path)) == new.pid
    finish(new)
    assert not path.exists()


def test_a_directory_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Pidfile.create(str(tmp_path / "no" / "a.pid"))


def test_removing_twice_by_others_is_no_error(tmp_path: Path) -> None:
    held = Pidfile.create(str(tmp_path / "a.pid"))
    (tmp_path / "a.pid").unlink()
    held.remove()
