"""What every test may use: clocks that stand still, a loop whose stalls are seen, namespaces' preconditions.

A test that cannot run here is skipped with its reason. With CI=true in the environment that is a failure: in CI every
lane is there.
"""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jackfield import log as jackfield_log
from jackfield.clock import Clock
from jackfield.daemon.lag import LagMonitor, new_event_loop
from jackfield.daemon.unixctl import call

LAG_LIMIT_MS = 50.0

IN_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """In CI, a skipped test is a failed one."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"in CI nothing may be skipped: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """In CI, a skipped module is a failed one."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"in CI nothing may be skipped: {report.longrepr}"
    return report


@pytest.fixture
def held_clock() -> Clock:
    """A clock that shows 1,000,000 ms and moves only when it is told to."""
    return Clock(held_at=1_000_000)


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory whose sockets have short names, unlike tmp_path."""
    with tempfile.TemporaryDirectory(prefix="jf", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def loop_lag(monkeypatch: pytest.MonkeyPatch) -> LagMonitor:
    """Measures every event loop that the test makes by `asyncio.run`."""
    monitor = LagMonitor()
    monkeypatch.setattr(asyncio.events, "new_event_loop", lambda: new_event_loop(monitor))
    return monitor


@pytest.fixture
def lag_of() -> Callable[[str | Path], float]:
    """Asks the daemon at a control socket for its longest pass of the event loop, in ms, by `loop/lag`.

    Compare with `LAG_LIMIT_MS`; `lag_of(path)` forgets what was measured so far.
    """

    def ask(path: str | Path) -> float:
        found = re.search(r"max:([\d.]+)ms", call(path, "loop/lag", ["reset"]))
        assert found is not None
        return float(found.group(1))

    return ask


@pytest.fixture(autouse=True)
def _no_stall(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test of the net lane fails when its own loop kept events waiting for more than `LAG_LIMIT_MS`.

    A switch in another process is asked with `lag_of`.
    """
    if request.node.get_closest_marker("net") is None:
        yield
        return
    monitor: LagMonitor = request.getfixturevalue("loop_lag")
    yield
    assert monitor.max_ms <= LAG_LIMIT_MS, f"the event loop was busy for {monitor.max_ms:.0f} ms\n{monitor.show()}"


@pytest.fixture(autouse=True)
def _logging_as_found() -> Iterator[None]:
    """A test that configures the log leaves no trace."""
    yield
    jackfield_log.unconfigure()


@pytest.fixture
def python() -> str:
    """The interpreter that runs the tests, for tests that start processes."""
    return sys.executable
