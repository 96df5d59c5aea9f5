import os
import select
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield.netdev import compiled as c
from jackfield.netdev.jit_ring import MemoryRing, memory_ring_queue
from jackfield.netdev.provider import QueueKind
from tests.netdev import jit_rig  # sets the cache's place before numba is imported

assert jit_rig


@pytest.fixture
def ring():
    made = MemoryRing(1 << 17)
    yield made
    made.close()


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 200), st.integers(0, 40_000), st.just(-1)), max_size=60))
def test_what_goes_in_comes_out_in_order(lengths: list[int]) -> None:
    """-1 takes two packets; what does not fit is refused and changes nothing."""
    ring = MemoryRing(1 << 17)
    inside: list[bytes] = []
    for number, length in enumerate(lengths):
        if length < 0:
            assert ring.pop(2) == inside[:2]
            del inside[:2]
        else:
            frame = bytes([number]) * length
            if ring.push(frame):
                inside.append(frame)
            else:
                assert sum(map(len, inside)) > 20_000
    assert ring.pop(1000) == inside
    assert ring.pop(1) == []
    ring.close()


def test_the_taker_is_woken_once_and_again_after_it_looked(ring: MemoryRing) -> None:
    assert not readable(ring.fd)
    ring.push(b"a")
    ring.push(b"b")
    assert readable(ring.fd)
    assert os.eventfd_read(ring.fd) == 1
    os.eventfd_write(ring.fd, 1)
    assert ring.pop(10) == [b"a", b"b"]
    assert not readable(ring.fd)
    ring.push(b"c")
    assert readable(ring.fd)


def test_a_full_ring_refuses_and_takes_again(ring: MemoryRing) -> None:
    frame = bytes(1000)
    count = 0
    while ring.push(frame):
        count += 1
    assert count == (1 << 17) // 1008
    assert len(ring.pop(3)) == 3
    assert ring.push(frame)
    assert not ring.push(bytes(c.BIG_ROOM + 1))


def test_two_threads() -> None:
    ring, total = MemoryRing(1 << 17), 20_000

    def put() -> None:
        for number in range(total):
            while not ring.push(number.to_bytes(4, "big") * (number % 50)):
                pass

    thread = threading.Thread(target=put)
    thread.start()
    got: list[bytes] = []
    while len(got) < total:
        got += ring.pop(64)
    thread.join()
    ring.close()
    assert got == [number.to_bytes(4, "big") * (number % 50) for number in range(total)]


def test_a_ring_of_another_size_is_refused() -> None:
    for capacity in (1 << 16, 200_000):
        with pytest.raises(ValueError, match=str(capacity)):
            MemoryRing(capacity)


def test_a_queue_of_two_rings(ring: MemoryRing) -> None:
    other = MemoryRing()
    queue = memory_ring_queue(ring, other)
    assert (queue.kind, queue.fd) == (QueueKind.MEMORY_RING, ring.fd)
    assert tuple(queue.words) == (ring.address, other.address, ring.fd, other.fd)
    other.close()
    other.close()
