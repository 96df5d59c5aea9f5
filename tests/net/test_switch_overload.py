"""More new flows than a switch can set up: what is established goes on, and everybody is answered."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.load import sender
from lab.namespaces import iperf3
from lab.rig import Rig, rig

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane"), pytest.mark.slow]

MOST_DATAPATH_FLOWS = 200_000
"""The flow limit that is never passed."""

MEMORY_KB = 400_000
"""What a flood may add to the switch's memory: the flow limit's worth and the queues'."""


@pytest.fixture
def net(net_lane: None) -> Iterator[Rig]:
    with rig(4) as made:
        yield made


def answer_time(net: Rig, *command: str) -> float:
    started = time.monotonic()
    done: subprocess.CompletedProcess[str] = net.switch.client(*command)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - started


def test_random_sources_bound_flows_and_memory_and_disturb_nobody(net: Rig) -> None:
    """The short form of `./run soak flows`."""
    flooder, sink, one, two = net.hosts
    alone = iperf3(two, one, "", 1)["bits_per_second"]
    before = net.switch.resident_kb()
    slowest = 0.0
    with ThreadPoolExecutor() as pool, sender(flooder, 6, sink.mac, "random-source") as flood:
        time.sleep(1)
        established = pool.submit(iperf3, two, one, "", 4)
        while flood.poll() is None:
            for command in (("ovs-ofctl", "dump-flows", "br0"), ("ovs-appctl", "upcall/show")):
                slowest = max(slowest, answer_time(net, *command))
            shown = json.loads(net.switch.cli("datapath", "show", "--json").stdout)[0]
            assert shown["flows"] <= MOST_DATAPATH_FLOWS
        sent = int(flood.communicate()[0])
        during = established.result(60)
    assert sent > 100_000
    assert slowest < 1.0
    assert during["worst_second"] > 10e6, f"{during}, alone {alone}"
    assert net.switch.resident_kb() - before < MEMORY_KB
    shown = json.loads(net.switch.cli("datapath", "show", "--json").stdout)[0]
    assert shown["misses"] > 10_000


def test_learned_addresses_are_bounded(net: Rig) -> None:
    flooder, sink = net.hosts[:2]
    with sender(flooder, 2, sink.mac, "random-source") as flood:
        flood.communicate()
    assert len(net.switch.appctl("fdb/show br0").splitlines()) - 1 <= 8192
