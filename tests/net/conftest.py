"""What the tests of the running switch share; the rigs themselves are in `lab`."""

import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.namespaces import CLONE_NEWNET, sh
from lab.ours import JACKFIELD

TOOLS = ("ip", "ovs-ofctl", "ovs-appctl", "tcpdump", "ping", "iperf3", "ethtool", "ss", "nstat")


@pytest.fixture(scope="module")
def net_lane() -> Iterator[None]:
    """A network of the module's own, so that names and addresses are free; skips where none can be had.

    The switch runs in it, its hosts in namespaces of theirs.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if not Path(JACKFIELD).exists():
        pytest.skip(f"{JACKFIELD} is not there: ./run sets it up")
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET):
            pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            sh("ip link set lo up")
            yield
        finally:
            libc.setns(before, CLONE_NEWNET)
    finally:
        os.close(before)
