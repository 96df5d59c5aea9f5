"""Finding the megaflows that a new rule may concern: an overlap test over many keys at once.

Every search of a table that a megaflow rests on is a *dependency*: the table, a mask of what is known of the key
there, and the key under that mask. A rule (value, mask) concerns it unless the two contradict each other in a bit that
both know. Dependencies of one table with one mask form a group, whose keys lie in numpy arrays, a row for each word
that the mask touches: a sweep looks only at the rows that the rule's mask touches too, some tenths of a
millisecond for 200,000 keys.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from jackfield.flow.fields import KEY_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jackfield.ofproto.pipeline.flows import Megaflow

_CHUNK: Final = 256
"""Keys are moved into the array this many at a time."""
_SMALL: Final = 32
"""Up to this many keys are compared where they wait."""
_BLOCK: Final = 1 << 13
"""Keys in one array, and so what one step of a sweep looks at; a larger one would stall the loop as it grows."""
_LEAST: Final = 64
"""Keys in an array that is made."""
_FEW: Final = 8
"""Up to this many rules are compared one by one, more of them by a signature."""
_WORD: Final = (1 << 64) - 1
_KEY_BYTES: Final = 8 * KEY_WORDS
_ODD: Final = 0x9E3779B97F4A7C15


class Dependency:
    """One search that a megaflow rests on; where its key is belongs to the group."""

    __slots__ = ("group", "index", "owner")

    def __init__(self, owner: Megaflow, group: Group, index: int) -> None:
        self.owner = owner
        self.group = group
        self.index = index


class Group:
    """The dependencies of one table with one mask."""

    __slots__ = ("_blocks", "_dependencies", "_pending", "_words", "mask")

    def __init__(self, mask: int) -> None:
        self.mask = mask
        self._words = [word for word in range(KEY_WORDS) if mask >> 64 * word & _WORD]
        self._dependencies: list[Dependency] = []
        #: Keys of the last dependencies, not yet in an array.
        self._pending: list[int] = []
        #: A row for each word, a column for each key; `_BLOCK` keys each but for the last.
        self._blocks: list[NDArray[np.uint64]] = []

    def __len__(self) -> int:
        return len(self._dependencies)

    def add(self, owner: Megaflow, key: int) -> Dependency:
        """Enter a search; `key` may have bits outside the mask."""
        dependency = Dependency(owner, self, len(self._dependencies))
        self._dependencies.append(dependency)
        self._pending.append(key & self.mask)
        if len(self._pending) >= _CHUNK:
            self._settle()
        return dependency

    def remove(self, dependency: Dependency) -> None:
        """Take a search out; the last one takes its place."""
        last_index = len(self._dependencies) - 1
        settled = last_index + 1 - len(self._pending)
        last = self._dependencies.pop()
        index = dependency.index
        if last is dependency:
            if self._pending:
                self._pending.pop()
            return
        if index >= settled:
            self._pending[index - settled] = self._pending.pop()
        elif self._pending:
            self._column(index)[:] = self._rows([self._pending.pop()])[0]
        else:
            self._column(index)[:] = self._column(last_index)
        self._dependencies[index] = last
        last.index = index

    def overlapping(self, mask: int, values: Collection[int]) -> Iterator[list[Dependency]]:
        """The dependencies that rules of one mask concern, in slices, some of which may be empty."""
        common = self.mask & mask
        if not common:
            yield list(self._dependencies)
            return
        wanted = {value & common for value in values}
        if len(self._pending) == len(self._dependencies) <= _SMALL:
            # So few that numpy would cost more than it saves.
            yield [each for each, key in zip(self._dependencies, self._pending, strict=True) if key & common in wanted]
            return
        self._settle()
        places = [place for place, word in enumerate(self._words) if common >> 64 * word & _WORD]
        masks = [np.uint64(common >> 64 * self._words[place] & _WORD) for place in places]
        find = self._few if len(wanted) <= _FEW else self._many
        # Dependencies may come and go while a caller pauses; what comes was translated by the new rules.
        start = 0
        while start < len(self._dependencies):
            self._settle()
            number, first = divmod(start, _BLOCK)
            end = min(start - first + _BLOCK, len(self._dependencies))
            block = self._blocks[number][:, first : first + end - start]
            rows = [block[place] & word_mask for place, word_mask in zip(places, masks, strict=True)]
            found = find(rows, [[value >> 64 * self._words[place] & _WORD for place in places] for value in wanted])
            yield [self._dependencies[start + int(i)] for i in found]
            start = end

    @staticmethod
    def _few(rows: list[NDArray[np.uint64]], wanted: list[list[int]]) -> NDArray[np.intp]:
        hits = np.zeros(len(rows[0]), np.bool_)
        for value in wanted:
            equal = rows[0] == np.uint64(value[0])
            for row, word in zip(rows[1:], value[1:], strict=True):
                equal &= row == np.uint64(word)
            hits |= equal
        return hits.nonzero()[0]

    @staticmethod
    def _many(rows: list[NDArray[np.uint64]], wanted: list[list[int]]) -> NDArray[np.intp]:
        """By a signature of the words; a false hit costs a translation too many."""
        factors = [_ODD * (2 * place + 1) & _WORD for place in range(len(rows))]
        signatures = np.zeros(len(rows[0]), np.uint64)
        for row, factor in zip(rows, factors, strict=True):
            signatures += row * np.uint64(factor)
        of_wanted = np.array(
            [sum(word * factor for word, factor in zip(value, factors, strict=True)) & _WORD for value in wanted],
            np.uint64,
        )
        return np.isin(signatures, of_wanted).nonzero()[0]

    def _column(self, index: int) -> NDArray[np.uint64]:
        return self._blocks[index // _BLOCK][:, index % _BLOCK]

    def _settle(self) -> None:
        """Move pending keys into the arrays."""
        first = len(self._dependencies) - len(self._pending)
        del self._blocks[-(-first // _BLOCK) :]
        while self._pending:
            offset = first % _BLOCK
            keys = self._pending[: _BLOCK - offset]
            end = offset + len(keys)
            self._room(first // _BLOCK, end)[:, offset:end] = self._rows(keys).T
            del self._pending[: len(keys)]
            first += len(keys)

    def _room(self, number: int, columns: int) -> NDArray[np.uint64]:
        """A block with at least so many columns; it is made, or made larger, where need be."""
        if number == len(self._blocks):
            self._blocks.append(np.zeros((len(self._words), max(_LEAST, columns)), np.uint64))
        block = self._blocks[number]
        if columns > block.shape[1]:
            grown = np.zeros((len(self._words), min(_BLOCK, 2 * columns)), np.uint64)
            grown[:, : block.shape[1]] = block
            self._blocks[number] = block = grown
        return block

    def _rows(self, keys: list[int]) -> NDArray[np.uint64]:
        data = b"".join([key.to_bytes(_KEY_BYTES, "little") for key in keys])
        return np.frombuffer(data, "<u8").reshape(len(keys), KEY_WORDS)[:, self._words]


class DependencyIndex:
    """All dependencies, by table and mask."""

    def __init__(self) -> None:
        self._groups: dict[Any, dict[int, Group]] = {}

    def __len__(self) -> int:
        return sum(len(group) for groups in self._groups.values() for group in groups.values())

    def add(self, owner: Megaflow, table: object, key: int, mask: int) -> Dependency:
        """Enter a search of `table`."""
        groups = self._groups.get(table)
        if groups is None:
            groups = self._groups[table] = {}
        group = groups.get(mask)
        if group is None:
            group = groups[mask] = Group(mask)
        return group.add(owner, key)

    def remove(self, table: object, dependency: Dependency) -> None:
        """Take a search of `table` out."""
        group = dependency.group
        group.remove(dependency)
        if not len(group):
            groups = self._groups[table]
            del groups[group.mask]
            if not groups:
                del self._groups[table]

    def overlapping(self, table: object, rules: Mapping[int, Collection[int]]) -> Generator[None, None, set[Megaflow]]:
        """The megaflows that rules of a table may concern.

        Args:
            table: the table.
            rules: by mask, the values of the rules.
        """
        found: set[Megaflow] = set()
        for group in list(self._groups.get(table, {}).values()):
            for mask, values in rules.items():
                for hits in group.overlapping(mask, values):
                    found.update(hit.owner for hit in hits)
                    yield
        return found
