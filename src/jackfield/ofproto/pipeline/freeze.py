"""Frozen translations: what goes on where a packet comes back from the datapath.

Some work cannot be done in one pass: the datapath has to do something to the packet and look it up again. Translation
is then *frozen*: everything it would still do is put away by value under a recirculation id, a `Recirc` action carries
the id, and the packet's second miss (its key has the id) *thaws* it. Equal states share an id, so that equal flows
stay equal; each megaflow that uses an id holds it, and the id goes when nobody does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jackfield.openflow.actions import Action


@dataclass(frozen=True, slots=True)
class FrozenState:
    """Where to go on.

    Attributes:
        bridge: number of the bridge.
        table_id: the table in which the actions stand.
        of_table_miss, cookie: of the rule they belong to.
        frames: the stack, bottom first, each as (steps left, how it ends, what its end needs).
        pipeline: the pipeline's fields of the key, in place.
        stack: what push put there, as (value, bits), bottom first.
        action_set: the actions written so far.
    """

    bridge: int
    table_id: int
    of_table_miss: bool
    cookie: int
    frames: tuple[tuple[Any, ...], ...]
    pipeline: int
    stack: tuple[tuple[int, int], ...]
    action_set: tuple[Action, ...]


class FrozenTable:
    """The frozen states of one datapath by recirculation id; 0 is no id."""

    def __init__(self) -> None:
        self._states: dict[int, FrozenState] = {}
        self._ids: dict[FrozenState, int] = {}
        self._held: dict[int, int] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._states)

    def get(self, recirc_id: int) -> FrozenState | None:
        """The state of an id, None when it is gone."""
        return self._states.get(recirc_id)

    def hold(self, state: FrozenState) -> int:
        """The id of a state, made if there is none; it stays until `release` is called as often as this."""
        recirc_id = self._ids.get(state)
        if recirc_id is None:
            recirc_id = self._free_id()
            self._ids[state] = recirc_id
            self._states[recirc_id] = state
            self._held[recirc_id] = 0
        self._held[recirc_id] += 1
        return recirc_id

    def release(self, recirc_id: int) -> None:
        """Give back what `hold` gave."""
        self._held[recirc_id] -= 1
        if not self._held[recirc_id]:
            del self._held[recirc_id], self._ids[self._states.pop(recirc_id)]

    def _free_id(self) -> int:
        while True:
            self._next = self._next % 0xFFFFFFFF + 1
            if self._next not in self._states:
                return self._next
