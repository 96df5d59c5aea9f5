"""Traffic of real kernels across a running switch: plain, tagged, rewritten; TCP and UDP, with and without offloads."""

import contextlib
import json
import os
from collections.abc import Iterator

import pytest

from lab.namespaces import hosts, iperf3, ping, sh
from lab.ours import jackfield
from lab.rig import Rig, rig, until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]

ENOUGH = 50e6  # bits per second: far below what passes, far above what survives of TCP with broken segments


@pytest.fixture(scope="module")
def _running(net_lane: None) -> Iterator[Rig]:
    with rig(2) as made:
        yield made


@pytest.fixture
def net(_running: Rig) -> Iterator[Rig]:
    _running.begin()
    _running.set_flows("actions=NORMAL")
    yield _running
    _running.end()


@contextlib.contextmanager
def offloads(net: Rig, during: str, afterwards: str) -> Iterator[None]:
    """Set what the hosts leave to their devices."""
    for host in net.hosts:
        host.run(f"ethtool -K e0 {during}")
    try:
        yield
    finally:
        for host in net.hosts:
            host.run(f"ethtool -K e0 {afterwards}")


@pytest.fixture
def no_offloads(net: Rig) -> Iterator[None]:
    """Checksums are made in full by the sending kernel and verified by the receiving one."""
    with offloads(net, "tx off rx off tso off gso off gro off", "tx on rx on tso on gso on gro on"):
        yield


def tcp_both_ways(net: Rig, arguments: str = "", to: str = "") -> None:
    one, two = net.hosts[:2]
    for direction in ("", "-R"):
        result = iperf3(two, one, f"{direction} {arguments}", 1, to)
        assert result["bits_per_second"] > ENOUGH, f"TCP {direction}: {result}"
    for host in (one, two):
        assert host.counter("TcpInCsumErrors") == 0


def udp_both_ways(net: Rig, arguments: str = "", to: str = "") -> None:
    one, two = net.hosts[:2]
    for direction in ("", "-R"):
        result = iperf3(two, one, f"-u -b 20M {direction} {arguments}", 1, to)
        assert result["lost_percent"] < 1, f"UDP {direction}: {result}"
        assert result["bits_per_second"] > 15e6, f"UDP {direction}: {result}"
    for host in (one, two):
        assert host.counter("UdpInCsumErrors") == 0


def test_ping_by_learning(net: Rig) -> None:
    median, lost = ping(net.hosts[0], net.hosts[1], 20)
    assert lost == 0
    assert median < 20


def test_tcp_and_udp_with_default_offloads(net: Rig) -> None:
    tcp_both_ways(net)
    udp_both_ways(net)


@pytest.mark.usefixtures("no_offloads")
def test_tcp_and_udp_without_offloads(net: Rig) -> None:
    tcp_both_ways(net)
    udp_both_ways(net)


@pytest.mark.parametrize("length", [8, 1472, 1473, 4000, 20000])
def test_datagrams_in_fragments_pass(net: Rig, length: int) -> None:
    text = net.hosts[0].run(f"ping -n -c 2 -i 0.05 -W 2 -s {length} {net.hosts[1].address}")
    assert " 0% packet loss" in text


def test_tcp_over_ipv6(net: Rig) -> None:
    for number, host in enumerate(net.hosts, 1):
        host.run(f"ip -6 addr add fd00:99::{number}/64 dev e0 nodad")
    tcp_both_ways(net, "-6", "fd00:99::2")
    udp_both_ways(net, "-6", "fd00:99::2")


# -- VLANs -------------------------------------------------------------------------------------------------------------
#
# Not every kernel has VLAN interfaces, but each takes tags off and puts them on. So the tagged path is a veth pair both
# of whose ends are ports: what the switch tags leaves at one end and comes back, through the kernel, at the other.


@pytest.fixture(scope="module")
def _looped(net_lane: None) -> Iterator[Rig]:
    names = [f"jfl{os.getpid() % 100000}{end}" for end in "abcd"]
    with hosts(2, "jfv", quiet=True) as made, jackfield() as switch:
        try:
            for near, far in (names[:2], names[2:]):
                # For service tags, unlike for others, the kernel does not let a frame be four bytes longer.
                sh(f"ip link add {near} mtu 1508 type veth peer name {far} mtu 1508")
                sh(f"ip link set {near} addrgenmode none up && ip link set {far} addrgenmode none up")
            switch.bridge("br0", [*(host.port for host in made), *names])
            net = Rig(switch, made)
            until(lambda: "br0 runs with" in switch.log, "the switch runs", 30)
            yield net
        finally:
            for name in names[::2]:
                sh(f"ip link del {name}", check=False)


@pytest.fixture
def looped(_looped: Rig) -> Iterator[Rig]:
    """Ports 3 and 4, and 5 and 6, are joined to each other."""
    _looped.begin()
    yield _looped
    _looped.end()


VLAN_RULES = {
    "set_vlan_vid": (
        "OpenFlow10",
        [
            "in_port=1,actions=mod_vlan_vid:10,mod_vlan_pcp:5,output:3",
            "in_port=4,dl_vlan=10,dl_vlan_pcp=5,actions=strip_vlan,output:2",
            "in_port=2,actions=mod_vlan_vid:11,output:4",
            "in_port=3,dl_vlan=11,actions=strip_vlan,output:1",
        ],
    ),
    "push_vlan": (
        "OpenFlow13",
        [
            "in_port=1,actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:3",
            "in_port=4,dl_vlan=10,actions=pop_vlan,output:2",
            "in_port=2,actions=push_vlan:0x8100,set_field:4107->vlan_vid,output:4",
            "in_port=3,dl_vlan=11,actions=pop_vlan,output:1",
        ],
    ),
    "push_service_tag": (
        "OpenFlow13",
        [
            "in_port=1,actions=push_vlan:0x88a8,set_field:4106->vlan_vid,output:3",
            "in_port=4,dl_vlan=10,actions=pop_vlan,output:2",
            "in_port=2,actions=push_vlan:0x88a8,set_field:4107->vlan_vid,output:4",
            "in_port=3,dl_vlan=11,actions=pop_vlan,output:1",
        ],
    ),
}


@pytest.mark.parametrize("rules", VLAN_RULES)
def test_tag_pushed_and_popped(looped: Rig, rules: str) -> None:
    version, texts = VLAN_RULES[rules]
    looped.set_flows(*texts, version=version)
    tcp_both_ways(looped)
    udp_both_ways(looped)
    assert all(flow.packets for flow in looped.switch.flows())


def test_tag_pushed_and_popped_without_offloads(looped: Rig) -> None:
    looped.set_flows(*VLAN_RULES["push_vlan"][1])
    with offloads(looped, "tx off rx off tso off gso off gro off", "tx on rx on tso on gso on gro on"):
        tcp_both_ways(looped)


def test_tagged_packets_by_learning(looped: Rig) -> None:
    """The kernel takes tags off what a packet socket sees; they are put back, and learned by VLAN."""
    for port in (1, 2, 3, 6):
        looped.switch.ofctl(f"mod-port br0 {port} no-flood")
    looped.set_flows(
        "in_port=1,actions=mod_vlan_vid:20,output:3",
        "in_port=4,actions=NORMAL",
        "in_port=6,dl_vlan=20,actions=strip_vlan,output:2",
        "in_port=2,actions=mod_vlan_vid:20,output:6",
        "in_port=5,actions=NORMAL",
        "in_port=3,dl_vlan=20,actions=strip_vlan,output:1",
        version="OpenFlow10",
    )
    tcp_both_ways(looped)
    learned = {tuple(line.split()[:3]) for line in looped.switch.appctl("fdb/show br0").splitlines()}
    one, two = looped.hosts
    assert {("4", "20", one.mac), ("5", "20", two.mac)} <= learned
    for port in (1, 2, 3, 6):
        looped.switch.ofctl(f"mod-port br0 {port} flood")


# -- rewriting ---------------------------------------------------------------------------------------------------------

NAT = [
    "ip,in_port=1,nw_dst=10.99.0.100,actions=mod_nw_dst:10.99.0.2,output:2",
    "ip,in_port=2,nw_src=10.99.0.2,actions=mod_nw_src:10.99.0.100,output:1",
    "priority=1,actions=NORMAL",
]
PORTS = [
    "{proto},in_port=1,tp_dst=6000,actions=set_field:5201->{proto}_dst,output:2",
    "{proto},in_port=2,tp_src=5201,actions=set_field:6000->{proto}_src,output:1",
]


@pytest.fixture
def virtual_address(net: Rig) -> Iterator[str]:
    """An address that no host has; the first host finds the second's MAC behind it."""
    one, two = net.hosts
    one.run(f"ip neigh replace 10.99.0.100 lladdr {two.mac} dev e0 nud permanent")
    yield "10.99.0.100"
    one.run("ip neigh del 10.99.0.100 dev e0")


def test_addresses_rewritten(net: Rig, virtual_address: str) -> None:
    net.set_flows(*NAT)
    tcp_both_ways(net, to=virtual_address)
    udp_both_ways(net, to=virtual_address)


@pytest.mark.usefixtures("no_offloads")
def test_addresses_rewritten_in_full_checksums(net: Rig, virtual_address: str) -> None:
    net.set_flows(*NAT)
    tcp_both_ways(net, to=virtual_address)
    udp_both_ways(net, to=virtual_address)


@pytest.fixture
def suspicious_receivers(net: Rig) -> Iterator[None]:
    """The senders leave checksums to the device, the receivers verify what they get."""
    with offloads(net, "rx off", "rx on"):
        yield


@pytest.mark.usefixtures("suspicious_receivers")
def test_addresses_rewritten_in_partial_checksums(net: Rig, virtual_address: str) -> None:
    net.set_flows(*NAT)
    tcp_both_ways(net, to=virtual_address)
    udp_both_ways(net, to=virtual_address)


@pytest.mark.usefixtures("suspicious_receivers")
def test_ports_rewritten(net: Rig) -> None:
    rules = [rule.format(proto=proto) for rule in PORTS for proto in ("tcp", "udp")]
    net.set_flows(*rules, "priority=1,actions=NORMAL")
    tcp_both_ways(net, "-p 6000")
    udp_both_ways(net, "-p 6000")


def test_ttl_and_tos_rewritten(net: Rig) -> None:
    net.set_flows("icmp,in_port=1,actions=mod_nw_tos:32,dec_ttl,output:2", "priority=1,actions=NORMAL")
    one, two = net.hosts
    with two.packet_socket() as seen:
        one.run(f"ping -n -c 1 -W 2 {two.address}")
        while (frame := seen.recv(2048))[12:14] != b"\x08\x00" or frame[23] != 1 or frame[34] != 8:
            pass
    assert (frame[15], frame[22]) == (32, 63)


# -- sizes -------------------------------------------------------------------------------------------------------------


def test_jumbo_frames() -> None:
    with rig(2, mtu=9000) as net:
        one, two = net.hosts
        text = one.run(f"ping -n -c 3 -i 0.05 -W 2 -M do -s 8972 {two.address}")
        assert " 0% packet loss" in text
        tcp_both_ways(net)
        udp_both_ways(net, "-l 8900")
        assert mtu_of("br0") == 9000


def test_every_length_passes(net: Rig) -> None:
    """Frames from the shortest the kernel sends to the largest, in order and whole."""
    one, two = net.hosts
    head = bytes.fromhex(two.mac.replace(":", "") + one.mac.replace(":", "") + "88b5")
    with one.packet_socket() as out, two.packet_socket() as into:
        for length in (*range(14, 200), *range(200, 1515, 13), 1514):
            out.send(head + bytes(length - 14))
            while (frame := into.recv(2048))[12:14] != b"\x88\xb5":
                pass
            assert len(frame.rstrip(b"\0")) <= len(head) <= len(frame)
            assert len(frame) in (length, max(length, 60))


def mtu_of(device: str) -> int:
    (found,) = json.loads(sh(f"ip -j link show dev {device}"))
    return int(found["mtu"])


def test_hosts_are_isolated_without_the_switch(net: Rig) -> None:
    """What the tests above see came through the switch, by its rules."""
    net.set_flows("actions=drop")
    one, two = net.hosts
    done = one.run(f"ping -n -c 2 -i 0.05 -W 1 {two.address}", check=False)
    assert "100% packet loss" in done
