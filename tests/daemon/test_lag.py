"""Stalls are seen, idle loops are not woken, a starved process is told apart."""

import asyncio
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.daemon.lag import LagMonitor, LagSelector, new_event_loop


def run(monitor: LagMonitor, body: object) -> None:
    with asyncio.Runner(loop_factory=lambda: new_event_loop(monitor)) as runner:
        runner.run(body)


def busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize("stall", [busy, time.sleep])
def test_a_stall_is_measured_whether_it_works_or_waits(stall: object) -> None:
    monitor = LagMonitor()

    async def body() -> None:
        await asyncio.sleep(0.01)
        stall(0.03)
        await asyncio.sleep(0)

    run(monitor, body())
    assert 30 <= monitor.max_ms < 1000
    assert monitor.show().startswith(f"passes:{monitor.passes} max:")


def test_an_idle_loop_is_neither_woken_nor_late() -> None:
    monitor = LagMonitor()

    async def body() -> None:
        await asyncio.sleep(0.05)

    run(monitor, body())
    assert monitor.passes < 20


def test_a_starved_pass_is_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = LagMonitor()
    selector = LagSelector(monitor)
    times = iter([1_000_000_000, 1_080_000_000, 1_080_000_000])
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(times))
    reading, writing = os.pipe()
    selector.register(writing, 2)
    selector.select(0)
    selector.select(0)
    assert monitor.starved == 1
    assert monitor.starved_max_ms == 80
    assert monitor.max_ms == 0
    selector.close()
    os.close(reading)
    os.close(writing)


def test_percentiles_and_reset() -> None:
    monitor = LagMonitor()
    for _ in range(98):
        monitor.add(500_000)
    monitor.add(4_000_000)
    monitor.add(70_000_000)
    assert monitor.percentile(0.5) == 1
    assert monitor.percentile(0.99) == 5
    assert monitor.percentile(1) == 70
    assert "  2 to 5 ms: 1\n" in monitor.show()
    monitor.reset()
    assert monitor.show() == "passes:0 max:0.000ms p99:0.000ms starved:0 starved_max:0.000ms\n"


@given(st.lists(st.integers(0, 5_000_000_000)))
def test_every_pass_is_counted_once(passes: list[int]) -> None:
    monitor = LagMonitor()
    for each in passes:
        monitor.add(each)
    assert monitor.passes == sum(monitor.histogram) == len(passes)
    assert monitor.percentile(0.5) <= monitor.percentile(0.99) <= max(monitor.max_ms, 0)
