"""All connections of one switch: who is there, in which role, and what the switch tells them unasked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from jackfield.errors import describe
from jackfield.flow.match import Match
from jackfield.flow.ports import OFPP_NORMAL
from jackfield.io.address import Address
from jackfield.io.passive import Listener
from jackfield.log import get_logger
from jackfield.ofproto.connections.controllers import Controller, ControllerSettings
from jackfield.ofproto.connections.fail_open import PROBES, FailOpen
from jackfield.ofproto.connections.packet_ins import RateLimiter, to_message
from jackfield.ofproto.connections.session import Session, SessionKind
from jackfield.ofproto.connections.snoop import SnoopSession
from jackfield.openflow.actions import Output
from jackfield.openflow.connection import DEFAULT_VERSIONS, Connection
from jackfield.openflow.dialect import OF13
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import (
    AsyncKind,
    FlowRemoved,
    FlowRemovedReason,
    PacketInReason,
    PortDescription,
    PortReason,
    PortStatus,
    Role,
)

if TYPE_CHECKING:
    from jackfield.io.stream import StreamProtocol
    from jackfield.io.tls import TlsFiles
    from jackfield.ofproto.flow_tables import Removed
    from jackfield.ofproto.ofproto import Ofproto
    from jackfield.ofproto.provider import PacketInEvent

log = get_logger("connmgr")

_NANOSECONDS_PER_MS: Final = 1_000_000
_NO_GENERATION: Final = 0xFFFFFFFFFFFFFFFF
_HALF: Final = 1 << 63
_DEFAULT_PATIENCE: Final = 15_000
"""How long (ms) controllers without probes may be away in standalone mode."""

FAIL_MODES: Final = ("standalone", "secure")


class ConnectionManager:
    """The connections of a switch.

    Attributes:
        ofproto: the switch.
        versions: OpenFlow wire versions that peers may choose from.
        wants_misses: whether some connection wants packets that no flow fits, see `PacketInEvent.implicit_miss`.
    """

    def __init__(self, ofproto: Ofproto) -> None:
        self.ofproto: Final = ofproto
        self.versions: frozenset[int] = DEFAULT_VERSIONS
        self.wants_misses = False
        self._sessions: dict[Session, None] = {}
        self._limiters: dict[Session, RateLimiter] = {}
        self._controllers: dict[str, Controller] = {}
        self._listeners: dict[str, Listener] = {}
        self._snoops: dict[SnoopSession, None] = {}
        self._fail_mode = "standalone"
        self._generation: int | None = None
        self._fail_open = FailOpen(
            ofproto.name, ofproto.clock, ofproto.flows, self._patience, self._controllers_away_since
        )

    # -- configuration ---------------------------------------------------------------------------------------------

    @property
    def fail_mode(self) -> str:
        """What to do without controllers: "standalone" forwards like a plain switch, "secure" follows the flows."""
        return self._fail_mode

    @fail_mode.setter
    def fail_mode(self, mode: str) -> None:
        if mode not in FAIL_MODES:
            raise ValueError(f"fail mode {mode}: expected one of {', '.join(FAIL_MODES)}")
        if mode == self._fail_mode:
            return
        self._fail_mode = mode
        if not self._controllers:
            self.ofproto.flush()
        self._fail_open.update()

    @property
    def failing_open(self) -> bool:
        """Whether the switch forwards by itself because its controllers are away."""
        return self._fail_open.active

    def controllers(self) -> list[Controller]:
        """The configured controllers."""
        return list(self._controllers.values())

    @property
    def sessions(self) -> list[Session]:
        """The connections that are up."""
        return list(self._sessions)

    async def set_controllers(
        self, controllers: Sequence[str | ControllerSettings], tls: TlsFiles | None = None
    ) -> None:
        """Set the controllers; those that stay as they were keep their connections.

        A passive one that cannot be listened on is logged, the others still serve. When the first controller comes
        or the last one goes, all flows are removed.

        Raises:
            ValueError: a target cannot be read, or an "ssl" one has no `tls`; nothing is changed.
        """
        wanted = {
            each.target: each
            for each in (ControllerSettings(each) if isinstance(each, str) else each for each in controllers)
        }
        had = bool(self._controllers)
        fresh = {
            target: Controller(settings, self.ofproto.clock, self._controller_session, tls)
            for target, settings in wanted.items()
            if target not in self._controllers or self._controllers[target].settings != settings
        }
        leaving = [each for target, each in self._controllers.items() if target not in wanted or target in fresh]
        kept = {target: each for target, each in self._controllers.items() if each not in leaving}
        self._controllers = {target: fresh.get(target) or kept[target] for target in wanted}
        await asyncio.gather(*(each.stop() for each in leaving))
        for controller in fresh.values():
            try:
                await controller.start()
            except (OSError, ValueError) as error:
                log.error("%s: controller %s: %s", self.ofproto.name, controller.target, describe(error))
        if had != bool(self._controllers):
            self.ofproto.flush()
        self._fail_open.update()

    async def listen(self, mgmt_path: str, snoop_path: str | None = None) -> None:
        """Serve the management socket, and the one for listening in.

        Raises:
            OSError: a socket cannot be had.
        """
        await self._serve(mgmt_path, self._service_session)
        if snoop_path is not None:
            await self._serve(snoop_path, self._snoop_session)

    async def _serve(self, path: str, factory: Callable[[], StreamProtocol]) -> None:
        listener = Listener(Address("unix", passive=True, path=path), factory, self.ofproto.clock)
        await listener.start()
        self._listeners[path] = listener

    async def stop(self) -> None:
        """End all connections and make no more."""
        self._fail_open.stop()
        controllers, self._controllers = self.controllers(), {}
        listeners, self._listeners = list(self._listeners.values()), {}
        await asyncio.gather(*(each.stop() for each in controllers), *(each.close() for each in listeners))

    def reconnect_all(self) -> None:
        """Drop the connections to controllers, so that they learn anew what the switch is."""
        for controller in self.controllers():
            controller.reconnect()

    def flushed(self) -> None:
        """All flows are gone: without controllers, a standalone switch gets the flow that makes it a plain one."""
        if not self._controllers and self._fail_mode == "standalone":
            self.ofproto.flows.add_internal(Match(), 0, (Output(OFPP_NORMAL),))

    # -- coming and going ------------------------------------------------------------------------------------------

    def _new_connection(self, probe_interval: int) -> Connection:
        return Connection(self.ofproto.clock.now(), self.versions, probe_interval)

    def _service_session(self) -> Session:
        session = Session(self, SessionKind.SERVICE, self._new_connection(0))
        self._sessions[session] = None
        return session

    def _snoop_session(self) -> SnoopSession:
        snoop = SnoopSession(self.ofproto.clock, self.versions, lambda ended: self._snoops.pop(ended, None))
        self._snoops[snoop] = None
        return snoop

    def _controller_session(self, controller: Controller) -> Session:
        settings = controller.settings
        session = Session(self, SessionKind.PRIMARY, self._new_connection(settings.probe_interval))
        session.controller = controller
        self._sessions[session] = None
        controller.sessions.append(session)
        if settings.rate_limit:
            self._limiters[session] = RateLimiter(
                self.ofproto.clock,
                settings.rate_limit,
                settings.burst,
                lambda event: session.tell(to_message(event)),
            )
        return session

    def negotiated(self, session: Session) -> None:
        """A connection has agreed on a version."""
        self.update_wants()

    def admitted(self, session: Session) -> None:
        """A peer has sent its first request: it works."""
        if session.controller is not None:
            session.controller.update_presence()
            self._fail_open.update()

    def ended(self, session: Session) -> None:
        """A connection is gone."""
        self._sessions.pop(session, None)
        limiter = self._limiters.pop(session, None)
        if limiter is not None:
            limiter.stop()
        if session.controller is not None:
            session.controller.sessions.remove(session)
            session.controller.update_presence()
            self._fail_open.update()
        self.update_wants()

    def _patience(self) -> int | None:
        """How long all controllers may be away before the switch forwards by itself; None for ever."""
        if self._fail_mode != "standalone" or not self._controllers:
            return None
        longest = max(controller.settings.probe_interval for controller in self._controllers.values())
        return PROBES * longest or _DEFAULT_PATIENCE

    def _controllers_away_since(self) -> int | None:
        """Since when no controller at all is there."""
        away = [controller.away_since for controller in self._controllers.values()]
        since = [each for each in away if each is not None]
        return max(since) if since and len(since) == len(away) else None

    # -- roles -----------------------------------------------------------------------------------------------------

    def check_generation(self, generation_id: int) -> None:
        """Take note of the generation of a change of primary or secondary (OpenFlow 1.3.5 section 6.3.5).

        Raises:
            OpenFlowError: OFPRRFC_STALE, it is older than one seen before.
        """
        if self._generation is not None and (generation_id - self._generation) % (2 * _HALF) >= _HALF:
            raise OpenFlowError("OFPRRFC_STALE", f"generation {generation_id}, {self._generation} was seen")
        self._generation = generation_id

    @property
    def generation_for_reply(self) -> int:
        """The latest generation seen, all ones for none."""
        return _NO_GENERATION if self._generation is None else self._generation

    def set_role(self, session: Session, role: Role) -> None:
        """Give a connection a role; a new primary makes the old one secondary."""
        if role is Role.PRIMARY:
            for other in self._sessions:
                if other is not session and other.role is Role.PRIMARY:
                    other.role = Role.SECONDARY
        session.role = role
        self.update_wants()

    # -- what the switch says unasked ------------------------------------------------------------------------------

    def update_wants(self) -> None:
        """A connection came, went, or wants other messages than before."""
        wanted = any(
            session.version < OF13 and session.wants(AsyncKind.PACKET_IN, PacketInReason.NO_MATCH)
            for session in self._sessions
        )
        if wanted != self.wants_misses:
            self.wants_misses = wanted
            self.ofproto.provider.settings_changed()

    def _wanting(self, kind: AsyncKind, reason: int) -> Iterable[Session]:
        return [session for session in self._sessions if session.wants(kind, reason)]

    def packet_in(self, event: PacketInEvent) -> None:
        """A packet for controllers."""
        for session in self._wanting(AsyncKind.PACKET_IN, event.reason):
            if session.controller_id != event.controller_id or (event.implicit_miss and session.version >= OF13):
                continue
            if session.congested:
                continue
            limiter = self._limiters.get(session)
            if limiter is not None:
                limiter.submit(event)
            else:
                session.tell(to_message(event))

    def port_status(self, reason: PortReason, port: PortDescription) -> None:
        """Something happened to a port."""
        for session in self._wanting(AsyncKind.PORT_STATUS, reason):
            session.tell(PortStatus(reason, port))

    def flows_removed(self, removed: list[Removed]) -> None:
        """Flows are gone that asked for a message; their counters are final."""
        for rule, reason, when in removed:
            sessions = self._wanting(AsyncKind.FLOW_REMOVED, reason)
            if not sessions:
                continue
            message = FlowRemoved(
                match=rule.match,
                priority=rule.priority,
                cookie=rule.cookie,
                reason=FlowRemovedReason(reason),
                table_id=rule.table_id,
                duration_ns=(when - rule.created) * _NANOSECONDS_PER_MS,
                idle_timeout=rule.idle_timeout,
                hard_timeout=rule.hard_timeout,
                packet_count=rule.stats.packets,
                byte_count=rule.stats.bytes,
            )
            for session in sessions:
                session.tell(message)

    def passed(self, data: bytes) -> None:
        """Whole messages passed between the switch and a controller."""
        for snoop in list(self._snoops):
            snoop.copy(data)

    @property
    def snooped(self) -> bool:
        """Whether anybody listens in."""
        return bool(self._snoops)
