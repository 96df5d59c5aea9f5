"""The whole engine with bounds checks on, and on its own in a thread."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jackfield.clock import Clock
from jackfield.dpif.userspace.provider import UserspaceDpif
from jackfield.dpif.userspace.state import N_PASSES, N_SLEEPS
from jackfield.netdev.dummy import DummyNetdev
from tests.dpif.userspace.fuzz_engine import fuzz

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_random_packets_stay_within_bounds() -> None:
    """A wrong index would end this process; with checks it is an exception that names it."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.dpif.userspace.fuzz_engine", "5", "1"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_BOUNDSCHECK": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=590,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    assert int(run.stdout.split()[-1]) > 100
    assert "Traceback" not in run.stderr


def test_random_packets_without_checks() -> None:
    assert fuzz(1.0, 2) > 50


def test_an_idle_thread_sleeps() -> None:
    dpif = UserspaceDpif("idle", Clock(), create=True)
    device = DummyNetdev("p1")
    device.open()
    dpif.port_add(device)
    try:
        time.sleep(0.1)
        arena = dpif._datapath.arenas[0]
        passes, sleeps = arena.counter(N_PASSES), arena.counter(N_SLEEPS)
        time.sleep(0.3)
        assert arena.counter(N_PASSES) == passes
        assert arena.counter(N_SLEEPS) == sleeps
        assert any(thread.name == "pmd" for thread in threading.enumerate())
    finally:
        dpif.destroy()
    assert not any(thread.name == "pmd" for thread in threading.enumerate())
