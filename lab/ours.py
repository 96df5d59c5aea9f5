"""Jackfield as it is measured: `jackfield up` in a process of its own, reached by the stock clients."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.peer import resident_kb

JACKFIELD = str(Path(sys.executable).parent / "jackfield")


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
    def pid(self) -> int:
        """Process id of the switch."""
        assert self._process is not None
        return self._process.pid

    def bridge(self, name: str, ports: Sequence[str]) -> None:
        """Start the switch with one bridge."""
        words = [word for port in ports for word in ("--port", port)]
        started = time.monotonic()
        with (self.rundir / "out").open("wb") as log:
            self._process = subprocess.Popen(
                [JACKFIELD, "--rundir", str(self.rundir), "up", "--bridge", name, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        while not (self.rundir / f"{name}.mgmt").exists():
            if self._process.poll() is not None or time.monotonic() - started > 60:
                raise RuntimeError(f"jackfield up did not start: {(self.rundir / 'out').read_text()[-800:]}")
            time.sleep(0.005)
        self.started_in = time.monotonic() - started

    def stop(self) -> None:
        """End the switch."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ofctl(self, arguments: str) -> str:
        """Run the stock ovs-ofctl."""
        return self._client(f"ovs-ofctl {arguments}")

    def appctl(self, arguments: str) -> str:
        """Run the stock ovs-appctl."""
        return self._client(f"ovs-appctl {arguments}")

    def lag_ms(self) -> float:
        """The longest the main loop was away so far."""
        return float(json.loads(self.appctl("loop/lag --json"))["max_ms"])

    def resident_kb(self) -> int:
        """Resident memory in kB."""
        return resident_kb(self.pid)

    def _client(self, command: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr.strip()[-500:]}")
        return done.stdout


@contextlib.contextmanager
def jackfield() -> Iterator[Jackfield]:
    """Jackfield for the length of a measurement."""
    with tempfile.TemporaryDirectory(prefix="jfb-") as folder:
        ours = Jackfield(Path(folder))
        try:
            yield ours
        finally:
            ours.stop()
