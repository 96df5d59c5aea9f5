"""The allocator."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield.dpif.userspace.heap import Heap


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=60))
def test_blocks_do_not_overlap(steps: list[tuple[bool, int]]) -> None:
    heap = Heap(512, 1 << 20)
    held: dict[int, int] = {}
    for free, words in steps:
        if free and held:
            offset, size = held.popitem()
            heap.free(offset, size)
        else:
            offset = heap.allocate(words)
            assert offset >= 512
            assert offset % 8 == 0
            assert all(offset + words <= other or other + size <= offset for other, size in held.items())
            held[offset] = words


def test_blocks_of_a_kind_stay_of_that_kind() -> None:
    heap = Heap(512, 1 << 20)
    flow = heap.allocate(16, "flow")
    heap.free(flow, 16, "flow")
    assert heap.allocate(16) != flow
    assert heap.allocate(16, "flow") == flow


def test_full() -> None:
    heap = Heap(512, 64)
    heap.allocate(64)
    with pytest.raises(OSError, match="used up") as caught:
        heap.allocate(1)
    assert caught.value.errno == errno.ENOSPC


def test_retired_blocks_wait_for_the_threads() -> None:
    heap = Heap(512, 1 << 20)
    block = heap.allocate(8)
    heap.retire(block, 8)
    heap.reclaim(lambda: (100, 100))
    assert heap.allocate(8) != block
    heap.stamp((5, 7))
    heap.reclaim(lambda: (5, 6))
    assert heap.allocate(8) != block
    heap.reclaim(lambda: (5, 7))
    assert heap.allocate(8) == block


def test_without_threads_everything_retired_is_free() -> None:
    heap = Heap(512, 1 << 20)
    blocks = {heap.allocate(8), heap.allocate(8)}
    for block in blocks:
        heap.retire(block, 8)
        heap.stamp((9,))
    heap.forget_threads()
    assert {heap.allocate(8), heap.allocate(8)} == blocks
