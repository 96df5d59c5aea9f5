"""Where compiled kernels are kept."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jackfield.dpif.userspace import warm


def test_the_folder_depends_on_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    before = warm.cache_folder()
    sources = warm._sources()
    assert len(sources) > 10
    monkeypatch.setattr(warm, "_sources", lambda: [*sources[:-1], sources[-1] + b"#"])
    assert warm.cache_folder() != before
    assert warm.cache_folder().parent == before.parent


def test_constants_that_kernels_are_compiled_with_count_as_sources() -> None:
    text = b"\n".join(warm._sources())
    for marker in (b"C_TABLE_GROW: Final", b"IO_META: Final", b"VLAN2_TCI = _field", b"def parse("):
        assert marker in text


def test_bounds_checks_are_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    before = warm.cache_folder()
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1" if os.environ.get("NUMBA_BOUNDSCHECK") != "1" else "0")
    assert warm.cache_folder() != before


def test_xdg_cache_home_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert warm.cache_folder().is_relative_to(tmp_path / "jackfield")


def test_without_a_home_a_private_folder_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setenv("HOME", str(blocked))
    monkeypatch.setattr(warm.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = warm.cache_folder().parent
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="nobody else may write"):
        warm.cache_folder()


def test_nothing_imports_numba_before_it_is_wanted() -> None:
    script = (
        "import sys, jackfield.dpif.userspace.provider, jackfield.dpif.dummy, jackfield.dpif.text\n"
        "sys.exit('numba' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_warm_is_quiet_the_second_time() -> None:
    warm.warm()
    lines: list[str] = []
    assert warm.warm(lines.append) > 0
    assert not lines
