"""The `jackfield` verbs against a running switch."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from lab.namespaces import hosts, ping
from lab.ours import JACKFIELD, jackfield
from lab.rig import Rig, rig, until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]


@pytest.fixture(scope="module")
def _running(net_lane: None) -> Iterator[Rig]:
    with rig(2) as made:
        yield made


@pytest.fixture
def net(_running: Rig) -> Iterator[Rig]:
    _running.begin()
    _running.set_flows("priority=0,actions=NORMAL")
    yield _running
    _running.end()


def cli(net: Rig, *arguments: str) -> str:
    done = net.switch.cli(*arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def table(text: str) -> list[list[str]]:
    """Cells of a table, the heading first; its columns are told apart by the heading's rule."""
    lines = [line for line in text.splitlines() if line.strip()]
    rule = lines[1]
    assert set(rule.strip()) == {"─"}, text
    return [re.split(r"\s{2,}", line.strip()) for line in (lines[0], *lines[2:])]


def test_show(net: Rig) -> None:
    (bridge,) = json.loads(cli(net, "show", "--json"))
    assert bridge["name"] == "br0"
    assert bridge["datapath"] == "netdev"
    assert bridge["fail_mode"] == "standalone"
    assert re.fullmatch("[0-9a-f]{16}", bridge["datapath_id"])
    assert [port["name"] for port in bridge["ports"]] == [*(host.port for host in net.hosts), "br0"]
    assert bridge["flows"] == 1
    heading, row = table(cli(net, "show"))
    assert heading[:4] == ["bridge", "datapath id", "datapath", "fail mode"]
    assert row[:4] == ["br0", bridge["datapath_id"], "netdev", "standalone"]


def test_ports(net: Rig) -> None:
    before = {port["name"]: port for port in json.loads(cli(net, "ports", "--json"))}
    ping(net.hosts[0], net.hosts[1], 5)
    after = {port["name"]: port for port in json.loads(cli(net, "ports", "--json"))}
    first = net.hosts[0].port
    assert after[first]["rx_packets"] - before[first]["rx_packets"] == 5
    assert after[first]["tx_bytes"] - before[first]["tx_bytes"] == 5 * 98
    assert after[first]["number"] == 1
    assert after["br0"]["number"] == "LOCAL"
    assert after[first]["link_up"] is True
    rows = table(cli(net, "ports"))
    assert rows[0][:4] == ["port", "name", "address", "link"]
    assert [row[1] for row in rows[1:]] == [host.port for host in net.hosts] + ["br0"]


def test_flows_added_listed_and_deleted(net: Rig) -> None:
    one, two = net.hosts
    cli(net, "add-flow", f"table=0,priority=7,in_port={one.port},ip,nw_dst={two.address},actions=output:{two.port}")
    cli(net, "add-flow", "table=3,priority=9,cookie=0x12,tcp,tp_dst=80,actions=drop")
    ping(one, two, 4)
    shown = json.loads(cli(net, "flows", "--json"))
    assert [(flow["table"], flow["priority"]) for flow in shown] == [(0, 7), (0, 0), (3, 9)]
    assert shown[0]["match"] == f"ip,in_port={one.port},nw_dst={two.address}"
    assert shown[0]["actions"] == f"output:{two.port}"
    assert (shown[0]["n_packets"], shown[0]["n_bytes"]) == (4, 392)
    assert shown[2]["cookie"] == "0x12"
    assert len(json.loads(cli(net, "flows", "3", "--json"))) == 1
    assert len(json.loads(cli(net, "flows", "--match", "tcp", "--json"))) == 1
    heading, first, *_ = table(cli(net, "flows"))
    assert heading == ["table", "priority", "match", "actions", "packets", "bytes", "age", "cookie"]
    assert first[:2] == ["0", "7"]
    cli(net, "del-flows", "ip")
    assert [flow["table"] for flow in json.loads(cli(net, "flows", "--json"))] == [0]
    cli(net, "del-flows", "--strict", "priority=0")
    assert cli(net, "flows") == "no flows\n"
    assert json.loads(cli(net, "flows", "--json")) == []


def test_trace(net: Rig) -> None:
    one, two = net.hosts
    cli(net, "add-flow", "table=0,priority=7,icmp,actions=resubmit(,4)")
    cli(net, "add-flow", f"table=4,priority=3,ip,actions=mod_nw_dst:10.0.0.9,output:{two.port}")
    text = cli(net, "trace", f"in_port={one.port},icmp,nw_dst={two.address}")
    assert text.startswith("Flow: icmp,in_port=")
    assert re.search(r"^ 0\. icmp, priority 7", text, re.MULTILINE)
    assert re.search(r"^ +4\. ip, priority 3", text, re.MULTILINE)
    assert "Megaflow: " in text
    assert re.search(r"^Datapath actions: set\(ipv4\(.*dst=10\.0\.0\.9", text, re.MULTILINE)
    raw = "02000000990202000000990108004500001c000000004001000a0a6300010a6300020800f7ff00000000"
    assert "icmp" in cli(net, "trace", f"in_port={one.port}", "--packet", raw)


def test_datapath_flows_and_show(net: Rig) -> None:
    ping(net.hosts[0], net.hosts[1], 5)
    flows = json.loads(cli(net, "datapath", "flows", "--json"))
    assert any("eth_type(0x0800)" in flow["match"] and flow["packets"] >= 4 for flow in flows)
    (shown,) = json.loads(cli(net, "datapath", "show", "--json"))
    assert shown["flows"] >= 2
    assert shown["hits"] >= 8
    assert {port["name"] for port in shown["ports"]} >= {host.port for host in net.hosts}
    assert table(cli(net, "datapath", "flows"))[0] == ["match", "actions", "packets", "bytes", "used"]
    assert table(cli(net, "datapath", "show"))[0][0] == "datapath"


ERRORS = [
    (("add-flow", "ipp,actions=drop"), "ipp"),
    (("add-flow", "nw_dst=10.0.0.300,ip,actions=drop"), "10.0.0.300"),
    (("add-flow", "ip,actions=outptu:1"), "outptu"),
    (("add-flow", "ip,actions=output:nowhere"), "nowhere"),
    (("add-flow", "tp_dst=80,actions=drop"), "tp_dst"),
    (("add-flow", "tcp,tp_dst=99999,actions=drop"), "99999"),
    (("add-flow", "in_port=nobody,actions=drop"), "nobody"),
    (("add-flow", "ip"), "actions"),
    (("add-flow", "priority=high,actions=drop"), "high"),
    (("add-flow", "actions=goto_table:300"), "300"),
    (("add-flow", "table=5,actions=goto_table:5"), "5"),
    (("del-flows", "nw_src=banana,ip"), "banana"),
    (("flows", "--match", "color=red"), "color"),
    (("trace", "in_port=77,iip"), "iip"),
    (("show", "--bridge", "br7"), "bridge"),
    (("ports", "--bridge", "br7"), "br7"),
]


@pytest.mark.parametrize(("arguments", "token"), ERRORS, ids=[" ".join(words) for words, _ in ERRORS])
def test_errors_are_one_line_that_names_the_token(net: Rig, arguments: tuple[str, ...], token: str) -> None:
    done = net.switch.cli(*arguments)
    assert done.returncode != 0
    assert done.stdout == ""
    assert token in done.stderr
    if arguments[0] != "show":
        assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_switch(net: Rig, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    for arguments in (["show"], ["flows"], ["add-flow", "actions=drop"], ["datapath", "flows"], ["trace", "ip"]):
        done = subprocess.run([JACKFIELD, "--rundir", str(empty), *arguments], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "no switch runs in" in done.stderr


def test_watch(net: Rig) -> None:
    with net.switch.popen(
        JACKFIELD, "--rundir", str(net.switch.rundir), "flows", "--json", "--watch", "0.2"
    ) as process:
        assert process.stdout is not None
        rounds = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=5)
    assert process.returncode == 0
    assert all(len(each) == 1 for each in rounds)


def test_output_to_a_closed_pipe(net: Rig) -> None:
    command = f"{sys.executable} -m jackfield --rundir {net.switch.rundir} flows --json --watch 0.1 | head -1"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=10)
    assert json.loads(done.stdout)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_verbs_and_bridges(net: Rig, shell: str) -> None:
    assert "_JACKFIELD_COMPLETE" in cli(net, "completion", shell)


def complete(net: Rig, *words: str) -> list[str]:
    done = subprocess.run(
        [JACKFIELD],
        env={
            **net.switch.environment,
            "_JACKFIELD_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["jackfield", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        timeout=10,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_completions(net: Rig) -> None:
    assert {"flows", "datapath"} <= set(complete(net, ""))
    assert complete(net, "flows", "--bridge", "") == ["br0"]


# -- on a terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("apart")
def test_live_status_on_a_terminal() -> None:
    with hosts(2, "jft", quiet=True) as (one, two), jackfield() as switch:
        master, slave = pty.openpty()
        words = ["--port", one.port, "--port", two.port, "--port", "nosuch0"]
        process = subprocess.Popen(
            [JACKFIELD, "up", "--rundir", str(switch.rundir), "--bridge", "br0", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        )
        os.close(slave)
        seen = ""

        def read() -> str:
            nonlocal seen
            while select.select([master], [], [], 0)[0]:
                try:
                    seen += os.read(master, 65536).decode(errors="replace")
                except OSError:
                    break
            return seen

        try:
            until(lambda: "br0 runs with" in read(), f"it runs; shown: {read()[-500:]}", 30)
            until(lambda: "received/s" in read() and one.port in read(), "the table is shown", 5)
            ping(one, two, 20, 0.01)
            until(
                lambda: re.search(rf"{one.port}\s+up\s+[\d,]+\s+[\d,]+\s+2\d\s", read()) is not None,
                "the counters move",
                5,
            )
            assert "nosuch0" in read()
            started = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            process.wait(5)
            assert time.monotonic() - started < 1
            assert process.returncode == 0
            assert "Traceback" not in read()
        finally:
            process.kill()
            process.wait()
            os.close(master)


def test_a_narrow_terminal_folds_what_may_be_folded(net: Rig) -> None:
    rules = ",".join(f"output:{host.port}" for host in net.hosts)
    cli(net, "add-flow", f"priority=5,tcp,nw_src=10.0.0.0/8,nw_dst=192.168.0.0/16,tp_dst=80,actions={rules}")
    master, slave = pty.openpty()
    try:
        process = subprocess.Popen(
            [JACKFIELD, "--rundir", str(net.switch.rundir), "flows"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "60"},
        )
        os.close(slave)
        text = ""
        while True:
            try:
                data = os.read(master, 65536).decode()
            except OSError:
                break
            text += data
        assert process.wait(10) == 0
    finally:
        os.close(master)
    lines = re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()
    assert all(len(line) <= 60 for line in lines), text
