"""Unix stream sockets by file name.

The kernel limits a socket's name to 107 bytes; a longer path is reached through /proc/self/fd and a descriptor of its
directory. A listener replaces a socket that nobody listens on any more, and never a live one or another kind of file.
"""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jackfield.errors import refuse

_LONGEST_NAME: Final = 107
_BACKLOG: Final = 64


@contextmanager
def _short_name(path: str) -> Iterator[str]:
    """A name for `path` that fits into a socket address, valid inside the `with`."""
    if len(os.fsencode(path)) <= _LONGEST_NAME:
        yield path
        return
    directory, base = os.path.split(path)
    if len(os.fsencode(base)) > _LONGEST_NAME - len("/proc/self/fd/1234567/"):
        raise refuse(errno.ENAMETOOLONG, f"{path}: the file name is too long for a socket")
    descriptor = os.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{base}"
    finally:
        os.close(descriptor)


def _connect_now(sock: socket.socket, path: str) -> None:
    with _short_name(path) as name:
        try:
            sock.connect(name)
        except BlockingIOError:
            raise
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path) from error


async def connect(path: str) -> socket.socket:
    """Connect to the socket at `path`.

    Raises:
        OSError: with the path as its file name: ENOENT, ECONNREFUSED, EACCES, ...
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        while True:
            try:
                _connect_now(sock, path)
                return sock
            except BlockingIOError:
                # The listener's backlog is full: unlike TCP, there is nothing to wait on.
                await asyncio.sleep(0.01)
    except BaseException:
        sock.close()
        raise


def connect_blocking(path: str, timeout: float) -> socket.socket:
    """Connect like `connect`, without an event loop, for clients that do nothing else.

    Args:
        path: the socket's file name.
        timeout: seconds that connecting, and each later operation, may take.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        _connect_now(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


def listen(path: str, mode: int = 0o700) -> socket.socket:
    """Listen at `path`, in place of a dead socket that may be there.

    Args:
        path: the socket's file name.
        mode: its permissions.

    Raises:
        OSError: EADDRINUSE when somebody listens there, EEXIST when the file is no socket, or the cause of a failure.
    """
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        # The permissions are right from the first moment: nobody can connect between bind and listen.
        with _short_name(path) as name:
            try:
                sock.bind(name)
            except OSError as error:
                raise OSError(error.errno, os.strerror(error.errno or 0), path) from error
        os.chmod(path, mode)
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "exists and is not a socket", path)
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.setblocking(False)
        _connect_now(probe, path)
    except ConnectionRefusedError:
        os.unlink(path)
        return
    except FileNotFoundError:
        return
    except BlockingIOError:
        # Its backlog is full, so somebody is listening.
        pass
    finally:
        probe.close()
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), path)
