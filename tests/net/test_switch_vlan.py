"""Tagged traffic of real kernels across a running switch."""

import os
from collections.abc import Iterator

import pytest

from lab.checks import offloads, tcp_both_ways, udp_both_ways
from lab.namespaces import hosts, sh
from lab.ours import jackfield
from lab.rig import Rig, until

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("net_lane")]

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
