"""What the tests of the running switch share; the rigs themselves are in `lab`."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.namespaces import own_network
from lab.ours import JACKFIELD

TOOLS = ("ip", "ovs-ofctl", "ovs-appctl", "tcpdump", "ping", "iperf3", "ethtool", "ss", "nstat")


@pytest.fixture(scope="module")
def net_lane() -> Iterator[None]:
    """A network of the module's own: the switch runs in it, its hosts in others; skips where none can be had."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if not Path(JACKFIELD).exists():
        pytest.skip(f"{JACKFIELD} is not there: ./run sets it up")
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(own_network())
        except OSError as error:
            pytest.skip(f"no network namespace: {error.strerror}")
        yield


@pytest.fixture
def apart(net_lane: None) -> Iterator[None]:
    """A network of the test's own, in a module whose tests share a switch."""
    with own_network():
        yield
