"""The two families of errors.

What a caller of ours did wrong is a `ValueError`, or an `OSError` with the errno that the contract names (`refuse`).
What a peer sent wrong is a `ProtocolError`; each protocol derives its own, which adds what to answer: the OpenFlow
error name, the OVSDB error string, the netlink errno. Errors are converted once, at the edge.
"""

import errno
import os


class ProtocolError(Exception):
    """A peer broke the rules of its protocol."""


def refuse(number: int, text: str) -> OSError:
    """Make the `OSError` for a refused request.

    Args:
        number: an errno value; `OSError` turns some into subclasses (ENOENT into FileNotFoundError, ...).
        text: what was refused and why, in one line.
    """
    return OSError(number, text)


def describe(error: BaseException) -> str:
    """One line for a log or a client: the text of the error, with the errno's meaning when there is one."""
    if isinstance(error, OSError) and error.errno is not None:
        meaning = os.strerror(error.errno)
        text = error.strerror or meaning
        if error.filename is not None:
            text = f"{error.filename}: {text}"
        return text if meaning in text else f"{text} ({meaning})"
    return str(error) or type(error).__name__


def errno_of(error: BaseException, default: int = errno.EINVAL) -> int:
    """The errno to answer for an error: its own if it has one, else `default`."""
    return error.errno if isinstance(error, OSError) and error.errno is not None else default
