from typing import Any, cast

import pytest

from jackfield.flow.ports import DpPort, OfPort
from jackfield.ofproto.pipeline.bridge import VlanConfig, XBridge, XPort
from jackfield.openflow.messages import PortConfig, PortState

FEW = frozenset({0, 5, 6})


@pytest.mark.parametrize(
    ("config", "carried", "tagged"),
    [
        (VlanConfig.of(None, frozenset(), None), {0, 1, 5, 4095}, {1, 5, 4095}),
        (VlanConfig.of(None, FEW, None), {0, 5}, {5}),
        (VlanConfig.of(5, frozenset(), None), {5}, set()),
        (VlanConfig.of(5, FEW, "access"), {5}, set()),
        (VlanConfig.of(None, frozenset(), "access"), {0}, set()),
        (VlanConfig.of(1, FEW, "native-untagged"), {0, 1, 5}, {5}),
        (VlanConfig.of(1, FEW, "native-tagged"), {0, 1, 5}, {1, 5}),
    ],
)
def test_vlans(config: VlanConfig, carried: set[int], tagged: set[int]) -> None:
    assert {vlan for vlan in (0, 1, 5, 4095) if config.carries(vlan)} == carried
    assert {vlan for vlan in carried if config.leaves_tagged(vlan)} == tagged


def test_ports_and_topics() -> None:
    changed: list[object] = []
    bridge = XBridge(3, "br0", cast(Any, None), changed.append)
    ports = [XPort(bridge, OfPort(n), f"p{n}", DpPort(10 + n)) for n in (1, 2, 3)]
    for port in ports:
        bridge.add_port(port)
    assert changed[-2:] == [ports[2].topic, bridge.flood_topic]
    assert len({bridge.topic, bridge.flood_topic, *(port.topic for port in ports)}) == 5
    assert [port for port, _ in bridge.flood_plan(ports[0], 0).ports] == ports[1:]
    assert bridge.flood_plan(ports[0], 0) is bridge.flood_plan(ports[0], 0)
    assert ports[1].configure(PortConfig.NO_FLOOD, PortState.LIVE, VlanConfig())
    assert not ports[1].configure(PortConfig.NO_FLOOD, PortState.LIVE, VlanConfig())
    bridge.port_changed(ports[1])
    plan = bridge.flood_plan(ports[0], 0)
    assert plan.plain_untagged == (ports[2].output,)
    assert bridge.flood_plan(ports[0], 4).plain_tagged == (ports[2].output,)
    assert ports[2].configure(PortConfig(0), PortState.BLOCKED, VlanConfig())
    assert not ports[2].receives
    bridge.port_changed(ports[2])
    assert bridge.flood_plan(ports[0], 0).ports == []
    bridge.macs.learn(0, 5, ports[1], 0)
    bridge.remove_port(ports[1])
    assert len(bridge.macs) == 0
