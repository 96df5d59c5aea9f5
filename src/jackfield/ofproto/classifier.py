"""The classifier: which rule of a table fits a packet, and what of the packet had to be looked at to know.

Rules with one mask form a subtable, a dictionary keyed by ``key & mask`` (`subtable`). A search goes through the
subtables by their highest priority and ends when none can hold a better rule. What it looked at becomes the mask of a
megaflow, so a search looks at as little as it can: stage by stage, and with the prefix sets of the addresses
(`prefixes`), which this module shares between its subtables.

Every rule is visible in a range of versions; a search is made in one version. Several rules may have the same match
and priority, if no version shows two of them.

Conjunctive matches (ovs-actions(7), "conjunction"): a rule with `Rule.conjunctions` is never the result of a search.
When rules of one priority supply every clause of a conjunction, and no plain rule of that or a higher priority fits,
the search is repeated with ``conj_id`` set to the conjunction's number, and its result, if any, is the result.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from jackfield.flow import fields as f
from jackfield.ofproto.prefixes import PrefixSet
from jackfield.ofproto.subtable import PREFIX_FIELDS, Subtable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackfield.flow.match import Match
    from jackfield.ofproto.rule import Rule

_ETH_TYPE_MASK: Final = f.ETH_TYPE.mask

# (field offset, field width, mask of a value, eth_type in place) by place in PREFIX_FIELDS
_PREFIXES: Final = tuple(
    (field.offset, field.width, (1 << field.width) - 1, eth_type << f.ETH_TYPE.offset)
    for field, eth_type in PREFIX_FIELDS
)


def _descending(subtable: Subtable) -> int:
    return -subtable.max_priority


class Classifier:
    """The rules of one table."""

    __slots__ = ("_by_mask", "_n_conjunctive", "_n_rules", "_ordered", "_prefix_sets")

    def __init__(self) -> None:
        self._by_mask: dict[int, Subtable] = {}
        self._ordered: list[Subtable] = []
        self._n_rules = 0
        self._n_conjunctive = 0
        self._prefix_sets: tuple[PrefixSet, ...] = ()

    def __len__(self) -> int:
        """How many rules there are, in all versions."""
        return self._n_rules

    def __iter__(self) -> Iterator[Rule]:
        """Every rule, in all versions; the table may change meanwhile."""
        for subtable in list(self._ordered):
            yield from subtable.all()

    @property
    def n_subtables(self) -> int:
        """How many different masks the rules have."""
        return len(self._ordered)

    # -- changes ---------------------------------------------------------------------------------------------------

    def insert(self, rule: Rule) -> None:
        """Add a rule; no other with its match and priority is visible in a version in which it is."""
        mask = rule.match.mask
        subtable = self._by_mask.get(mask)
        if subtable is None:
            subtable = self._by_mask[mask] = Subtable(mask)
            self._ordered.append(subtable)
            if subtable.prefixes and not self._prefix_sets:
                self._prefix_sets = tuple(PrefixSet(field.width) for field, _ in PREFIX_FIELDS)
        if subtable.prefixes:
            value = rule.match.value
            for place, length in subtable.prefixes:
                offset, _, field_mask, _ = _PREFIXES[place]
                self._prefix_sets[place].add(value >> offset & field_mask, length)
        if subtable.insert(rule):
            self._reorder(subtable)
        self._n_rules += 1
        if rule.conjunctions:
            self._n_conjunctive += 1

    def remove(self, rule: Rule) -> None:
        """Take out a rule that was inserted."""
        subtable = self._by_mask[rule.match.mask]
        value = rule.match.value
        for place, length in subtable.prefixes:
            offset, _, field_mask, _ = _PREFIXES[place]
            self._prefix_sets[place].discard(value >> offset & field_mask, length)
        if subtable.remove(rule):
            if subtable.rules:
                self._reorder(subtable)
            else:
                self._ordered.remove(subtable)
                del self._by_mask[subtable.mask]
        self._n_rules -= 1
        if rule.conjunctions:
            self._n_conjunctive -= 1

    def _reorder(self, subtable: Subtable) -> None:
        self._ordered.remove(subtable)
        self._ordered.insert(bisect_right(self._ordered, -subtable.max_priority, key=_descending), subtable)

    # -- searches --------------------------------------------------------------------------------------------------

    def lookup(self, key: int, version: int, *, conjunctive: bool = True) -> tuple[Rule | None, int]:
        """The rule for a key, None if no rule fits, and the in-place mask of what was looked at.

        Every key that agrees with `key` under that mask has the same result in the same version. `conjunctive` False
        takes no account of conjunctive matches.
        """
        best: Rule | None = None
        best_priority = -1
        looked = 0
        prefix_state: dict[int, tuple[int, int]] = {}
        parts: list[Rule] | None = [] if self._n_conjunctive else None
        for subtable in self._ordered:
            if subtable.max_priority <= best_priority:
                break
            for mask, index in subtable.early:
                if hash(key & mask) not in index:
                    looked |= mask
                    break
            else:
                if subtable.prefixes:
                    excluded = self._exclude(subtable, key, looked, prefix_state)
                    if excluded:
                        looked |= excluded
                        continue
                if subtable.middle is not None:
                    mask, index = subtable.middle
                    if hash(key & mask) not in index:
                        looked |= mask
                        continue
                mask = subtable.mask
                there = subtable.rules.get(key & mask)
                if there is None:
                    looked |= mask if subtable.ports is None else subtable.looked_at_ports(key)
                    continue
                looked |= mask
                for rule in there if isinstance(there, list) else (there,):
                    if rule.priority <= best_priority:
                        break
                    if rule.add_version <= version < rule.remove_version:
                        if parts is not None and rule.conjunctions:
                            parts.append(rule)
                            continue
                        best = rule
                        best_priority = rule.priority
                        break
        if parts and conjunctive:
            return self._join(key, version, best, parts, looked)
        return best, looked

    def _exclude(self, subtable: Subtable, key: int, looked: int, state: dict[int, tuple[int, int]]) -> int:
        """What must be held fixed to know, by an address alone, that no rule of a subtable fits; 0 if that is open.

        It is never more than the subtable itself would look at, unless it was looked at already.
        """
        for place, length in subtable.prefixes:
            offset, width, field_mask, eth_type = _PREFIXES[place]
            if key & _ETH_TYPE_MASK != eth_type:
                continue
            prefixes = self._prefix_sets[place]
            if place in state:
                value, bits = state[place]
            else:
                value = key >> offset & field_mask
                bits = prefixes.bits_needed(value)
                state[place] = value, bits
            if prefixes.has(value, length):
                continue
            needed = (1 << width) - (1 << width - bits) << offset | _ETH_TYPE_MASK
            if bits <= length or not needed & ~looked:
                return needed
        return 0

    def _join(
        self, key: int, version: int, best: Rule | None, parts: list[Rule], looked: int
    ) -> tuple[Rule | None, int]:
        """Decide between the best plain rule and the conjunctions that the partial matches make up."""
        floor = -1 if best is None else best.priority
        by_priority: dict[int, dict[tuple[int, int], int]] = {}
        for rule in parts:
            if rule.priority > floor:
                clauses = by_priority.setdefault(rule.priority, {})
                for conj_id, clause, n_clauses in rule.conjunctions:
                    which = conj_id, n_clauses
                    clauses[which] = clauses.get(which, 0) | 1 << clause
        for priority in sorted(by_priority, reverse=True):
            for (conj_id, n_clauses), met in by_priority[priority].items():
                if met == (1 << n_clauses) - 1:
                    found, more = self.lookup(f.CONJ_ID.put(key, conj_id), version, conjunctive=False)
                    looked |= more & ~f.CONJ_ID.mask
                    if found is not None:
                        return found, looked
        return best, looked

    def find(self, match: Match, priority: int, version: int) -> Rule | None:
        """The rule with just this match and priority: the test of a strict modify or delete."""
        subtable = self._by_mask.get(match.mask)
        if subtable is None:
            return None
        for rule in subtable.at(match.value):
            if rule.priority == priority and rule.add_version <= version < rule.remove_version:
                return rule
        return None

    def overlapping(self, match: Match, priority: int, version: int) -> Iterator[Rule | None]:
        """Rules of a priority that some packet fits which also fits `match` (OFPFF_CHECK_OVERLAP).

        None and changes meanwhile as in `covered_by`.
        """
        value, mask = match.value, match.mask
        for subtable in list(self._ordered):
            if priority not in subtable.priorities:
                continue
            common = subtable.mask & mask
            for rule in subtable.all():
                if (
                    rule.priority == priority
                    and not (rule.match.value ^ value) & common
                    and rule.add_version <= version < rule.remove_version
                ):
                    yield rule
                else:
                    yield None

    def covered_by(self, match: Match, version: int) -> Iterator[Rule | None]:
        """Rules at least as specific as `match`: those of a non-strict modify or delete, or a statistics request.

        None stands for a pause in a long search. The table may change meanwhile: a rule that is put in after the
        search began may or may not be found.
        """
        value, mask = match.value, match.mask
        for subtable in list(self._ordered):
            if mask & ~subtable.mask:
                continue
            if subtable.mask == mask:
                rules: Iterator[Rule] = iter(list(subtable.at(value)))
            else:
                rules = subtable.all()
            for rule in rules:
                if rule.match.value & mask == value and rule.add_version <= version < rule.remove_version:
                    yield rule
                else:
                    yield None
