"""Rules: the flows of a table.

A `Rule` is made once and never changed, its visibility and its place in a classifier apart: what modifies a flow makes
a new rule that takes the place of the old one in the next version of the tables and shares its counters. There may be
hundreds of thousands of them, so they have slots, and equal masks and actions are shared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jackfield.openflow.messages import NO_FLAGS, FlowModFlags

if TYPE_CHECKING:
    from jackfield.flow.match import Match
    from jackfield.openflow.actions import Action

FOREVER: Final = 1 << 62
"""`remove_version` of a rule that nothing is about to remove."""

MAX_PRIORITY: Final = 0xFFFF
"""Highest priority a controller can give; rules above it are the switch's own and hidden from controllers."""


class Conjunction(NamedTuple):
    """A rule's part in a conjunctive match (ovs-actions(7), "conjunction"): `clause`, from 0, of `n_clauses`."""

    conj_id: int
    clause: int
    n_clauses: int


class FlowCounters:
    """What a flow has seen: packets, bytes, and the clock ms of the last packet (of its creation before the first)."""

    __slots__ = ("bytes", "packets", "used")

    def __init__(self, used: int) -> None:
        self.packets = 0
        self.bytes = 0
        self.used = used


class Rule:
    """One flow.

    Attributes:
        match: what packets it applies to.
        priority: the highest wins; above `MAX_PRIORITY` it is hidden.
        actions: in OpenFlow order, see `jackfield.openflow.actions`; empty drops.
        table_id: the table it is in.
        cookie: 64 bits, the controller's own.
        idle_timeout, hard_timeout: seconds, 0 for never.
        importance: 16 bits, for eviction.
        flags: of the flow-mod, without those that concern the change itself.
        created, modified: clock ms; `modified` counts for the hard timeout.
        stats: the counters.
        conjunctions: memberships in conjunctive matches; such a rule is found only as part of them.
        provider_data: the provider's own.
        add_version, remove_version: visible in versions v with add_version <= v < remove_version.
    """

    __slots__ = (
        "actions",
        "add_version",
        "conjunctions",
        "cookie",
        "created",
        "flags",
        "hard_timeout",
        "idle_timeout",
        "importance",
        "match",
        "modified",
        "priority",
        "provider_data",
        "remove_version",
        "stats",
        "table_id",
    )

    def __init__(
        self,
        match: Match,
        priority: int,
        actions: tuple[Action, ...] = (),
        *,
        table_id: int = 0,
        cookie: int = 0,
        idle_timeout: int = 0,
        hard_timeout: int = 0,
        importance: int = 0,
        flags: FlowModFlags = NO_FLAGS,
        created: int = 0,
        modified: int | None = None,
        stats: FlowCounters | None = None,
        conjunctions: tuple[Conjunction, ...] = (),
        add_version: int = 0,
    ) -> None:
        self.match = match
        self.priority = priority
        self.actions = actions
        self.table_id = table_id
        self.cookie = cookie
        self.idle_timeout = idle_timeout
        self.hard_timeout = hard_timeout
        self.importance = importance
        self.flags = flags
        self.created = created
        self.modified = created if modified is None else modified
        self.stats = FlowCounters(created) if stats is None else stats
        self.conjunctions = conjunctions
        self.provider_data: Any = None
        self.add_version = add_version
        self.remove_version = FOREVER

    def visible(self, version: int) -> bool:
        """Whether the rule exists in a version of the tables."""
        return self.add_version <= version < self.remove_version

    @property
    def hidden(self) -> bool:
        """Whether the rule is the switch's own, which controllers neither see nor touch."""
        return self.priority > MAX_PRIORITY

    def matches_loosely(self, value: int, mask: int) -> bool:
        """Whether the rule is at least as specific as a match: the test of a non-strict modify or delete."""
        match = self.match
        return not mask & ~match.mask and match.value & mask == value

    def __repr__(self) -> str:
        return f"<Rule table={self.table_id} priority={self.priority} {self.match!r} cookie={self.cookie:#x}>"
