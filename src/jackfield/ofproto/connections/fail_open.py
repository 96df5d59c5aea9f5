"""Standalone fail mode: when no controller has answered for a while, the switch forwards by itself.

It does so by one rule above every priority a controller can give, whose action is NORMAL; the controllers' flows stay
where they are, and are in force again when the rule goes because a controller is back (ovs-vswitchd.conf.db(5), Bridge
fail_mode).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_NORMAL
from jackfield.log import get_logger
from jackfield.openflow.actions import Output

if TYPE_CHECKING:
    from jackfield.clock import Clock, Timer
    from jackfield.ofproto.flow_tables import FlowTables
    from jackfield.ofproto.rule import Rule

log = get_logger("fail_open")

FAIL_OPEN_PRIORITY: Final = 0xF0F0F0
PROBES: Final = 3
"""How many inactivity probe intervals without a controller are too many."""


class FailOpen:
    """Watches how long controllers have been away.

    Args:
        name: of the switch, for the log.
        clock: the time.
        flows: where the rule goes.
        patience: how long (ms) controllers may be away; None to stay closed whatever happens.
        away_since: when the last controller went away, None while one is there.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        flows: FlowTables,
        patience: Callable[[], int | None],
        away_since: Callable[[], int | None],
    ) -> None:
        self._name = name
        self._clock = clock
        self._flows = flows
        self._patience = patience
        self._away_since = away_since
        self._rule: Rule | None = None
        self._timer: Timer | None = None

    @property
    def active(self) -> bool:
        """Whether the switch forwards by itself now."""
        return self._rule is not None

    def update(self) -> None:
        """Something changed: a controller came or went, or what was configured."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        patience, since = self._patience(), self._away_since()
        if patience is None or since is None:
            self._close()
            return
        opens_at = since + patience
        if self._clock.now() >= opens_at:
            self._open(patience)
        else:
            self._close()
            self._timer = self._clock.call_at(opens_at, self.update)

    def stop(self) -> None:
        """Watch no more; the rule, if it is there, stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _open(self, patience: int) -> None:
        if self._rule is None:
            log.warning("%s: no controller for %d seconds, forwarding standalone", self._name, patience // 1000)
            self._rule = self._flows.add_internal(Match(), FAIL_OPEN_PRIORITY, (Output(OFPP_NORMAL),))

    def _close(self) -> None:
        if self._rule is not None:
            log.warning("%s: no longer forwarding standalone", self._name)
            self._flows.remove_internal(self._rule)
            self._rule = None
