"""A running switch's coming and going: devices are given back, missing ports waited for, mistakes told."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.namespaces import Host, hosts, ping, sh
from lab.ours import JACKFIELD, jackfield
from lab.rig import Rig, rig, until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]


def state(name: str) -> dict[str, object]:
    """Everything of a device that a switch must give back."""
    (found,) = json.loads(sh(f"ip -d -j addr show dev {name}"))
    return {
        "flags": sorted(set(found["flags"]) - {"LOWER_UP"}),
        "mtu": found["mtu"],
        "address": found["address"],
        "promiscuity": found["promiscuity"],
        "master": found.get("master"),
        "addresses": sorted(each["local"] for each in found["addr_info"]),
        "qdisc": sh(f"tc qdisc show dev {name}") if found["qdisc"] != "noqueue" else "noqueue",
        "filters": sh(f"tc filter show dev {name} ingress", check=False),
        "xdp": found.get("xdp"),
        "offloads": sh(f"ethtool -k {name}"),
        "group": found.get("group"),
        "forwarding": Path(f"/proc/sys/net/ipv4/conf/{name}/forwarding").read_text(),
        "arp_ignore": Path(f"/proc/sys/net/ipv4/conf/{name}/arp_ignore").read_text(),
        "disable_ipv6": Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").read_text(),
    }


def firewall() -> str:
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout
    return ""


def links() -> set[str]:
    return {each["ifname"] for each in json.loads(sh("ip -j link show"))}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_within_a_second_and_gives_devices_back(number: signal.Signals) -> None:
    with hosts(3, "jft") as made, jackfield() as switch:
        one, two, three = (host.port for host in made)
        sh(f"ip addr add 192.0.2.1/24 dev {one}")
        sh(f"ip link set {two} mtu 1400 promisc on")
        sh(f"ip link set {three} down")
        before, devices, rules = {name: state(name) for name in (one, two, three)}, links(), firewall()
        switch.bridge("br0", [one, two, three])
        net = Rig(switch, made)
        until(lambda: "br0 runs with" in switch.log, "it runs", 30)
        ping(made[0], made[1], 3)
        assert links() == devices | {"br0"}
        assert state(one)["promiscuity"] > before[one]["promiscuity"]
        net.check_log()
        assert switch.stop(number) < 1.0
        assert switch.process.returncode == 0
        assert {name: state(name) for name in (one, two, three)} == before
        assert links() == devices
        assert firewall() == rules
        assert sorted(path.name for path in switch.rundir.iterdir()) == ["out"]


def test_stopped_by_appctl_exit() -> None:
    with rig(1) as net:
        net.switch.appctl("exit")
        assert net.switch.process.wait(1) == 0
        assert "br0" not in links()


def test_killed_outright_it_can_be_started_again() -> None:
    with hosts(2, "jft", quiet=True) as made, jackfield() as switch:
        ports = [host.port for host in made]
        before = {name: state(name) for name in ports}
        switch.bridge("br0", ports)
        switch.process.kill()
        switch.process.wait()
        for name in ports:
            left = state(name)
            assert left["promiscuity"] == before[name]["promiscuity"]
        for path in switch.rundir.glob("*.mgmt"):
            assert path.is_socket()
        (switch.rundir / "br0.mgmt").unlink()
        switch.bridge("br0", ports)
        until(lambda: "br0 runs with" in switch.log, "it runs", 30)
        assert ping(*made, 3)[1] == 0
        switch.stop()
        assert {name: state(name) for name in ports} == before


def test_the_host_does_not_answer_for_the_switch() -> None:
    """What arrives at a port belongs to the switch: an address on the port is not reachable from the host behind."""
    with hosts(2, "jft", quiet=True) as made, jackfield() as switch:
        one, two = made
        sh(f"ip addr add 10.99.0.77/24 dev {one.port}")
        switch.bridge("br0", [one.port, two.port])
        until(lambda: "br0 runs with" in switch.log, "it runs", 30)
        one.run("ping -n -c 1 -W 1 10.99.0.77", check=False)
        assert "100% packet loss" in one.run("ping -n -c 2 -i 0.1 -W 1 10.99.0.77", check=False)
        assert ping(one, two, 3)[1] == 0


# -- ports that are not there ------------------------------------------------------------------------------------------


def joined(made: list[Host], name: str, number: int) -> None:
    """Make a veth pair whose near end is `name` and whose far end is the interface `late` of the first host."""
    host = made[0]
    sh(f"ip link add {name} type veth peer name late netns {host.netns}")
    sh(f"ip link set {name} addrgenmode none up && ip -n {host.netns} link set late addrgenmode none up")
    sh(f"ip -n {host.netns} addr add 10.96.0.{number}/24 dev late")


@contextlib.contextmanager
def with_late_port() -> Iterator[tuple[Rig, str]]:
    name = f"jfq{os.getpid() % 100000}x"
    with hosts(2, "jft", quiet=True) as made, jackfield() as switch:
        try:
            switch.bridge("br0", [made[0].port, name, made[1].port])
            net = Rig(switch, made)
            until(lambda: "br0 runs with" in switch.log, "it runs", 30)
            net.switch.appctl("loop/lag reset")
            yield net, name
            net.expected.append(name)
            net.end()
        finally:
            sh(f"ip link del {name}", check=False)


def test_a_missing_port_is_told_and_added_when_it_appears() -> None:
    with with_late_port() as (net, name):
        assert name in net.switch.log
        assert ping(*net.hosts, 3)[1] == 0
        (shown,) = json.loads(net.switch.cli("show", "--json").stdout)
        assert name in shown["errors"]
        joined(net.hosts, name, 1)
        until(lambda: name in net.switch.cli("ports").stdout, "the port is added", 5)
        until(lambda: crosses(net), "the port forwards", 5)
        (shown,) = json.loads(net.switch.cli("show", "--json").stdout)
        assert shown["errors"] == {}


def crosses(net: Rig) -> bool:
    """Whether a ping from the interface `late` reaches the second host."""
    two = net.hosts[1]
    two.run("ip addr replace 10.96.0.200/24 dev e0")
    return " 0% packet loss" in net.hosts[0].run("ping -n -c 1 -W 1 10.96.0.200", check=False)


def test_a_port_that_vanishes_and_comes_back() -> None:
    with with_late_port() as (net, name):
        joined(net.hosts, name, 1)
        until(lambda: crosses(net), "the port forwards", 5)
        for _ in range(3):
            sh(f"ip link del {name}")
            assert ping(*net.hosts, 3)[1] == 0
            joined(net.hosts, name, 1)
            until(lambda: crosses(net), "the port forwards again", 5)


def test_a_link_that_goes_down_and_up() -> None:
    with rig(2) as net:
        one, two = net.hosts
        for _ in range(3):
            sh(f"ip link set {one.port} down")
            until(lambda: "LINK_DOWN" in net.port_block(1), "the port is down", 3)
            sh(f"ip link set {one.port} up")
            until(lambda: "LINK_DOWN" not in net.port_block(1), "the port is up", 3)
            assert ping(one, two, 5)[1] == 0


def test_an_idle_switch_uses_no_processor_time_also_after_a_link_went_down() -> None:
    with rig(2) as net:
        port = net.hosts[0].port
        ping(*net.hosts, 3)
        for change in ("up", "down", "up"):
            sh(f"ip link set {port} {change}")
            time.sleep(0.5)
            before = cpu_seconds(net.switch.pid)
            time.sleep(1.5)
            assert cpu_seconds(net.switch.pid) - before < 0.1, f"with the link {change}"


def cpu_seconds(pid: int) -> float:
    """Processor time a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- mistakes ----------------------------------------------------------------------------------------------------------


def up(rundir: Path, *arguments: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
    """`jackfield up` that is expected to end by itself."""
    return subprocess.run(
        [JACKFIELD, "--rundir", str(rundir), "up", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("arguments", "token"),
    [
        (("--bridge", "a/b"), "a/b"),
        (("--bridge", "averyveryverylongname"), "averyveryverylongname"),
        (("--datapath", "nosuch"), "nosuch"),
        (("--datapath-id", "xyz"), "xyz"),
        (("--controller", "carrier-pigeon:1"), "carrier-pigeon"),
        (("--controller", "tcp:127.0.0.1:99999999"), "99999999"),
        (("--fail-mode", "open"), "open"),
        (("--port", "p0,type"), "type"),
        (("--port", "p0", "--port", "p0"), "p0"),
        (("--verbose", "nosuch:loud"), "nosuch"),
    ],
)
def test_mistakes_on_the_command_line(short_dir: Path, arguments: tuple[str, ...], token: str) -> None:
    done = up(short_dir, *arguments)
    assert done.returncode != 0
    assert token in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(short_dir.glob("*.mgmt"))


@pytest.mark.parametrize(
    ("port", "reason"),
    [("lo", "Ethernet"), ("p0,type=nosuch", "nosuch"), ("p0,type=patch", "peer"), ("nosuch0", "No such device")],
)
def test_a_port_that_cannot_be_had_is_told_and_the_others_forward(port: str, reason: str) -> None:
    with rig(2, "--port", port) as net:
        net.expected.append("could not add network device")
        assert reason in net.switch.log
        assert ping(*net.hosts, 3)[1] == 0
        assert port.partition(",")[0] in json.loads(net.switch.cli("show", "--json").stdout)[0]["errors"]


def test_a_port_that_another_switch_has() -> None:
    with rig(2) as net, jackfield() as other:
        other.bridge("br1", [net.hosts[0].port])
        until(lambda: "br1 runs with" in other.log, "the other runs", 30)
        assert f"{net.hosts[0].port}" in other.log
        assert "busy" in other.log
        assert ping(*net.hosts, 3)[1] == 0


def test_a_second_switch_in_the_same_run_directory_is_refused() -> None:
    with rig(2) as net:
        done = up(net.switch.rundir, "--bridge", "br1")
        assert done.returncode == 1
        assert str(net.switch.pid) in done.stderr
        assert "already" in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
        assert ping(*net.hosts, 3)[1] == 0
        assert "ovs-vswitchd" in net.switch.appctl("version")


def test_run_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = up(tmp_path / "file" / "run")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert str(tmp_path / "file") in done.stderr


def test_started_without_a_port() -> None:
    started = time.monotonic()
    with rig(0) as net:
        assert "br0 runs with 1 ports" in net.switch.log or "br0 runs with 1 port" in net.switch.log
        assert "dpid:" in net.switch.ofctl("show br0")
    assert time.monotonic() - started < 20
