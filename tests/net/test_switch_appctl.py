"""The stock ovs-appctl against a running switch, by the names it looks for in OVS_RUNDIR."""

import re
import time
from collections.abc import Iterator

import pytest

from lab.namespaces import ping
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


def appctl(net: Rig, *arguments: str) -> str:
    done = net.switch.client("ovs-appctl", "-t", "ovs-vswitchd", *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def refusal(net: Rig, *arguments: str) -> str:
    done = net.switch.client("ovs-appctl", *arguments)
    assert done.returncode == 2
    return done.stderr


def test_version(net: Rig) -> None:
    assert appctl(net, "version").startswith("ovs-vswitchd (Jackfield) ")


def test_every_promised_command_is_listed(net: Rig) -> None:
    text = appctl(net, "list-commands")
    promised = (
        "version list-commands exit vlog/set vlog/list ofproto/list ofproto/trace dpif/show dpif/dump-flows"
        " dpctl/dump-flows dpctl/show fdb/show fdb/flush upcall/show revalidator/wait revalidator/purge coverage/show"
        " memory/show time/stop time/warp loop/lag"
    )
    missing = [name for name in promised.split() if not re.search(rf"^ +{re.escape(name)}\b", text, re.MULTILINE)]
    assert missing == []


def test_an_unknown_command_and_wrong_arguments(net: Rig) -> None:
    assert '"no/such" is not a valid command' in refusal(net, "no/such")
    assert '"ofproto/trace" command requires at least' in refusal(net, "ofproto/trace")
    assert '"version" command takes at most 0 arguments' in refusal(net, "version", "1")


def test_log_levels(net: Rig) -> None:
    appctl(net, "vlog/set", "bridge:console:dbg")
    assert re.search(r"^bridge +DBG", appctl(net, "vlog/list"), re.MULTILINE)
    appctl(net, "vlog/set", "bridge:console:info")
    assert re.search(r"^bridge +INFO", appctl(net, "vlog/list"), re.MULTILINE)
    assert "nosuch" in refusal(net, "vlog/set", "nosuch:console:dbg")


def test_bridges_and_ports(net: Rig) -> None:
    assert appctl(net, "ofproto/list") == "br0\n"
    text = appctl(net, "dpif/show")
    assert re.match(r"netdev@ovs-netdev: hit:\d+ missed:\d+\n  br0:\n", text)
    assert "    br0 65534/" in text
    for number, host in enumerate(net.hosts, 1):
        assert re.search(rf"^    {host.port} {number}/\d+: \(system\)$", text, re.MULTILINE)
    text = appctl(net, "dpctl/show")
    assert re.match(r"netdev@ovs-netdev:\n  lookups: hit:\d+ missed:\d+ lost:\d+\n  flows: \d+\n", text)
    assert re.search(rf"^  port \d+: {net.hosts[0].port}", text, re.MULTILINE)


def test_datapath_flows(net: Rig) -> None:
    ping(net.hosts[0], net.hosts[1], 5)
    for command in (["dpctl/dump-flows"], ["dpif/dump-flows", "br0"], ["dpctl/dump-flows", "netdev@ovs-netdev"]):
        text = appctl(net, *command)
        found = re.search(
            r"^recirc_id\(0\),in_port\(\S+\),.*eth\(src=02:00:00:00:99:01,dst=02:00:00:00:99:02\),eth_type\(0x0800\),"
            r"ipv4\(.*frag=no\), packets:(\d+), bytes:(\d+), used:[\d.]+s, actions:\S+$",
            text,
            re.MULTILINE,
        )
        assert found is not None, text
        assert int(found.group(1)) >= 4
        assert int(found.group(2)) == 98 * int(found.group(1))


def test_learned_addresses(net: Rig) -> None:
    ping(net.hosts[0], net.hosts[1], 2)
    lines = appctl(net, "fdb/show", "br0").splitlines()
    assert lines[0].split() == ["port", "VLAN", "MAC", "Age"]
    learned = {tuple(line.split()[:3]) for line in lines[1:]}
    assert {("1", "0", net.hosts[0].mac), ("2", "0", net.hosts[1].mac)} <= learned
    appctl(net, "fdb/flush", "br0")
    assert len(appctl(net, "fdb/show", "br0").splitlines()) == 1
    assert "no such bridge" in refusal(net, "fdb/show", "br7")
    assert ping(net.hosts[0], net.hosts[1], 2)[1] == 0


def test_trace(net: Rig) -> None:
    net.set_flows(
        "table=0,priority=5,cookie=0x9,tcp,actions=dec_ttl,resubmit(,2)", "table=2,tcp,tp_dst=80,actions=output:2"
    )
    text = appctl(net, "ofproto/trace", "br0", "in_port=1,tcp,tp_dst=80,nw_ttl=9,dl_src=02:00:00:00:00:01")
    assert text.startswith("Flow: tcp,in_port=1,vlan_tci=0x0000,dl_src=02:00:00:00:00:01,")
    assert 'bridge("br0")\n-------------\n 0. tcp, priority 5, cookie 0x9\n    dec_ttl\n    resubmit(,2)\n' in text
    assert " 2. tcp,tp_dst=80, priority 32768\n" in text
    assert "\nFinal flow: " in text
    assert re.search(r"^Megaflow: recirc_id=0,eth,tcp,in_port=1,.*nw_ttl=9,.*tp_dst=80$", text, re.MULTILINE)
    assert re.search(r"^Datapath actions: set\(ipv4\(.*ttl=8.*\)\),\d+$", text, re.MULTILINE)
    port = re.search(r" 1/(\d+):", appctl(net, "dpif/show"))
    assert port is not None
    odp = f"in_port({port.group(1)}),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),ipv4(proto=17)"
    assert "Datapath actions: drop" in appctl(net, "ofproto/trace", "ovs-netdev", odp)
    assert "bogus" in refusal(net, "ofproto/trace", "br0", "bogus=1")


def test_upcalls_and_revalidation(net: Rig) -> None:
    ping(net.hosts[0], net.hosts[1], 3)
    text = appctl(net, "upcall/show")
    assert re.search(r"flows +: \(current (\d+)\).* \(limit \d+\)", text)
    appctl(net, "revalidator/wait")
    assert appctl(net, "dpctl/dump-flows").count("recirc_id") >= 2
    appctl(net, "revalidator/purge")
    assert appctl(net, "dpctl/dump-flows").count("recirc_id") == 0
    assert ping(net.hosts[0], net.hosts[1], 2)[1] == 0


def test_a_rule_changed_is_in_force_when_the_barrier_answers(net: Rig) -> None:
    net.set_flows("in_port=1,actions=output:2")
    frame = bytes.fromhex("ffffffffffff 020000009901 88b5") + bytes(46)
    with net.hosts[0].packet_socket() as out, net.hosts[1].packet_socket(0.05) as into:
        for _ in range(20):
            out.send(frame)
            into.settimeout(2)
            into.recv(2048)
            net.switch.ofctl("mod-flows br0 in_port=1,actions=drop")
            out.send(frame)
            into.settimeout(0.05)
            with pytest.raises(TimeoutError):
                into.recv(2048)
            net.switch.ofctl("mod-flows br0 in_port=1,actions=output:2")


def test_coverage_and_memory(net: Rig) -> None:
    ping(net.hosts[0], net.hosts[1], 2)
    assert re.search(
        r"^unixctl_received +[\d.]+/sec +[\d.]+/sec +[\d.]+/sec +total: \d+$",
        appctl(net, "coverage/show"),
        re.MULTILINE,
    )
    text = appctl(net, "memory/show")
    assert re.search(r"\brules:\d+", text)
    assert re.search(r"\bports:3\b", text)


def test_clients_in_a_crowd(net: Rig) -> None:
    clients = [net.switch.popen("ovs-appctl", "dpctl/dump-flows") for _ in range(20)]
    for each in clients:
        each.communicate(timeout=20)
        assert each.returncode == 0


# -- time, in a switch of its own --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("apart")
def test_time_stops_and_warps() -> None:
    with rig(2) as net:
        net.switch.ofctl("add-flow br0 priority=9,hard_timeout=30,in_port=1,actions=output:2")
        appctl(net, "time/stop")
        stopped = net.switch.flows("in_port=1")[0].fields["duration"]
        time.sleep(0.3)
        assert net.switch.flows("in_port=1")[0].fields["duration"] == stopped
        assert ping(net.hosts[0], net.hosts[1], 3)[1] == 0
        assert "warped" in appctl(net, "time/warp", "29000", "1000")
        assert len(net.switch.flows("in_port=1")) == 1
        appctl(net, "time/warp", "1500", "500")
        until(lambda: net.switch.flows("in_port=1") == [], "the flow is gone", 1)


@pytest.mark.usefixtures("apart")
def test_exit_answers_when_everything_is_given_back() -> None:
    with rig(2) as net:
        appctl(net, "exit")
        assert not (net.switch.rundir / "br0.mgmt").exists()
        until(lambda: net.switch.process.poll() is not None, "the process ends", 1)
        assert net.switch.process.returncode == 0
