"""Counters of events, as `coverage/show` prints them, and the figures of `memory/show`.

A counter is made once, by name, and counted with `counter.count += n`. A daemon samples all counters every five seconds
(`Coverage.sample`); the averages of the last five seconds, minute and hour come from those samples.
"""

import zlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

SAMPLE_INTERVAL: Final = 5_000
"""Time between two calls of `Coverage.sample`, in ms."""

_MINUTE_SAMPLES: Final = 12
_HOUR_SAMPLES: Final = 720


class Counter:
    """One kind of event."""

    __slots__ = ("count", "name", "samples")

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0
        self.samples: deque[int] = deque([0] * (_HOUR_SAMPLES + 1), _HOUR_SAMPLES + 1)

    def recent(self, samples: int) -> int:
        """How many events there were in the last `samples` sampling intervals."""
        return self.samples[-1] - self.samples[-1 - samples]


class Coverage:
    """All counters of a process."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}

    def counter(self, name: str) -> Counter:
        """The counter of that name, made when it is first asked for."""
        found = self._counters.get(name)
        if found is None:
            found = self._counters[name] = Counter(name)
        return found

    def sample(self) -> None:
        """Note the counts; called every `SAMPLE_INTERVAL`."""
        for counter in self._counters.values():
            counter.samples.append(counter.count)

    def read(self, name: str) -> int:
        """The count of a counter.

        Raises:
            ValueError: there is no such counter.
        """
        if name not in self._counters:
            raise ValueError("No such counter")
        return self._counters[name].count

    def show(self) -> str:
        """The text of `coverage/show`: rates and totals of what has happened, and how many kinds never did."""
        hit = [counter for _, counter in sorted(self._counters.items()) if counter.count]
        digest = zlib.crc32("".join(f"{each.name}:{each.count.bit_length()};" for each in hit).encode())
        lines = [f"Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash={digest:08x}:"]
        for each in hit:
            last = each.recent(1) / 5
            minute = each.recent(_MINUTE_SAMPLES) / 60
            hour = each.recent(_HOUR_SAMPLES) / 3600
            lines.append(f"{each.name:<24} {last:5.1f}/sec {minute:9.3f}/sec {hour:13.4f}/sec   total: {each.count}")
        lines.append(f"{len(self._counters) - len(hit)} events never hit")
        return "\n".join(lines) + "\n"


COVERAGE: Final = Coverage()
"""The counters of this process."""


class MemoryReport:
    """What `memory/show` prints: figures that reporters give when asked."""

    def __init__(self) -> None:
        self._reporters: list[Callable[[], Mapping[str, int]]] = []

    def register(self, reporter: Callable[[], Mapping[str, int]]) -> None:
        """Have `reporter()` asked for names and figures; equal names are summed."""
        self._reporters.append(reporter)

    def show(self) -> str:
        """One line of "name:figure" in the order of the names."""
        figures: dict[str, int] = {}
        for reporter in self._reporters:
            for name, figure in reporter().items():
                figures[name] = figures.get(name, 0) + figure
        return " ".join(f"{name}:{figure}" for name, figure in sorted(figures.items())) + "\n"
