"""Which running switch a command talks to: its run directory, its bridges, its control socket."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from jackfield.errors import ProtocolError

DAEMON = "ovs-vswitchd"
"""Stock ovs-appctl looks for this daemon's pidfile and control socket, so a switch uses the name too."""


def default_rundir() -> Path:
    """Where a switch runs unless told otherwise."""
    if os.geteuid() == 0:
        return Path("/run/jackfield")
    private = os.environ.get("XDG_RUNTIME_DIR")
    return Path(private) / "jackfield" if private else Path(f"/tmp/jackfield-{os.geteuid()}")


class Target:
    """A running switch, found by its run directory."""

    def __init__(self, rundir: str | None) -> None:
        self.rundir = Path(rundir) if rundir else default_rundir()

    def bridges(self) -> list[str]:
        """Names of the bridges that have a management socket.

        Raises:
            OSError: the run directory cannot be read.
        """
        try:
            names = os.listdir(self.rundir)
        except FileNotFoundError:
            return []
        return sorted(name.removesuffix(".mgmt") for name in names if name.endswith(".mgmt"))

    def bridge(self, name: str | None) -> str:
        """The bridge a command means: the one named, or the only one.

        Raises:
            ValueError: no switch, no such bridge, or several and no name.
        """
        there = self.bridges()
        if not there:
            raise self.nobody()
        if name is None:
            if len(there) > 1:
                raise ValueError(f"several bridges are there ({', '.join(there)}): name one with --bridge")
            return there[0]
        if name not in there:
            raise ValueError(f"no bridge named {name} (there: {', '.join(there)})")
        return name

    def management_socket(self, name: str | None) -> Path:
        """The OpenFlow management socket of a bridge."""
        return self.rundir / f"{self.bridge(name)}.mgmt"

    def unixctl(self, command: str, *arguments: str) -> str:
        """Run a control command, as ovs-appctl would; its text.

        Raises:
            OSError: the switch cannot be reached.
            ValueError: there is no switch, or it refused the command.
        """
        from jackfield.daemon.unixctl import call, find_target

        try:
            path = find_target(DAEMON, self.rundir)
            return call(path, command, list(arguments))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise self.nobody() from error
        except (BrokenPipeError, ConnectionResetError) as error:
            raise OSError(errno.ECONNRESET, "the switch closed the connection") from error

    def query(self, command: str, *keys: str) -> list[dict[str, Any]]:
        """Run a control command that answers with a JSON list of objects, each with at least these keys.

        Raises:
            ProtocolError: it answered with something else.
        """
        import json

        text = self.unixctl(command)
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, list) or not all(isinstance(each, dict) and set(keys) <= set(each) for each in found):
            raise ProtocolError(f"the answer to {command} is not what a Jackfield switch answers")
        return found

    def nobody(self) -> ValueError:
        """The error that says so."""
        return ValueError(f"no switch runs in {self.rundir}: start one with `jackfield up`")
