"""The controllers a switch was told of: whom it calls, or who may call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jackfield.io.active import Backoff, Connector
from jackfield.io.address import Address, parse_address
from jackfield.io.passive import Listener
from jackfield.openflow.connection import DEFAULT_PROBE_INTERVAL
from jackfield.openflow.messages import Role

if TYPE_CHECKING:
    from jackfield.clock import Clock
    from jackfield.io.tls import TlsFiles
    from jackfield.ofproto.connections.session import Session

MIN_BURST: Final = 25
"""Least burst (packets) that goes with a packet-in rate limit (ovs-vswitchd.conf.db(5))."""

_ROLE_NAMES: Final = {Role.EQUAL: "other", Role.PRIMARY: "master", Role.SECONDARY: "slave"}


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """One controller as configured (ovs-vswitchd.conf.db(5), Controller table).

    Attributes:
        target: "tcp:HOST:PORT", "ssl:...", "unix:FILE", or passive forms.
        max_backoff: longest wait (ms) between attempts to connect.
        probe_interval: silence (ms) after which the peer is probed; 0 for never.
        rate_limit: packet-ins per second, 0 for no limit.
        burst_limit: packet-ins at once, 0 for a quarter of the rate.
    """

    target: str
    max_backoff: int = 8_000
    probe_interval: int = DEFAULT_PROBE_INTERVAL
    rate_limit: int = 0
    burst_limit: int = 0

    @property
    def address(self) -> Address:
        """The target, parsed.

        Raises:
            ValueError: the target cannot be read.
        """
        return parse_address(self.target)

    @property
    def burst(self) -> int:
        """Packets that may pass at once under the rate limit."""
        return self.burst_limit or max(MIN_BURST, self.rate_limit // 4)


class Controller:
    """One configured controller, and its connections: one of an active target, any number of a passive one.

    Args:
        settings: see `ControllerSettings`.
        clock: the time.
        make_session: makes the protocol of a connection.
        tls: the files of "ssl" targets.

    Attributes:
        sessions: the connections that are up.
        away_since: clock ms since when no controller at work is connected, None while one is.
    """

    def __init__(
        self,
        settings: ControllerSettings,
        clock: Clock,
        make_session: Callable[[Controller], Session],
        tls: TlsFiles | None,
    ) -> None:
        self.settings = settings
        self.sessions: list[Session] = []
        self.away_since: int | None = clock.now()
        self._clock = clock
        address = settings.address
        self._connector: Connector | None = None
        self._listener: Listener | None = None
        if address.passive:
            self._listener = Listener(address, lambda: make_session(self), clock, tls=tls)
        else:
            backoff = Backoff(most=settings.max_backoff)
            self._connector = Connector(address, lambda: make_session(self), clock, tls=tls, backoff=backoff)

    @property
    def target(self) -> str:
        """As configured."""
        return self.settings.target

    @property
    def connected(self) -> bool:
        """Whether a connection has agreed on a version."""
        return any(session.version for session in self.sessions)

    @property
    def state(self) -> str:
        """VOID, BACKOFF, CONNECTING or ACTIVE; LISTENING or ACTIVE for a passive target."""
        if self._connector is not None:
            return self._connector.state
        return "ACTIVE" if self.sessions else "LISTENING"

    @property
    def role(self) -> str:
        """The role as the Controller table has it: "other", "master" or "slave"."""
        role = next((session.role for session in self.sessions if session.version), Role.EQUAL)
        return _ROLE_NAMES[role]

    @property
    def last_error(self) -> str | None:
        """Why the last attempt or connection ended."""
        return None if self._connector is None else self._connector.last_error

    @property
    def port(self) -> int:
        """The TCP port listened on, 0 if none."""
        return 0 if self._listener is None else self._listener.port

    async def start(self) -> None:
        """Connect or listen.

        Raises:
            OSError: the address cannot be listened on.
        """
        if self._connector is not None:
            self._connector.start()
        if self._listener is not None:
            await self._listener.start()

    async def stop(self) -> None:
        """End the connections and make no more."""
        if self._connector is not None:
            await self._connector.stop()
        if self._listener is not None:
            await self._listener.close()

    def reconnect(self) -> None:
        """Drop the connections; an active target is called again."""
        for session in list(self.sessions):
            session.close()

    def update_presence(self) -> None:
        """A connection came, got to work or went."""
        if any(session.admitted for session in self.sessions):
            self.away_since = None
        elif self.away_since is None:
            self.away_since = self._clock.now()
