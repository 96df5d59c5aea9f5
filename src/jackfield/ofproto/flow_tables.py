"""The flow tables of a switch and every way they change: flow-mods, timeouts, the switch's own flows.

A change that touches one flow is done at once. One that may touch many is a generator, to be driven in slices: it first
finds the rules, then makes all of the change visible in one step by moving the version, then tells the provider rule
by rule and clears the classifier. What other changes did to the same rules meanwhile stands.

Semantics: OpenFlow 1.0.1 section 4.6, OpenFlow 1.3.5 section 6.4, and ovs-ofctl(8) for cookies.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_ANY, OFPP_CONTROLLER, OfPort
from jackfield.ofproto.expiry import Expiry
from jackfield.ofproto.rule import FOREVER, MAX_PRIORITY, FlowCounters, Rule
from jackfield.ofproto.tables import N_TABLES, Table
from jackfield.openflow.actions import Action, Controller, Enqueue, Output, OutputTruncated, WriteActions
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import (
    ALL_TABLES,
    ANY_GROUP,
    NO_BUFFER,
    FlowMod,
    FlowModCommand,
    FlowModFlags,
    FlowRemovedReason,
)

if TYPE_CHECKING:
    from jackfield.clock import Clock
    from jackfield.ofproto.provider import OfprotoProvider

KEPT_FLAGS: Final = FlowModFlags.SEND_FLOW_REM | FlowModFlags.NO_PKT_COUNTS | FlowModFlags.NO_BYT_COUNTS
"""Flags that belong to the flow; the others concern only the flow-mod that has them."""

_CHECK_OVERLAP: Final = int(FlowModFlags.CHECK_OVERLAP)
_SEND_FLOW_REM: Final = int(FlowModFlags.SEND_FLOW_REM)
_RESET_COUNTS: Final = int(FlowModFlags.RESET_COUNTS)
_FLAGS: Final = {bits: KEPT_FLAGS & bits for bits in range(32)}

Work = Generator[None]
"""A change in slices; None marks where it may pause."""

Removed = tuple[Rule, FlowRemovedReason, int]
"""A rule that is gone, why, and when (clock ms)."""


class FlowFilter(Protocol):
    """What flow-mods and statistics requests have in common: which flows they are about."""

    @property
    def match(self) -> Match:
        """They are at least as specific as this."""

    @property
    def table_id(self) -> int:
        """They are in this table, or in all."""

    @property
    def cookie(self) -> int:
        """They have this cookie, as far as `cookie_mask` goes."""

    @property
    def cookie_mask(self) -> int:
        """Bits of `cookie` that count."""

    @property
    def out_port(self) -> OfPort:
        """They output to this port; ANY if that does not matter."""

    @property
    def out_group(self) -> int:
        """They output to this group; `ANY_GROUP` if that does not matter."""


def outputs_to(actions: Iterable[Action], port: OfPort) -> bool:
    """Whether one of the actions sends to a port by its number."""
    for action in actions:
        if isinstance(action, Output | Enqueue | OutputTruncated):
            if action.port == port:
                return True
        elif isinstance(action, Controller):
            if port == OFPP_CONTROLLER:
                return True
        elif isinstance(action, WriteActions) and outputs_to(action.actions, port):
            return True
    return False


class FlowTables:
    """All tables of one switch.

    Args:
        clock: the time.
        provider: gives the provider, told of each change.
        report: takes the flows that are gone and asked for a flow-removed message, once their counters are final.

    Attributes:
        tables: by number.
        version: of the tables, as packets see them now.
    """

    def __init__(
        self, clock: Clock, provider: Callable[[], OfprotoProvider], report: Callable[[list[Removed]], None]
    ) -> None:
        self.tables: Final = [Table(i) for i in range(N_TABLES)]
        self.version = 1
        self._clock = clock
        self._provider = provider
        self._report = report
        self._expiry = Expiry(clock, lambda done: self._provider().refresh_stats(done), self.remove)
        self._commands: Final[dict[FlowModCommand, Callable[[FlowMod], Work | None]]] = {
            FlowModCommand.ADD: self._add,
            FlowModCommand.MODIFY: self._modify,
            FlowModCommand.MODIFY_STRICT: self._modify_strict,
            FlowModCommand.DELETE: self._delete,
            FlowModCommand.DELETE_STRICT: self._delete_strict,
        }

    def stop(self) -> None:
        """Let no flow expire any more."""
        self._expiry.stop()

    @property
    def n_flows(self) -> int:
        """Flows that controllers can see, in all tables."""
        return sum(table.n_flows for table in self.tables)

    # -- which flows -----------------------------------------------------------------------------------------------

    def select(self, wanted: FlowFilter) -> Iterator[Rule | None]:
        """The visible flows that a filter is about; None marks where a long search may pause.

        Raises:
            OpenFlowError: OFPBRC_BAD_TABLE_ID, at once.
        """
        return self._select(wanted, self._tables(wanted.table_id))

    def _tables(self, table_id: int) -> list[Table]:
        if table_id == ALL_TABLES:
            return self.tables
        if table_id >= N_TABLES:
            raise OpenFlowError("OFPBRC_BAD_TABLE_ID", f"table {table_id} of {N_TABLES}")
        return [self.tables[table_id]]

    def _select(self, wanted: FlowFilter, tables: list[Table]) -> Iterator[Rule | None]:
        plain = not wanted.cookie_mask and wanted.out_port == OFPP_ANY and wanted.out_group == ANY_GROUP
        match = wanted.match
        for table in tables:
            if not len(table.classifier):
                continue
            for rule in table.classifier.covered_by(match, self.version):
                if rule is not None and not rule.hidden and (plain or _passes(rule, wanted)):
                    yield rule
                else:
                    yield None

    def _select_strict(self, wanted: FlowMod) -> list[Rule]:
        found = (
            table.classifier.find(wanted.match, wanted.priority, self.version)
            for table in self._tables(wanted.table_id)
            if len(table.classifier)
        )
        return [rule for rule in found if rule is not None and _passes(rule, wanted)]

    # -- flow-mods -------------------------------------------------------------------------------------------------

    def apply(self, mod: FlowMod) -> Work | None:
        """Do what a flow-mod says: at once (None), or by a generator that the caller drives to its end.

        Raises:
            OpenFlowError: nothing was changed; the generator may raise it too.
        """
        if mod.buffer_id != NO_BUFFER:
            raise OpenFlowError("OFPBRC_BUFFER_UNKNOWN", f"buffer {mod.buffer_id}: this switch has none")
        return self._commands[mod.command](mod)

    def _add(self, mod: FlowMod) -> Work | None:
        table_id = 0 if mod.table_id == ALL_TABLES else mod.table_id
        if table_id >= N_TABLES:
            raise OpenFlowError("OFPBRC_BAD_TABLE_ID", f"table {table_id} of {N_TABLES}")
        if mod.flags & _CHECK_OVERLAP:
            return self._add_unless_overlapping(mod, table_id)
        self._put(mod, table_id)
        return None

    def _add_unless_overlapping(self, mod: FlowMod, table_id: int) -> Work:
        for rule in self.tables[table_id].classifier.overlapping(mod.match, mod.priority, self.version):
            if rule is not None:
                raise OpenFlowError("OFPFMFC_OVERLAP", f"{rule!r} overlaps")
            yield
        self._put(mod, table_id)

    def _put(self, mod: FlowMod, table_id: int) -> None:
        """Add a flow, in the place of one with its match and priority."""
        table = self.tables[table_id]
        old = table.classifier.find(mod.match, mod.priority, self.version)
        if old is None and table.max_flows is not None and table.n_flows >= table.max_flows:
            raise OpenFlowError("OFPFMFC_TABLE_FULL", f"table {table_id} has its {table.max_flows} flows")
        rule = Rule(
            mod.match,
            mod.priority,
            mod.actions,
            table_id=table_id,
            cookie=mod.new_cookie or 0,
            idle_timeout=mod.idle_timeout,
            hard_timeout=mod.hard_timeout,
            importance=mod.importance,
            flags=_FLAGS[int(mod.flags) & 31],
            created=self._clock.now(),
        )
        if old is not None and not mod.flags & _RESET_COUNTS:
            rule.stats = old.stats
            # The idle timeout counts from now, whatever the counters say.
            rule.stats.used = rule.created
        self._provider().rule_check(rule)
        self._commit_one(rule, old)

    def _commit_one(self, rule: Rule, old: Rule | None) -> None:
        table = self.tables[rule.table_id]
        version = self.version + 1
        rule.add_version = version
        table.classifier.insert(rule)
        if rule.idle_timeout or rule.hard_timeout:
            self._expiry.watch(rule)
        if old is None:
            if not rule.hidden:
                table.n_flows += 1
            self.version = version
            self._provider().rule_inserted(rule)
            return
        old.remove_version = version
        self.version = version
        self._clear(old)
        self._provider().rule_replaced(old, rule)

    def _clear(self, rule: Rule) -> None:
        """Take an invisible rule out of what still holds it."""
        self.tables[rule.table_id].classifier.remove(rule)
        if rule.idle_timeout or rule.hard_timeout:
            self._expiry.forget(rule)

    def _modify_strict(self, mod: FlowMod) -> Work | None:
        found = self._select_strict(mod)
        if not found:
            return self._add_unmodified(mod)
        changes = [(old, self._modified(old, mod)) for old in found]
        for old, new in changes:
            self._commit_one(new, old)
        return None

    def _modify(self, mod: FlowMod) -> Work:
        found = self.select(mod)
        return self._modify_found(mod, found)

    def _modify_found(self, mod: FlowMod, found: Iterator[Rule | None]) -> Work:
        changes: list[tuple[Rule, Rule]] = []
        try:
            for old in found:
                yield
                if old is not None:
                    new = self._modified(old, mod)
                    # Invisible in every version, until all of them are in place.
                    new.add_version = new.remove_version
                    self.tables[new.table_id].classifier.insert(new)
                    changes.append((old, new))
        except OpenFlowError:
            yield from self._withdraw(new for _, new in changes)
            raise
        if not changes:
            rest = self._add_unmodified(mod)
            if rest is not None:
                yield from rest
            return
        version = self.version + 1
        overtaken: list[Rule] = []
        for old, new in changes:
            if old.remove_version == FOREVER:
                old.remove_version = version
                new.add_version = version
            else:
                overtaken.append(new)
        self.version = version
        changes.reverse()
        while changes:
            old, new = changes.pop()
            yield
            if new.add_version == version:
                if new.idle_timeout or new.hard_timeout:
                    self._expiry.watch(new)
                self._clear(old)
                self._provider().rule_replaced(old, new)
        yield from self._withdraw(overtaken)

    def _withdraw(self, rules: Iterable[Rule]) -> Work:
        """Take rules out that never became visible."""
        for rule in rules:
            yield
            self.tables[rule.table_id].classifier.remove(rule)

    def _add_unmodified(self, mod: FlowMod) -> Work | None:
        """A modify that found no flow adds one, where the version and the cookie mask say so."""
        if mod.cookie_mask or mod.new_cookie is None:
            return None
        return self._add(mod)

    def _modified(self, old: Rule, mod: FlowMod) -> Rule:
        """The rule that takes the place of a modified one; timeouts, flags and age stay, the idle time too."""
        now = self._clock.now()
        new = Rule(
            old.match,
            old.priority,
            mod.actions,
            table_id=old.table_id,
            cookie=old.cookie if mod.new_cookie is None else mod.new_cookie,
            idle_timeout=old.idle_timeout,
            hard_timeout=old.hard_timeout,
            importance=old.importance,
            flags=old.flags,
            created=old.created,
            modified=now,
            stats=FlowCounters(now) if mod.flags & _RESET_COUNTS else old.stats,
        )
        self._provider().rule_check(new)
        return new

    def _delete(self, mod: FlowMod) -> Work:
        return self._delete_found(self.select(mod))

    def _delete_found(self, found: Iterator[Rule | None]) -> Work:
        victims: list[Rule] = []
        for rule in found:
            yield
            if rule is not None:
                victims.append(rule)
        yield from self.remove(victims, FlowRemovedReason.DELETE)

    def _delete_strict(self, mod: FlowMod) -> Work | None:
        for rule in self._select_strict(mod):
            self._remove_one(rule, FlowRemovedReason.DELETE)
        return None

    # -- removal ---------------------------------------------------------------------------------------------------

    def remove(self, victims: list[Rule], reason: FlowRemovedReason) -> Work:
        """Make rules invisible in one step, then clear them away; those that are gone already are passed over.

        The list is emptied: the memory of very many rules is given back rule by rule, for freeing it takes its time.
        """
        now = self._clock.now()
        version = self.version + 1
        tables = self.tables
        gone: list[Rule] = []
        for rule in victims:
            if rule.remove_version == FOREVER:
                rule.remove_version = version
                gone.append(rule)
                if rule.priority <= MAX_PRIORITY:
                    tables[rule.table_id].n_flows -= 1
        self.version = version
        victims.clear()
        gone.reverse()
        told: list[Removed] = []
        removed = self._provider().rule_removed
        while gone:
            rule = gone.pop()
            self._clear(rule)
            removed(rule)
            if rule.flags & _SEND_FLOW_REM:
                told.append((rule, reason, now))
            yield
        self._tell(told)

    def _remove_one(self, rule: Rule, reason: FlowRemovedReason) -> None:
        for _ in self.remove([rule], reason):
            pass

    def _tell(self, told: list[Removed]) -> None:
        """Report removed flows once packets under way are counted."""
        if told:
            self._provider().sync(lambda: self._report(told))

    def flush(self) -> Work:
        """Remove every flow that controllers can see; nobody is told."""
        everything = [rule for table in self.tables for rule in table.classifier if not rule.hidden]
        for rule in everything:
            rule.flags &= ~FlowModFlags.SEND_FLOW_REM
            yield
        yield from self.remove(everything, FlowRemovedReason.DELETE)

    # -- the switch's own flows ------------------------------------------------------------------------------------

    def add_internal(self, match: Match, priority: int, actions: tuple[Action, ...], table_id: int = 0) -> Rule:
        """Add a flow for the switch itself; above `MAX_PRIORITY` controllers neither see nor touch it."""
        old = self.tables[table_id].classifier.find(match, priority, self.version)
        rule = Rule(match, priority, actions, table_id=table_id, created=self._clock.now())
        self._commit_one(rule, old)
        return rule

    def remove_internal(self, rule: Rule) -> None:
        """Take such a flow back; does nothing when it is gone."""
        if rule.remove_version == FOREVER:
            self._remove_one(rule, FlowRemovedReason.DELETE)


def _passes(rule: Rule, wanted: FlowFilter) -> bool:
    """Whether a rule passes the cookie and output parts of a filter."""
    if (rule.cookie ^ wanted.cookie) & wanted.cookie_mask:
        return False
    # There are no groups, so no flow outputs to one.
    if wanted.out_group != ANY_GROUP:
        return False
    return wanted.out_port == OFPP_ANY or outputs_to(rule.actions, wanted.out_port)
