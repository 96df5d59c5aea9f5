"""The script at the root: small, POSIX, and quick to say what it can do."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RUN = ROOT / "run"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RUN, *arguments], capture_output=True, text=True, env=environment or None, timeout=60)


def test_help_names_every_verb() -> None:
    shown = run("help")
    assert shown.returncode == 0
    for verb in ("demo", "test", "lint", "bench", "fuzz", "soak"):
        assert f"\n  {verb} " in shown.stdout
    assert run().stdout == shown.stdout


def test_an_unknown_verb_is_named() -> None:
    shown = run("dmeo")
    assert shown.returncode == 1
    assert "unknown verb: dmeo" in shown.stderr


def test_it_is_posix_and_small() -> None:
    assert RUN.read_text().startswith("#!/bin/sh\n")
    assert len(RUN.read_text().splitlines()) < 200
    shell = shutil.which("dash") or "/bin/sh"
    assert subprocess.run([shell, "-n", RUN]).returncode == 0


def checkout(directory: Path) -> Path:
    """What the script looks at, without an environment."""
    shutil.copytree(ROOT / "requirements", directory / "requirements")
    for name in ("run", "pyproject.toml"):
        shutil.copy(ROOT / name, directory / name)
    return directory / "run"


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the commands that the script uses, and neither python3 nor apt-get."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "cksum", "id", "dirname", "rm"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def test_without_python_it_says_in_one_line_what_to_install(tmp_path: Path, tools: Path) -> None:
    script = checkout(tmp_path)
    shown = subprocess.run(["/bin/sh", script, "lint"], env={"PATH": str(tools)}, capture_output=True, text=True)
    assert shown.returncode == 1
    assert shown.stderr == "run: needs python3 >= 3.11: apt-get install python3 python3-venv\n"


def test_an_old_python_is_passed_over_and_a_missing_venv_module_named(tmp_path: Path, tools: Path) -> None:
    script = checkout(tmp_path)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3.12").write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n')
    for name in ("python3", "python3.12"):
        (tools / name).chmod(0o755)
    shown = subprocess.run(["/bin/sh", script, "lint"], env={"PATH": str(tools)}, capture_output=True, text=True)
    assert shown.returncode == 1
    assert shown.stderr == "run: needs Python's venv module: apt-get install python3.12-venv\n"
