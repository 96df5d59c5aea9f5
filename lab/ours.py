"""Jackfield as it is tested and measured: `jackfield up` in a process of its own, reached by the stock clients."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.peer import resident_kb

JACKFIELD = str(Path(sys.executable).parent / "jackfield")


@dataclass(frozen=True)
class Flow:
    """A rule as ovs-ofctl dump-flows prints it.

    Attributes:
        fields: what stands as name=value before the match, like table, cookie, n_packets, idle_timeout.
        match: priority and match.
        actions: the text after "actions=".
    """

    fields: dict[str, str]
    match: str
    actions: str

    @property
    def packets(self) -> int:
        """Its n_packets."""
        return int(self.fields["n_packets"])

    @property
    def bytes(self) -> int:
        """Its n_bytes."""
        return int(self.fields["n_bytes"])


def parse_flows(text: str) -> list[Flow]:
    """The rules in the output of ovs-ofctl dump-flows."""
    found = []
    for line in text.splitlines():
        head, is_flow, actions = line.strip().partition(" actions=")
        if not is_flow:
            continue
        # A rule for all packets of the default priority has nothing after the last comma.
        *fields, match = f"{head} ".split(", ")
        match = match.strip()
        found.append(Flow(dict(each.split("=", 1) for each in fields if "=" in each), match, actions))
    return found


class Jackfield:
    """A running `jackfield up`.

    Attributes:
        rundir: its run directory.
        pid: its process id.
        started_in: seconds from the start of the process until its management socket answered.
    """

    name = "Jackfield"

    def __init__(self, rundir: Path) -> None:
        self.rundir = rundir
        self.environment = {**os.environ, "OVS_RUNDIR": str(rundir)}
        self._process: subprocess.Popen[bytes] | None = None
        self.started_in = 0.0

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The switch's process."""
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        """Process id of the switch."""
        return self.process.pid

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self.rundir / "out").read_text()

    def bridge(self, name: str, ports: Sequence[str], *arguments: str) -> None:
        """Start the switch with one bridge, and wait until its management socket is there."""
        words = [word for port in ports for word in ("--port", port)]
        started = time.monotonic()
        with (self.rundir / "out").open("wb") as log:
            self._process = subprocess.Popen(
                [JACKFIELD, "--rundir", str(self.rundir), "up", "--bridge", name, *words, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        while not (self.rundir / f"{name}.mgmt").exists():
            if self._process.poll() is not None or time.monotonic() - started > 110:
                raise RuntimeError(f"jackfield up did not start: {self.log[-800:]}")
            time.sleep(0.005)
        self.started_in = time.monotonic() - started

    def stop(self, number: int = signal.SIGTERM) -> float:
        """End the switch; the seconds that took."""
        if self._process is None:
            return 0.0
        started = time.monotonic()
        self._process.send_signal(number)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        return time.monotonic() - started

    def ofctl(self, arguments: str) -> str:
        """Run the stock ovs-ofctl."""
        return self._client(f"ovs-ofctl {arguments}")

    def appctl(self, arguments: str) -> str:
        """Run the stock ovs-appctl."""
        return self._client(f"ovs-appctl {arguments}")

    def client(self, *command: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a client in this switch's run directory, whatever comes of it."""
        return subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    def cli(self, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run the `jackfield` command, whatever comes of it."""
        return self.client(JACKFIELD, "--rundir", str(self.rundir), *arguments, timeout=timeout)

    def popen(self, *command: str) -> subprocess.Popen[str]:
        """Start a client in this switch's run directory; its two outputs come as one."""
        return subprocess.Popen(
            command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def flows(self, match: str = "", version: str = "OpenFlow10", bridge: str = "br0") -> list[Flow]:
        """The rules that `match` includes, by ovs-ofctl dump-flows."""
        return parse_flows(self.ofctl(f"-O {version} dump-flows {bridge} '{match}'"))

    def port_counters(self, bridge: str = "br0") -> dict[str, dict[str, int]]:
        """Counters by port, named like rx_pkts and tx_drop, by ovs-ofctl dump-ports."""
        counters: dict[str, dict[str, int]] = {}
        port = direction = ""
        for line in self.ofctl(f"dump-ports {bridge}").splitlines():
            if (named := re.match(r"\s*port\s+\"?([^\":]+)\"?:", line)) is not None:
                port = named.group(1)
                counters[port] = {}
            if (where := re.search(r"\b(rx|tx) pkts=", line)) is not None:
                direction = where.group(1)
            for name, value in re.findall(r"(\w+)=(\d+)", line if port else ""):
                counters[port][f"{direction}_{name}"] = int(value)
        return counters

    def lag_ms(self) -> float:
        """The longest the main loop was away so far."""
        found = re.search(r"max:([\d.]+)ms", self.appctl("loop/lag"))
        if found is None:
            raise RuntimeError("loop/lag shows no maximum")
        return float(found.group(1))

    def resident_kb(self) -> int:
        """Resident memory in kB."""
        return resident_kb(self.pid)

    def datapath(self) -> dict[str, object]:
        """The datapath's counters, by `jackfield datapath show`."""
        shown: list[dict[str, object]] = json.loads(self.cli("datapath", "show", "--json").stdout)
        return shown[0]

    def _client(self, command: str) -> str:
        done = self.client("/bin/sh", "-c", command, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr.strip()[-500:]}")
        return done.stdout


@contextlib.contextmanager
def jackfield() -> Iterator[Jackfield]:
    """Jackfield for the length of a test or measurement."""
    with tempfile.TemporaryDirectory(prefix="jfb-") as folder:
        ours = Jackfield(Path(folder))
        try:
            yield ours
        finally:
            ours.stop()
