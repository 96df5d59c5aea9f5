"""One OpenFlow connection of a switch: bytes in, handlers, replies and unasked messages out.

Requests are taken one at a time and answered in their order. A handler that has to wait (a barrier) or has much to do
(a dump, a change of many flows) is a coroutine; the peer is not read from until it is done. A burst of short requests
is worked off in slices too, so that no connection holds up the loop.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from jackfield import log as logging
from jackfield.clock import spawn
from jackfield.errors import ProtocolError
from jackfield.log import get_logger
from jackfield.ofproto.connections.async_config import default_async_config
from jackfield.ofproto.connections.handlers import HANDLERS
from jackfield.openflow.connection import Closed, Connection, Negotiated, Received, Refused
from jackfield.openflow.errors import OpenFlowError
from jackfield.openflow.messages import AsyncConfig, AsyncKind, Role

if TYPE_CHECKING:
    from jackfield.clock import Timer
    from jackfield.io.stream import Stream
    from jackfield.ofproto.connections.controllers import Controller
    from jackfield.ofproto.connections.manager import ConnectionManager
    from jackfield.ofproto.ofproto import Ofproto
    from jackfield.openflow.messages import Message

log = get_logger("ofproto")
_limit = logging.RateLimit(1, 5)

T = TypeVar("T")

Waiting = Coroutine[Any, Any, None]
"""What is left of a request that could not be finished at once."""

SLICE_NS: Final = 2_000_000
"""Time that the work of one connection may take before the loop runs."""

_CHECK_EVERY: Final = 16
"""Steps of a generator between looks at the clock."""

DEFAULT_MISS_SEND_LEN: Final = 128

UNASKED_LIMIT: Final = 256 * 1024
"""Packet-ins are dropped while more bytes than this wait for a peer."""


class SessionKind(Enum):
    """What a connection is to the switch."""

    PRIMARY = "primary"  #: a configured controller: gets what happens, counts for the fail mode
    SERVICE = "service"  #: anybody who comes to the management socket: asks, and hears nothing unasked by default


class Session:
    """One connection.

    Args:
        manager: of all connections of the switch.
        kind: see `SessionKind`.
        connection: the protocol's state machine.

    Attributes:
        name: for log lines.
        role: see OpenFlow 1.3.5 section 6.3.4.
        async_config: what unasked messages the peer wants, None for the version's default.
        controller_id: chosen by the peer, addressed by `Controller` actions.
        miss_send_len: bytes of a packet that missed.
        invalid_ttl: whether packets with an expired TTL are wanted (OpenFlow 1.1 and 1.2 configuration).
        admitted: whether the peer has sent a request: it is a controller at work.
        controller: the configured controller it belongs to, None for a service.
    """

    def __init__(self, manager: ConnectionManager, kind: SessionKind, connection: Connection) -> None:
        self.manager: Final = manager
        self.kind: Final = kind
        self.connection: Final = connection
        self.name = kind.value
        self.role = Role.EQUAL
        self.async_config: AsyncConfig | None = None
        self.controller_id = 0
        self.miss_send_len = DEFAULT_MISS_SEND_LEN if kind is SessionKind.PRIMARY else 0
        self.invalid_ttl = False
        self.admitted = False
        self.controller: Controller | None = None
        self._stream: Stream | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: Waiting | None = None
        self._resume: asyncio.Handle | None = None
        self._timer: Timer | None = None

    @property
    def ofproto(self) -> Ofproto:
        """The switch."""
        return self.manager.ofproto

    @property
    def version(self) -> int:
        """The version spoken, 0 before it is agreed on."""
        return self.connection.version or 0

    # -- the stream's protocol -------------------------------------------------------------------------------------

    def opened(self, stream: Stream) -> None:
        """The connection is up: say hello."""
        self._stream = stream
        self.name = f"{self.ofproto.name}<->{stream.name}"
        self._write()
        self._arm()

    def received(self, data: bytes, now: int) -> None:
        """Take what the peer says."""
        self.connection.feed(data, now)
        if self._task is None and self._resume is None:
            self._work_off()

    def closed(self, error: Exception | None) -> None:
        """The connection is gone: stop what was under way."""
        self._stream = None
        if self._task is not None:
            self._task.cancel()
        if self._waiting is not None and inspect.getcoroutinestate(self._waiting) == inspect.CORO_CREATED:
            self._waiting.close()
        if self._resume is not None:
            self._resume.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self.manager.ended(self)

    def close(self) -> None:
        """End the connection, after what is queued has been sent."""
        if self._stream is not None:
            self._stream.close()

    # -- requests --------------------------------------------------------------------------------------------------

    def _work_off(self) -> None:
        """Handle requests until none is left, one has to wait, or the time is up."""
        self._resume = None
        deadline = time.perf_counter_ns() + SLICE_NS
        while self._stream is not None:
            event = self.connection.next_event()
            if event is None:
                break
            self._copy(self.connection.request)
            if isinstance(event, Received):
                waiting = self._handle(event.message, event.xid)
                if waiting is not None:
                    self._write()
                    self._stream.pause_receiving()
                    self._waiting = waiting
                    self._task = spawn(self._finish(waiting), name=f"{self.name}: a request")
                    return
            elif isinstance(event, Negotiated):
                self.manager.negotiated(self)
            elif isinstance(event, Refused):
                _limit.log(log, logging.INFO, "%s: refused a message: %s", self.name, event.error)
            elif isinstance(event, Closed):
                self._give_up(event.reason)
                return
            if time.perf_counter_ns() > deadline and self.connection.pending:
                self._write()
                self._stream.pause_receiving()
                self._resume = asyncio.get_running_loop().call_soon(self._work_off)
                return
        self._write()
        if self._stream is not None:
            self._stream.resume_receiving()
            self._arm()

    def _handle(self, message: Message, xid: int) -> Waiting | None:
        if not self.admitted:
            self.admitted = True
            self.manager.admitted(self)
        try:
            handler = HANDLERS.get(type(message))
            if handler is None:
                raise OpenFlowError("OFPBRC_BAD_TYPE", f"{type(message).__name__} is not a request")
            if handler.changes and self.role is Role.SECONDARY:
                raise OpenFlowError("OFPBRC_IS_SECONDARY", f"{type(message).__name__} from a secondary controller")
            return handler.call(self, message, xid)
        except OpenFlowError as error:
            self._refuse(error)
            return None

    async def _finish(self, waiting: Waiting) -> None:
        """See a handler through that takes longer, then go on with the requests behind it."""
        try:
            await waiting
        except OpenFlowError as error:
            self._refuse(error)
        except Exception:  # a defect of ours ends this connection and nothing else
            log.exception("%s: a request failed", self.name)
            if self._stream is not None:
                self._stream.abort()
            return
        self._task = self._waiting = None
        self._work_off()

    def _refuse(self, error: OpenFlowError) -> None:
        _limit.log(log, logging.INFO, "%s: %s", self.name, error)
        self.connection.send_error(error, self.connection.request)

    def _give_up(self, reason: str) -> None:
        self._write()
        if self._stream is not None:
            self._stream.close(ProtocolError(reason))

    # -- for handlers ----------------------------------------------------------------------------------------------

    def reply(self, message: Message, xid: int) -> None:
        """Answer a request; it leaves when the handler is done."""
        self.connection.send(message, xid)

    async def send_parts(self, parts: Iterable[bytes]) -> None:
        """Send many messages, in slices, no faster than the peer reads."""
        deadline = time.perf_counter_ns() + SLICE_NS
        for part in parts:
            self.connection.send_bytes(part)
            if time.perf_counter_ns() > deadline:
                self._write()
                if self._stream is not None:
                    await self._stream.drained()
                await asyncio.sleep(0)
                deadline = time.perf_counter_ns() + SLICE_NS
        self._write()

    def drive(self, work: Generator[None]) -> Waiting:
        """Run a change to its end, in slices; it ends even if the connection does."""
        refused: list[OpenFlowError] = []

        def attempt() -> Generator[None]:
            try:
                yield from work
            except OpenFlowError as error:  # for the peer to hear of, not for the log
                refused.append(error)

        change = spawn(attempt(), name=f"{self.name}: a change")

        async def wait() -> None:
            await asyncio.shield(change)
            if refused:
                raise refused[0]

        return wait()

    async def gather(self, found: Iterator[T | None]) -> list[T]:
        """All that an iterator finds, searched in slices; None is a pause."""
        items: list[T] = []
        deadline = time.perf_counter_ns() + SLICE_NS
        for count, item in enumerate(found):
            if item is not None:
                items.append(item)
            if not count % _CHECK_EVERY and time.perf_counter_ns() > deadline:
                await asyncio.sleep(0)
                deadline = time.perf_counter_ns() + SLICE_NS
        return items

    def after(self, start: Callable[[Callable[[], None]], None], then: Callable[[], None]) -> Waiting | None:
        """Do `then` once what `start` begins calls back; at once, without a task, if it does so at once."""
        called: list[bool] = []
        done: asyncio.Future[None] | None = None

        def finish() -> None:
            called.append(True)
            if done is not None and not done.done():
                done.set_result(None)

        start(finish)
        if called:
            then()
            return None
        done = asyncio.get_running_loop().create_future()

        async def wait(done: asyncio.Future[None]) -> None:
            await done
            then()

        return wait(done)

    async def completion(self, start: Callable[[Callable[[], None]], None]) -> None:
        """Wait until what `start` begins calls back."""
        waiting = self.after(start, lambda: None)
        if waiting is not None:
            await waiting

    # -- unasked messages ------------------------------------------------------------------------------------------

    def wants(self, kind: AsyncKind, reason: int) -> bool:
        """Whether the peer is to be sent an unasked message."""
        if not self.version or (self.kind is SessionKind.SERVICE and not self.miss_send_len):
            return False
        config = self.async_config or default_async_config(self.version, invalid_ttl=self.invalid_ttl)
        return config.wants(kind, reason, secondary=self.role is Role.SECONDARY)

    @property
    def congested(self) -> bool:
        """Whether so much waits for the peer that packets had better be dropped."""
        return self._stream is None or self._stream.queued > UNASKED_LIMIT

    def tell(self, message: Message) -> None:
        """Send a message that was not asked for, if the version can say it at all."""
        if self._stream is None or not self.version:
            return
        try:
            self.connection.send(message)
        except ValueError as error:
            _limit.log(log, logging.WARN, "%s: cannot tell of %s: %s", self.name, type(message).__name__, error)
        self._write()

    # -- the wire --------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        data = self.connection.to_send()
        if data and self._stream is not None:
            self._stream.send(data)
            self._copy(data)

    def _copy(self, data: bytes) -> None:
        """Let those listen who want to."""
        if self.kind is SessionKind.PRIMARY and self.manager.snooped:
            self.manager.passed(data)

    def _arm(self) -> None:
        when = self.connection.next_timer()
        if when is None:
            return
        if self._timer is not None and self._timer.pending and self._timer.when <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.ofproto.clock.call_at(when, self._probe)

    def _probe(self) -> None:
        """Time to look whether the peer is alive; while we make it wait, its silence says nothing."""
        if self._stream is None:
            return
        now = self.ofproto.clock.now()
        if self._task is None and self._resume is None:
            for event in self.connection.run(now):
                if isinstance(event, Closed):
                    self._give_up(event.reason)
                    return
            self._write()
            self._arm()
        else:
            self._timer = self.ofproto.clock.call_later(self.connection.probe_interval, self._probe)
