"""Traffic of real kernels across a running switch: plain, tagged, rewritten; TCP and UDP, with and without offloads."""

import json
from collections.abc import Iterator

import pytest

from lab.checks import offloads, tcp_both_ways, udp_both_ways
from lab.namespaces import ping, sh
from lab.rig import Rig, rig, until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]


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


@pytest.fixture
def no_offloads(net: Rig) -> Iterator[None]:
    """Checksums are made in full by the sending kernel and verified by the receiving one."""
    with offloads(net, "tx off rx off tso off gso off gro off", "tx on rx on tso on gso on gro on"):
        yield


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


def test_jumbo_frames_and_the_bridge_follows(net: Rig) -> None:
    one, two = net.hosts

    def set_mtu(size: int) -> None:
        for host in net.hosts:
            sh(f"ip link set {host.port} mtu {size}")
            host.run(f"ip link set e0 mtu {size}")
        until(lambda: mtu_of("br0") == size, f"br0 has an MTU of {size}", 3)

    set_mtu(9000)
    try:
        assert " 0% packet loss" in one.run(f"ping -n -c 3 -i 0.05 -W 2 -M do -s 8972 {two.address}")
        tcp_both_ways(net)
        udp_both_ways(net, "-l 8900")
    finally:
        set_mtu(1500)


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
