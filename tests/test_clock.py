"""Held and running clocks, timers, sliced work."""

import asyncio
import time
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.clock import Clock, run_sliced, spawn


def test_a_held_clock_moves_only_when_told(held_clock: Clock) -> None:
    assert held_clock.now() == 1_000_000
    time.sleep(0.005)
    assert held_clock.now() == 1_000_000
    held_clock.advance(5)
    assert held_clock.now() == 1_000_005
    with pytest.raises(ValueError, match="back"):
        held_clock.advance(-1)


def test_timers_see_their_own_time_and_run_in_order(held_clock: Clock) -> None:
    seen: list[tuple[str, int]] = []
    held_clock.call_later(20, lambda: seen.append(("late", held_clock.now())))
    held_clock.call_later(10, lambda: seen.append(("first", held_clock.now())))
    held_clock.call_later(10, lambda: seen.append(("second", held_clock.now())))
    held_clock.advance(15)
    assert seen == [("first", 1_000_010), ("second", 1_000_010)]
    held_clock.advance(5)
    assert seen[2:] == [("late", 1_000_020)]


def test_a_timer_may_set_another_that_is_due_in_the_same_advance(held_clock: Clock) -> None:
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(held_clock.now())
        held_clock.call_later(100, tick)

    held_clock.call_later(100, tick)
    held_clock.advance(350)
    assert ticks == [1_000_100, 1_000_200, 1_000_300]


def test_cancelled_timers_do_not_run(held_clock: Clock) -> None:
    seen: list[str] = []
    timer = held_clock.call_later(1, lambda: seen.append("ran"))
    assert timer.pending
    timer.cancel()
    assert not timer.pending
    held_clock.advance(10)
    assert seen == []


def test_cancelled_timers_do_not_pile_up(held_clock: Clock) -> None:
    seen: list[int] = []
    held_clock.call_later(5_000, lambda: seen.append(held_clock.now()))
    for _ in range(10_000):
        held_clock.call_later(1_000_000, lambda: seen.append(-1)).cancel()
    assert len(held_clock._timers) < 1_000
    held_clock.advance(10_000)
    assert seen == [1_005_000]


def test_an_error_in_a_timer_is_logged_and_disturbs_no_other(
    held_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    held_clock.call_later(1, lambda: 1 // 0)
    held_clock.call_later(1, lambda: seen.append("ran"))
    held_clock.advance(1)
    assert seen == ["ran"]
    assert "ZeroDivisionError" in caplog.text


@given(st.lists(st.integers(0, 1_000), max_size=30), st.lists(st.integers(0, 400), max_size=10))
def test_every_timer_runs_once_at_its_time_however_time_moves(delays: list[int], moves: list[int]) -> None:
    clock = Clock(held_at=0)
    ran: list[tuple[int, int]] = []
    for delay in delays:
        clock.call_later(delay, lambda delay=delay: ran.append((delay, clock.now())))
    for move in moves:
        clock.advance(move)
    assert ran == [(delay, delay) for delay in sorted(delays) if moves and delay <= sum(moves)]


def test_a_running_clock_drives_timers_and_survives_their_errors(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[str]:
        clock = Clock()
        seen: list[str] = []
        started = clock.now()
        clock.call_later(30, lambda: seen.append("late"))
        clock.call_later(5, lambda: 1 // 0)
        clock.call_later(10, lambda: seen.append("early"))
        await clock.sleep(40)
        assert 40 <= clock.now() - started < 1_000
        return seen

    assert asyncio.run(main()) == ["early", "late"]
    assert "ZeroDivisionError" in caplog.text


def test_stop_holds_timers_and_warp_lets_what_became_ready_run() -> None:
    async def main() -> None:
        clock = Clock()
        seen: list[int] = []
        clock.call_later(1_000, lambda: seen.append(clock.now()))
        clock.call_later(1, lambda: seen.append(-1))
        clock.stop()
        held_at = clock.now()
        await asyncio.sleep(0.01)
        assert seen == []
        assert clock.now() == held_at

        async def wait_twice() -> str:
            await clock.sleep(500)
            await clock.sleep(500)
            return "woken"

        waiting = asyncio.ensure_future(wait_twice())
        await asyncio.sleep(0)
        # One step of 1000 would be over before the second sleep begins: smaller steps let it in between.
        await clock.warp(1_000, 100)
        assert await asyncio.wait_for(waiting, 1) == "woken"
        assert clock.now() == held_at + 1_000
        assert len(seen) == 2
        clock.resume()
        assert held_at + 1_000 <= clock.now() < held_at + 1_900
        await clock.sleep(5)
        assert clock.now() >= held_at + 1_005

    asyncio.run(main())


def test_a_clock_that_runs_can_be_warped_too() -> None:
    async def main() -> None:
        clock = Clock()
        seen: list[str] = []
        clock.call_later(60_000, lambda: seen.append("ran"))
        before = clock.now()
        await clock.warp(60_000, 20_000)
        assert seen == ["ran"]
        assert clock.now() - before >= 60_000
        with pytest.raises(ValueError, match="positive"):
            await clock.warp(10, 0)

    asyncio.run(main())


def busy(milliseconds: int) -> Generator[None, None, str]:
    for _ in range(milliseconds):
        until = time.perf_counter() + 0.001
        while time.perf_counter() < until:
            pass
        yield
    return "done"


def test_sliced_work_returns_its_value_and_lets_the_loop_run() -> None:
    async def main() -> None:
        passes = 0

        async def count() -> None:
            nonlocal passes
            while True:
                passes += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count())
        assert await run_sliced(busy(20), budget_ms=2) == "done"
        counting.cancel()
        assert passes >= 5

    asyncio.run(main())


def test_a_warp_waits_for_the_sliced_work_that_its_steps_start(held_clock: Clock) -> None:
    async def main() -> None:
        ended: list[int] = []

        async def sweep() -> None:
            await run_sliced(busy(30), budget_ms=1)
            ended.append(held_clock.now())

        held_clock.call_later(100, lambda: spawn(sweep(), name="sweep"))
        await held_clock.warp(1_000, 100)
        assert ended == [1_000_100]

    asyncio.run(main())


def test_an_error_of_sliced_work_reaches_the_caller_and_cancelling_closes_it() -> None:
    closed: list[str] = []

    def work() -> Generator[None, None, None]:
        try:
            while True:
                yield
        finally:
            closed.append("closed")

    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("broken")

    async def main() -> None:
        with pytest.raises(ValueError, match="broken"):
            await run_sliced(failing())
        task = asyncio.ensure_future(run_sliced(work()))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert closed == ["closed"]


def test_spawn_logs_the_error_of_a_task_that_nobody_awaits(caplog: pytest.LogCaptureFixture) -> None:
    async def failing() -> None:
        raise RuntimeError("nobody looks")

    async def main() -> None:
        spawn(failing(), name="the sweep")
        assert await spawn(busy(1), name="sliced") == "done"
        await asyncio.sleep(0)

    asyncio.run(main())
    assert "the sweep failed" in caplog.text
    assert "nobody looks" in caplog.text
