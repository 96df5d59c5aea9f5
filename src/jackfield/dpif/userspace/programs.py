"""Action lists compiled into programs, each once: equal lists share a program.

A program lies in the heap of all arenas and is referred to by its offset. It lives as long as a flow uses it, and some
time longer, because the next flow or packet often wants the same.
"""

from __future__ import annotations

import errno
from collections import OrderedDict
from struct import pack
from typing import Final

from jackfield.dpif.actions import DpActions, Userspace
from jackfield.dpif.userspace.actions_code import compile_actions
from jackfield.dpif.userspace.heap import Heap
from jackfield.dpif.userspace.state import Arena

_IDLE_LIMIT: Final = 1024
_MAX_WORDS: Final = 8192


class Program:
    """A compiled action list."""

    __slots__ = ("actions", "numbers", "offset", "size", "uses")

    def __init__(self, actions: DpActions, offset: int, size: int, numbers: list[int]) -> None:
        self.actions = actions
        self.offset = offset
        self.size = size
        self.numbers = numbers
        self.uses = 0


class Programs:
    """The programs of a datapath.

    Args:
        arenas: of all polling threads.
        heap: where programs are put.
    """

    def __init__(self, arenas: list[Arena], heap: Heap) -> None:
        self._arenas = arenas
        self._heap = heap
        self._used: dict[DpActions, Program] = {}
        self._idle: OrderedDict[DpActions, Program] = OrderedDict()
        self._userspace: dict[int, tuple[Userspace, Program]] = {}
        self._next_number = 0

    def acquire(self, actions: DpActions) -> Program:
        """The program of an action list; `release` is due for it.

        Raises:
            OSError: EINVAL for what the datapath cannot do, ENOSPC.
        """
        program = self._used.get(actions)
        if program is None:
            program = self._idle.pop(actions, None) or self._make(actions)
            self._used[actions] = program
        program.uses += 1
        return program

    def release(self, program: Program) -> None:
        """One use less."""
        program.uses -= 1
        if program.uses:
            return
        del self._used[program.actions]
        self._idle[program.actions] = program
        if len(self._idle) > _IDLE_LIMIT:
            _, oldest = self._idle.popitem(last=False)
            self._heap.retire(oldest.offset, oldest.size)
            for number in oldest.numbers:
                del self._userspace[number]

    def check(self, actions: DpActions) -> None:
        """Find out whether the datapath could do this.

        Raises:
            OSError: EINVAL.
        """
        _words(actions, [], 0)

    def userspace(self, number: int) -> tuple[Userspace, DpActions] | None:
        """The action, and the list it stands in, of a number that compiled code gave; None when it has gone."""
        found = self._userspace.get(number)
        return None if found is None else (found[0], found[1].actions)

    def _make(self, actions: DpActions) -> Program:
        found: list[Userspace] = []
        words = _words(actions, found, self._next_number)
        offset = self._heap.allocate(len(words))
        numbers = list(range(self._next_number, self._next_number + len(found)))
        self._next_number += len(found)
        program = Program(actions, offset, len(words), numbers)
        self._userspace.update((number, (action, program)) for number, action in zip(numbers, found, strict=True))
        block = pack(f"<{len(words)}q", *words)
        for arena in self._arenas:
            arena.bytes[8 * offset : 8 * offset + len(block)] = block
        return program


def _words(actions: DpActions, found: list[Userspace], first_number: int) -> list[int]:
    def number(action: Userspace) -> int:
        found.append(action)
        return first_number + len(found) - 1

    try:
        words = compile_actions(actions, number)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    if len(words) > _MAX_WORDS:
        raise OSError(errno.EINVAL, f"an action list of {len(words)} words (expected at most {_MAX_WORDS})")
    return words
