"""Open vSwitch from Debian's packages as the peer: daemons of its own, in a run directory of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.namespaces import sh


def installed() -> bool:
    """Whether the peer's daemons are there."""
    return shutil.which("ovs-vswitchd") is not None and shutil.which("ovsdb-server") is not None


class OpenVSwitch:
    """A running ovsdb-server and ovs-vswitchd.

    Attributes:
        rundir: their run directory, which stock clients find through OVS_RUNDIR.
        pid: process id of ovs-vswitchd.
    """

    name = "Open vSwitch"

    def __init__(self, rundir: Path, daemon: str = "ovs-vswitchd") -> None:
        self.rundir = rundir
        self.daemon = daemon
        self.environment = {
            **os.environ,
            "OVS_RUNDIR": str(rundir),
            "OVS_LOGDIR": str(rundir),
            "OVS_DBDIR": str(rundir),
        }
        self._processes: list[subprocess.Popen[bytes]] = []
        self.pid = 0

    def start(self, other_config: Sequence[str] = (), arguments: Sequence[str] = ()) -> None:
        """Start both daemons with an empty database; `other_config` as `key=value`."""
        schema = "/usr/share/openvswitch/vswitch.ovsschema"
        sh(f"ovsdb-tool create {self.rundir}/conf.db {schema}")
        self._spawn("ovsdb-server", f"{self.rundir}/conf.db", f"--remote=punix:{self.rundir}/db.sock")
        self._wait_for(self.rundir / "db.sock")
        self.vsctl("--no-wait init")
        for setting in other_config:
            self.vsctl(f"--no-wait set Open_vSwitch . other_config:{setting}")
        process = self._spawn(self.daemon, f"unix:{self.rundir}/db.sock", *arguments)
        self.pid = process.pid
        self.vsctl("show")

    def stop(self) -> None:
        """End both daemons and what they made."""
        if self.pid and self._processes[-1].poll() is None:
            # Told to end by a signal, it would leave its taps behind.
            with contextlib.suppress(RuntimeError, subprocess.TimeoutExpired):
                self.client(f"ovs-appctl -t {Path(self.daemon).name} exit --cleanup")
                self._processes[-1].wait(10)
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def vsctl(self, arguments: str) -> str:
        """Run ovs-vsctl."""
        return self.client(f"ovs-vsctl --timeout=20 {arguments}")

    def ofctl(self, arguments: str) -> str:
        """Run ovs-ofctl."""
        return self.client(f"ovs-ofctl {arguments}")

    def appctl(self, arguments: str) -> str:
        """Run ovs-appctl against ovs-vswitchd."""
        return self.client(f"ovs-appctl {arguments}")

    def client(self, command: str) -> str:
        """Run a stock client with the right run directory."""
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

    def bridge(self, name: str, ports: Sequence[str]) -> None:
        """Make a bridge on the userspace datapath."""
        words = [f"add-br {name} -- set bridge {name} datapath_type=netdev"]
        words += [
            f"add-port {name} {port} -- set interface {port} ofport_request={number}"
            for number, port in enumerate(ports, 1)
        ]
        self.vsctl(" -- ".join(words))

    def resident_kb(self) -> int:
        """Resident memory of ovs-vswitchd in kB."""
        return resident_kb(self.pid)

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.rundir / f"{Path(command[0]).name}.out").open("wb")
        with log:
            process = subprocess.Popen(
                [*command, "--pidfile", "-vconsole:warn"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def _wait_for(self, path: Path) -> None:
        for _ in range(200):
            if path.exists():
                return
            time.sleep(0.02)
        raise RuntimeError(f"{path} did not appear")


def resident_kb(pid: int) -> int:
    """Resident memory of a process in kB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} shows no VmRSS")


@contextlib.contextmanager
def open_vswitch(other_config: Sequence[str] = (), daemon: str = "ovs-vswitchd") -> Iterator[OpenVSwitch]:
    """The peer for the length of a measurement."""
    with tempfile.TemporaryDirectory(prefix="jfb-ovs-") as folder:
        peer = OpenVSwitch(Path(folder), daemon)
        try:
            peer.start(other_config)
            yield peer
        finally:
            peer.stop()
