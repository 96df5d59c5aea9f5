"""Running long work in slices, and short work at once."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from jackfield.clock import spawn

_AT_ONCE: Final = 200
"""Steps done before the caller returns: less than a millisecond."""


def begin(work: Generator[None], name: str) -> None:
    """Run a generator to its end: the first steps now, what remains in slices on the loop.

    Little work is thus finished on return, which keeps a held clock exact and needs no loop.
    """
    for _ in range(_AT_ONCE):
        try:
            next(work)
        except StopIteration:
            return
    spawn(work, name=name)
