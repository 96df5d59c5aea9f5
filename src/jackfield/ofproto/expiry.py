"""Idle and hard timeouts of rules.

Deadlines stand in a heap, so that flows without a timeout cost nothing and those with one only when it is due. An idle
deadline is only a guess: when it comes, the counters are brought up to date first, and a flow that was used meanwhile
gets a later one. A flow goes at most `SWEEP_INTERVAL` after its time and never before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from typing import Final

from jackfield.clock import Clock, Timer
from jackfield.ofproto.rule import FOREVER, Rule
from jackfield.ofproto.slices import begin
from jackfield.openflow.messages import FlowRemovedReason

SWEEP_INTERVAL: Final = 250
"""Least time in ms between two searches for expired flows, each of which may read the datapath's counters."""

_REBUILD_ABOVE: Final = 1024
"""Heap entries of rules that are gone are cleared out when they are more than this and than half."""


def deadline(rule: Rule) -> int:
    """When a rule with a timeout will have to go, by what is known now; clock ms."""
    hard = rule.modified + rule.hard_timeout * 1000 if rule.hard_timeout else FOREVER
    idle = rule.stats.used + rule.idle_timeout * 1000 if rule.idle_timeout else FOREVER
    return min(hard, idle)


class Expiry:
    """Watches rules and reports those whose time is up.

    Args:
        clock: the time.
        refresh: brings all counters up to date, then calls back.
        expire: takes rules whose time is up, and which timeout it was; a generator, run in slices, that
            empties the list.
    """

    def __init__(
        self,
        clock: Clock,
        refresh: Callable[[Callable[[], None]], None],
        expire: Callable[[list[Rule], FlowRemovedReason], Generator[None]],
    ) -> None:
        self._clock = clock
        self._refresh = refresh
        self._expire = expire
        self._heap: list[tuple[int, int, Rule]] = []
        self._order = 0
        self._gone = 0
        self._timer: Timer | None = None
        self._timer_at = 0
        self._sweeping = False
        self._last_sweep = -SWEEP_INTERVAL

    def watch(self, rule: Rule) -> None:
        """Start watching a rule that has a timeout."""
        self._push(deadline(rule), rule)
        self._arm()

    def forget(self, rule: Rule) -> None:
        """A watched rule is gone (its `remove_version` is set)."""
        self._gone += 1
        if self._gone > _REBUILD_ABOVE and self._gone > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].remove_version == FOREVER]
            heapq.heapify(self._heap)
            self._gone = 0

    def stop(self) -> None:
        """Watch nothing any more."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _push(self, when: int, rule: Rule) -> None:
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, rule))

    def _arm(self) -> None:
        if self._sweeping or not self._heap:
            return
        when = max(self._heap[0][0], self._last_sweep + SWEEP_INTERVAL)
        if self._timer is not None and self._timer.pending:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._clock.call_at(when, self._start)

    def _start(self) -> None:
        self._sweeping = True
        self._last_sweep = self._clock.now()
        begin(self._sweep(), "expiry of flows")

    def _sweep(self) -> Generator[None]:
        now = self._clock.now()
        due: list[Rule] = []
        only_hard = True
        while self._heap and self._heap[0][0] <= now:
            _, _, rule = heapq.heappop(self._heap)
            yield
            if rule.remove_version != FOREVER:
                self._gone -= 1
                continue
            when = deadline(rule)
            if when > now:
                self._push(when, rule)
                continue
            due.append(rule)
            only_hard = only_hard and bool(rule.hard_timeout) and rule.modified + rule.hard_timeout * 1000 <= now
        if not due:
            self._finish()
        elif only_hard:
            yield from self._settle(due)
        else:
            self._refresh(lambda: begin(self._settle(due), "expiry of flows"))

    def _settle(self, due: list[Rule]) -> Generator[None]:
        """Expire the rules whose time is still up; the others go on being watched."""
        now = self._clock.now()
        hard: list[Rule] = []
        idle: list[Rule] = []
        while due:
            rule = due.pop()
            yield
            if rule.remove_version != FOREVER:
                self._gone -= 1
            elif (when := deadline(rule)) > now:
                self._push(when, rule)
            elif rule.hard_timeout and rule.modified + rule.hard_timeout * 1000 <= now:
                hard.append(rule)
            else:
                idle.append(rule)
        # They have left the heap already: what `forget` is about to count must not be missing there.
        self._gone -= len(hard) + len(idle)
        yield from self._expire(hard, FlowRemovedReason.HARD_TIMEOUT)
        yield from self._expire(idle, FlowRemovedReason.IDLE_TIMEOUT)
        self._finish()

    def _finish(self) -> None:
        self._sweeping = False
        self._arm()
