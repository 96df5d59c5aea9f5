"""The main thread's allocator for the heap that all arenas of a datapath have in common.

Offsets are in words. Blocks come in powers of two of eight words and more, so that each begins on a cache line. A block
that a polling thread may still be looking at is freed with `retire`, which holds it back until every thread has done
the commands that were sent before.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

_SMALLEST: Final = 3


class Heap:
    """Offsets between two bounds.

    Args:
        start: first word.
        words: how many there are.
    """

    def __init__(self, start: int, words: int) -> None:
        self.start = start
        self.used_end = start
        self._end = start + words
        self._free: dict[tuple[int, str], list[int]] = {}
        self._fresh: list[tuple[int, int, str]] = []
        self._retired: deque[tuple[Sequence[int], list[tuple[int, int, str]]]] = deque()

    def allocate(self, words: int, kind: str = "") -> int:
        """Give a block of at least `words` words; blocks of a `kind` are never used for another.

        Raises:
            OSError: ENOSPC.
        """
        size = max((words - 1).bit_length(), _SMALLEST)
        free = self._free.get((size, kind))
        if free:
            return free.pop()
        offset = self.used_end
        if offset + (1 << size) > self._end:
            raise OSError(errno.ENOSPC, "the datapath's memory for flows is used up")
        self.used_end = offset + (1 << size)
        return offset

    def free(self, offset: int, words: int, kind: str = "") -> None:
        """Take a block back that no thread can see."""
        self._free.setdefault((max((words - 1).bit_length(), _SMALLEST), kind), []).append(offset)

    def retire(self, offset: int, words: int, kind: str = "") -> None:
        """Take a block back once the threads have done all commands, those written but not yet sent included."""
        self._fresh.append((offset, words, kind))

    def stamp(self, sent: Sequence[int]) -> None:
        """Everything is sent now: what was retired until here is free once the threads have done `sent` commands."""
        if self._fresh:
            self._retired.append((sent, self._fresh))
            self._fresh = []

    def reclaim(self, done: Callable[[], Sequence[int]]) -> None:
        """Free what was retired and is out of use by now; `done` says how many commands each thread has done."""
        if not self._retired:
            return
        now = done()
        while self._retired and _reached(now, self._retired[0][0]):
            for block in self._retired.popleft()[1]:
                self.free(*block)

    def forget_threads(self) -> None:
        """Free everything retired: no thread runs, and none has a command left to do."""
        self.stamp(())
        self.reclaim(tuple)


def _reached(done: Sequence[int], wanted: Sequence[int]) -> bool:
    return all(have >= want for have, want in zip(done, wanted, strict=False))
