"""Compiling the userspace datapath where somebody waits for it: `warm`, and `up` when it was not done before.

It takes about a minute, once. On a terminal the seconds tick; elsewhere each step is a line.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from typing import Final, TextIO

import click

_PATIENCE: Final = 2.0
"""Seconds after which loading is worth a word; compiled kernels load in a fraction of one."""
_TICK: Final = 0.5
_LOADING: Final = "loading the kernels, or waiting for another process that compiles them"


def compile_kernels(*, err: bool = False) -> float:
    """Compile the kernels, or load them from the cache; the seconds that took.

    Args:
        err: tell about it on standard error, not on standard output.

    Raises:
        OSError: no folder for the cache can be made.
    """
    from jackfield.dpif.userspace.warm import warm

    ticker = Ticker(sys.stderr if err else sys.stdout)
    with ticker:
        return warm(ticker.say)


class Ticker:
    """Says lines; on a terminal, the seconds since the beginning tick behind the last one until the next or the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._what = ""
        self._shown = False
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="progress", daemon=True)

    def __enter__(self) -> Ticker:
        if self._stream.isatty():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()
        self._settle()

    def say(self, line: str) -> None:
        """Tell what happens now."""
        with self._lock:
            self._settle()
            if self._thread.is_alive():
                self._what = line
                self._show(0.0)
            else:
                click.echo(line, file=self._stream)

    def _tick(self) -> None:
        while not self._end.wait(_TICK):
            elapsed = time.monotonic() - self._started
            with self._lock:
                if self._what or elapsed > _PATIENCE:
                    self._show(elapsed)

    def _show(self, elapsed: float) -> None:
        ticking = f"  {elapsed:.0f} s" if elapsed >= 1 else ""
        room = shutil.get_terminal_size().columns - len(ticking) - 1  # a line that wraps could not be written over
        self._stream.write(f"\r\033[K{(self._what or _LOADING)[:room]}{ticking}")
        self._stream.flush()
        self._shown = True

    def _settle(self) -> None:
        """Let the line that stands there be the last of it."""
        if self._shown:
            self._stream.write(f"\r\033[K{self._what}\n" if self._what else "\r\033[K")
            self._stream.flush()
        self._what, self._shown = "", False
