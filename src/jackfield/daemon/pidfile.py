"""Pidfiles: stock tools believe one only while the process whose number it holds has it locked.

POSIX record locks belong to a process and vanish when it closes *any* descriptor of the file. So the file is opened
once, by the daemon itself after its last fork, and that process never opens it again; `holder` is for other processes.
"""

import errno
import fcntl
import os
import struct
from typing import Final

from jackfield.errors import refuse

# struct flock of fcntl(2): l_type, l_whence, l_start, l_len, l_pid.
_FLOCK: Final = "hhqqi4x"


class Pidfile:
    """The pidfile of this process; made by `create`."""

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def create(cls, path: str, *, overwrite: bool = False) -> "Pidfile":
        """Write and lock a pidfile for this process.

        The file appears under its name complete and locked, so no reader sees it half made.

        Args:
            path: the file name.
            overwrite: take the place of a running daemon's pidfile.

        Raises:
            OSError: EEXIST when a running process holds it; or the directory's errors.
        """
        temporary = f"{path}.tmp{os.getpid()}"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            _put_in_place(temporary, path, overwrite)
        except BaseException:
            os.unlink(temporary)
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    def remove(self) -> None:
        """Remove the file if it is still ours, and unlock it."""
        ours = os.fstat(self._descriptor)
        try:
            found = os.stat(self.path)
            if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
                os.unlink(self.path)
        except FileNotFoundError:
            pass  # somebody has removed it already, which is all that was wanted
        os.close(self._descriptor)


def _put_in_place(temporary: str, path: str, overwrite: bool) -> None:
    if overwrite:
        os.rename(temporary, path)
        return
    for _ in range(3):
        try:
            os.link(temporary, path)
        except FileExistsError:
            pid = holder(path)
            if pid is not None:
                raise refuse(errno.EEXIST, f"{path}: already running as pid {pid}") from None
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
        else:
            os.unlink(temporary)
            return
    raise refuse(errno.EEXIST, f"{path}: other daemons are starting at the same time")


def holder(path: str) -> int | None:
    """The process that has the pidfile locked; None when there is no such file or it is stale.

    Not to be called for the pidfile of the calling process: that would unlock it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return None if kind == fcntl.F_UNLCK else int(pid)
