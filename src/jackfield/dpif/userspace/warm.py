"""Compiles the datapath's kernels, or loads them from the cache of an earlier start.

The cache is a folder of its own for each state of the sources the kernels are made of, each version of numba and each
kind of processor: numba itself looks only at the one file an entry point is written in. It lies below
``$XDG_CACHE_HOME`` (``~/.cache``); where that cannot be written, in a private folder for temporary files. Two processes
that start at once compile once: the second waits for the first.

Nothing is imported from numba before `warm` or `kernels` is called.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import importlib.metadata
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ENTRY: Final = "jackfield.dpif.userspace.jit_engine"
_IMPORT: Final = re.compile(r"^from (jackfield[\w.]*) import", re.MULTILINE)
_COMPLETE: Final = "complete"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Kernels:
    """The compiled entry points; what each does is written at its definition in `jit_engine`.

    Attributes:
        run: forwards; ``run(array, buffers)``.
        submit: hands commands to a polling thread; ``submit(array, head, wait)``.
        shared_word: ``shared_word(array, word)``.
        claim: takes upcalls; ``claim(array, position, limit)``.
        seconds: what compiling or loading took.
    """

    run: Callable[[Any, Any], int]
    submit: Callable[[Any, int, int], int]
    shared_word: Callable[[Any, int], int]
    claim: Callable[[Any, int, int], int]
    seconds: float


_loaded: Kernels | None = None


def warm(progress: Progress | None = None) -> float:
    """Make sure the kernels are there, compiled now if need be; the seconds that took.

    Args:
        progress: called with a line of text for each kernel, only when something is really compiled.

    Raises:
        OSError: no folder for the cache can be made.
    """
    return kernels(progress).seconds


def kernels(progress: Progress | None = None) -> Kernels:
    """The kernels, compiled or loaded by the first call; see `warm`."""
    global _loaded  # the process has one set of kernels
    if _loaded is None:
        _loaded = _load(progress or (lambda line: None))
    return _loaded


def cache_folder() -> Path:
    """Where the kernels of the present sources are kept."""
    return _writable_root() / _fingerprint()


def _load(progress: Progress) -> Kernels:
    start = time.perf_counter()
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    if (folder / _COMPLETE).exists():
        return _compile(start, lambda line: None)
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / _COMPLETE).exists():
            return _compile(start, lambda line: None)
        progress("compiling the datapath's kernels (once for each version)")
        compiled = _compile(start, progress)
        (folder / _COMPLETE).touch()
        progress(f"compiled in {compiled.seconds:.1f} s, kept in {folder}")
        return compiled


def _compile(start: float, progress: Progress) -> Kernels:
    engine: Any = importlib.import_module(_ENTRY)
    for name, kernel, signature in engine.KERNELS:
        before = time.perf_counter()
        kernel.compile(signature)
        progress(f"  {name}: {time.perf_counter() - before:.1f} s")
    return Kernels(engine.run, engine.submit, engine.shared_word, engine.claim, time.perf_counter() - start)


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for part in (
        importlib.metadata.version("numba"),
        platform.python_version(),
        _processor(),
        os.environ.get("NUMBA_BOUNDSCHECK", ""),
        os.environ.get("NUMBA_OPT", ""),
    ):
        digest.update(part.encode() + b"\0")
    for source in _sources():
        digest.update(source)
    return digest.hexdigest()[:24]


def _sources() -> list[bytes]:
    """The text of the entry point's module and of all modules of ours that it is built on, sorted by name."""
    root = Path(__file__).parents[2]
    found: dict[str, bytes] = {}
    pending = [_ENTRY]
    while pending:
        name = pending.pop()
        path = root.joinpath(*name.split(".")[1:]).with_suffix(".py")
        if name in found or not path.exists():
            continue
        found[name] = path.read_bytes()
        pending += _IMPORT.findall(found[name].decode())
    return [found[name] for name in sorted(found)]


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.machine()
    lines = {line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(("model name", "flags"))}
    return platform.machine() + "|".join(sorted(lines))


def _writable_root() -> Path:
    home = os.environ.get("XDG_CACHE_HOME", "")
    for root in (Path(home) if home.startswith("/") else None, _home_cache()):
        if root is None:
            continue
        folder = root / "jackfield" / "kernels"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    folder = Path(tempfile.gettempdir()) / f"jackfield-kernels-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Compiled code is run: a folder that somebody else made is not to be trusted.
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder}: expected a folder of our own that nobody else may write")
    return folder


def _home_cache() -> Path | None:
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return None
