"""A set of prefixes of one field that says how few bits of a value tell it apart from them.

A classifier keeps the address prefixes of its rules in such a set. When no rule has the prefix length that a subtable
asks for, the subtable needs not be searched, and the megaflow needs only as many bits of the address as exclude the
prefixes that are there: a rule for one host does not split all other traffic by host.

The prefixes are kept sorted. Of all prefixes that differ from a value, the one that differs latest is next to where
the value itself would stand, and every prefix of the value is no longer than what its neighbours show, so two
comparisons give the answer that a walk down a binary tree would give.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import Final

_LENGTH_BITS: Final = 8
_LENGTH_MASK: Final = (1 << _LENGTH_BITS) - 1
_CHUNK: Final = 1024
"""Sorted prefixes are held in lists of at most this many, so that an insertion moves little memory."""


class PrefixSet:
    """Prefixes, each with the number of rules that have it.

    Args:
        width: bits of the field, at most 255.
    """

    __slots__ = ("_chunks", "_counts", "_firsts", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self._counts: dict[int, int] = {}
        self._chunks: list[list[int]] = []
        self._firsts: list[int] = []

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, value: int, length: int) -> None:
        """Count one more rule with a prefix; bits of `value` past `length` are zero."""
        entry = value << _LENGTH_BITS | length
        counts = self._counts
        if entry in counts:
            counts[entry] += 1
            return
        counts[entry] = 1
        if not self._chunks:
            self._chunks.append([entry])
            self._firsts.append(entry)
            return
        at = max(0, bisect_right(self._firsts, entry) - 1)
        chunk = self._chunks[at]
        insort(chunk, entry)
        if len(chunk) > _CHUNK:
            self._chunks.insert(at + 1, chunk[_CHUNK // 2 :])
            self._firsts.insert(at + 1, chunk[_CHUNK // 2])
            del chunk[_CHUNK // 2 :]
        self._firsts[at] = chunk[0]

    def discard(self, value: int, length: int) -> None:
        """Count one rule less with a prefix that was added."""
        entry = value << _LENGTH_BITS | length
        self._counts[entry] -= 1
        if self._counts[entry]:
            return
        del self._counts[entry]
        at = bisect_right(self._firsts, entry) - 1
        chunk = self._chunks[at]
        del chunk[bisect_right(chunk, entry) - 1]
        if chunk:
            self._firsts[at] = chunk[0]
        else:
            del self._chunks[at]
            del self._firsts[at]

    def has(self, value: int, length: int) -> bool:
        """Whether the set holds the first `length` bits of a value as a prefix of just that length."""
        spare = self.width - length
        return (value >> spare << spare) << _LENGTH_BITS | length in self._counts

    def bits_needed(self, value: int) -> int:
        """How many leading bits of a value settle for every prefix whether the value has it."""
        probe = value << _LENGTH_BITS | _LENGTH_MASK
        at = bisect_right(self._firsts, probe) - 1
        if at < 0:
            return self._settled(value, self._firsts[0]) if self._firsts else 0
        chunk = self._chunks[at]
        after = bisect_right(chunk, probe)
        bits = self._settled(value, chunk[after - 1])
        if after < len(chunk):
            return max(bits, self._settled(value, chunk[after]))
        if at + 1 < len(self._firsts):
            return max(bits, self._settled(value, self._firsts[at + 1]))
        return bits

    def _settled(self, value: int, entry: int) -> int:
        """How many leading bits of a value settle whether it has one prefix."""
        length = entry & _LENGTH_MASK
        common = self.width - (value ^ entry >> _LENGTH_BITS).bit_length()
        return length if common >= length else common + 1
