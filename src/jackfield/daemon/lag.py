"""How long the event loop keeps its events waiting.

One pass of the loop runs everything that was ready; whatever becomes ready meanwhile waits for the pass to end. So the
time from the return of the loop's `select` to its next call is the longest that anything waited. The monitor's selector
measures it in both places: no timer, no wake-up of an idle process, and no stall is missed.

On a busy machine a pass also takes long because the process did not get a processor. A pass in which the thread's own
processor time explains less than half of it is counted as *starved* and kept apart; a blocking call looks the same to
the processor time, but also leaves a voluntary context switch, by which the two are told apart.
"""

import asyncio
import resource
import selectors
import time
from typing import Final

_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
"""Upper bounds of the histogram's buckets, in ms; the last bucket has none."""

_LINGER: Final = 50_000  # ns; as long as a polling thread without packets goes on before it sleeps
_SUSPECT: Final = 5_000_000  # ns; shorter passes are not looked into


class LagMonitor:
    """A histogram of the loop's passes, in ms."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything measured so far."""
        self.passes = 0
        self.starved = 0
        self.starved_max_ms = 0.0
        self.max_ms = 0.0
        self.histogram = [0] * (len(_BUCKETS) + 1)

    def add(self, elapsed_ns: int, starved: bool = False) -> None:
        """Count a pass that took `elapsed_ns`; a starved one only as such."""
        self.passes += 1
        if elapsed_ns < 1_000_000:
            self.histogram[0] += 1
            self.max_ms = max(self.max_ms, elapsed_ns / 1e6)
            return
        elapsed = elapsed_ns / 1e6
        if starved:
            self.starved += 1
            self.starved_max_ms = max(self.starved_max_ms, elapsed)
            return
        self.max_ms = max(self.max_ms, elapsed)
        self.histogram[next((i for i, bound in enumerate(_BUCKETS) if elapsed <= bound), len(_BUCKETS))] += 1

    def percentile(self, share: float) -> float:
        """The upper bound in ms of the bucket below which `share` (0 to 1) of the passes lie."""
        wanted = share * sum(self.histogram)
        seen = 0
        for bound, count in zip((*_BUCKETS, self.max_ms), self.histogram, strict=True):
            seen += count
            if seen >= wanted:
                return min(float(bound), self.max_ms)
        return self.max_ms

    def show(self) -> str:
        """The text of `loop/lag`."""
        lines = [
            f"passes:{self.passes} max:{self.max_ms:.3f}ms p99:{self.percentile(0.99):.3f}ms "
            f"starved:{self.starved} starved_max:{self.starved_max_ms:.3f}ms"
        ]
        below = 0
        for bound, count in zip((*(str(each) for each in _BUCKETS), "more"), self.histogram, strict=True):
            if count:
                lines.append(f"  {below} to {bound} ms: {count}")
            below = int(bound) if bound != "more" else below
        return "\n".join(lines) + "\n"


class LagSelector(selectors.DefaultSelector):
    """A selector that tells a monitor how long the loop was away between two waits.

    Args:
        monitor: what to tell.
    """

    def __init__(self, monitor: LagMonitor) -> None:
        super().__init__()
        self._monitor = monitor
        self._returned = 0
        self._cpu = 0
        self._switches = 0
        self._served = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait for events as any selector."""
        if self._returned:
            elapsed = time.perf_counter_ns() - self._returned
            self._monitor.add(elapsed, elapsed > _SUSPECT and self._starved(elapsed))
        ready = super().select(0)
        if not ready and timeout != 0:
            ready = (self._linger() if self._served else ready) or super().select(timeout)
        self._served = bool(ready)
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        self._switches = usage.ru_nvcsw
        self._cpu = time.thread_time_ns()
        self._returned = time.perf_counter_ns()
        return ready

    def _linger(self) -> list[tuple[selectors.SelectorKey, int]]:
        """After events were served, look for more for a moment: a next request comes sooner than a sleeper wakes."""
        until = time.perf_counter_ns() + _LINGER
        while time.perf_counter_ns() < until:
            ready = super().select(0)
            if ready:
                return ready
        return []

    def _starved(self, elapsed: int) -> bool:
        """Whether the pass was long because others had the processor, rather than by its own work or waiting."""
        worked = time.thread_time_ns() - self._cpu
        waited = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw != self._switches
        return worked * 2 < elapsed and not waited


def new_event_loop(monitor: LagMonitor) -> asyncio.AbstractEventLoop:
    """An event loop whose passes `monitor` measures."""
    return asyncio.SelectorEventLoop(LagSelector(monitor))
