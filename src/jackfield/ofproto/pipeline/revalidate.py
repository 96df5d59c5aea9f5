"""Keeping megaflows true: after a change those it concerns are translated again; counters are fetched; the idle go.

*Changes* are gathered as they come and worked off together: topics name their megaflows at once, new rules are
compared with the searches megaflows rest on (`sweep`). A megaflow that a change concerns is translated again from its
own key: when it turns out to need bits it does not know it is deleted (the next packet makes a better one), when its
actions differ it is modified. Its counters so far are credited to what it rested on before.

*Sweeps* read all counters from the datapath: periodically, and whenever somebody must have them right. Each also
deletes what was idle for too long, and decides how many megaflows there may be: as many as can be swept in good time.

Both are generators, run in slices of the main loop when there is much to do and at once when there is little.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Collection, Generator
from typing import TYPE_CHECKING, Final

from jackfield.dpif.provider import DpOp, FlowDel, FlowGet, FlowPut, PutFlags
from jackfield.log import WARN, RateLimit, get_logger
from jackfield.ofproto.pipeline.flows import Megaflow, advance

if TYPE_CHECKING:
    from jackfield.ofproto.pipeline.backer import Backer
    from jackfield.ofproto.pipeline.translate import Translation
    from jackfield.ofproto.rule import Rule
    from jackfield.ofproto.tables import Table

log = get_logger("ofproto_dpif_upcall")

MAX_IDLE: Final = 10_000
"""Ms after which a megaflow without packets goes (ovs-vswitchd.conf.db(5), "max-idle")."""
MAX_IDLE_CROWDED: Final = 100
"""The same while there are more megaflows than there may be."""
SWEEP_INTERVAL: Final = 500
"""Ms between periodic sweeps, longer when sweeps take long ("max-revalidator")."""
DEFAULT_FLOW_LIMIT: Final = 200_000
"""How many megaflows there may be at most ("flow-limit")."""
MIN_FLOW_LIMIT: Final = 1_000

_GOOD_SWEEP: Final = 500
"""Ms of work a sweep may take; a slower one lowers the limit, a much quicker one raises it."""
_REST: Final = 4
"""A sweep that worked for n ms is followed by a pause of at least this times n."""
_LIMIT_STEP: Final = 1_000
_MANY: Final = 1_000
"""More megaflows than this are marked for revalidation by a list of them."""
_BATCH: Final = 64
_SMALL: Final = 512
"""Up to this many megaflows, work is done at once."""


class Revalidator:
    """Keeps the megaflows of one datapath true."""

    def __init__(self, backer: Backer) -> None:
        self._backer = backer
        self.flow_limit = DEFAULT_FLOW_LIMIT
        self.max_flow_limit = DEFAULT_FLOW_LIMIT
        self.max_idle = MAX_IDLE
        self.last_duration = 0
        self.translated = 0
        # Changes not yet worked off.
        self._dirty: dict[Megaflow, None] = {}
        self._many: list[list[Megaflow]] = []
        self._rules: dict[Table, dict[int, set[int]]] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._working = False
        # Sweeps.
        self._swept = -1
        self._sweeping: int | None = None
        self._waiting: list[tuple[int, Callable[[], None]]] = []
        self._next_sweep = 0
        self._lost = RateLimit()

    # -- changes ---------------------------------------------------------------------------------------------------

    def topic_changed(self, topic: object) -> None:
        """What a topic stands for changed."""
        flows = self._backer.flows.of_topic(topic)
        if flows:
            self._mark(flows)
            self._backer.wake()

    def rule_inserted(self, table: Table, rule: Rule) -> None:
        """A table has a rule more."""
        if not len(self._backer.flows):
            return
        self._rules.setdefault(table, {}).setdefault(rule.match.mask, set()).add(rule.match.value)
        self._backer.wake()

    def rule_removed(self, table: Table, rule: Rule) -> None:
        """A table has a rule less."""
        if rule.conjunctions:
            # It is never what a search finds: the megaflows do not know that they rest on it.
            self.rule_inserted(table, rule)
        else:
            self.topic_changed(rule)

    def everything_changed(self) -> None:
        """All megaflows must be looked at."""
        flows = self._backer.flows.all()
        if flows:
            self._mark(flows)
            self._backer.wake()

    def _mark(self, flows: Collection[Megaflow]) -> None:
        """Have megaflows looked at; very many are only listed here and gone through in slices."""
        if len(flows) > _MANY:
            self._many.append(list(flows))
        else:
            self._dirty.update(dict.fromkeys(flows))

    @property
    def pending(self) -> bool:
        """Whether changes wait to be worked off."""
        return bool(self._dirty or self._many or self._rules or self._working)

    def sync(self, callback: Callable[[], None]) -> None:
        """Call back once all changes so far are in force, in the order of the calls."""
        if not self.pending and not self._callbacks:
            callback()
            return
        self._callbacks.append(callback)
        self.start()

    def start(self) -> None:
        """Work changes off, now or in the background."""
        if self._working or not (self._dirty or self._many or self._rules or self._callbacks):
            return
        self._working = True
        self._backer.drive(self._work(), len(self._backer.flows) <= _SMALL, "revalidation")

    def _work(self) -> Generator[None, None, None]:
        try:
            while self._dirty or self._many or self._rules or self._callbacks:
                callbacks, self._callbacks = self._callbacks, []
                rules, self._rules = self._rules, {}
                victims, self._dirty = self._dirty, {}
                many, self._many = self._many, []
                for table, by_mask in rules.items():
                    found = yield from self._backer.flows.searches.overlapping(table, by_mask)
                    victims.update(dict.fromkeys(found))
                yield from self._revalidate(victims)
                for flows in many:
                    for start in range(0, len(flows), _MANY):
                        yield from self._revalidate(dict.fromkeys(flows[start : start + _MANY]))
                self._finish(callbacks)
        finally:
            self._working = False

    def _finish(self, callbacks: list[Callable[[], None]]) -> None:
        for callback in callbacks:
            callback()

    def _revalidate(self, victims: dict[Megaflow, None]) -> Generator[None, None, None]:
        batch: list[tuple[Megaflow, Translation | None, DpOp | None]] = []
        for flow in victims:
            if self._backer.flows.get(flow.ufid) is flow:
                batch.append(self._decide(flow))
                if len(batch) >= _BATCH:
                    self._carry_out(batch)
                    batch = []
            yield
        self._carry_out(batch)

    def _decide(self, flow: Megaflow) -> tuple[Megaflow, Translation | None, DpOp | None]:
        """Translate a megaflow again: its new translation (None when it has to go) and what the datapath has to do."""
        self.translated += 1
        t = self._backer.translate(flow.key, learn=False)
        if t is None:
            return flow, None, FlowDel(flow.ufid, flow.key)
        actions = t.result
        if t.wildcards & ~flow.mask:
            t.release()
            return flow, None, FlowDel(flow.ufid, flow.key)
        if actions != flow.actions:
            return flow, t, FlowPut(flow.ufid, flow.key, flow.mask, actions, PutFlags.MODIFY)
        if flow.searches != [(table, None if rule is None else rule.stats) for table, _, _, rule in t.lookups]:
            return flow, t, FlowGet(flow.ufid, flow.key)
        return flow, t, None

    def _carry_out(self, batch: list[tuple[Megaflow, Translation | None, DpOp | None]]) -> None:
        """Have the datapath do it, credit what was counted so far, and rest the megaflows on their new translations."""
        ops = [op for _, _, op in batch if op is not None]
        if ops:
            self._backer.dpif.operate(ops)
        for flow, t, op in batch:
            self._credit(flow, op)
            if t is None or (op is not None and op.error is not None):
                if t is not None:
                    t.release()
                self._backer.forget(flow)
                continue
            if isinstance(op, FlowPut):
                flow.actions = op.actions
            for recirc_id in self._backer.flows.retranslated(flow, t):
                self._backer.frozen.release(recirc_id)

    def _credit(self, flow: Megaflow, op: DpOp | None) -> None:
        if isinstance(op, (FlowPut, FlowDel)) and op.stats is not None:
            advance(flow, op.stats)
        elif isinstance(op, FlowGet) and op.flow is not None:
            advance(flow, op.flow.stats)
        if op is not None and op.error is not None and op.error.errno != errno.ENOENT:
            self._lost.log(log, WARN, "failed to update a datapath flow: %s", op.error)

    def delete(self, flows: list[Megaflow]) -> None:
        """Take megaflows out of the datapath and credit their last packets."""
        ops = [FlowDel(flow.ufid, flow.key) for flow in flows]
        self._backer.dpif.operate(ops)
        for flow, op in zip(flows, ops, strict=True):
            self._credit(flow, op)
            self._backer.forget(flow)

    def purge(self) -> None:
        """Delete all megaflows."""
        flows = self._backer.flows.all()
        for start in range(0, len(flows), _BATCH):
            self.delete(flows[start : start + _BATCH])

    # -- counters --------------------------------------------------------------------------------------------------

    def refresh(self, callback: Callable[[], None], max_age: int) -> None:
        """Call back once all that was forwarded up to `max_age` ms ago is credited."""
        wanted = self._backer.clock.now() - max_age
        if not len(self._backer.flows) or self._swept > wanted:
            callback()
            return
        self._waiting.append((wanted, callback))
        self._sweep_now()

    def run(self, now: int) -> int | None:
        """Do what is due; returns when to be called next."""
        self.start()
        if not len(self._backer.flows):
            return None
        if now >= self._next_sweep:
            self._sweep_now()
        return self._next_sweep

    def _sweep_now(self) -> None:
        if self._sweeping is None:
            self._sweeping = self._backer.clock.now()
            self._next_sweep = self._sweeping + SWEEP_INTERVAL
            self._backer.drive(self._sweep(), len(self._backer.flows) <= _SMALL, "statistics sweep")

    def _sweep(self) -> Generator[None, None, None]:
        backer = self._backer
        started = self._sweeping
        assert started is not None
        before = backer.flows.all()
        seen: set[int] = set()
        worked = 0
        dump = backer.dpif.flow_dump(terse=True)
        try:
            while True:
                begin = time.perf_counter_ns()
                batch = dump.next_batch(_BATCH)
                if not batch:
                    break
                idle: list[Megaflow] = []
                strange: list[DpOp] = []
                oldest = backer.clock.now() - self._idle_limit()
                for dp_flow in batch:
                    flow = backer.flows.get(dp_flow.ufid)
                    if flow is None:
                        strange.append(FlowDel(dp_flow.ufid, dp_flow.key))
                        continue
                    seen.add(flow.ufid)
                    advance(flow, dp_flow.stats)
                    if (flow.used or flow.created) <= oldest:
                        idle.append(flow)
                if idle:
                    self.delete(idle)
                if strange:
                    backer.dpif.operate(strange)
                worked += time.perf_counter_ns() - begin
                yield
            dump.finish()
            for flow in before:
                if flow.ufid not in seen and backer.flows.get(flow.ufid) is flow:
                    backer.forget(flow)
        except OSError as error:
            self._lost.log(log, WARN, "failed to read the datapath's flows: %s", error)
        finally:
            self._sweeping = None
        self._swept = started
        self._adapt(worked // 1_000_000)
        self._next_sweep = max(self._next_sweep, backer.clock.now() + _REST * self.last_duration)
        self._answer()

    def _answer(self) -> None:
        """Call those back whose wish the last sweep fulfilled; sweep again for the others."""
        waiting, self._waiting = self._waiting, []
        self._waiting = [each for each in waiting if each[0] > self._swept]
        for wanted, callback in waiting:
            if wanted <= self._swept:
                callback()
        if self._waiting:
            self._sweep_now()

    def _idle_limit(self) -> int:
        return self.max_idle if len(self._backer.flows) <= self.flow_limit else min(self.max_idle, MAX_IDLE_CROWDED)

    def _adapt(self, duration: int) -> None:
        """Set how many megaflows there may be from how long (ms of work) it took to sweep those there were."""
        self.last_duration = duration
        limit = self.flow_limit
        if duration > 2 * _GOOD_SWEEP:
            limit = limit * _GOOD_SWEEP // duration
        elif duration > _GOOD_SWEEP:
            limit = limit * 3 // 4
        elif limit * duration < len(self._backer.flows) * _GOOD_SWEEP:
            limit += _LIMIT_STEP
        self.flow_limit = min(max(limit, MIN_FLOW_LIMIT), self.max_flow_limit)
