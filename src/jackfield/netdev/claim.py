"""Claims on interfaces, so that two switches do not both forward what arrives at one.

A claim is an abstract Unix socket named after the interface's index: such names belong to a network namespace, as
interfaces do, and go with the process that holds them, however it ends (unix(7)).
"""

from __future__ import annotations

import errno
import socket

from jackfield.errors import refuse


class Claim:
    """The claim of this process on one interface.

    Args:
        index: the interface's index.
        name: its name, for the refusal.

    Raises:
        OSError: EBUSY another process has claimed it.
    """

    def __init__(self, index: int, name: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._socket.bind(f"\0jackfield-port-{index}")
        except OSError as error:
            self._socket.close()
            if error.errno == errno.EADDRINUSE:
                raise refuse(errno.EBUSY, f"{name}: the interface is a port of another switch") from error
            raise

    def release(self) -> None:
        """Give the claim up."""
        self._socket.close()
