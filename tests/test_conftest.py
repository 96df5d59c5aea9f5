"""What conftest.py adds to pytest, tried on tests made for it."""

import os
import subprocess
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")

TESTS = """
import asyncio, time
import pytest

@pytest.mark.net
@pytest.mark.parametrize("stall", [0, 0.06])
def test_loop(stall):
    async def main():
        await asyncio.sleep(0)
        time.sleep(stall)
        await asyncio.sleep(0)
    asyncio.run(main())

def test_loop_outside_the_net_lane():
    async def main():
        await asyncio.sleep(0)
        time.sleep(0.06)
        await asyncio.sleep(0)
    asyncio.run(main())

@pytest.mark.skipif(True, reason="there is no such peer")
def test_skipped():
    pass

@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    assert False
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text())
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    net: needs namespaces\n")
    return tmp_path


def outcome(python: str, suite: Path, ci: str) -> str:
    environment = {**os.environ, "CI": ci}
    command = [python, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", str(suite)]
    return subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True).stdout


def test_a_stall_of_the_loop_fails_a_test_of_the_net_lane(python: str, suite: Path) -> None:
    shown = outcome(python, suite, "")
    assert "the event loop was busy for 6" in shown
    assert "ERROR test_it.py::test_loop[0.06]" in shown
    assert "ERROR test_it.py::test_loop[0]" not in shown
    assert "PASSED test_it.py::test_loop_outside_the_net_lane" in shown


def test_nothing_is_skipped_in_ci(python: str, suite: Path) -> None:
    assert "1 skipped" in outcome(python, suite, "")
    shown = outcome(python, suite, "true")
    assert "1 xfailed" in shown
    assert "skipped" not in shown.splitlines()[-1]
    assert "in CI nothing may be skipped: Skipped: there is no such peer" in shown


def test_a_module_skipped_as_a_whole_counts_too(python: str, suite: Path) -> None:
    (suite / "test_it.py").write_text("import pytest\npytest.skip('no kernel', allow_module_level=True)\n")
    assert "1 skipped" in outcome(python, suite, "")
    shown = outcome(python, suite, "true")
    assert "in CI nothing may be skipped" in shown
    assert "1 error" in shown
