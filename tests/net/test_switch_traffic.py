"""Traffic of real kernels across a running switch: plain, tagged, rewritten; TCP and UDP, with and without offloads."""

from collections.abc import Iterator

import pytest

from lab.namespaces import iperf3, ping, sh
from lab.rig import Rig, rig

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]

ENOUGH = 50e6  # bits per second: far below what passes, far above what survives of TCP with broken segments


@pytest.fixture(scope="module")
def _running() -> Iterator[Rig]:
    with rig(2) as made:
        yield made


@pytest.fixture
def net(_running: Rig) -> Iterator[Rig]:
    _running.begin()
    _running.set_flows("actions=NORMAL")
    yield _running
    _running.end()


@pytest.fixture
def no_offloads(net: Rig) -> Iterator[None]:
    """Checksums are made in full by the sending kernel and verified by the receiving one."""
    for host in net.hosts:
        host.run("ethtool -K e0 tx off rx off tso off gso off gro off")
    yield
    for host in net.hosts:
        host.run("ethtool -K e0 tx on rx on tso on gso on gro on")


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

VLAN_RULES = {
    "set_vlan_vid": (
        "OpenFlow10",
        ["in_port=1,dl_vlan=10,actions=strip_vlan,output:2", "in_port=2,actions=mod_vlan_vid:10,output:1"],
    ),
    "push_vlan": (
        "OpenFlow13",
        [
            "in_port=1,dl_vlan=10,actions=pop_vlan,output:2",
            "in_port=2,actions=push_vlan:0x8100,set_field:4106->vlan_vid,output:1",
        ],
    ),
}


@pytest.fixture
def tagged(net: Rig) -> Iterator[str]:
    """The first host speaks from a VLAN interface, the second untagged; gives the second's address."""
    one, two = net.hosts
    one.run("ip link add link e0 name e0.10 type vlan id 10")
    one.run("ip addr add 10.98.0.1/24 dev e0.10")
    one.run("ip link set e0.10 up")
    two.run("ip addr add 10.98.0.2/24 dev e0")
    yield "10.98.0.2"
    one.run("ip link del e0.10")
    two.run("ip addr del 10.98.0.2/24 dev e0")


@pytest.mark.parametrize("rules", VLAN_RULES)
def test_tag_pushed_and_popped(net: Rig, tagged: str, rules: str) -> None:
    version, texts = VLAN_RULES[rules]
    net.set_flows(*texts, version=version)
    tcp_both_ways(net, to=tagged)
    udp_both_ways(net, to=tagged)


@pytest.mark.usefixtures("no_offloads")
def test_tag_pushed_and_popped_without_offloads(net: Rig, tagged: str) -> None:
    net.set_flows(*VLAN_RULES["push_vlan"][1])
    tcp_both_ways(net, to=tagged)


def test_tagged_on_both_sides_by_learning(net: Rig) -> None:
    """The kernel takes tags off what a packet socket sees; they are put back."""
    for number, host in enumerate(net.hosts, 1):
        host.run("ip link add link e0 name e0.20 type vlan id 20")
        host.run(f"ip addr add 10.97.0.{number}/24 dev e0.20")
        host.run("ip link set e0.20 up")
    try:
        tcp_both_ways(net, to="10.97.0.2")
        assert "vlan(vid=20" in net.switch.appctl("dpctl/dump-flows")
    finally:
        for host in net.hosts:
            host.run("ip link del e0.20")


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
    for host in net.hosts:
        host.run("ethtool -K e0 rx off")
    yield
    for host in net.hosts:
        host.run("ethtool -K e0 rx on")


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
    return int(sh(f"cat /sys/class/net/{device}/mtu"))


def test_hosts_are_isolated_without_the_switch(net: Rig) -> None:
    """What the tests above see came through the switch, by its rules."""
    net.set_flows("actions=drop")
    one, two = net.hosts
    done = one.run(f"ping -n -c 2 -i 0.05 -W 1 {two.address}", check=False)
    assert "100% packet loss" in done
