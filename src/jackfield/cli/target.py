"""Which running switch a command talks to: its run directory, its bridges, its control socket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

DAEMON = "ovs-vswitchd"
"""Stock ovs-appctl looks for this daemon's pidfile and control socket, so a switch uses the name too."""


def default_rundir() -> Path:
    """Where a switch runs unless told otherwise."""
    if os.geteuid() == 0:
        return Path("/run/jackfield")
    return Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/jackfield-{os.geteuid()}") / "jackfield"


class Target:
    """A running switch, found by its run directory."""

    def __init__(self, rundir: str | None) -> None:
        self.rundir = Path(rundir) if rundir else default_rundir()

    def bridges(self) -> list[str]:
        """Names of the bridges that have a management socket."""
        return sorted(path.name.removesuffix(".mgmt") for path in self.rundir.glob("*.mgmt"))

    def bridge(self, name: str | None) -> str:
        """The bridge a command means: the one named, or the only one.

        Raises:
            ValueError: no switch, no such bridge, or several and no name.
        """
        there = self.bridges()
        if not there:
            raise self._nobody()
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
        except FileNotFoundError as error:
            raise self._nobody() from error
        return call(path, command, list(arguments))

    def query(self, command: str, *arguments: str) -> Any:
        """Run a control command that answers in JSON."""
        import json

        return json.loads(self.unixctl(command, *arguments))

    def _nobody(self) -> ValueError:
        return ValueError(f"no switch runs in {self.rundir}: start one with `jackfield up`")
