"""The rules of the house that a program can check."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "jackfield"
TESTS = ROOT / "tests"

# Addresses of package registries are a matter of each machine's configuration. Written in parts, so that this file
# does not name them either.
_REGISTRIES = re.compile("|".join(["py" + r"pi\.(org|python)", r"python" + r"hosted\.", r"test\." + "py" + "pi"]))


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py"))


def identity(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def own_files() -> list[Path]:
    """Text files of the project: what git tracks, or everything but the environments where there is no git."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not {".venv", ".venv-osken"} & set(path.parts)]


def test_layers_import_downwards_only() -> None:
    tool = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("path", modules(), ids=identity)
def test_each_module_has_a_test_of_its_name(path: Path) -> None:
    relative = path.relative_to(SOURCE)
    assert (TESTS / relative.parent / f"test_{relative.name}").exists()


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=identity)
def test_only_kernels_import_numba(path: Path) -> None:
    if not path.name.startswith("jit_"):
        assert not {name.split(".")[0] for name in imports(path)} & {"numba", "llvmlite"}


@pytest.mark.parametrize("path", modules(), ids=identity)
def test_a_module_is_not_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 1000


def test_no_file_names_a_package_registry() -> None:
    named = []
    for path in own_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # a binary file: captures, images
        named += [str(path.relative_to(ROOT)) for _ in _REGISTRIES.finditer(text)]
    assert named == []


def test_the_lock_holds_what_the_project_needs() -> None:
    import tomllib

    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    pins = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "requirements" / "run.txt").read_text().splitlines()
        if "==" in line
    }
    assert {re.split(r"[<>=]", each)[0] for each in needed} <= pins


@pytest.mark.parametrize("name", ["run.txt", "dev.txt", "os-ken.txt"])
def test_every_requirement_is_pinned(name: str) -> None:
    for line in (ROOT / "requirements" / name).read_text().splitlines():
        assert re.fullmatch(r"#.*|-r \w+\.txt|[\w.-]+==[\w.]+(; .+)?", line), line


# A daemon forks before these are imported (a fork takes their threads and locks along); the verbs of the command line
# that talk to a running switch start without numba.
@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "jackfield.daemon.daemonize, jackfield.daemon.options, jackfield.daemon.service",
            "numba numpy asyncio pyroute2",
        ),
        ("jackfield.daemon.unixctl, jackfield.io.active, jackfield.io.passive", "numba numpy pyroute2"),
        ("jackfield.provider", "numba numpy asyncio pyroute2"),
    ],
)
def test_what_starts_early_stays_light(modules: str, heavy: str, python: str) -> None:
    code = f"import sys; import {modules}; print(*sorted(set(sys.modules) & set('{heavy}'.split())))"
    shown = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
