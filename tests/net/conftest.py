"""What the tests of the running switch share; the rigs themselves are in `lab`."""

import shutil
import subprocess
from pathlib import Path

import pytest

from lab.ours import JACKFIELD

TOOLS = ("ip", "ovs-ofctl", "ovs-appctl", "tcpdump", "ping", "iperf3", "ethtool", "ss", "nstat")


@pytest.fixture(scope="session")
def net_lane() -> None:
    """Skips where there are no namespaces, or tools are missing."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if not Path(JACKFIELD).exists():
        pytest.skip(f"{JACKFIELD} is not there: ./run sets it up")
    probe = subprocess.run(["unshare", "-n", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no network namespaces: {probe.stderr.strip()}")
