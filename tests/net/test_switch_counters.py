"""Counters and timeouts of a running switch: every packet is counted, every rule ends when it said it would."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.load import change_rules_under_load, first_port
from lab.rig import Rig, rig, until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]

ETHERTYPE = "88b5"


@pytest.fixture(scope="module")
def _running(net_lane: None) -> Iterator[Rig]:
    with rig(3) as made:
        yield made


@pytest.fixture
def net(_running: Rig) -> Iterator[Rig]:
    _running.begin()
    _running.set_flows()
    yield _running
    _running.end()


def frame(length: int = 60, source: int = 1) -> bytes:
    return bytes.fromhex(f"ffffffffffff 0200000099{source:02x} {ETHERTYPE}") + bytes(length - 14)


def send(net: Rig, count: int, length: int = 60, pause: float = 0.0) -> None:
    with net.hosts[0].packet_socket() as out:
        for _ in range(count):
            out.send(frame(length))
            if pause:
                time.sleep(pause)


@pytest.mark.parametrize("length", [60, 1000, 1514])
def test_packets_and_bytes_right_after_the_traffic(net: Rig, length: int) -> None:
    net.set_flows("priority=9,in_port=1,actions=output:2", "priority=0,actions=drop")
    before = first_port(net)["rx_pkts"]
    # The first packet has the flow set up; what comes at full speed meanwhile waits in a queue that has an end.
    send(net, 1, length)
    until(lambda: net.switch.flows("in_port=1")[0].packets == 1, "the first packet is counted", 1)
    send(net, 999, length)
    # A busy machine's kernel may drop what is sent at once before it reaches the switch's port.
    received = first_port(net)["rx_pkts"] - before
    assert received > 500
    flow = until(
        lambda: next((each for each in net.switch.flows("in_port=1") if each.packets >= received), None),
        f"{received} packets are counted",
        1,
    )
    time.sleep(1.2)
    flow = net.switch.flows("in_port=1")[0]
    assert (flow.packets, flow.bytes) == (received, received * length)


def test_aggregates_and_tables_count_the_same(net: Rig) -> None:
    net.set_flows("in_port=1,actions=resubmit(,3)", "table=3,actions=output:2")
    before = lookups(net, 3)
    send(net, 50)
    until(lambda: net.switch.flows("table=3")[0].packets == 50, "50 packets are counted in table 3", 1)
    assert net.switch.flows("table=0")[0].packets == 50
    assert "packet_count=100 byte_count=6000 flow_count=2" in net.switch.ofctl("dump-aggregate br0")
    assert lookups(net, 3) - before >= 50


def lookups(net: Rig, table: int) -> int:
    found = re.search(rf"table {table}\b.*\n.*matched=(\d+)", net.switch.ofctl("dump-tables br0"))
    return int(found.group(1)) if found else 0


def test_port_counters(net: Rig) -> None:
    net.set_flows("in_port=1,actions=output:2")
    before = net.switch.port_counters()
    send(net, 500)
    names = [next(n for n in (host.port, str(i)) if n in before) for i, host in enumerate(net.hosts, 1)]

    def counted() -> bool:
        now = net.switch.port_counters()
        return (
            now[names[0]]["rx_pkts"] - before[names[0]]["rx_pkts"] == 500
            and now[names[1]]["tx_pkts"] - before[names[1]]["tx_pkts"] == 500
        )

    until(counted, "500 packets are counted at both ports", 2)


# -- timeouts ----------------------------------------------------------------------------------------------------------

REMOVED = re.compile(
    r"OFPT_FLOW_REMOVED.*?:\s+(?P<match>\S+) reason=(?P<reason>\w+)(?: table_id=(?P<table>\d+))?"
    r"(?: cookie:(?P<cookie>\S+))? duration(?P<duration>[\d.]+)s idle(?P<idle>\d+)(?: hard(?P<hard>\d+))?"
    r" pkts(?P<packets>\d+) bytes(?P<bytes>\d+)",
    re.DOTALL,
)


def removals(net: Rig, version: str, path: Path) -> Iterator[Path]:
    with path.open("w") as out:
        import subprocess

        process = subprocess.Popen(
            ["ovs-ofctl", "-O", version, "monitor", "br0", "65534"],
            env=net.switch.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
        time.sleep(0.3)
        try:
            yield path
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(params=["OpenFlow10", "OpenFlow13"])
def monitored(net: Rig, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    yield from removals(net, request.param, tmp_path / "monitor")


def removed(monitored: Path) -> "re.Match[str] | None":
    return REMOVED.search(monitored.read_text())


def test_hard_timeout(net: Rig, monitored: Path) -> None:
    added = time.monotonic()
    net.switch.ofctl("add-flow br0 send_flow_rem,cookie=0x5,hard_timeout=2,in_port=1,actions=output:2")
    sent = 0
    while time.monotonic() - added < 1.6:
        send(net, 1)
        sent += 1
        time.sleep(0.2)
    found = until(lambda: removed(monitored), "the flow is removed", 3)
    assert 1.95 < time.monotonic() - added < 3.1
    assert found["reason"] == "hard"
    assert int(found["packets"]) == sent
    assert int(found["bytes"]) == 60 * sent
    assert 2.0 <= float(found["duration"]) < 3.0
    assert net.switch.flows() == []


def test_idle_timeout(net: Rig, monitored: Path) -> None:
    """Traffic keeps the flow, also when only the datapath sees it; without traffic it goes."""
    net.switch.ofctl("add-flow br0 send_flow_rem,idle_timeout=2,in_port=1,actions=output:2")
    added = time.monotonic()
    count = 0
    while time.monotonic() - added < 4.5:
        send(net, 1)
        count += 1
        last = time.monotonic()
        time.sleep(0.5)
    assert removed(monitored) is None
    assert len(net.switch.flows()) == 1
    found = until(lambda: removed(monitored), "the flow is removed", 4)
    assert 1.95 < time.monotonic() - last < 3.1
    assert found["reason"] == "idle"
    assert (int(found["packets"]), int(found["bytes"])) == (count, 60 * count)


def test_idle_and_hard_age_are_shown(net: Rig) -> None:
    net.switch.ofctl("add-flow br0 idle_timeout=60,in_port=1,actions=output:2")
    time.sleep(2.1)
    assert int(net.switch.flows()[0].fields["idle_age"]) == 2
    send(net, 1)
    until(lambda: net.switch.flows()[0].packets == 1, "the packet is counted", 1)
    assert int(net.switch.flows()[0].fields["idle_age"]) <= 1


def test_deletion_is_told_with_final_counts(net: Rig, monitored: Path) -> None:
    net.switch.ofctl("add-flow br0 send_flow_rem,in_port=1,actions=output:2")
    send(net, 321)
    time.sleep(0.05)
    net.switch.ofctl("del-flows br0 in_port=1")
    found = until(lambda: removed(monitored), "the flow is removed", 2)
    assert (found["reason"], int(found["packets"])) == ("delete", 321)


# -- under load --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_counter_and_no_rule_is_lost_under_load(net: Rig) -> None:
    """The short form of `./run soak load`."""
    result = change_rules_under_load(net, seconds=8)
    assert result.changes > 20
    assert result.received > 50_000
    assert result.counted == result.received - result.dropped, result
    assert result.missing_rules == [], result
