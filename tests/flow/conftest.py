"""A stock ovs-vswitchd with a dummy datapath, in a directory of its own, to compare with."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


class StockSwitch:
    """Bridge br0 with dummy ports p1 (1) and p2 (2)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {**os.environ, "OVS_RUNDIR": str(directory), "OVS_DBDIR": str(directory)}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, cwd=self.directory, env=self.environment
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def appctl(self, *command: str) -> str:
        return self.run("ovs-appctl", "-t", str(self.directory / "vs.ctl"), *command)

    def dumped_flow(self, *flags: str) -> str:
        """The one flow of the datapath, as soon as there is one."""
        for _ in range(200):
            lines = self.appctl("dpctl/dump-flows", *flags).splitlines()
            if lines:
                return lines[-1]
            time.sleep(0.01)
        raise AssertionError("no flow in the datapath")


@pytest.fixture(scope="session")
def stock_switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StockSwitch]:
    if shutil.which("ovs-vswitchd") is None or not SCHEMA.exists():
        pytest.skip("ovs-vswitchd is not installed")
    switch = StockSwitch(tmp_path_factory.mktemp("ovs"))
    database = f"unix:{switch.directory}/db.sock"
    detached = ("--pidfile", "--detach", "--no-chdir", "-vconsole:off")
    switch.run("ovsdb-tool", "create", "conf.db", str(SCHEMA))
    try:
        switch.run(
            "ovsdb-server", "conf.db", f"--remote=p{database}", f"--unixctl={switch.directory}/db.ctl", *detached
        )
        switch.run("ovs-vsctl", f"--db={database}", "--no-wait", "init")
        switch.run(
            "ovs-vswitchd",
            database,
            "--enable-dummy=override",
            "--disable-system",
            f"--unixctl={switch.directory}/vs.ctl",
            *detached,
        )
        ports = [
            word
            for number in "12"
            for word in f"-- add-port br0 p{number} -- set interface p{number} type=dummy".split()
        ]
        bridge = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "fail_mode=secure"]
        limits = ["--", "set", "Open_vSwitch", ".", "other_config:vlan-limit=2"]
        switch.run("ovs-vsctl", "--timeout=10", f"--db={database}", *bridge, *ports, *limits)
        yield switch
    finally:
        for name in ("ovs-vswitchd.pid", "ovsdb-server.pid"):
            file = switch.directory / name
            if file.exists():
                pid = int(file.read_text())
                os.kill(pid, signal.SIGTERM)
                for _ in range(100):
                    if not Path(f"/proc/{pid}").exists():
                        break
                    time.sleep(0.02)
