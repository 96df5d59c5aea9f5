from jackfield.clock import Clock
from jackfield.flow.ports import OfPort
from jackfield.ofproto.connections.packet_ins import RateLimiter, to_message
from jackfield.ofproto.provider import PacketInEvent
from jackfield.openflow.messages import PacketInReason


def event(port: int = 1, max_len: int | None = None) -> PacketInEvent:
    return PacketInEvent(bytes(100), OfPort(port), PacketInReason.ACTION, max_len=max_len, table_id=3, cookie=9)


def test_an_unbuffered_packet_is_sent_whole() -> None:
    for max_len in (None, 0, 10, 0xFFFF):
        message = to_message(event(max_len=max_len))
        assert (len(message.data), message.total_len, message.table_id, message.cookie) == (100, 100, 3, 9)


def limiter(clock: Clock, rate: int = 10, burst: int = 5) -> tuple[RateLimiter, list[int]]:
    sent: list[int] = []
    return RateLimiter(clock, rate, burst, lambda e: sent.append(e.in_port)), sent


def test_a_burst_passes_and_the_rest_at_the_rate(held_clock: Clock) -> None:
    limit, sent = limiter(held_clock)
    for _ in range(8):
        limit.submit(event())
    assert len(sent) == 5
    held_clock.advance(99)
    assert len(sent) == 5
    held_clock.advance(1)
    assert len(sent) == 6
    held_clock.advance(1000)
    assert (len(sent), limit.passed, limit.dropped, limit.waiting) == (8, 8, 0, 0)


def test_a_rest_fills_the_bucket_to_the_brim_and_no_further(held_clock: Clock) -> None:
    limit, sent = limiter(held_clock)
    held_clock.advance(100_000)
    for _ in range(20):
        limit.submit(event())
    assert len(sent) == 5
    assert limit.waiting == 5
    assert limit.dropped == 10


def test_a_port_that_floods_leaves_room_for_the_others(held_clock: Clock) -> None:
    limit, sent = limiter(held_clock)
    for _ in range(100):
        limit.submit(event(1))
    sent.clear()
    limit.submit(event(2))
    limit.submit(event(3))
    held_clock.advance(300)
    assert sorted(sent) == [1, 2, 3]


def test_nothing_is_sent_after_the_end(held_clock: Clock) -> None:
    limit, sent = limiter(held_clock)
    for _ in range(8):
        limit.submit(event())
    limit.stop()
    held_clock.advance(10_000)
    assert len(sent) == 5
