"""Packets on their way to one controller: whole, and no more of them than agreed.

The limit is a token bucket. Packets over the limit wait in a bounded queue for each port they came in on, served in
turn, and when all of them together are too many, the longest queue loses one: a port that floods cannot crowd out the
others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from jackfield.openflow.messages import PacketIn

if TYPE_CHECKING:
    from jackfield.clock import Clock, Timer
    from jackfield.flow.ports import OfPort
    from jackfield.ofproto.provider import PacketInEvent

_TOKEN: Final = 1000
"""Parts of a packet's token, so that a rate of r per second adds r parts each millisecond."""


def to_message(event: PacketInEvent) -> PacketIn:
    """The packet-in for a connection.

    A switch that does not buffer packets sends them whole, whatever `max_len` or `miss_send_len` say
    (OpenFlow 1.3.5 section 6.1.2): what would be cut off would be lost.
    """
    return PacketIn(
        in_port=event.in_port,
        data=event.packet,
        total_len=len(event.packet),
        reason=event.reason,
        table_id=event.table_id,
        cookie=event.cookie,
        metadata=event.metadata,
        userdata=event.userdata,
    )


class RateLimiter:
    """Lets packets pass at a rate.

    Args:
        clock: the time.
        rate: packets per second.
        burst: packets that may pass at once after a rest, and that may wait.
        send: where packets go.

    Attributes:
        passed: packets sent so far.
        dropped: packets lost so far.
    """

    def __init__(self, clock: Clock, rate: int, burst: int, send: Callable[[PacketInEvent], None]) -> None:
        self._clock = clock
        self._rate = max(1, rate)
        self._burst = max(1, burst)
        self._send = send
        self._tokens = self._burst * _TOKEN
        self._filled_at = clock.now()
        self._queues: dict[OfPort, deque[PacketInEvent]] = {}
        self._waiting = 0
        self._timer: Timer | None = None
        self.passed = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Packets in the queues."""
        return self._waiting

    def submit(self, event: PacketInEvent) -> None:
        """Send a packet now, later or never."""
        if not self._waiting and self._take():
            self.passed += 1
            self._send(event)
            return
        if self._waiting >= self._burst:
            self._drop_one()
        self._queues.setdefault(event.in_port, deque()).append(event)
        self._waiting += 1
        self._arm()

    def stop(self) -> None:
        """Forget what waits."""
        self._queues.clear()
        self._waiting = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self) -> bool:
        now = self._clock.now()
        self._tokens = min(self._burst * _TOKEN, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < _TOKEN:
            return False
        self._tokens -= _TOKEN
        return True

    def _drop_one(self) -> None:
        longest = max(self._queues, key=lambda port: len(self._queues[port]))
        self._queues[longest].popleft()
        self._forget_if_empty(longest)
        self._waiting -= 1
        self.dropped += 1

    def _forget_if_empty(self, port: OfPort) -> None:
        if not self._queues[port]:
            del self._queues[port]

    def _arm(self) -> None:
        if self._timer is None:
            missing = max(1, _TOKEN - self._tokens)
            self._timer = self._clock.call_later(-(-missing // self._rate), self._serve)

    def _serve(self) -> None:
        self._timer = None
        while self._waiting and self._take():
            port = next(iter(self._queues))
            queue = self._queues.pop(port)
            event = queue.popleft()
            if queue:
                # To the end of the line: the ports take turns.
                self._queues[port] = queue
            self._waiting -= 1
            self.passed += 1
            self._send(event)
        if self._waiting:
            self._arm()
