"""Which files a device may open.

File names come from interface options, and those may come from a database client. A daemon therefore confines them to
one directory (its run directory); a program that takes them from its own command line need not.
"""

from __future__ import annotations

import errno
import os

from jackfield.errors import refuse

_directory: str | None = None


def confine(directory: str | None) -> None:
    """Let devices open files below `directory` only, to which relative names belong; None lifts the restriction."""
    global _directory
    _directory = None if directory is None else os.path.realpath(directory)


def resolve(name: str) -> str:
    """The path to open for a file name from an option.

    Raises:
        OSError: EACCES: the name leads out of the directory; EINVAL: it cannot be a file name.
    """
    if not name or "\0" in name:
        raise refuse(errno.EINVAL, f"{name!r} is not a file name")
    if _directory is None:
        return name
    path = os.path.realpath(os.path.join(_directory, name))
    if os.path.commonpath([path, _directory]) != _directory:
        raise refuse(errno.EACCES, f"{name}: only files below {_directory} may be opened")
    return path
