"""The one source of time.

Everything that waits or measures takes `now` in integer milliseconds of a monotonic clock, and every timer is set on a
`Clock`. A clock normally follows the machine's. It can be held (`stop`), after which only `warp` and `advance` move it:
that is what ovs-appctl's time/stop and time/warp do, and what makes a test of a timeout exact and instant.

Timers run on the asyncio loop, earliest first; those due at one instant run in the order in which they were set. An
error in a timer is logged and disturbs no other. A held clock needs no loop: `advance` runs the due timers itself.

Long work on the loop is written as a generator that yields where it may pause; `run_sliced` drives it within a budget
of real time for each pass of the loop, `spawn` does so in the background.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from jackfield.log import get_logger

T = TypeVar("T")

log = get_logger("timeval")

# Passes of the loop granted after each step of a warp. A packet takes a few to be received, translated, installed and
# sent; each pass costs some ten microseconds. Sliced work that a step has started may take more, within reason.
_SETTLE_PASSES = 10
_SETTLE_MOST = 500

# Timers that may be set before cancelled ones are first looked for.
_LEAST_SWEEP = 256


class Timer:
    """A call that is to happen at a time; `cancel` takes it back."""

    __slots__ = ("callback", "order", "when")

    def __init__(self, when: int, order: int, callback: Callable[[], object]) -> None:
        self.when = when
        self.order = order
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Take the call back; does nothing once it has happened."""
        self.callback = None

    @property
    def pending(self) -> bool:
        """Whether the call is still to come."""
        return self.callback is not None

    def __lt__(self, other: "Timer") -> bool:
        return (self.when, self.order) < (other.when, other.order)


class Clock:
    """Monotonic milliseconds, wall-clock milliseconds and timers.

    Args:
        held_at: start as a held clock that shows this time; None follows the machine's clock.
    """

    def __init__(self, held_at: int | None = None) -> None:
        self._held = held_at
        self._offset = 0
        self._timers: list[Timer] = []
        self._order = 0
        self._sweep_at = _LEAST_SWEEP
        self._wakeup: asyncio.TimerHandle | None = None
        self._wakeup_at = 0

    def now(self) -> int:
        """Monotonic time in milliseconds."""
        if self._held is not None:
            return self._held
        return time.monotonic_ns() // 1_000_000 + self._offset

    def wall(self) -> int:
        """Milliseconds since 1970-01-01T00:00Z; never held, as in ovs-appctl's time/stop."""
        return time.time_ns() // 1_000_000

    @property
    def held(self) -> bool:
        """Whether the time stands still unless it is moved."""
        return self._held is not None

    def call_at(self, when: int, callback: Callable[[], object]) -> Timer:
        """Call `callback()` when `now()` reaches `when`; at once (but not from within this call) if it has."""
        self._order += 1
        if len(self._timers) >= self._sweep_at:
            self._sweep()
        timer = Timer(when, self._order, callback)
        heapq.heappush(self._timers, timer)
        self._arm()
        return timer

    def call_later(self, delay: int, callback: Callable[[], object]) -> Timer:
        """Call `callback()` after `delay` milliseconds."""
        return self.call_at(self.now() + delay, callback)

    async def sleep(self, delay: int) -> None:
        """Wait for `delay` milliseconds of this clock."""
        woken = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = self.call_later(delay, wake)
        try:
            await woken
        finally:
            timer.cancel()

    def stop(self) -> None:
        """Hold the clock at the present time; does nothing when it is held already."""
        self._held = self.now()
        self._disarm()

    def resume(self) -> None:
        """Let a held clock go on from the time it shows."""
        if self._held is None:
            return
        self._offset = self._held - time.monotonic_ns() // 1_000_000
        self._held = None
        self._arm()

    def advance(self, total: int) -> None:
        """Move the clock forward by `total` ms at once, running each timer on the way with `now()` at its time."""
        if total < 0:
            raise ValueError("a clock cannot be moved back")
        if self._held is None:
            self._offset += total
            self._run_due()
            return
        target = self._held + total
        while self._timers and self._timers[0].when <= target:
            self._held = max(self._held, self._timers[0].when)
            self._run(heapq.heappop(self._timers))
        self._held = target

    async def warp(self, total: int, step: int | None = None) -> None:
        """Move the clock by `total` ms in steps of `step`, letting all that becomes ready run after each step."""
        step = total if step is None else step
        if total < 0 or (step <= 0 and total > 0):
            raise ValueError("a clock is moved forward, by positive steps")
        left = total
        while left > 0:
            self.advance(min(step, left))
            left -= step
            for turn in range(_SETTLE_MOST):
                await asyncio.sleep(0)
                if turn >= _SETTLE_PASSES and not _sliced:
                    break

    def _run(self, timer: Timer) -> None:
        callback, timer.callback = timer.callback, None
        if callback is None:
            return
        try:
            callback()
        except Exception:  # whatever one timer does wrong, the others still run
            log.exception("a timer failed")

    def _run_due(self) -> None:
        self._disarm()
        now = self.now()
        due: list[Timer] = []
        while self._timers and self._timers[0].when <= now:
            due.append(heapq.heappop(self._timers))
        for timer in due:
            self._run(timer)
        self._arm()

    def _sweep(self) -> None:
        """Forget cancelled timers: a time-out that is set and cancelled for each request must not pile up."""
        self._timers = [timer for timer in self._timers if timer.pending]
        heapq.heapify(self._timers)
        self._sweep_at = max(_LEAST_SWEEP, 2 * len(self._timers))

    def _arm(self) -> None:
        """Have the loop wake us for the earliest timer."""
        while self._timers and not self._timers[0].pending:
            heapq.heappop(self._timers)
        if self._held is not None or not self._timers:
            return
        when = self._timers[0].when
        if self._wakeup is not None:
            if self._wakeup_at <= when:
                return
            self._disarm()
        self._wakeup_at = when
        self._wakeup = asyncio.get_running_loop().call_later(max(0, when - self.now()) / 1000, self._run_due)

    def _disarm(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
            self._wakeup = None


_sliced: set[Generator[object, None, Any]] = set()


async def run_sliced(work: Generator[object, None, T], budget_ms: float = 2) -> T:
    """Drive a generator to its end, letting the loop run whenever `budget_ms` of real time is used up.

    The generator yields wherever it may pause (the values are ignored); its return value is returned. When the caller
    is cancelled, the generator is closed.
    """
    budget = int(budget_ms * 1_000_000)
    _sliced.add(work)
    try:
        while True:
            deadline = time.perf_counter_ns() + budget
            while time.perf_counter_ns() < deadline:
                next(work)
            await asyncio.sleep(0)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        _sliced.discard(work)
        work.close()


_background: set[asyncio.Task[Any]] = set()


def spawn(
    work: Coroutine[Any, Any, T] | Generator[object, None, T], *, name: str, budget_ms: float = 2
) -> asyncio.Task[T]:
    """Run a coroutine, or a generator in slices, in the background of the running loop.

    The task is kept alive until it ends. An error that ends it is logged under `name`, even if nobody awaits the task.
    """
    coroutine = run_sliced(work, budget_ms) if isinstance(work, Generator) else work
    task: asyncio.Task[T] = asyncio.get_running_loop().create_task(coroutine, name=name)
    _background.add(task)
    task.add_done_callback(_finished)
    return task


def _finished(task: asyncio.Task[Any]) -> None:
    _background.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s failed", task.get_name(), exc_info=error)
