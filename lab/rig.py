"""A switch between hosts: what nearly every test of the net lane starts with."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from lab.namespaces import Host, hosts
from lab.ours import Jackfield, jackfield

T = TypeVar("T")

LAG_LIMIT_MS = 50.0

_COMPLAINT = re.compile(r"^\S+\|\d+\|[^|]*\|(?:WARN|ERR|EMER)\|.*$", re.MULTILINE)


@dataclass
class Rig:
    """A running switch with its hosts on ports 1, 2, ...

    Attributes:
        switch: the switch, with the bridge br0.
        hosts: in the order of their ports.
        expected: patterns of the warnings that a test provokes; others fail it.
    """

    switch: Jackfield
    hosts: list[Host]
    expected: list[str] = field(default_factory=list)
    _log_read: int = 0

    def begin(self) -> None:
        """Forget what happened so far: lag, warnings, flows."""
        self.expected = []
        self._log_read = len(self.switch.log)
        self.switch.appctl("loop/lag reset")

    def end(self) -> None:
        """Check what every test wants: a loop that never kept anybody waiting, and no warning nobody expected."""
        lag = self.switch.appctl("loop/lag")
        found = re.search(r"max:([\d.]+)ms", lag)
        assert found is not None, lag
        assert float(found.group(1)) <= LAG_LIMIT_MS, f"the switch's loop was away too long:\n{lag}"
        self.check_log()

    def check_log(self) -> None:
        """Fail on warnings that were not expected."""
        new = self.switch.log[self._log_read :]
        odd = [line for line in _COMPLAINT.findall(new) if not any(re.search(each, line) for each in self.expected)]
        assert not odd, "the switch complained:\n" + "\n".join(odd[:10])

    def port_block(self, number: int, version: str = "OpenFlow13") -> str:
        """What ovs-ofctl dump-ports-desc prints of one port."""
        text = self.switch.ofctl(f"-O {version} dump-ports-desc br0")
        found = re.search(rf"^ {number}\(.*?(?=^ \S|\Z)", text, re.MULTILINE | re.DOTALL)
        assert found is not None, text
        return found.group()

    def set_flows(self, *rules: str, version: str = "OpenFlow13") -> None:
        """Replace all flows."""
        self.switch.ofctl("del-flows br0")
        for rule in rules:
            self.switch.ofctl(f"-O {version} add-flow br0 '{rule}'")


def until(condition: Callable[[], T], what: str, seconds: float = 10.0, pause: float = 0.02) -> T:
    """Wait until `condition` gives something true, and give it back; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        if found := condition():
            return found
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s until {what}"
        time.sleep(pause)


@contextlib.contextmanager
def rig(count: int, *arguments: str, quiet: bool = True, mtu: int = 1500) -> Iterator[Rig]:
    """A switch between `count` hosts, started with `arguments`; checked, stopped and removed at the end."""
    with hosts(count, "jft", quiet=quiet, mtu=mtu) as made, jackfield() as switch:
        switch.bridge("br0", [host.port for host in made], *arguments)
        built = Rig(switch, made)
        until(lambda: "br0 runs with" in switch.log, "the switch runs", 30)
        switch.appctl("loop/lag reset")
        yield built
        if switch.process.poll() is None:
            built.end()
